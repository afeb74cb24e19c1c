/* SCMP_ACT_NOTIFY: a call is put to the seccomp agent by a child of the stand-in (sandbox/gate/standin.h),
 * which makes it again. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/gate/standin.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/seccomp/seccomp_internal.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/platform/listener.h"

#define PAGE 4096UL
#define STOPS_MS 100 /* how soon the end of a task is seen that no signal may interrupt */

struct stood_for {
    struct task *task;
    const struct seccomp_data *data;
    struct standin_request q;
    char (*pages)[PAGE];
    bool complete; /* all that its pointers point at was copied */
    int sock;      /* our end of the pair */
    int pidfd;     /* of the child */
};

static void stood_for_done(struct stood_for *r)
{
    if (r->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0);
    cleanup_close_p(&r->pidfd);
    cleanup_close_p(&r->sock);
    free(r->pages);
}

/* What the agent may want to read
 * --------------------------------------------------------------------------- */

/* The page's place among the copies, or NULL: it cannot be read, or there are too many. */
static const char *copy_page(struct stood_for *r, uaddr_t at)
{
    for (unsigned i = 0; i < r->q.npages; i++)
        if (r->q.page[i] == at)
            return r->pages[i];
    if (r->q.npages == STANDIN_PAGES || copy_from_user(r->task, r->pages[r->q.npages], at, PAGE) < 0)
        return NULL;
    r->q.page[r->q.npages] = at;
    return r->pages[r->q.npages++];
}

static void copy_string(struct stood_for *r, uaddr_t s)
{
    uaddr_t at = s & ~(PAGE - 1);
    size_t off = s % PAGE;

    for (int i = 0; i < 2; i++, at += PAGE, off = 0) {
        const char *page = copy_page(r, at);
        if (page && memchr(page + off, 0, PAGE - off))
            return;
        if (!page)
            break;
    }
    r->complete = false;
}

static void copy_object(struct stood_for *r, uaddr_t p)
{
    if (!p)
        return;
    if (!copy_page(r, p & ~(PAGE - 1)))
        r->complete = false;
    (void)copy_page(r, (p & ~(PAGE - 1)) + PAGE);
}

/* The arrays of an execve, and what they point at. */
static void copy_vector(struct stood_for *r, uaddr_t at)
{
    uint64_t *v;

    for (; at; at += sizeof(*v)) {
        const char *page = at % sizeof(*v) ? NULL : copy_page(r, at & ~(PAGE - 1));
        if (!page) {
            r->complete = false;
            return;
        }
        v = (uint64_t *)(page + at % PAGE);
        if (!*v)
            return;
        copy_string(r, *v);
    }
}

/* What their addresses point at is the guest's own affair, and in the child something else. */
static bool is_bare(int nr)
{
    static const int bare[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise,
                               SYS_brk,  SYS_clone,  SYS_shmat,    SYS_shmdt,  SYS_rseq};

    for (size_t i = 0; i < ARRAY_SIZE(bare); i++)
        if (bare[i] == nr)
            return true;
    return false;
}

static void copy_arguments(struct stood_for *r)
{
    const char *kinds = syscall_table[r->data->nr].args;

    r->complete = true;
    if (is_bare(r->data->nr))
        return;
    if (r->data->nr == SYS_execve || r->data->nr == SYS_execveat) {
        const __u64 *a = &r->data->args[r->data->nr == SYS_execveat];
        copy_string(r, a[0]);
        copy_vector(r, a[1]);
        copy_vector(r, a[2]);
        return;
    }
    for (int i = 0; kinds && kinds[i] && i < 6; i++) {
        if (kinds[i] == 's')
            copy_string(r, r->data->args[i]);
        else if (kinds[i] == 'p' || kinds[i] == 'S')
            copy_object(r, r->data->args[i]);
    }
}

/* An agent says "go on" by letting the child make the call itself, which fails with EFAULT at the first look
 * at its memory: the child has no access to it. EFAULT is the agent's own answer where it could not read
 * something either: what these calls' memory points at in turn is not there to be read. */
static bool means_continue(const struct stood_for *r, int64_t result)
{
    static const int nested[] = {SYS_bpf, SYS_clone3, SYS_mount_setattr};
    const char *kinds = syscall_table[r->data->nr].args;

    if (result != -EFAULT || !r->complete || !kinds || !strchr(kinds, 's'))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(nested); i++)
        if (r->data->nr == nested[i])
            return false;
    return true;
}

/* Descriptors -----------------------------------------------------------------------------------------------
 */

