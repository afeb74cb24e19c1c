/* Polls by io_submit(2): one thread watches a duplicate of each file's host descriptor, once. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <uthash.h>

#include "sandbox/keep/events/aio.h"
#include "sandbox/keep/thread.h"

#define EVENTS 16
#define POLLS_PART 4 /* of the descriptors that the keep may have */

struct aio_poll {
    struct aio_poll *next, *prev; /* of its context [T] */
    UT_hash_handle hh;            /* [T] */
    uint64_t id;
    struct aio_context *context; /* a reference */
    struct aio_request request;
    int fd; /* the duplicate */
};

/* [T] It is over: its event is in the ring. */
static void finish(struct aio_poll *p, unsigned events)
{
    HASH_DEL(kernel.aio->by_id, p);
    DL_DELETE(p->context->polls, p);
    p->request.event.res = events;
    aio_complete(p->context, &p->request.event);
}

struct aio_poll *aio_poll_cancel(struct aio_context *c, uaddr_t iocb)
{
    struct aio_poll *p;
    DL_FOREACH(c->polls, p)
    {
        if (p->request.event.obj != iocb)
            continue;
        finish(p, 0);
        return p;
    }
    return NULL;
}

struct aio_poll *aio_poll_cancel_any(struct aio_context *c)
{
    struct aio_poll *p = c->polls;
    if (p)
        finish(p, 0);
    return p;
}

static void let_go(struct aio_poll *p)
{
    if (p->fd >= 0) {
        (void)epoll_ctl(kernel.aio->watched, EPOLL_CTL_DEL, p->fd, NULL); /* the file stays open elsewhere */
        (void)close(p->fd);
    }
    {
        LOCKED(&kernel.tasklist_lock);
        kernel.aio->polls--;
    }
    aio_put(p->context);
    free(p);
}

void aio_poll_end(struct aio_poll *p)
{
    if (p->request.notify) {
        eventfd_signal(p->request.notify);
        file_put(p->request.notify);
    }
    file_put(p->request.file);
    let_go(p);
}

static struct aio_poll *fired(const struct epoll_event *e)
{
    struct aio_poll *p;
    LOCKED(&kernel.tasklist_lock);
    HASH_FIND(hh, kernel.aio->by_id, &e->data.u64, sizeof(e->data.u64), p);
    if (p)
        finish(p, e->events);
    return p;
}

static void *watch_thread(void *arg)
{
    struct epoll_event e[EVENTS];

    for (;;) {
        int n = epoll_wait(((struct aio_state *)arg)->watched, e, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct aio_poll *p = fired(&e[i]);
            if (p)
                aio_poll_end(p);
        }
    }
    return NULL;
}

/* [T] */
static int watch_start(struct aio_state *s)
{
    if (s->watched >= 0)
        return 0;
    s->watched = epoll_create1(EPOLL_CLOEXEC);
    int r = s->watched < 0 ? -errno : thread_start("asynchronous I/O", watch_thread, s);
    if (r < 0 && s->watched >= 0) {
        (void)close(s->watched);
        s->watched = -1;
    }
    return r;
}

/* [T] The sandbox can have one more. */
static int admit(struct aio_state *s)
{
    struct rlimit most;
    if (getrlimit(RLIMIT_NOFILE, &most) < 0 || s->polls >= most.rlim_cur / POLLS_PART || watch_start(s) < 0)
        return -EAGAIN;
    s->polls++;
    return 0;
}

static struct aio_poll *poll_new(struct aio_context *c, const struct aio_request *r)
{
    struct aio_poll *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    {
        LOCKED(&kernel.tasklist_lock);
        if (admit(kernel.aio) < 0) {
            free(p);
            return NULL;
        }
    }
    atomic_fetch_add(&c->refs, 1);
    p->context = c;
    p->request = *r;
    p->fd = fcntl(r->file->hostfd, F_DUPFD_CLOEXEC, 3);
    return p;
}

/* [T] Whoever cancels it, or the watch, may have it from here on. */
static int publish(struct aio_poll *p, short events)
{
    struct aio_state *s = kernel.aio;
    if (p->context->dead)
        return -EINVAL;
    p->id = ++s->next_id;
    struct epoll_event e = {.events = (uint16_t)events | EPOLLONESHOT, .data.u64 = p->id};
    if (epoll_ctl(s->watched, EPOLL_CTL_ADD, p->fd, &e) < 0)
        return errno == EPERM ? -EINVAL : -EAGAIN;
    HASH_ADD(hh, s->by_id, id, sizeof(p->id), p);
    DL_APPEND(p->context->polls, p);
    return 0;
}

int aio_poll_start(struct aio_context *c, struct aio_request *r, short events)
{
    struct aio_poll *p = poll_new(c, r);
    int err = -EAGAIN;
    if (!p)
        return err;
    if (p->fd >= 0) {
        LOCKED(&kernel.tasklist_lock);
        err = publish(p, events);
    }
    if (err < 0)
        let_go(p);
    return err;
}
