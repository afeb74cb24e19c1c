/* Descriptors and credentials on their way through unix sockets. */
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/net/unix.h"

void unix_cred_of(struct task *t, struct unix_cred *c)
{
    c->pids = t->process->container->pids->id;
    c->pid = t->process->pid;
    c->uid = t->cred->euid;
    c->gid = t->cred->egid;
}

void unix_sender_cred(const struct task *t, struct unix_cred *c)
{
    c->pids = t->process->container->pids->id;
    c->pid = t->process->pid;
    c->uid = t->cred->uid;
    c->gid = t->cred->gid;
}

struct ucred unix_cred_for(const struct task *t, const struct unix_cred *c)
{
    bool known = c->pids == t->process->container->pids->id;
    return (struct ucred){known ? c->pid : 0, c->uid, c->gid};
}

static struct unix_parcel *parcel_new(unsigned room)
{
    struct unix_parcel *p = calloc(1, sizeof(*p) + room * sizeof(struct file *));
    if (p) {
        p->refs = 1;
        p->watch = -1;
    }
    return p;
}

/* Explicit credentials must be true, unless the sender may lie. */
static int check_cred(struct task *t, const struct ucred *c)
{
    const struct cred *k = t->cred;
    bool pid = c->pid == t->process->pid || capable(t, CAP_SYS_ADMIN);
    bool uid = c->uid == k->uid || c->uid == k->euid || c->uid == k->suid || capable(t, CAP_SETUID);
    bool gid = c->gid == k->gid || c->gid == k->egid || c->gid == k->sgid || capable(t, CAP_SETGID);
    if (!pid || !uid || !gid)
        return -EPERM;
    if (c->pid == t->process->pid)
        return 0;
    LOCKED(&kernel.tasklist_lock);
    return process_by_pid(t->process->container->pids, c->pid) ? 0 : -ESRCH;
}

static int add_cred(struct task *t, struct unix_parcel *p, const char *data, size_t len)
{
    struct ucred c;
    if (len != sizeof(c))
        return -EINVAL;
    memcpy(&c, data, sizeof(c));
    int r = check_cred(t, &c);
    if (r < 0)
        return r;
    p->has_cred = true;
    p->cred = (struct unix_cred){t->process->container->pids->id, c.pid, c.uid, c.gid};
    return 0;
}

static int add_files(struct task *t, struct unix_parcel *p, const char *data, size_t len)
{
    size_t n = len / sizeof(int);
    if (n > UNIX_PARCEL_FILES - p->nfiles)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
        struct file *f = fd_get_path(t, fd);
        if (!f)
            return -EBADF;
        p->files[p->nfiles++] = f;
    }
    return 0;
}

static int add_cmsgs(struct task *t, struct unix_parcel *p, const struct sock_msg *m)
{
    size_t at = 0;
    while (m->control_len - at >= sizeof(struct cmsghdr)) {
        struct cmsghdr c;
        memcpy(&c, m->control + at, sizeof(c));
        if (c.cmsg_len < sizeof(c) || c.cmsg_len > m->control_len - at)
            return -EINVAL;
        const char *data = m->control + at + CMSG_LEN(0);
        size_t len = c.cmsg_len - CMSG_LEN(0);
        int r = 0;
        if (c.cmsg_level == SOL_SOCKET)
            r = c.cmsg_type == SCM_RIGHTS        ? add_files(t, p, data, len)
                : c.cmsg_type == SCM_CREDENTIALS ? add_cred(t, p, data, len)
                                                 : -EINVAL;
        if (r < 0)
            return r;
        size_t step = CMSG_ALIGN(c.cmsg_len);
        if (step > m->control_len - at)
            break;
        at += step;
    }
    return 0;
}

int unix_parcel_make(struct task *t, const struct sock_msg *m, struct unix_parcel **ret)
{
    *ret = NULL;
    if (m->control_len < sizeof(struct cmsghdr))
        return 0;
    struct unix_parcel *p = parcel_new(UNIX_PARCEL_FILES);
    if (!p)
        return -ENOMEM;
    int r = add_cmsgs(t, p, m);
    if (r < 0 || (!p->nfiles && !p->has_cred)) {
        unix_parcel_put(p);
        return r;
    }
    /* Queues that nobody reads may hold many: none takes more than it needs. */
    struct unix_parcel *fit = realloc(p, sizeof(*p) + p->nfiles * sizeof(struct file *));
    *ret = fit ? fit : p;
    return 0;
}

struct unix_parcel *unix_parcel_cred(struct task *t)
{
    struct unix_parcel *p = parcel_new(0);
    if (p) {
        p->has_cred = true;
        unix_sender_cred(t, &p->cred);
    }
    return p;
}

