/* /proc: what of it the rest of the keep has to know. */
#ifndef BAILEY_KEEP_PROCFS_H
#define BAILEY_KEEP_PROCFS_H

#include "sandbox/keep/container/cgroup.h"
#include "sandbox/keep/kernel.h"

struct keep_boot;

/* Reads what /proc is to tell of the host (cpuinfo, meminfo) while the host's /proc can still be reached:
 * called in the process that becomes the keep, before it leaves the host's mounts. Makes kernel.procfs. 0 or
 * -errno. */
int procfs_snapshot(void);

/* Sets limits and sysctls by *b, which stays the caller's and must live on. Called by keep_main once, before
 * any guest runs; makes kernel.procfs if there is none. 0, -ENOMEM, or -EINVAL for a sysctl that does not
 * exist or has a wrong value (logged). */
int procfs_init(const struct keep_boot *b);

/* How many CPUs the container sees, at least 1: those of its cpuset, as many as its quota is worth; the
 * host's numbers stay. ret (may be NULL) gets a bit for each. */
unsigned procfs_cpus(const struct container *c, unsigned long ret[CPU_WORDS]);

/* Total, free and available memory in KiB, by the container's limit or the host's live numbers. */
struct proc_memory {
    bool limited; /* by the container's cgroup */
    uint64_t total, free, available, buffers, cached, shared, swap_total, swap_free;
};
void proc_memory(struct container *c, struct proc_memory *m);

/* Sysctls that other parts of the keep go by. Any thread, no lock; the usual values where there is no procfs.
 */
enum keep_limit {
    LIMIT_MSGMAX,
    LIMIT_MSGMNB,
    LIMIT_MSGMNI,
    LIMIT_SEMMSL,
    LIMIT_SEMMNS,
    LIMIT_SEMOPM,
    LIMIT_SEMMNI,
    LIMIT_SHMMAX,
    LIMIT_SHMALL,
    LIMIT_SHMMNI,
    LIMIT_MQ_QUEUES,
    LIMIT_MQ_MSG,
    LIMIT_MQ_MSGSIZE,
    LIMIT_MQ_MSG_DEFAULT,
    LIMIT_MQ_MSGSIZE_DEFAULT,
    LIMIT_UNPRIVILEGED_PORT,
    LIMIT_AIO,
    LIMITS
};
unsigned long procfs_limit(enum keep_limit l);

/* Whether "key=value" (dots or slashes in the key) can be set: 0; -ENOENT: there is no such setting; -EACCES:
 * it is read-only; -EINVAL: not with that value. Needs nothing else of procfs. */
int procfs_sysctl_check(const char *setting);

/* CLONE_NEW* of the namespace that is open as f, by /proc/PID/ns; 0: f is something else. */
int proc_ns_type(const struct file *f);

/* The process whose directory of /proc is open as f (pidfd_send_signal(2) takes such a descriptor, too), with
 * a reference; NULL: f is something else. */
struct process *procfs_process(const struct file *f);

#endif
