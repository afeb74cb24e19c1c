/* Shared by the procfs_*.c files only. */
#ifndef BAILEY_KEEP_PROCFS_PRIV_H
#define BAILEY_KEEP_PROCFS_PRIV_H

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/pseudo/pseudo.h"
#include "sandbox/keep/task/task.h"

#define PROC_FILE(mode_) (S_IFREG | (mode_))
#define PROC_DIR(mode_) (S_IFDIR | (mode_))
#define PROC_LINK (S_IFLNK | 0777)

struct sysctl_value;

struct procfs {
    const struct keep_boot *boot;
    struct strbuf cpuinfo, meminfo; /* of the host, as text; do not change after the start */
    unsigned host_cpus;
    char boot_id[37];
    pthread_mutex_t lock; /* leaf; guards what follows */
    struct sysctl_value *sysctl;
    atomic_ulong limits[LIMITS]; /* no lock */
};

/* Processes ------------------------------------------------------------------------------------------------
 */

/* Whom a node is about, with references. t is the thread, or the leader; NULL for a zombie that has none any
 * more. */
struct proc_who {
    struct process *p;
    struct task *t;
    bool thread; /* below task/TID */
};
/* -ESRCH when the process has been reaped meanwhile. */
int proc_who(struct pnode *n, struct proc_who *w);
void proc_who_end(struct proc_who *w);
#define _cleanup_who_ _cleanup_(proc_who_end)

/* ptrace(2)'s access check in its read mode: 0 or -EACCES. */
int proc_may_access(struct task *t, const struct proc_who *w);
/* proc_who and proc_may_access in one: 0, -ESRCH, -EACCES. */
int proc_who_access(struct task *t, struct pnode *n, struct proc_who *w);

/* A thread of w that still has its memory, with a reference; NULL when there is none. */
struct task *proc_mem_task(const struct proc_who *w);

/* The references below are taken under the right lock; NULL where the task has gone. */
struct fdtable *proc_fdtable(const struct proc_who *w);

/* A copy of what is known of the address space; false when it has none any more. exe is not in it. */
struct proc_mm {
    uaddr_t start_brk, arg_start, arg_end, env_start, env_end, start_stack, start_code, end_code;
    unsigned char auxv[512];
    size_t auxv_len;
    bool dumpable;
};
bool proc_mm(const struct proc_who *w, struct proc_mm *ret);

/* Live processes of a pid namespace, ascending by pid, each with a reference; *ret is to be freed by
 * proc_list_free. */
size_t proc_list(const struct pid_ns *ns, struct process ***ret);
void proc_list_free(struct process **list, size_t n);

/* The state's letter as ps shows it; host_state is the host's (0: unknown). */
char proc_state(const struct proc_who *w, char host_state);

/* Numbers
 * ---------------------------------------------------------------------------------------------------- */

uint64_t proc_ticks(const struct timespec *ts); /* in 1/100 s */
struct timespec proc_uptime(void);              /* since the keep started */
/* CPU time of a container's guests, and the keep's, so far, in ticks. */
void proc_cpu_total(struct container *c, uint64_t *user, uint64_t *system);
/* Bytes of memory in use by a container's processes. */
uint64_t proc_memory_used(struct container *c);
/* The value of a meminfo line in KiB; 0 if it has none. */
uint64_t proc_meminfo_field(const char *name);
/* A decimal number of at most max, made of digits alone: true with *ret. */
bool proc_number(const char *s, unsigned long max, unsigned long *ret);
/* A random UUID as text. */
void proc_uuid(char out[37]);
/* CPUs as a list ("0-1,3") and as a mask ("b"). */
void proc_cpu_list(struct strbuf *sb, const unsigned long mask[CPU_WORDS]);
void proc_cpu_mask(struct strbuf *sb, const unsigned long mask[CPU_WORDS]);
/* A file with the list of those that the reader's container sees. */
int proc_show_cpu_list(struct task *t, struct pnode *n, struct strbuf *sb);

/* Tables of the parts
 * ---------------------------------------------------------------------------------------- */

extern const struct pentry proc_pid_entries[], proc_tid_entries[], proc_net_entries[], proc_attr_entries[];
extern const struct pnode_ops proc_pid_ops, proc_tid_ops, proc_task_ops;
extern const struct pnode_ops proc_fd_ops, proc_fdinfo_ops, proc_ns_ops;
extern const struct pnode_ops proc_exe_ops, proc_cwd_ops, proc_root_link_ops;
extern const struct pnode_ops proc_mem_ops, proc_sys_ops, proc_kmsg_ops;
extern const struct pnode_ops proc_private_ops; /* an entry's show_who, for those who may trace the process */
extern const struct pnode_ops proc_maps_ops;    /* maps and smaps */
/* The permission of both: 1, or -errno. */
int proc_private_permission(struct task *t, struct pnode *n, int mask);
/* The show of files of a process: finds it, and calls the entry's show_who. -ESRCH: it has been reaped. */
int proc_show_who(struct task *t, struct pnode *n, struct strbuf *sb);

/* Each makes the text of the file that it is named for (pnode_ops.show): 0 or -errno. */
int proc_show_meminfo(struct task *t, struct pnode *n, struct strbuf *sb);
int proc_show_cpuinfo(struct task *t, struct pnode *n, struct strbuf *sb);
int proc_show_stat(struct task *t, struct pnode *n, struct strbuf *sb);
int proc_show_uptime(struct task *t, struct pnode *n, struct strbuf *sb);
int proc_show_loadavg(struct task *t, struct pnode *n, struct strbuf *sb);
int proc_show_vmstat(struct task *t, struct pnode *n, struct strbuf *sb);
int proc_show_interrupts(struct task *t, struct pnode *n, struct strbuf *sb);
int proc_show_softirqs(struct task *t, struct pnode *n, struct strbuf *sb);

/* The same, of a process (pentry.show_who). */
int proc_pid_show_stat(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_status(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_loginuid(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_sessionid(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_statm(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_cmdline(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_environ(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_auxv(struct task *t, const struct proc_who *w, struct strbuf *sb);
int proc_pid_show_smaps_rollup(struct task *t, const struct proc_who *w, struct strbuf *sb);

/* As pnode_ops.write. */
ssize_t proc_pid_write_loginuid(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos);

/* /proc/PID/maps or smaps text of the host, made fit for the guest: without the gate's mappings (below limit
 * and where the thread areas are), with the heap named. For tests too. */
void proc_maps_filter(const char *host, uaddr_t start_brk, struct strbuf *out);

/* Makes pf->sysctl, and sets what b says: as procfs_init. */
int proc_sysctl_init(struct procfs *pf, const struct keep_boot *b);
extern const struct pentry proc_empty_dir[];

#endif
