/* clone and its kin: the keep's half. The gate makes the host's thread or process by a call that the keep
 * approves (sys_clone; abi.h says how), and the child says hello (gate_attach) with the secret that its
 * parent was given. */
#ifndef BAILEY_KEEP_CLONE_H
#define BAILEY_KEEP_CLONE_H

#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/kernel.h"

long gate_clone_abort(struct task *t, const struct sysargs *a); /* GATE_CLONE_ABORT */
long gate_attach(pid_t host_tid, const struct sysargs *a);      /* GATE_ATTACH */

/* The task of a host thread that has not attached, but need not have (quiet.h, unheard.h), and has made this
 * call: from now on it is known. A reference; NULL: nobody's. No lock held. */
struct task *clone_heard(pid_t host_tid, const struct sysargs *a);

/* Whether the call of a thread that is nobody's is the end of one that has ended for the keep already. */
bool clone_left(const struct sysargs *a);
/* The area of such a thread, in its own memory, is another's from here on. */
void clone_gives_back(pid_t host_tid, uaddr_t in_use);
/* A thread, in call a, that nobody approved, or that was killed before it could attach, or that its gate said
 * had gone: it has no business to go on, and its host process ends. No lock held. */
void clone_end_stranger(pid_t host_tid, const struct sysargs *a);

/* Whether a is a gate's clone, for its guest. */
static inline bool clone_for_guest(const struct sysargs *a)
{
    return a->nr == SYS_clone && gate_holds(a->ip);
}

/* [tasklist_lock] t is gone: what was to be its child, or itself, may never attach. */
void clone_task_ended(struct task *t);

#endif
