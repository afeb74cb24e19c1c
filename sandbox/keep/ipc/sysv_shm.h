/* The calls by which the gate maps and unmaps shared memory segments (sandbox/gate/abi.h). */
#ifndef BAILEY_KEEP_SYSV_SHM_H
#define BAILEY_KEEP_SYSV_SHM_H

#include "sandbox/keep/kernel.h"

long gate_shmat(struct task *t, const struct sysargs *a);
long gate_shm_done(struct task *t, const struct sysargs *a);
long gate_shmdt(struct task *t, const struct sysargs *a);

#endif
