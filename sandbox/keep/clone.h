/* clone and its kin: the keep's half. The gate asks (gate_clone), makes the host's thread or process, and the
 * child says hello (gate_attach) with the secret that its parent was given. */
#ifndef BAILEY_KEEP_CLONE_H
#define BAILEY_KEEP_CLONE_H

#include "sandbox/keep/kernel.h"

long gate_clone(struct task *t, const struct sysargs *a);       /* GATE_CLONE */
long gate_clone_abort(struct task *t, const struct sysargs *a); /* GATE_CLONE_ABORT */
long gate_attach(pid_t host_tid, const struct sysargs *a);      /* GATE_ATTACH */

/* [tasklist_lock] t is gone: what was to be its child, or itself, may never attach. */
void clone_task_ended(struct task *t);

#endif
