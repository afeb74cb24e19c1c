/* Credential rules, shared by cred.c, credcalls.c and prctl.c. */
#ifndef BAILEY_KEEP_CRED_INTERNAL_H
#define BAILEY_KEEP_CRED_INTERNAL_H

#include "sandbox/keep/task/task.h"

/* Capabilities follow the change of uids from old to n (n is private). */
void cred_uids_changed(struct cred *n, const struct cred *old);
void cred_fsuid_changed(struct cred *n, const struct cred *old);
/* Makes n (taken over) t's own. Only by t itself. */
void cred_commit(struct task *t, struct cred *n);

#endif
