/* The supervisor's descriptor: the requests of seccomp_unotify(2), and its readiness.
 *
 * Its host descriptor is the end of a pipe to be read from, with a byte for each call that is there to be
 * received; the other end is closed when no task uses the filter any more, which poll(2) sees as POLLHUP. */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/device/random.h"
#include "sandbox/keep/seccomp/seccomp_notify.h"
#include "sandbox/keep/mm/uaccess.h"

/* Linux 6.6; the headers of Debian 12 are older. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

#define ID_VALID_WRONG_DIR SECCOMP_IOR(2, __u64) /* as it was before Linux 5.17 */
#define ADDFD_SIZE_MIN 24U                       /* the structure's first version */
#define ADDFD_SIZE_END 4096U
#define OUT_FULL (UINT64_MAX - 1)

/* [T] Calls ------------------------------------------------------------------------------------------------
 */

static struct notif *find(const struct seccomp_notifier *n, uint64_t id)
{
    struct notif *c;

    DL_FOREACH(n->calls, c)
    if (c->id == id)
        return c;
    return NULL;
}

static void set_state(struct notif *c, enum notif_state state)
{
    struct seccomp_notifier *n = c->notifier;
    bool was_deaf = c->parked.deaf;

    n->nwaits += (unsigned)(state == NOTIF_WAITS) - (unsigned)(c->state == NOTIF_WAITS);
    n->nsent += (unsigned)(state == NOTIF_SENT) - (unsigned)(c->state == NOTIF_SENT);
    c->state = state;
    c->parked.deaf = c->adding || (n->killable && state == NOTIF_SENT);
    notifier_sync(n);
    if (!c->parked.deaf && (was_deaf || state != NOTIF_SENT)) /* it goes on, or a signal may interrupt it */
        parked_due(c->parked.task);
}

/* 0, -ENOENT; -EINPROGRESS: it was not received yet, or is answered already. */
static int find_sent(const struct seccomp_notifier *n, uint64_t id, struct notif **c)
{
    *c = find(n, id);
    if (!*c)
        return -ENOENT;
    return (*c)->state == NOTIF_SENT ? 0 : -EINPROGRESS;
}

/* RECV -----------------------------------------------------------------------------------------------------
 */

struct recv_call {
    struct parked parked; /* first */
    struct recv_call *next, *prev;
    struct file *file; /* a reference */
    struct seccomp_notif got;
};

/* [T] SYS_PARKED: there is nothing. */
static long take(struct seccomp_notifier *n, const struct task *by, struct seccomp_notif *got)
{
    struct notif *c;

    if (!n->filter)
        return -ENOENT;
    if (n->requests == 0)
        return SYS_PARKED;
    n->requests--;
    DL_FOREACH(n->calls, c)
    if (c->state == NOTIF_WAITS)
        break;
    if (!c)
        return -ENOENT;
    const struct task *t = c->parked.task;
    bool same = t->process->container->pids == by->process->container->pids;
    *got = (struct seccomp_notif){.id = c->id, .pid = same ? (__u32)t->tid : 0, .data = c->data};
    set_state(c, NOTIF_SENT);
    return 0;
}

/* What was taken, given to the guest; if that fails it can be received again. */
static long give(struct task *t, struct seccomp_notifier *n, const struct seccomp_notif *got, uaddr_t to)
{
    if (copy_to_user(t, to, got, sizeof(*got)) == 0)
        return 0;
    LOCKED(&kernel.tasklist_lock);
    struct notif *c = find(n, got->id);
    if (c && c->state == NOTIF_SENT) {
        n->requests++;
        set_state(c, NOTIF_WAITS);
        notifier_wake(n);
    }
    return -EFAULT;
}

static long recv_look(struct parked *p)
{
    struct recv_call *r = (struct recv_call *)p;

    return take(r->file->priv, p->task, &r->got);
}

static long recv_end(struct parked *p, long r)
{
    struct recv_call *c = (struct recv_call *)p;

    return r == 0 ? give(p->task, c->file->priv, &c->got, p->a.arg[2]) : r;
}

static void recv_release(struct parked *p)
{
    struct recv_call *r = (struct recv_call *)p;
    struct seccomp_notifier *n = r->file->priv;

    {
        LOCKED(&kernel.tasklist_lock);
        DL_DELETE(n->receivers, r);
    }
    file_put(r->file);
}

void notifier_wake(struct seccomp_notifier *n)
{
    struct recv_call *r;

    DL_FOREACH(n->receivers, r)
    parked_due(r->parked.task);
}

