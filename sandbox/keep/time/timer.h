/* The keep's timers: its one queue, and what processes have of it (setitimer(2), timer_create(2)).
 * [T]: tasklist_lock held. */
#ifndef BAILEY_KEEP_TIMER_H
#define BAILEY_KEEP_TIMER_H

#include "sandbox/keep/kernel.h"

#define NSEC_PER_SEC 1000000000LL

struct process;
struct sigqueue;

/* An entry of the keep's one timer queue; [T] throughout. fire runs with tasklist_lock held and may set it
 * again. */
struct ktimer {
    struct ktimer *next, *prev;
    int64_t expires; /* CLOCK_MONOTONIC, ns */
    bool queued;
    void (*fire)(struct ktimer *kt);
};

struct itimer {
    struct ktimer timer;
    struct process *process;
    int which;
    int64_t target;   /* of its clock, ns; 0: off */
    int64_t interval; /* ns */
};

int64_t mono_now(void); /* CLOCK_MONOTONIC, ns */
/* *d = now + rel on that clock, without overflow. Returns d. */
struct timespec *deadline_from(struct timespec *d, const struct timespec *rel);
/* As that, from another moment on. */
struct timespec *deadline_since(struct timespec *d, int64_t begin, const struct timespec *rel);
/* What is left until *d, not below zero. */
struct timespec deadline_left(const struct timespec *d);

void ktimer_set(struct ktimer *kt, int64_t expires); /* [T] instead of when it was set for */
void ktimer_cancel(struct ktimer *kt);               /* [T] */

void itimers_init(struct process *p);
void itimers_cancel(struct process *p); /* [T] */

void posix_timers_delete(struct process *p);    /* [T] */
void posix_timer_delivered(struct sigqueue *q); /* [T] q leaves the queue */
/* [T] q is about to be taken: its overrun is counted up to now (timer_getoverrun(2)), even where the timers'
 * thread is late. */
void posix_timer_catch_up(struct sigqueue *q);

static inline int64_t ts_ns(const struct timespec *ts)
{
    return (int64_t)ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

static inline struct timespec ns_ts(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC};
}

static inline struct timespec ts_add(struct timespec a, struct timespec b)
{
    return ns_ts(ts_ns(&a) + ts_ns(&b));
}

#endif
