/* Who traces whom (ptrace(2)), and where tracees stand.
 *
 * A traced thread is a thread whose gate is asked to come with its registers (GATE_STOP) for all that its
 * tracer may want to see: the call waits there, parked, while the thread is in a ptrace-stop. The host's
 * ptrace has no part in this. A tracer is a process here, not one of its threads. tasklist_lock guards
 * everything. */
#ifndef BAILEY_KEEP_TRACE_H
#define BAILEY_KEEP_TRACE_H

#include <sys/user.h>

#include "sandbox/keep/task/task.h"

enum trace_state {
    TRACE_RUNS,
    TRACE_STOPPED,
    TRACE_LISTENS, /* PTRACE_LISTEN: stopped, and told of what ends the group-stop */
    TRACE_ENDED,   /* its end is there to be waited for */
};

enum trace_mode { TRACE_CONT, TRACE_CALLS, TRACE_STEP };

struct trace {
    struct trace *next, *prev; /* among the tracer's */
    struct process *tracer;    /* which is alive: it ends first of all by letting go of its tracees */
    struct task *task;         /* NULL once it has ended; no reference */
    pid_t tid, pgid;           /* the group: as it was at the end */
    uid_t uid;                 /* once it has ended */
    int exit_status;           /* the same */
    enum trace_state state;
    enum trace_mode mode;
    bool seized, capable; /* the tracer had CAP_SYS_PTRACE when it began */
    unsigned options;     /* PTRACE_O_* */

    int code;              /* of the stop: signal, 0x80 for calls, event << 8 */
    bool reported;         /* wait(2) has told */
    bool has_info;         /* it is no group-stop, so that there is a siginfo */
    siginfo_t info;        /* PTRACE_GETSIGINFO */
    unsigned long message; /* PTRACE_GETEVENTMSG */
    unsigned char call_op; /* PTRACE_GET_SYSCALL_INFO */

    unsigned event; /* PTRACE_EVENT_* that waits to be reported; 0: none */
    unsigned long event_message;
    bool interrupt;      /* PTRACE_INTERRUPT, or news of the group-stop for one that was seized */
    bool group_told;     /* the group-stop that is on was reported */
    bool in_call, again; /* between the two stops of a call; it is being made again unseen */
    bool forced_tf;      /* the trap flag is the tracer's */
};

/* A thread in GATE_STOP. */
struct stop;
/* The registers of a stopped tracee, the tracer's to change; they count when it goes on. */
struct user_regs_struct *stop_regs(struct task *t);
/* Where its floating point state is, in its own memory. */
uaddr_t stop_fpstate(struct task *t);

/* trace.c: [T] ------------------------------------------------------------------------------------------- */

/* t is the tracer's from now on. 0, -EPERM (it is somebody's already), -ENOMEM (also where the tracer does
 * not wait for those that have ended: each is remembered until it does). */
int trace_begin(struct process *tracer, struct task *t, bool seized, bool capable, unsigned options);
/* The tracer lets go of it; signo (0: none) is delivered to it. */
void trace_detach(struct trace *tr, int signo);
/* It goes on, from a stop. */
void trace_resume(struct trace *tr, enum trace_mode mode, int signo);
/* Stops it as soon as may be. */
void trace_interrupt(struct trace *tr);
/* PTRACE_EVENT_* has happened to t, in a call of its own. True where its tracer wants to know. */
bool trace_event(struct task *t, unsigned event, unsigned long message);
/* t's clone with these flags, whose child is not yet told to anybody. */
void trace_cloned(struct task *t, struct task *child, unsigned long flags, int exit_signal);
/* The host did not make the child. */
void trace_clone_failed(struct task *t, struct task *child);
/* t has a memory of its own, or has ended. */
void trace_vfork_ends(struct task *t);
/* t executes a program; tid is what it went by before. */
void trace_execed(struct task *t, pid_t tid);
/* t has ended with that status; its process, where t is its last thread, too. */
void trace_ended(struct task *t, int status);
/* p has ended: nobody is its tracee any more. */
void trace_tracer_ended(struct process *p);
/* p's group-stop begins, is over. */
void trace_group_stopped(struct process *p);
void trace_group_continues(struct process *p);
/* p is stopped by the host; from now on, by its gates. */
void trace_soften_stop(struct process *p);
/* Some thread of p's is traced, so that its stops are the gates'. */
bool trace_has_tracee(const struct process *p);
/* A ptrace-stop waits to be made. */
bool trace_is_due(const struct task *t);
/* t does not run because its process is stopped. */
bool task_is_stopped(const struct task *t);
/* GATE_SIGNAL and GATE_FAULT are answered by GATE_SIGNAL_STOP. */
bool trace_wants_stop(const struct task *t);
/* Frees one that has ended. */
void trace_free(struct trace *tr);

/* trace_stop.c */
long gate_stop(struct task *t, const struct sysargs *a);

/* trace_regs.c: with user_regs_struct's words by their index. 0 or -EIO. */
int trace_set_reg(struct user_regs_struct *r, unsigned index, uint64_t v);
/* NT_FPREGSET and NT_X86_XSTATE, at most n bytes of it. The size, or -errno. No lock held; t is stopped. */
#define TRACE_XSTATE_MAX 16384
long trace_get_xstate(struct task *t, uaddr_t at, unsigned char *buf, bool whole);
long trace_set_xstate(struct task *t, uaddr_t at, unsigned char *buf, size_t n, bool whole);

/* poke.c: writes to who's memory, whatever its protection, but not to its gate. What was patched there is put
 * back before. 0 or -EIO. No lock held. */
int poke_memory(struct task *who, uaddr_t at, const void *from, size_t n);
/* Puts back the text of a patched site. */
void poke_site(struct task *who, uaddr_t site, const unsigned char *text, unsigned len);
/* sites.c: puts back what stood at patched sites in [at, at + n). 0, or -EAGAIN: not all of them. No lock
 * held. */
int poke_sites_back(struct task *who, uaddr_t at, size_t n);

/* hold.c: [T] runs fn while no thread that uses mm runs, is in the middle of the patched site, or of
 * patching. Threads that do not stand in the keep are stopped for it by the host, which ends waits of theirs
 * as signal(7) says of SIGSTOP and SIGCONT. 0, or -EAGAIN: they did not stop in time, and fn was not run. */
int hold_while(struct mm *mm, uaddr_t site, void (*fn)(void *arg), void *arg);

/* exit.c: [T] the tracer hears of a stop or an end (SIGCHLD, wait(2)). */
void notify_tracer(const struct trace *tr, int code, int status);

#endif