int unix_parcel_token(struct task *t, struct unix_parcel *p, struct unix_sock *to, int token[2])
{
    struct unix_state *us = kernel.unix_state;
    _cleanup_close_ int fd = memfd_create("parcel", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    LOCKED(&us->lock);
    p->to = to;
    p->id = ++us->next_parcel;
    if (ftruncate(fd, (off_t)p->id) < 0)
        return -errno;
    int r = unix_inflight_begin(t, p);
    if (r < 0)
        return r;
    token[1] = to->laned ? unix_lane_watch(p) : -1;
    if (to->laned && token[1] < 0) {
        unix_inflight_end(p);
        return token[1];
    }
    token[0] = steal_fd(&fd);
    p->refs++; /* the table's */
    atomic_fetch_add(&to->parcels, 1);
    return 0;
}

struct unix_parcel *unix_parcel_take(int token, bool peek)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_parcel *p;
    struct stat st;
    if (fstat(token, &st) < 0)
        return NULL;
    uint64_t id = (uint64_t)st.st_size;
    LOCKED(&us->lock);
    HASH_FIND(hh, us->parcels, &id, sizeof(id), p);
    if (!p)
        return NULL;
    if (peek)
        p->refs++;
    else
        unix_inflight_end(p); /* the table's reference is now the caller's */
    return p;
}

void unix_parcel_recall(struct unix_parcel *p)
{
    struct unix_state *us = kernel.unix_state;
    bool found;
    {
        LOCKED(&us->lock);
        struct unix_parcel *x;
        HASH_FIND(hh, us->parcels, &p->id, sizeof(p->id), x);
        found = x != NULL;
        if (found)
            unix_inflight_end(p);
    }
    if (found)
        unix_parcel_put(p);
}

/* to->parcels still counts it: what it counts may be there. */
void unix_parcel_lost(uint64_t id)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_parcel *p;
    {
        LOCKED(&us->lock);
        HASH_FIND(hh, us->parcels, &id, sizeof(id), p);
        if (p)
            unix_inflight_end(p);
    }
    unix_parcel_put(p);
}

static void put_files(struct unix_parcel *p)
{
    for (unsigned i = 0; i < p->nfiles; i++)
        file_put(p->files[i]);
    if (p->watch >= 0)
        (void)close(p->watch);
    free(p);
}

void unix_parcel_trash(struct unix_parcel *p)
{
    struct unix_state *us = kernel.unix_state;

    p->next = us->trash;
    us->trash = p;
}

/* Letting a file go may end a socket with parcels in its queue, and so on: one at a time, never deeper. */
void unix_trash_empty(void)
{
    struct unix_state *us = kernel.unix_state;

    if (us->emptying)
        return;
    us->emptying = true;
    while (us->trash) {
        struct unix_parcel *x = us->trash;
        us->trash = x->next;
        pthread_mutex_unlock(&us->lock);
        put_files(x);
        pthread_mutex_lock(&us->lock);
    }
    us->emptying = false;
}

void unix_parcel_put(struct unix_parcel *p)
{
    struct unix_state *us = kernel.unix_state;
    if (!p)
        return;
    LOCKED(&us->lock);
    if (--p->refs == 0) {
        unix_parcel_trash(p);
        unix_trash_empty();
    }
}

static void deliver_files(struct task *t, struct unix_parcel *p, struct sock_msg *m, size_t *used, int flags)
{
    int fds[UNIX_PARCEL_FILES];
    size_t room =
        m->control_len > *used + CMSG_LEN(0) ? (m->control_len - *used - CMSG_LEN(0)) / sizeof(int) : 0;
    unsigned n = 0;
    while (n < p->nfiles && n < room) {
        fds[n] = fd_return(t, file_get(p->files[n]), flags & MSG_CMSG_CLOEXEC);
        if (fds[n] < 0)
            break;
        n++;
    }
    if (n < p->nfiles)
        m->flags |= MSG_CTRUNC;
    if (n)
        (void)sock_put_cmsg(m, used, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof(int));
}

void unix_parcel_deliver(struct task *t, struct unix_sock *u, struct unix_parcel *p,
                         const struct unix_cred *cred, struct sock_msg *m, int flags)
{
    size_t used = 0;
    if (!m->control)
        m->control_len = 0;
    if (atomic_load(&u->passcred)) {
        struct ucred c = {0, 65534, 65534};
        if (!cred && p && p->has_cred)
            cred = &p->cred;
        if (cred)
            c = unix_cred_for(t, cred);
        (void)sock_put_cmsg(m, &used, SOL_SOCKET, SCM_CREDENTIALS, &c, sizeof(c));
    }
    if (p && p->nfiles)
        deliver_files(t, p, m, &used, flags);
    m->control_len = used;
}
