/* Sockets that are left to the guest.
 *
 * A lane is two descriptors of one description, the guest's and the keep's, and a connection ends when the
 * last one is closed: so the guest could not close it without the keep. A TCP connection of a process with
 * one thread, which has been used by the keep for all that it takes to make it (accept, connect), is left to
 * the guest: the keep closes its own descriptor. What the guest's close then does, the host does at once, and
 * the keep hears of it later (later.c).
 *
 * Whoever comes to use it by the keep, in whatever way, finds it by its number in a table: there it is
 * fetched back first (pidfd_getfd(2)), and from then on is like any other. Only one table leads to it, which
 * only one task uses, and nobody has a reference besides; before that changes (fork, clone, unshare, exec),
 * all are fetched. A table whose sockets are fetched more often than closed has none for a while.
 *
 * What the process holds at that number is the guest's to say: only the same socket, by the host's cookie,
 * which is never given twice, is taken. Else, or while the keep itself has no descriptor free, the number is
 * as good as closed. */
#include "sandbox/keep/fs/fdtable_internal.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/net/inet.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/task/task.h"

#define FETCH_COSTS 4 /* closes */

/* 0: there is none. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);

    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static bool is_fit(struct file *f, int users)
{
    const struct sock *s = sock_of(f);

    return s && s->proto == &inet_proto && s->type == SOCK_STREAM && !s->listens && !s->lingers &&
           !s->fresh && f->hostfd >= 0 && f->lanefd < 0 && !f->epitems && !f->owner &&
           !atomic_load(&f->barred) && !(atomic_load(&f->flags) & O_ASYNC) && atomic_load(&f->refs) == users;
}

int left_begin(struct task *t, struct fdtable *ft, unsigned fd, struct file *f, int users)
{
    if (ft->left_pays < 0) {
        ft->left_pays++;
        return -1;
    }
    if (!is_fit(f, users) || !sole_owner(ft) || !fast_is_alone(t) || !fast_is_possible(t))
        return -1;
    struct sock *s = sock_of(f);
    if (!ft->left && !(ft->left = mailbox_get(t->process->mm->mailbox)))
        return -1;
    if ((!s->cookie && !(s->cookie = cookie_of(f->hostfd))) || !later_may_leave(t, fd))
        return -1;
    int hostfd = f->hostfd;
    f->hostfd = -1;
    f->left_to = t->process->host_pid;
    return hostfd;
}

void left_over(struct fdtable *ft, unsigned fd, int hostfd)
{
    if (hostfd < 0)
        return;
    (void)close(hostfd);
    later_leave(ft->left, fd);
}

void left_undo(struct file *f, int hostfd)
{
    if (hostfd >= 0)
        f->hostfd = hostfd;
}

bool fd_leave(struct task *t, int fd, struct file *f, bool joins)
{
    struct fdtable *ft = t->fdt;

    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || ft->slots[fd].file != f || ft->slots[fd].lane != LANE_HERE)
        return false;
    struct sock *s = sock_of(f);
    if (joins && (!s || s->tells || !seccomp_always_allows(t, SYS_connect)))
        return false;
    int hostfd = left_begin(t, ft, (unsigned)fd, f, 2);
    if (hostfd < 0)
        return false;
    left_over(ft, (unsigned)fd, hostfd);
    s->joins = joins;
    if (joins)
        later_joins(ft->left, (unsigned)fd);
    return joins;
}

bool left_fetch(struct fdtable *ft, unsigned fd)
{
    struct file *f = ft->slots[fd].file;

    if (!f->left_to || f->hostfd >= 0)
        return true;
    struct sock *s = sock_of(f);
    if (later_joined(ft->left, fd) && s->joins)
        s->joined = true;
    s->joins = false;
    later_forbid_in(ft->left, fd);
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, f->left_to, 0);
    _cleanup_close_ int got = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (got < 0 || cookie_of(got) != s->cookie)
        return false;
    f->hostfd = steal_fd(&got);
    ft->left_pays -= FETCH_COSTS;
    if (ft->left_pays < -LEFT_PAYS_MOST)
        ft->left_pays = -LEFT_PAYS_MOST;
    return true;
}

void left_fetch_all(struct fdtable *ft)
{
    for (unsigned fd = 0; ft->left && fd < ft->size; fd++)
        if (ft->slots[fd].file)
            (void)left_fetch(ft, fd);
    left_forget(ft);
}

void left_forget(struct fdtable *ft)
{
    mailbox_put(steal_ptr(&ft->left));
}

void fdtable_fetch_left(struct fdtable *ft)
{
    LOCKED(&ft->lock);
    left_fetch_all(ft);
}
