/* A call that waits without a worker. Its handler leaves what is needed to go on with it and returns
 * SYS_PARKED; the worker serves others meanwhile. Whoever changes what the call waits for, or sends its task
 * a signal, makes it due, and looks again as soon as it holds no lock (tasks_bury).
 *
 * To the task it is a wait like any other: the call ends by what it waited for before it ends by a signal (as
 * wait(2) does on Linux), a paused container's calls stay where they are, and who is killed is out of it. */
#ifndef BAILEY_KEEP_PARK_H
#define BAILEY_KEEP_PARK_H

#include "sandbox/keep/kernel.h"

struct parked {
    struct parked *next, *prev; /* [T] among those that are due; listener.c: that workers are to go on with */
    bool due;
    bool deaf;         /* no signal ends it */
    struct task *task; /* a reference */
    struct sysargs a;  /* with a reference to its listener */
    struct timespec start;
    /* [T] SYS_PARKED: it goes on waiting; else what end gets to see. */
    long (*look)(struct parked *p);
    /* The rest of the call, with no lock held, within task_enter and task_leave: its result. r is
     * -ERESTARTSYS where a signal ended it. SYS_PARKED: the wait was before the call, which is still to be
     * made, by a worker, as it may take its time (syscall_go_on). */
    long (*end)(struct parked *p, long r);
    /* It is over, or its task has ended: gives back what p holds, but p. No lock held. NULL: nothing. */
    void (*release)(struct parked *p);
};

/* [T] Parks the call a of the worker's own task, which looked in vain just now and has no signal waiting. p
 * is malloc'ed and taken over; its caller has set look and end. Returns SYS_PARKED, for the handler to
 * return: the task is no longer the worker's. */
long task_park(struct task *t, const struct sysargs *a, struct parked *p);
/* [T] There may be news for t's parked call, if it has one. */
void parked_due(struct task *t);
/* [T] t ends: its call is forgotten. What is left of it is for parked_free, NULL too. */
struct parked *parked_drop(struct task *t);
void parked_free(struct parked *p);
/* A worker of p's listener: makes the call that was waited for, in its bracket, and frees p. */
void parked_go_on(struct parked *p);
/* Looks at those that are due. No lock held. */
void parked_settle(void);

#endif
