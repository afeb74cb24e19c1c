/* Quiet threads: new ones that the keep has not heard of.
 *
 * A new thread that finds all that it needs in its slot, which the keep fills in when it approves the clone,
 * runs without a word. By its first call, whatever that is, the keep learns its host thread: one that it does
 * not know, of a process that has a quiet thread. So that there is no doubt which one it is, a process has
 * one at a time at most; others attach (clone.h).
 *
 * Until then its memory is reached by another thread (task.lender), and what needs the host's thread itself
 * calls it (quiet_call): its gate is to attach if it has not begun, and each thread of the host process that
 * is nobody's is kicked. That is all that kicks do there is to make gates ask.
 *
 * Such a thread may also end without a word (GATE_LEAVES), if it is not the last one and holds no robust
 * lock: the note in its area (gate_clone.left) tells. It is heard of before any call is served (quiet_hear),
 * so that nobody who could know of the end finds the thread alive: whoever asks does so by a call that came
 * behind it. Whoever has to do with the thread itself (signals, tracers, who asks for its times or
 * processors) calls it, and the end of other threads lets it stay (quiet_stay): both take the right back, and
 * then look at the note. The gate makes the note and then looks at the right, so that one of the two sees the
 * other; one that finds its right gone rings, and if it had been seen before, nobody minds (clone_left). A
 * thread that has made a call has lost the right, so that no number of a host thread is remembered that the
 * host may give to another. And who looks in vain some times takes it, so that a thread that lives on costs
 * no more looks.
 *
 * tasklist_lock guards all of this. */
#ifndef BAILEY_KEEP_QUIET_H
#define BAILEY_KEEP_QUIET_H

#include "sandbox/keep/task/task.h"

#define QUIET_KICKED 8

struct quiet {
    struct ktimer timer; /* first: it is called again */
    struct quiet *next, *prev;
    struct task *task;    /* of a process whose `quiet` this is */
    uaddr_t word;         /* gate_clone.quiet */
    bool leaves;          /* it says GATE_LEAVES */
    unsigned looks;       /* at whether it has left, in vain */
    unsigned passed_over; /* by others that had to attach on its account */
    int64_t pause;        /* until the next call, ns; 0: it was not called yet */
    unsigned calls;
    pid_t kicked[QUIET_KICKED]; /* host threads that have a kick to come */
    unsigned nkicked;
};

/* [T] t, made by parent's call, need not attach, and may end without a word, if leaves. False: no memory. */
bool quiet_begin(const struct task *parent, struct task *t, uaddr_t word, bool leaves);
/* Those that have left end now. No lock held. Cheap where nobody may leave. */
void quiet_hear(void);
/* p's gate has given the area there to another thread: the quiet one has left, if it was its own. No lock
 * held. */
void quiet_area_given(struct process *p, uaddr_t at);
/* [T] The quiet thread of p, if there is one, does not end without a word any more; tasks_bury() is to
 * follow, as it may have done so. */
void quiet_stay(struct process *p);
/* [T] A thread of the host that was quiet has rung by call `nr`, and is t. */
void quiet_heard(struct task *t, int nr);
/* [T] Whether p's quiet thread has its area there. */
bool quiet_has_area(const struct process *p, uaddr_t at);
/* [T] t is quiet no more. Cheap where it never was. */
void quiet_over(struct task *t);
/* [T] t is to come to the keep soon. Nothing where it is not quiet: it will attach. */
void quiet_call(struct task *t);
/* [T] A thread of p's has to attach, since another is quiet. One that is so for long is called. */
void quiet_passed_over(struct process *p);
/* [T] t has ended, quiet or not. */
void quiet_thread_ended(struct task *t);
/* [T] A process has got this number from the host, so that nobody else has it. */
void quiet_process_begins(pid_t host_pid);
/* [T] The task whose host thread this must be; NULL: nobody's. No reference is taken. */
struct task *quiet_find(pid_t host_tid);

/* Until t's host thread is known, or t has ended, or nobody can say when it will come (its process is
 * stopped, or 10 s have passed). No lock held; may block. The same for the thread of that number in t's pid
 * namespace; for the quiet one beside that; for those of a container. */
void quiet_await(struct task *t);
void quiet_await_pid(const struct task *t, pid_t pid);
/* Whose CPU clock that is, as clock_getcpuclockid(3) numbers those of threads; nobody for any other clock. */
void quiet_await_clock(const struct task *t, clockid_t clock);
void quiet_await_beside(const struct task *t, pid_t pid);
void quiet_await_all(const struct container *c);

#endif
