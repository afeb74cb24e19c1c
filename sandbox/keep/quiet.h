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
 * tasklist_lock guards all of this. */
#ifndef BAILEY_KEEP_QUIET_H
#define BAILEY_KEEP_QUIET_H

#include "sandbox/keep/task.h"

#define QUIET_KICKED 8

struct quiet {
    struct ktimer timer; /* first: it is called again */
    struct quiet *next, *prev;
    struct task *task;    /* of a process whose `quiet` this is */
    uaddr_t word;         /* gate_clone.quiet */
    unsigned passed_over; /* by others that had to attach on its account */
    int64_t pause;        /* until the next call, ns; 0: it was not called yet */
    unsigned calls;
    pid_t kicked[QUIET_KICKED]; /* host threads that have a kick to come */
    unsigned nkicked;
};

/* [T] t, made by parent's call, need not attach. False: no memory. */
bool quiet_begin(const struct task *parent, struct task *t, uaddr_t word);
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
