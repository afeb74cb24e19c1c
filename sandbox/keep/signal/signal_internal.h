/* Shared by the files of signals; the last ones for trace_stop.c. [T]: tasklist_lock held. */
#ifndef BAILEY_KEEP_SIGNAL_INTERNAL_H
#define BAILEY_KEEP_SIGNAL_INTERNAL_H

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/task/task.h"

struct gate_signal;

void process_stop(struct process *p, int signo); /* [T] */
bool process_continue(struct process *p);        /* [T] true: SIGCONT is to be sent to the host process */
sigset64 signal_deliverable(struct task *t);     /* [T] pending and not blocked */
bool signal_wake(struct task *t); /* [T] true: its gate will ask, or somebody looks again before it runs */
bool action_is_ignore(const struct process *p, int signo);

/* [T] A signal whose action is to do nothing; its default action, if it has one; its handler, which runs
 * next, for the gate; the next one that has one. */
bool signal_is_dropped(const struct task *t, int signo);
void signal_act_default(struct process *p, int signo);
void signal_handle(struct task *t, const siginfo_t *info, struct gate_signal *gs);
int signal_next_handled(struct task *t, siginfo_t *info);

#endif