/* [T] */
static long recv_park(struct task *t, const struct sysargs *a, struct file *f)
{
    struct seccomp_notifier *n = f->priv;

    if (signal_pending(t)) {
        signal_kick(t);
        return -ERESTARTSYS;
    }
    struct recv_call *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->parked = (struct parked){.look = recv_look, .end = recv_end, .release = recv_release};
    r->file = file_get(f);
    DL_APPEND(n->receivers, r);
    return task_park(t, a, &r->parked);
}

static long notify_recv(struct task *t, const struct sysargs *a, struct file *f)
{
    static const struct seccomp_notif none;
    struct seccomp_notif got;

    if (get_user(t, &got, a->arg[2]) < 0)
        return -EFAULT;
    if (memcmp(&got, &none, sizeof(got)) != 0)
        return -EINVAL;
    long r;
    {
        LOCKED(&kernel.tasklist_lock);
        r = take(f->priv, t, &got);
        if (r == SYS_PARKED)
            return recv_park(t, a, f);
    }
    return r == 0 ? give(t, f->priv, &got, a->arg[2]) : r;
}

/* The other requests ----------------------------------------------------------------------------------------
 */

static long notify_send(struct task *t, struct seccomp_notifier *n, uaddr_t arg)
{
    struct seccomp_notif_resp resp;
    struct notif *c;

    if (get_user(t, &resp, arg) < 0)
        return -EFAULT;
    if (resp.flags & ~(__u32)SECCOMP_USER_NOTIF_FLAG_CONTINUE)
        return -EINVAL;
    if (resp.flags && (resp.error || resp.val))
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    int r = find_sent(n, resp.id, &c);
    if (r < 0)
        return r;
    c->val = resp.val;
    c->error = resp.error;
    c->flags = resp.flags;
    set_state(c, NOTIF_REPLIED);
    return 0;
}

static long notify_id_valid(struct task *t, struct seccomp_notifier *n, uaddr_t arg)
{
    struct notif *c;
    uint64_t id;

    if (get_user(t, &id, arg) < 0)
        return -EFAULT;
    LOCKED(&kernel.tasklist_lock);
    return find_sent(n, id, &c) < 0 ? -ENOENT : 0;
}

/* By the size that the request's number says: what is not known must be zero (E2BIG). */
static int read_addfd(struct task *t, uaddr_t arg, unsigned size, struct seccomp_notif_addfd *add)
{
    char buf[ADDFD_SIZE_END];

    if (size < ADDFD_SIZE_MIN || size >= sizeof(buf))
        return -EINVAL;
    if (copy_from_user(t, buf, arg, size) < 0)
        return -EFAULT;
    for (unsigned i = sizeof(*add); i < size; i++)
        if (buf[i])
            return -E2BIG;
    memcpy(add, buf, sizeof(*add));
    if (add->newfd_flags & ~(__u32)O_CLOEXEC)
        return -EINVAL;
    if (add->flags & ~(__u32)(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND))
        return -EINVAL;
    return add->newfd && !(add->flags & SECCOMP_ADDFD_FLAG_SETFD) ? -EINVAL : 0;
}

/* [T] The target is held, and no signal takes it out of its wait, until end_adding. */
static int begin_adding(struct seccomp_notifier *n, const struct seccomp_notif_addfd *add, struct notif **c)
{
    int r = find_sent(n, add->id, c);

    if (r < 0)
        return r;
    if (atomic_load(&(*c)->parked.task->life) & (TASK_DYING | TASK_EXITED))
        return -ENOENT;
    bool sends = add->flags & SECCOMP_ADDFD_FLAG_SEND;
    if (sends && (*c)->adding)
        return -EBUSY;
    if ((*c)->adding++ == 0) /* however many do so: the task counts no further than it must */
        task_hold((*c)->parked.task);
    set_state(*c, sends ? NOTIF_REPLIED : NOTIF_SENT);
    return 0;
}

/* [T] r: the number, or -errno, with which there is no answer. True: the target is to end. */
static bool end_adding(struct notif *c, bool sends, int r)
{
    struct task *target = c->parked.task;

    c->adding--;
    if (sends && r >= 0) {
        c->val = r;
        c->error = 0;
        c->flags = 0;
    }
    set_state(c, sends && r < 0 ? NOTIF_SENT : c->state);
    return c->adding == 0 && task_let_go(target);
}

