/* What the files that make up tasks and signals share, and nobody else needs. tasklist_lock: see [T]. */
#ifndef BAILEY_KEEP_TASK_INTERNAL_H
#define BAILEY_KEEP_TASK_INTERNAL_H

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/park.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/task/task.h"

#define PID_MAX 4194304
#define NSEC_PER_SEC 1000000000LL

struct task_table {
    pthread_mutex_t host_lock; /* leaf: by_host */
    struct task *by_host;
    pthread_mutex_t dying_lock; /* leaf: dying */
    struct task *dying;         /* ended by others; tasks_bury() finishes them */
    struct parked *due;         /* [T] park.c */
    atomic_uint ndue;
};

/* task.c, process.c */
bool task_is_current(const struct task *t);
long process_maxrss(const struct process *p);
struct task *task_new(struct process *p); /* refs 1 (the tables'), not in any table yet */
struct process *process_new(struct container *c);
void process_put_p(struct process **p); /* for _cleanup_ */
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

/* exit.c */
void process_kill_locked(struct process *p, int status, bool kill_host); /* [T] */
void process_reap(struct process *p, bool count_times);                  /* [T] */

/* What waitid and SIGCHLD say of an end, in place of wait4's status: CLD_*, and the exit code or the signal.
 */
static inline int end_code(int wstatus)
{
    if ((wstatus & 0x7f) == 0)
        return CLD_EXITED;
    return wstatus & 0x80 ? CLD_DUMPED : CLD_KILLED;
}

static inline int end_status(int wstatus)
{
    return wstatus & 0x7f ? wstatus & 0x7f : wstatus >> 8 & 0xff;
}

/* signal.c, stop.c */
void task_interrupt(struct task *t); /* [T] ends a wait of the keep's on t's behalf */
void signal_kick(struct task *t);    /* [T] the gate is to ask, once */
void signal_settle(struct task *t);  /* [T] acts on what can be delivered now; kicks for the rest */
void process_stop(struct process *p, int signo); /* [T] */
bool process_continue(struct process *p);        /* [T] True: SIGCONT is to be sent to the host process */
void process_host_signal(struct process *p, int signo);                         /* [T] */
void sigpending_flush(struct process *p, struct sigpending *sp, sigset64 mask); /* [T] */
sigset64 signal_deliverable(struct task *t); /* [T] pending and not blocked */
bool signal_wake(struct task *t); /* [T] true: its gate will ask, or somebody looks again before it runs */
void signal_reroute(struct process *p, sigset64 set); /* [T] each to a thread that takes it, or marked */
/* [T] A timer's: q is its own; queued when q->prev is set after. */
int send_timer_signal(struct process *p, struct task *t, struct sigqueue *q, const siginfo_t *info);
bool action_is_ignore(const struct process *p, int signo);
void notify_parent_of(struct process *p, struct process *parent, int code,
                      int status); /* [T] SIGCHLD for p's change */

#define SIGSET_STOP (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define SIGSET_IGNORE (SIGBIT(SIGCONT) | SIGBIT(SIGCHLD) | SIGBIT(SIGWINCH) | SIGBIT(SIGURG))
#define SIGSET_SYNC                                                                                          \
    (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | SIGBIT(SIGSYS))
#define SIGSET_UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))

/* fork.c: a child's mask, before it may attach; no lock held */
void task_copy_mask(struct task *child, struct task *parent);

/* sigmask.c */
/* It is the slot's word that counts. In a call of t's. */
bool task_mask_is_in_slot(const struct task *t);
struct gate_slot;
struct gate_signal;
void task_mask_set(struct task *t, sigset64 mask);     /* [T] signal_settle is the caller's */
void signal_mark(struct task *t, sigset64 set);        /* [T] blocked by t: its gate tells when it is not */
void signal_mark_all(struct process *p, sigset64 set); /* [T] by all of p's threads */
void signal_remark(struct task *t);                    /* [T] t is in a call of its own: no stale marks */
void signal_mask_back(struct task *t);                 /* [T] the saved mask counts again */
/* [T] t's mask lives in the slot from now on, or in the keep; fills in what is to be written there. */
void sigmask_attach(struct task *t, bool in_slot, struct gate_slot *s);
/* t's gate says what is in the slot with the call that it makes (over: before that is answered). */
void sigmask_told(struct task *t, sigset64 mask);
void sigmask_told_over(struct task *t);
/* Around the host's exec: p's slots may go at any time. release where it did not happen. No lock held. */
void sigmask_hold(struct process *p);
void sigmask_release(struct process *p);
uaddr_t task_robust_list(struct task *t); /* [T] */
/* Where its end is to be told by a zero, by set_tid_address; 0: nowhere. [T] */
uaddr_t task_tid_address(struct task *t);

/* For trace_stop.c. [T] A signal whose action is to do nothing; its default action, if it has one; its
 * handler, which runs next, for the gate; the next one that has one. */
bool signal_is_dropped(const struct task *t, int signo);
void signal_act_default(struct process *p, int signo);
void signal_handle(struct task *t, const siginfo_t *info, struct gate_signal *gs);
int signal_next_handled(struct task *t, siginfo_t *info);
/* exit.c: [T] the tracer hears of a stop or an end (SIGCHLD, wait(2)) */
void notify_tracer(const struct trace *tr, int code, int status);

/* timer.c */
int64_t mono_now(void);
struct timespec deadline_after(const struct timespec *rel); /* on CLOCK_MONOTONIC, clamped */
void ktimer_set(struct ktimer *kt, int64_t expires);        /* [T] */
void ktimer_cancel(struct ktimer *kt);                      /* [T] */
void itimers_init(struct process *p);
void itimers_cancel(struct process *p);         /* [T] */
void posix_timers_delete(struct process *p);    /* [T] */
void posix_timer_delivered(struct sigqueue *q); /* [T] q leaves the queue */
/* [T] q is about to be taken: its overrun is counted up to now (timer_getoverrun(2)), even where the timers'
 * thread is late. */
void posix_timer_catch_up(struct sigqueue *q);

/* seccomp_install.c */
void seccomp_put(struct seccomp_filter *f);
void seccomp_inherit(struct task *child, const struct task *parent); /* [T] */
/* [T] t has ended: its filters are without it, though it still refers to them. */
void seccomp_task_ended(struct task *t);

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
