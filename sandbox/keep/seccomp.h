/* Filters that guests install on themselves (seccomp(2)): classic BPF, interpreted in the keep.
 *
 * They see every call that reaches the keep. Calls that run natively without it (memory calls on anonymous
 * memory, futex, sched_yield, rseq, arch_prctl, clock_gettime) and reads and writes on lanes are not covered.
 */
#ifndef BAILEY_KEEP_SECCOMP_H
#define BAILEY_KEEP_SECCOMP_H

#include "sandbox/keep/kernel.h"

/* Whether a call is one that the guest's filters judge: not what the gate asks for itself. */
bool seccomp_covers(const struct sysargs *a);

/* 0: go on with the call. Else the call's end: -errno, or SYS_NOANSWER (answered here, or the task is being
 * killed). Only when t->seccomp_mode is not 0. */
long seccomp_check(struct task *t, const struct sysargs *a);

/* 0, or the thread that could not be synchronised (> 0), or -errno. prog: a guest's struct sock_fprog. */
long seccomp_install(struct task *t, unsigned flags, uaddr_t prog);
long seccomp_set_strict(struct task *t);

#endif
