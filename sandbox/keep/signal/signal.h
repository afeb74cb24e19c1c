/* Signals: actions, masks, queues, delivery. signal(7) is the source of the rules.
 *
 * The keep decides what is delivered to which thread; the gate builds the frame. send_* queue a signal and,
 * if it is neither blocked nor ignored, wake the task out of the keep's waits and kick its host thread, so
 * that the gate asks for it (GATE_SIGNAL). tasklist_lock held by every caller of functions marked [T]. */
#ifndef BAILEY_KEEP_SIGNAL_H
#define BAILEY_KEEP_SIGNAL_H

#include <signal.h>

#include "sandbox/keep/kernel.h"

typedef uint64_t sigset64; /* bit n-1 is signal n */
#define SIGBIT(n) (1ULL << ((n)-1))
#define KSIG_MAX 64

#define SIGSET_STOP (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define SIGSET_IGNORE (SIGBIT(SIGCONT) | SIGBIT(SIGCHLD) | SIGBIT(SIGWINCH) | SIGBIT(SIGURG))
#define SIGSET_SYNC                                                                                          \
    (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | SIGBIT(SIGSYS))
#define SIGSET_UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))

struct ksigaction {
    uint64_t handler; /* 0 SIG_DFL, 1 SIG_IGN */
    uint64_t flags;
    uint64_t restorer;
    sigset64 mask;
};

struct sighand {
    atomic_int refs;
    struct ksigaction action[KSIG_MAX]; /* [signo - 1] */
};

struct sigqueue {
    struct sigqueue *next, *prev; /* utlist */
    siginfo_t info;
    struct posix_timer *timer;
};

struct sigpending {
    struct sigqueue *queue;
    sigset64 set;
};

/* [T] Queues info->si_signo for one task, or for the process (any thread that takes it). Init protection: a
 * signal from inside that init has no handler for is dropped; forced ones and those from outside the
 * container (from_outside) with SIGKILL or SIGSTOP are not. 0 or -EAGAIN (queue full, real-time signals
 * only). */
int send_signal_task(struct task *t, const siginfo_t *info, bool from_outside);
int send_signal_process(struct process *p, const siginfo_t *info, bool from_outside);
/* [T] As above with a bare kernel-made siginfo (SI_KERNEL). */
void send_kernel_signal(struct process *p, int signo);
/* [T] A synchronous fault: unblocks and resets to default what is blocked or ignored. */
void force_signal(struct task *t, const siginfo_t *info);
/* [T] To every process of a group / session's foreground group. Returns how many, or -ESRCH. */
int send_signal_pgrp(const struct pid_ns *ns, pid_t pgid, const siginfo_t *info);

/* [T] A timer's: q is its own; queued when q->prev is set after. */
int send_timer_signal(struct process *p, struct task *t, struct sigqueue *q, const siginfo_t *info);
/* [T] SIGCHLD for p's change. code: CLD_*. */
void notify_parent_of(struct process *p, struct process *parent, int code, int status);

void task_interrupt(struct task *t); /* [T] ends a wait of the keep's on t's behalf */
void signal_kick(struct task *t);    /* [T] the gate is to ask, once */
void signal_settle(struct task *t);  /* [T] acts on what can be delivered now; kicks for the rest */
void signal_reroute(struct process *p, sigset64 set); /* [T] each to a thread that takes it, or marked */
void sigpending_flush(struct process *p, struct sigpending *sp,
                      sigset64 mask);                   /* [T] forgets those in mask */
void process_host_signal(struct process *p, int signo); /* [T] the host sends it to p's host process */

/* [T] Takes the next signal out of mask from t's and its process's queues (sigtimedwait, signalfd). Its
 * number, or 0. */
int signal_dequeue(struct task *t, sigset64 mask, siginfo_t *info);
/* [T] What is pending for t, its process's included. */
sigset64 signal_pending_set(const struct task *t);
/* [T] t is blocked for or ignores signo (tty input and output of background groups ask). */
bool signal_blocked_or_ignored(struct task *t, int signo);

