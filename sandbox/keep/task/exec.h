/* execve: what is to be loaded is worked out and checked before the point of no return (exec_prepare), and
 * put into the fresh host process when its gate asks (exec_load). */
#ifndef BAILEY_KEEP_EXEC_H
#define BAILEY_KEEP_EXEC_H

#include "sandbox/keep/kernel.h"

struct exec_plan;

/* Plans the execution of path with args and env (copied) for t, whose cred, cwd and root count. Scripts and
 * interpreters are followed. 0 with *ret, or -errno (ENOENT, EACCES, ENOEXEC, E2BIG, ...). */
int exec_prepare(struct task *t, int dfd, const char *path, char *const *args, char *const *env, int flags,
                 struct exec_plan **ret);
void exec_plan_free(struct exec_plan *p);

long gate_exec(struct task *t, const struct sysargs *a);       /* GATE_EXEC */
long gate_exec_abort(struct task *t, const struct sysargs *a); /* GATE_EXEC_ABORT */
long gate_exec_done(struct task *t, const struct sysargs *a);  /* GATE_EXEC_DONE */

/* The task of a host thread that nobody's number is: that of the first thread of a process, which had ended
 * when another one's execve took its number. That other one; it goes by that number now. A reference; NULL:
 * nobody's. No lock held. */
struct task *exec_heard(pid_t host_tid);

#endif
