/* Shared by the files of tasks. [T]: tasklist_lock held. */
#ifndef BAILEY_KEEP_TASK_INTERNAL_H
#define BAILEY_KEEP_TASK_INTERNAL_H

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/task/task.h"

#define PID_MAX 4194304

struct task_table {
    pthread_mutex_t host_lock; /* leaf: by_host */
    struct task *by_host;
    pthread_mutex_t dying_lock; /* leaf: dying */
    struct task *dying;         /* ended by others; tasks_bury() finishes them */
    struct parked *due;         /* [T] park.c */
    atomic_uint ndue;
};

/* task.c, process.c */
long process_maxrss(const struct process *p);
struct task *task_new(struct process *p); /* refs 1 (the tables'), not in any table yet */
struct process *process_new(struct container *c);
struct sighand *sighand_new(void);
struct sighand *sighand_dup(const struct sighand *s);
void sighand_put(struct sighand *s);
void task_link(struct task *t);   /* [T] into the container's and the process's tables */
void task_unlink(struct task *t); /* [T] out of them; drops their reference */
void process_link(struct process *p, struct process *parent); /* [T] */
void process_unlink(
    struct process *p); /* [T] a zombie, or an aborted embryo, is gone; drops the tables' reference */
/* [T] task_set_host_tid's; by its call nr. */
void task_host_known(struct task *t, pid_t host_tid, int nr);
void task_host_moved(struct task *t, pid_t host_tid); /* [T] t's host thread goes by this number now */
void task_forget_host(struct task *t);                /* out of the host's table */
bool task_host_is_known(const struct process *p, pid_t host_tid); /* [T] as a living thread's of p */
void task_bury_later(struct task *t);                             /* takes a reference of its own */

/* sched.c: [T] passed on as far as the host agrees; a failure is not the guest's to see. */
void task_tell_nice(struct task *o) __attribute__((weak));

uaddr_t task_robust_list(struct task *t); /* [T] sigmask.c */
/* Where its end is to be told by a zero, by set_tid_address; 0: nowhere. [T] */
uaddr_t task_tid_address(struct task *t);

#endif
