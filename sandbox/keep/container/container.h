/* A container as the keep sees it: its programs, its mounts, its limits, and the namespaces that it may share
 * with others of its pod. One keep may hold several. */
#ifndef BAILEY_KEEP_CONTAINER_H
#define BAILEY_KEEP_CONTAINER_H

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "sandbox/keep/container/cgroup.h"
#include "sandbox/keep/container/confine.h"
#include "sandbox/keep/kernel.h"
#include "sandbox/keep/fs/vfs.h"

struct session;

/* A namespace of the host, by what stat(2) says of it. */
struct ns_id {
    uint64_t dev, ino;
};

/* Those of a container's porter. Containers whose porters share one share the keep's of that kind. */
struct ns_ids {
    struct ns_id pid;       /* the porter's */
    struct ns_id pid_asked; /* config.json's, where it names one; else the porter's */
    struct ns_id ipc, uts;
};

/* A pid namespace. All of it under tasklist_lock. */
struct pid_ns {
    atomic_uint refs;
    uint64_t id;               /* never given twice; constant */
    struct process *init;      /* its pid 1; NULL: not made yet, or gone for ever. Not counted */
    struct task *tids;         /* by guest tid (hh_tid) */
    struct process *processes; /* by guest pid (hh_pid), zombies too */
    pid_t last_pid;
    bool wrapped;      /* numbers may be in use as group or session only */
    unsigned nstopped; /* processes that are stopped */
    unsigned long forks;
    unsigned logins; /* sessions of loginuid */
};

/* A UTS namespace; names under tasklist_lock. */
struct uts {
    atomic_uint refs;
    char hostname[65], domainname[65];
};

struct container {
    struct container *next, *prev; /* kernel.container; tasklist_lock */
    atomic_uint refs;              /* the list's, its sessions', its processes' */
    char *id;
    /* Possibly shared; each a reference. */
    struct pid_ns *pids;
    struct uts *uts;
    struct ipc *ipc; /* sysv.h */
    /* Its own. */
    struct process *init; /* its program's; NULL: none, or it is over. Not counted; tasklist_lock */
    struct mount_ns *mounts;
    struct devpts *devpts;         /* tty.c */
    unsigned ntasks;               /* zombies too; tasklist_lock */
    atomic_bool frozen;            /* paused; changed under tasklist_lock */
    atomic_bool started;           /* the program may run; tasklist_lock */
    bool ended;                    /* all of it is to go; tasklist_lock */
    bool count_memory;             /* somebody asked for resource usage: note peaks at exit from now on */
    bool net_host;                 /* inet sockets are allowed */
    struct unix_sock *notify;      /* notify.h; NULL: nobody waits to hear that the program is ready */
    uint64_t pids_limit;           /* tasks, zombies too, that there may be; 0: as cgroup says */
    struct keep_cgroup *cgroup;    /* what the host counts and limits, or NULL */
    uint64_t cpu_user, cpu_system; /* ticks already shown in /proc/stat, which never go back; procfs's lock */
    struct ns_ids ns;
    struct container *free_next;
    struct mailbox_server *_Atomic mailbox_server; /* NULL: none yet */
    /* The control thread's (control.c). */
    struct session *first; /* of its own program; NULL once it has ended */
    int listen_fd;         /* a listening SOCK_SEQPACKET for later commands, or -1 */
    int status_fd;         /* a file that gets the program's exit status as text, or -1 */
    int devices_fd;        /* a directory of the host's devices that it may open (hostdev.h), or -1 */
    int mntns_fd;          /* the mount namespace that its tree is in; -1: the keep's own */
    int maker_fd;          /* the client that made it and has not detached: it ends with that; or -1 */
};

/* An empty container in the kernel's list, with namespaces of its own. NULL: no memory. */
struct container *container_new(const char *id);
struct container *container_get(struct container *c);
/* The last reference hands it to kernel.dead_containers: any lock may be held. */
void container_put(struct container *c);
/* Releases those that nobody uses any more. No lock held. */
void containers_bury(void);

struct pid_ns *pid_ns_get(struct pid_ns *ns);
void pid_ns_put(struct pid_ns *ns);

/* Paused: the host has frozen its guests, and the keep does nothing more for them before the end of it
 * (sleep.c). */
void container_freeze(struct container *c, bool frozen);

/* Takes the place of c's own namespaces with those that another container with the same ones of the host has
 * (and *ns is c's from now on). Before anything of c's is in them. tasklist_lock not held. */
void container_share(struct container *c, const struct ns_ids *ns);

/* The calling thread's root directory becomes c's tree: the host's walks for c's tasks end there. 0 or
 * -errno. Nothing is done as long as the keep has no other container. */
int container_enter(struct container *c);

/* Writes down how its program ended (a status of wait4(2)), once. */
void container_note_exit(struct container *c, int status);

/* [T] Programs of it may go on: it has its first process, and so has its pid namespace. */
bool container_is_alive(const struct container *c);

/* The abstract address that guests know as NOTIFY_SOCKET=@... */
#define KEEP_NOTIFY_NAME "bailey/notify"

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
    int stdio[3];  /* host descriptors in the keep */
    int tty_fd;    /* the host pty's slave, or -1 */
    int more_fd;   /* a bag (platform/fdbag.h) of host descriptors that the program gets from 3 on, or -1 */
    int notify_fd; /* a container's own program: connected to the host's NOTIFY_SOCKET, or -1 */
    pid_t porter;  /* with notify_fd: its porter's host pid */
    bool with_more, with_notify; /* unpacked: those two are to come */
    void *block;                 /* spec.c: what the strings lie in, where they are not the runtime's */
    struct keep_confine confine;
    const struct sock_filter *filter; /* the seccomp profile; NULL: none */
    unsigned nfilter;                 /* instructions */
    bool filter_killable;             /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
    bool filter_log;                  /* SECCOMP_FILTER_FLAG_LOG */
};

#define KEEP_PROCESS_INIT                                                                                    \
    {                                                                                                        \
        .stdio = {-1, -1, -1}, .tty_fd = -1, .more_fd = -1, .notify_fd = -1                                  \
    }

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
    bool inherits_names; /* they are only what the host's namespace has, not the config's */
    const struct mount_spec *mounts;
    unsigned nmounts;
    struct keep_process process;
    char *const *masked_paths; /* NULL-terminated, or NULL */
    char *const *readonly_paths;
    char *const *sysctl;        /* "key=value", NULL-terminated, or NULL */
    uint64_t pids_limit;        /* tasks; 0: none */
    int cgroup_fds[CGROUP_FDS]; /* for keep_cgroup_take; [0] is -1: none */
    struct ns_ids ns;
    bool pod;         /* other containers may join */
    bool host_procfs; /* one that joins has a procfs of the host among its mounts */
    bool partial_ids; /* the keep's user namespace does not have every id */
    unsigned closed;  /* one that joins: bit n, its caller had closed standard descriptor n */
    bool net_host;
    bool strace, debug, lanes_off;
};

/* The keep's life, from a forked child of the runtime that is already in its namespaces, with the container's
 * tree as its root directory: builds the kernel, reports readiness, serves until the last container is gone.
 * Never returns. */
_Noreturn void keep_main(const struct keep_boot *b);

#endif
