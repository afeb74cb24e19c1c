/* Unix sockets whose bytes the guests move themselves: streams and packets between two connected sockets.
 *
 * A lane is the host's end of the pair. The gate's calls on it carry bytes and no control data, so it is good
 * for nothing else. What the keep sends goes through the same queue: the host keeps the order, and its reads
 * end behind a parcel as they end behind descriptors. Two things need care:
 *
 * - Who reads a parcel's bytes without asking for what comes along, has let go of it, as on Linux, and the
 *   host drops the token. A token to a lane has a second descriptor, the writing end of a pipe: when that
 *   hangs up and the keep still has the parcel, nobody will ever have it.
 * - From when either end asks for credentials, every message has them (SO_PASSCRED). Then both ends are the
 *   keep's again. What is being written in the host meanwhile carries the host's credentials, by which the
 *   sender is found. */
#include <sys/epoll.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/net/unix.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/thread.h"

#define EVENTS 16

/* [lock] */
static bool wants_cred(const struct unix_sock *u)
{
    return atomic_load(&u->passcred) || (u->peer && atomic_load(&u->peer->passcred));
}

void unix_lane_offer(struct unix_sock *u, struct file *f)
{
    u->file = f;
    if (u->status != UNIX_CONNECTED || u->base.type == SOCK_DGRAM)
        return;
    atomic_store(&f->barred, wants_cred(u));
    f->kind |= FILE_STREAM | (u->base.type == SOCK_STREAM ? FILE_RAW_WRITE : 0U);
}

/* A parcel that was sent before has no watch: it is to be received by the keep first. */
int unix_become_lane(struct file *f)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f);

    LOCKED(&us->lock);
    if (atomic_load(&u->parcels) || wants_cred(u))
        return -EAGAIN;
    u->laned = true;
    return 0;
}

/* Watches
 * ----------------------------------------------------------------------------------------------------- */

static void *watch_thread(void *arg)
{
    const struct unix_state *us = arg;
    struct epoll_event e[EVENTS];

    for (;;) {
        int n = epoll_wait(us->watched, e, EVENTS, -1);
        for (int i = 0; i < n; i++)
            unix_parcel_lost(e[i].data.u64);
        tasks_bury();
    }
    return NULL;
}

static int watch_start(struct unix_state *us)
{
    if (us->watched >= 0)
        return 0;
    us->watched = epoll_create1(EPOLL_CLOEXEC);
    if (us->watched < 0)
        return -errno;
    int r = thread_start("unix sockets", watch_thread, us);
    if (r < 0) {
        (void)close(us->watched);
        us->watched = -1;
    }
    return r;
}

int unix_lane_watch(struct unix_parcel *p)
{
    struct unix_state *us = kernel.unix_state;
    struct epoll_event e = {.events = EPOLLONESHOT, .data.u64 = p->id};
    int fd[2], r = watch_start(us);

    if (r < 0)
        return r;
    if (pipe2(fd, O_CLOEXEC) < 0)
        return -errno;
    if (epoll_ctl(us->watched, EPOLL_CTL_ADD, fd[0], &e) < 0) {
        r = -errno;
        (void)close(fd[0]);
        (void)close(fd[1]);
        return r;
    }
    p->watch = fd[0];
    return fd[1];
}

/* Credentials
 * ------------------------------------------------------------------------------------------------- */

/* [lock] The end's file, if a gate may have it. */
static const struct file *bar(struct unix_sock *u)
{
    if (!u || !u->file)
        return NULL;
    atomic_store(&u->file->barred, true);
    return u->laned ? u->file : NULL;
}

int unix_set_passcred(struct file *f, bool on)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f);
    const struct file *ends[2] = {NULL, NULL};
    int one = 1;
    {
        LOCKED(&us->lock);
        atomic_store(&u->passcred, on);
        if (on && u->base.type != SOCK_DGRAM) {
            ends[0] = bar(u);
            ends[1] = bar(u->peer);
        }
    }
    if (ends[1] && setsockopt(f->hostfd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
        if (ends[i])
            fast_bar(ends[i]);
    return 0;
}

bool unix_lane_cred(pid_t host_pid, struct unix_cred *c)
{
    struct task *t = task_by_host_tid(host_pid);

    if (!t) {
        LOCKED(&kernel.tasklist_lock);
        unheard_find_all();
        t = task_by_host_tid(host_pid);
    }
    if (!t)
        return false;
    {
        LOCKED(&kernel.tasklist_lock);
        unix_sender_cred(t, c);
    }
    task_put(t);
    return true;
}