static unsigned next_free(struct task *t)
{
    unsigned n = 0;
    struct file *f;

    while (n < STANDIN_REPLY && (f = fdtable_get_file(t->fdt, (int)n))) {
        file_put(f);
        n++;
    }
    return n < STANDIN_REPLY ? n : 0;
}

static int take_descriptors(struct stood_for *r, const struct standin_reply *reply)
{
    for (unsigned i = 0; i < STANDIN_FDS; i++) {
        unsigned n = r->q.next_fd + i;
        if (!(reply->fds >> i & 1))
            continue;
        int fd = (int)syscall(SYS_pidfd_getfd, r->pidfd, n, 0);
        if (fd < 0)
            return -errno;
        struct file *f = host_stdio_file(fd);
        int e = f ? fd_install_at(r->task, f, reply->cloexec >> i & 1, (int)n, NULL) : -ENOMEM;
        if (e < 0)
            return e;
    }
    return 0;
}

/* Asking ----------------------------------------------------------------------------------------------------
 */

static int send_request(struct stood_for *r, int standin_fd, int child_end)
{
    struct iovec iov[2] = {{&r->q, sizeof(r->q)}, {r->pages, r->q.npages * PAGE}};
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } c = {0};
    struct msghdr mh = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&mh);

    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &child_end, sizeof(int));
    return sendmsg(standin_fd, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_to_standin(struct stood_for *r, int standin_fd)
{
    int sv[2], on = 1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return -errno;
    r->sock = sv[0];
    int e = setsockopt(sv[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0
                ? -errno
                : send_request(r, standin_fd, sv[1]);
    (void)close(sv[1]);
    return e;
}

/* Until there is something to read. -ERESTARTSYS: a signal, or the end of the task. */
static int await(const struct stood_for *r, bool killable)
{
    struct pollfd p = {.fd = r->sock, .events = POLLIN};

    if (!killable) {
        int e = host_wait(r->task, r->sock, POLLIN, NULL);
        return e < 0 ? e : 0;
    }
    while (poll(&p, 1, STOPS_MS) == 0)
        if (r->task->process->group_exit || (atomic_load(&r->task->life) & (TASK_DYING | TASK_EXITED)))
            return -ERESTARTSYS;
    return 0;
}

/* The child's first word: who it is, the kernel says. */
static int meet_child(struct stood_for *r)
{
    char byte;
    struct iovec iov = {&byte, 1};
    union {
        char buf[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } c = {0};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
    struct ucred cred;

    if (recvmsg(r->sock, &mh, MSG_CMSG_CLOEXEC) != 1)
        return -EPERM;
    struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
    if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_CREDENTIALS)
        return -EPERM;
    memcpy(&cred, CMSG_DATA(h), sizeof(cred));
    r->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
    return r->pidfd < 0 && errno != ESRCH ? -errno : 0; /* it may have exited already, as it was to */
}

static int ask(struct stood_for *r, int standin_fd, bool killable, struct standin_reply *reply)
{
    int e = send_to_standin(r, standin_fd);

    if (e == 0)
        e = await(r, true);
    if (e == 0)
        e = meet_child(r);
    if (e == 0)
        e = await(r, killable);
    if (e < 0)
        return e;
    if (recv(r->sock, reply, sizeof(*reply), 0) == sizeof(*reply))
        return 0;
    /* A child that ended instead made the call itself, and that was its end. */
    reply->went_on = r->data->nr == SYS_exit || r->data->nr == SYS_exit_group;
    return reply->went_on ? 0 : -EPERM;
}

int seccomp_standin(struct task *t, const struct seccomp_filter *f, const struct sysargs *a,
                    const struct seccomp_data *d, long *result)
{
    _cleanup_(stood_for_done) struct stood_for r = {.task = t, .data = d, .sock = -1, .pidfd = -1};
    struct standin_reply reply = {0};

    if (d->nr < 0 || d->nr >= SYSCALL_MAX)
        return -ENOSYS;
    r.pages = malloc(STANDIN_PAGES * PAGE);
    if (!r.pages)
        return -ENOMEM;
    r.q.nr = d->nr;
    r.q.next_fd = next_free(t);
    for (int i = 0; i < 6; i++)
        r.q.args[i] = d->args[i];
    copy_arguments(&r);
    worker_about_to_block();
    int e = ask(&r, f->standin_fd, f->killable || seccomp_asked_by_gate(a), &reply);
    if (e == 0)
        e = take_descriptors(&r, &reply);
    if (e < 0)
        return e;
    if (reply.went_on || means_continue(&r, reply.result))
        return 1;
    *result = reply.result;
    return 0;
}
