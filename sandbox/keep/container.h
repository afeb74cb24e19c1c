/* A container as the keep sees it: its init, its pids, its names. One keep may hold several. */
#ifndef BAILEY_KEEP_CONTAINER_H
#define BAILEY_KEEP_CONTAINER_H

#include <sys/resource.h>
#include <sys/utsname.h>

#include "sandbox/keep/kernel.h"
#include "sandbox/keep/vfs.h"

struct container {
    struct container *next, *prev;
    char id[1024];
    struct process *init;
    struct task *tids;         /* by guest tid (hh_tid); tasklist_lock */
    struct process *processes; /* by guest pid (hh_pid), zombies too; tasklist_lock */
    pid_t last_pid;
    bool pids_wrapped; /* numbers may be in use as group or session only */
    bool count_memory; /* somebody asked for resource usage: note peaks at exit from now on */
    unsigned nstopped; /* processes that are stopped */
    struct mount_ns *mounts;
    char hostname[65], domainname[65];
    bool started;          /* the program may run; tasklist_lock */
    struct devpts *devpts; /* tty.c */
    struct ipc *ipc;       /* sysv.c: made when first used */
    unsigned long forks;
    uint64_t pids_limit; /* tasks, zombies too, that there may be; 0: no limit */
    bool net_host;       /* inet sockets are allowed */
};

/* What the runtime hands to the keep: everything of config.json that the keep is to honour, already
 * validated. Lives as long as the keep (the memory of the process that became it). */
struct keep_process {
    const char *path; /* the program; NULL: args[0], looked for as execvp(3) does */
    char **args, **env;
    const char *cwd;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    unsigned ngroups;
    mode_t umask;
    uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
    bool no_new_privs;
    bool terminal; /* fds 0-2 are the slave of tty_fd's pty */
    struct rlimit rlim[RLIM_NLIMITS];
    int oom_score_adj;
    int stdio[3]; /* host descriptors in the keep */
    int tty_fd;   /* the host pty's slave, or -1 */
    void *block;  /* spec.c: what the strings lie in, where they are not the runtime's */
};

struct keep_boot {
    const char *id;
    int control_fd; /* SOCK_SEQPACKET to the runtime: readiness and errors (messages.h) */
    int listen_fd;  /* a listening SOCK_SEQPACKET for later commands, or -1 */
    int status_fd;  /* a file that gets the init's exit status as text, or -1 */
    int porter_fd;  /* SOCK_SEQPACKET to the porter: listener in, signals in, status out */
    int gate_fd;    /* the gate's image, sealed, O_CLOEXEC */
    int procfd;     /* detached procfs, or -1 */
    int devpts_fd;  /* the root directory of a private devpts instance, or -1 */
    int scratch_fd; /* a directory on a private tmpfs, where mounts made by guests live; or -1 */
    const char *hostname, *domainname;
    const struct mount_spec *mounts;
    unsigned nmounts;
    struct keep_process process;
    char *const *masked_paths; /* NULL-terminated, or NULL */
    char *const *readonly_paths;
    char *const *sysctl;   /* "key=value", NULL-terminated, or NULL */
    uint64_t memory_limit; /* bytes; 0: none */
    uint64_t pids_limit;   /* tasks; 0: none */
    unsigned cpu_count;    /* what the guest is to see; 0: the host's */
    bool net_host;
    bool strace, debug;
};

/* The keep's life, from a forked child of the runtime that is already in its namespaces, with the container's
 * tree as its root directory: builds the kernel, reports readiness, serves until the last container is gone.
 * Never returns. */
_Noreturn void keep_main(const struct keep_boot *b);

#endif