static long notify_addfd(struct task *t, struct seccomp_notifier *n, uaddr_t arg, unsigned size)
{
    struct seccomp_notif_addfd add;
    struct notif *c;
    int r = read_addfd(t, arg, size, &add);

    if (r < 0)
        return r;
    _cleanup_file_ struct file *f = fd_get(t, (int)add.srcfd);
    if (!f)
        return -EBADF;
    {
        LOCKED(&kernel.tasklist_lock);
        r = begin_adding(n, &add, &c);
        if (r < 0)
            return r;
    }
    struct task *target = task_get(c->parked.task);
    bool cloexec = add.newfd_flags & O_CLOEXEC, ends;
    r = add.flags & SECCOMP_ADDFD_FLAG_SETFD
            ? fd_install_at(target, file_get(f), cloexec, (int)add.newfd, &c->parked.a)
            : fd_install(target, file_get(f), cloexec, 0);
    if (r < 0)
        file_put(f);
    {
        LOCKED(&kernel.tasklist_lock);
        ends = end_adding(c, add.flags & SECCOMP_ADDFD_FLAG_SEND, r); /* c may go with the lock */
    }
    if (ends)
        task_exit(target, target->exit_status);
    task_put(target);
    return r;
}

static long notify_ioctl(struct task *t, const struct sysargs *a, struct file *f)
{
    const unsigned in_out = (unsigned)(IOC_INOUT | IOCSIZE_MASK);
    unsigned cmd = (unsigned)a->arg[1];
    uaddr_t arg = a->arg[2];

    switch (cmd) {
    case SECCOMP_IOCTL_NOTIF_RECV:
        return notify_recv(t, a, f);
    case SECCOMP_IOCTL_NOTIF_SEND:
        return notify_send(t, f->priv, arg);
    case SECCOMP_IOCTL_NOTIF_ID_VALID:
    case ID_VALID_WRONG_DIR:
        return notify_id_valid(t, f->priv, arg);
    case SECCOMP_IOCTL_NOTIF_SET_FLAGS: /* whom the host's kernel wakes where is not the guest's affair */
        return arg & ~SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP ? -EINVAL : 0;
    default:
        if ((cmd & ~in_out) == ((unsigned)SECCOMP_IOCTL_NOTIF_ADDFD & ~in_out))
            return notify_addfd(t, f->priv, arg, _IOC_SIZE(cmd));
        return -EINVAL;
    }
}

/* The descriptor -------------------------------------------------------------------------------------------
 */

static int notify_stat(struct task *t, struct file *f, struct stat *st)
{
    (void)t;
    return fstat(f->outfd, st) < 0 ? -errno : 0; /* an anonymous inode, which the pipe is not */
}

/* [T] The filter's part of n. */
static void leave_filter(struct seccomp_notifier *n)
{
    if (!n->filter)
        return;
    n->filter->notifier = NULL;
    n->filter = NULL;
    notifier_put(n); /* the caller has another */
}

static void close_in(struct seccomp_notifier *n)
{
    int fd = steal_fd(&n->in_fd);

    cleanup_close_p(&fd);
}

void notifier_hang_up(struct seccomp_notifier *n)
{
    leave_filter(n);
    close_in(n);
    notifier_wake(n);
}

/* Nobody will answer any more: whoever waits gets ENOSYS, as without a listener. */
static void notify_release(struct file *f)
{
    struct seccomp_notifier *n = f->priv;
    struct notif *c;

    {
        LOCKED(&kernel.tasklist_lock);
        n->file = NULL;
        DL_FOREACH(n->calls, c)
        if (c->state != NOTIF_REPLIED) {
            c->error = -ENOSYS;
            c->val = 0;
            c->flags = 0;
            set_state(c, NOTIF_REPLIED);
        }
        leave_filter(n);
        close_in(n);
    }
    notifier_put(n);
}

static const struct file_ops notify_ops = {
    .name = "anon_inode:seccomp notify",
    .call_ioctl = notify_ioctl,
    .stat = notify_stat,
    .release = notify_release,
};

/* With its file, which has taken the reference over; NULL: no memory, or no descriptors. */
static struct file *new_file(struct seccomp_notifier *n)
{
    uint64_t full = OUT_FULL;
    int in[2];
    int out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (out < 0 || pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0) {
        cleanup_close_p(&out);
        return NULL;
    }
    n->in_fd = in[1];
    struct file *f =
        write(out, &full, sizeof(full)) == sizeof(full) ? file_new(&notify_ops, O_RDWR, 0, in[0], n) : NULL;
    if (!f) {
        (void)close(in[0]);
        (void)close(in[1]);
        (void)close(out);
        return NULL;
    }
    f->outfd = out;
    n->file = f;
    return f;
}

int notifier_install(struct task *t, struct seccomp_filter *f, bool killable)
{
    struct seccomp_notifier *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    atomic_init(&n->refs, 1);
    n->killable = killable;
    random_bytes(&n->next_id, sizeof(n->next_id));
    struct file *file = new_file(n);
    if (!file) {
        free(n);
        return -ENOMEM;
    }
    {
        LOCKED(&kernel.tasklist_lock);
        n->filter = f;
        f->notifier = n;
        atomic_fetch_add(&n->refs, 1);
    }
    return fd_return(t, file, true);
}