/* [T] Called when a signal has been queued for p or one of its threads, or taken / when p has ended. Theirs:
 * signalfd.c, pidfd.c. */
void signalfd_notify(struct process *p) __attribute__((weak));
/* [T] Where p->offered: signals that a gate has taken since are not pending any more; or, nor can they be
 * taken so. */
void signalfd_hear(struct process *p) __attribute__((weak));
void signalfd_recall(struct process *p) __attribute__((weak));
void pidfd_notify(struct process *p) __attribute__((weak));

/* Once, in the keep's first thread before any worker (they inherit the mask). 0 or -errno. */
int signal_init(void);
/* A signal that p's porter got from outside the sandbox. */
void deliver_external_signal(struct process *p, int signo, int si_code, pid_t pid, uid_t uid);

/* What the gate asks (sandbox/gate/abi.h). */
long gate_signal(struct task *t, const struct sysargs *a);
long gate_fault(struct task *t, const struct sysargs *a);
long gate_sigreturn(struct task *t, const struct sysargs *a);
long gate_settle(struct task *t, const struct sysargs *a);
long gate_dies(struct task *t, const struct sysargs *a);
/* t's call a, from its own code, is about to be answered: if a kick waits for that, what its gate would ask
 * then is written to where it last wanted it, and saves that doorbell. The thread stands still until the
 * answer, and the first thing it does then is to take the kick. No lock held. */
void signal_push(struct task *t, const struct sysargs *a);

/* [T] True if a signal is pending for t that is not blocked (so an interruptible wait must end). */
bool signal_pending(struct task *t);

/* [T] The mask that counts now (sigmask.c); never with SIGKILL or SIGSTOP. */
sigset64 task_mask(struct task *t);
/* Changes the mask and re-targets what it blocks or unblocks. Takes the lock. */
void set_blocked(struct task *t, sigset64 mask);
/* For sigsuspend, ppoll, pselect, epoll_pwait: sets the mask until the call's signal frame has been built (or
 * the call returned). Takes the lock. */
void set_temporary_mask(struct task *t, sigset64 mask);
void restore_temporary_mask(struct task *t); /* on a return without signal */

/* Interruptible waits --------------------------------------------------------------------------------------
 */

/* [T] Waits on cond (with tasklist_lock as its mutex) until woken, a signal is pending, or deadline
 * (CLOCK_MONOTONIC, NULL: none). Returns 0 woken (check your condition), -ERESTARTSYS, -ETIMEDOUT. */
int task_wait(struct task *t, pthread_cond_t *cond, const struct timespec *deadline);

/* Waits until host descriptor fd is ready for events (POLLIN ...), interruptibly. No lock held by the caller.
 * Returns revents (> 0), -ERESTARTSYS, -ETIMEDOUT. Passes the listening on before it blocks. */
int host_wait(struct task *t, int fd, short events, const struct timespec *deadline);

/* The general form: ppoll on many. Returns what ppoll returns, -ERESTARTSYS on a signal, 0 on time-out. */
struct pollfd;
int host_wait_many(struct task *t, struct pollfd *fds, unsigned n, const struct timespec *deadline);

/* Brackets any other host call that may block (epoll_pwait, open of a FIFO): between the two, a guest signal
 * makes the host call fail with EINTR, provided it is made with host_wait_sigmask() as its mask or is itself
 * interruptible. begin returns -ERESTARTSYS when a signal is pending already (then do not call end). */
int host_block_begin(struct task *t);
void host_block_end(struct task *t);
const sigset_t *host_wait_sigmask(void);

/* Where t's container is paused: waits until it is not, or t is to die. Takes the lock. */
void task_await_thaw(struct task *t);

/* A handler that found signal_pending() itself and returns -ERESTART*: makes sure that the gate will ask.
 * Takes the lock. */
void signal_interrupted(struct task *t);

#endif
