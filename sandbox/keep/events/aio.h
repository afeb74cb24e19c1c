/* Asynchronous I/O: io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), io_destroy(2).
 *
 * A context belongs to an address space. Its ring of events is shared with the guest, at the address that is
 * the context's id, in the layout that Linux has (linux/aio.c): libaio and qemu look at it, and take events
 * out of it, without a call. The keep believes only in its own end of it. Transfers and syncs are done by
 * io_submit, which Linux does as well for most files; polls are what goes on behind it. */
#ifndef BAILEY_KEEP_AIO_H
#define BAILEY_KEEP_AIO_H

#include <linux/aio_abi.h>

#include "sandbox/keep/fs/file.h"

struct mm;
struct aio_ring;

/* Guarded by tasklist_lock [T] but for what never changes. */
struct aio_context {
    struct aio_context *next, *prev; /* of its mm */
    atomic_int refs;
    uaddr_t id; /* where the guest has the ring; 0: not yet */
    struct aio_ring *ring;
    size_t size;        /* of the ring's memory */
    unsigned nr;        /* places in the ring, of which one stays empty */
    unsigned tail;      /* where the next event goes */
    unsigned flight;    /* requests that have a place, and no event yet */
    unsigned transfers; /* of these, those that their callers are at */
    unsigned counted;   /* in kernel.aio_nr */
    bool dead;
    struct aio_poll *polls;  /* utlist */
    pthread_cond_t changed;  /* there is an event more, or a transfer less, or it is dead */
    pthread_mutex_t reading; /* one caller takes events at a time; outside of tasklist_lock */
};

/* A request on its way to its event. */
struct aio_request {
    struct file *file, *notify; /* references; notify: an eventfd, or NULL */
    struct io_event event;
};

/* What the sandbox has of all this. [T] */
struct aio_state {
    unsigned contexts;
    size_t bytes; /* of rings */
    unsigned polls;
    struct aio_poll *by_id; /* uthash */
    uint64_t next_id;
    int watched; /* an epoll; -1: there is no thread yet */
};

/* aio.c */
struct aio_context *aio_find(struct task *t, uaddr_t id); /* a reference, or NULL */
void aio_put(struct aio_context *c);
static inline void aio_put_p(struct aio_context **c)
{
    if (*c)
        aio_put(*c);
}
#define _cleanup_aio_ _cleanup_(aio_put_p)
/* [T] A place for one event more. 0, -EAGAIN, -EINVAL: the context is dead. */
int aio_reserve(struct aio_context *c);
/* [T] Its event is in the ring. */
void aio_complete(struct aio_context *c, const struct io_event *e);
/* An address space is gone, with the last of its processes. No lock held. */
void aio_mm_ended(struct mm *mm) __attribute__((weak));
/* f is a ring on its way into the guest. */
bool aio_is_lent(const struct file *f);

/* aio_poll.c: r's files are taken over unless it fails. events: POLL*. 0 or -errno. */
int aio_poll_start(struct aio_context *c, struct aio_request *r, short events);
/* [T] The poll of the iocb at this address is over, with no event that it waited for. It is for the caller to
 * let go of, by aio_poll_end. NULL: there is none. */
struct aio_poll *aio_poll_cancel(struct aio_context *c, uaddr_t iocb);
/* [T] The same for any one. */
struct aio_poll *aio_poll_cancel_any(struct aio_context *c);
void aio_poll_end(struct aio_poll *p); /* no lock held */

/* What the gate asks (sandbox/gate/abi.h). */
long gate_aio_setup(struct task *t, const struct sysargs *a);
long gate_aio_done(struct task *t, const struct sysargs *a);
long gate_aio_destroy(struct task *t, const struct sysargs *a);

#endif
