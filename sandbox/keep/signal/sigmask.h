/* Where a thread's mask lives, in the keep or in the slot that its gate writes: sigmask.c has the rules.
 * [T]: tasklist_lock held. */
#ifndef BAILEY_KEEP_SIGMASK_H
#define BAILEY_KEEP_SIGMASK_H

#include "sandbox/keep/signal/signal.h"

struct gate_slot;

bool task_mask_is_in_slot(const struct task *t);   /* it is the slot's word that counts. In a call of t's */
void task_mask_set(struct task *t, sigset64 mask); /* [T] signal_settle is the caller's */
void task_copy_mask(struct task *child, struct task *parent); /* before child may attach. No lock held */
void signal_mark(struct task *t, sigset64 set);        /* [T] blocked by t: its gate tells when it is not */
void signal_mark_all(struct process *p, sigset64 set); /* [T] by all of p's threads */
void signal_remark(struct task *t);                    /* [T] t is in a call of its own: no stale marks */
void signal_mask_back(struct task *t);                 /* [T] the saved mask counts again */
/* [T] t's mask lives in the slot from now on, or in the keep; fills in what is to be written there. */
void sigmask_attach(struct task *t, bool in_slot, struct gate_slot *s);
/* [T] The marks are written to t's slot once more. */
void sigmask_again(struct task *t);
/* t's gate says what is in the slot with the call that it makes (over: before that is answered). */
void sigmask_told(struct task *t, sigset64 mask);
void sigmask_told_over(struct task *t);
/* Around the host's exec: p's slots may go at any time. release where it did not happen. No lock held. */
void sigmask_hold(struct process *p);
void sigmask_release(struct process *p);

#endif
