/* The keep's one kernel object, and what every subsystem needs: counts, lists, the call's arguments.
 *
 * Locks, in the order in which they are taken (outer first); a file's comment says which it holds:
 *   kernel.tasklist_lock   process tree, pids, groups, sessions, every signal state, task and process life
 *   fdtable.lock           one table's slots
 *   mount_ns.lock (rwlock) the mounts
 *   file.pos_lock          a file's offset
 *   object locks           one pipe, socket, epoll, tty ...
 *   leaf locks             host tid table, fd registries
 * No lock but pos_lock may be held over a call that may block. */
#ifndef BAILEY_KEEP_KERNEL_H
#define BAILEY_KEEP_KERNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <utlist.h>

#include "common/cleanup.h"

typedef uint64_t uaddr_t; /* an address in guest memory: never dereferenced, only copied through uaccess.h */

struct task;
struct process;
struct file;
struct container;
struct pid_ns;
struct mount_ns;
struct listener;
struct ktimer;

/* One notification: the registers of the call, copied once. */
struct sysargs {
    int nr;
    uint64_t ip;
    uint64_t arg[6];
    uint64_t id;               /* the notification's cookie */
    struct listener *listener; /* NULL: there is no notification (mailbox_server.c) */
};

/* Handlers return a result, -errno, one of Linux's internal -ERESTART*, or one of these: */
#define SYS_CONTINUE ((long)INT64_MIN)     /* the host runs the call as it stands (only registers matter) */
#define SYS_NOANSWER ((long)INT64_MIN + 1) /* already answered, or the task is gone */
/* As SYS_CONTINUE for a call that may block natively, so that a signal can turn it into EINTR. */
#define SYS_CONTINUE_BLOCKING ((long)INT64_MIN + 2)
#define SYS_PARKED                                                                                           \
    ((long)INT64_MIN + 3) /* it waits without a worker (park.h): the task is not to be touched */
/* t->exact, whatever that looks like. */
#define SYS_EXACT ((long)INT64_MIN + 4)

#define ERESTARTSYS 512           /* restart if SA_RESTART (or no handler), else EINTR */
#define ERESTARTNOINTR 513        /* always restart */
#define ERESTARTNOHAND 514        /* restart only if no handler runs, else EINTR */
#define ERESTART_RESTARTBLOCK 516 /* as NOHAND, by restart_syscall: what for is in task.again */

/* A handler's result is one of these. */
static inline bool is_restart(long r)
{
    return r == -ERESTARTSYS || r == -ERESTARTNOINTR || r == -ERESTARTNOHAND || r == -ERESTART_RESTARTBLOCK;
}

typedef long (*syscall_fn)(struct task *t, const struct sysargs *a);

struct kernel {
    pid_t pid;      /* the keep's own, as the host's clone returned it */
    int procfd;     /* a procfs of the host that shows only our guests, and ourselves */
    int scratch_fd; /* a directory on a private tmpfs, where mounts made by guests live; -1: none */
    pthread_mutex_t tasklist_lock;
    struct container *container; /* the containers of this sandbox (utlist); tasklist_lock */
    pthread_mutex_t dead_lock;   /* leaf: dead_containers */
    struct container *dead_containers;
    _Atomic uint64_t next_pid_ns;
    atomic_bool several;            /* there is, or was, more than one container */
    atomic_uint scratch_names;      /* names given so far in scratch_fd */
    atomic_uint mount_generation;   /* of all mount tables */
    struct mount_ns *orphan_mounts; /* of containers that are gone; the control thread's */
    int wake_fd;                    /* an eventfd that wakes the control thread; -1: none */
    struct embryo *embryos;         /* embryo.h */
    atomic_uint unheard;            /* how many of them are (unheard.h) */
    struct quiet *quiets;           /* quiet.h */
    atomic_uint leavers;            /* how many of them may end without a word */
    int gate_fd;                    /* the gate's image */
    struct session *sessions;       /* session.c (utlist) */
    pthread_cond_t started_cond;    /* some container.started changed */
    pthread_cond_t thawed;          /* some container.frozen has become false */
    struct timespec boot;           /* CLOCK_BOOTTIME at start */
    struct procfs *procfs;          /* procfs.h: what was read from the host at start, and the sysctls */
    int deaths_fd;              /* an epoll over the guests' host processes, while nobody expects their end */
    int young_fd;               /* deaths.c: in there, a timer for those that are not yet */
    struct process *young;      /* these (utlist); tasklist_lock */
    bool young_armed;           /* tasklist_lock */
    int dead_fd;                /* neither to be read nor written: what a revoked lane becomes */
    int ready_fd;               /* an eventfd that is always readable and writable */
    pthread_mutex_t epoll_lock; /* who watches what; an object lock */
    struct unix_state *unix_state; /* unix.c */
    int nice;                      /* the caller's: where programs begin */
    bool strace;
    bool lanes_off;                  /* the keep moves all bytes but those of mappings */
    struct counters *counters;       /* counters.c */
    struct vfs_state *vfs;           /* record locks, FIFO openers, device nodes made by guests: vfs_init */
    struct klog *klog;               /* klog.h */
    struct chrdev_host *chrdev_host; /* chrdev.c */
    struct idmap *idmap;             /* idmap.c; NULL: every id is mapped */
    atomic_ulong *enosys_logged;     /* bitmap by number: said once */
    struct task_table *tasks;        /* task.c */
    struct timer_queue *timers;      /* timer.c */
    atomic_uint mailboxes;           /* there are: mailbox.c */
    atomic_bool slow_syncs;          /* the last fsync took its time */
    atomic_uint laters;              /* processes with a right of later.c, which has what follows, too */
    atomic_bool later_wanted, later_due;
    _Atomic uint64_t later_rounds;
    atomic_ulong aio_nr;        /* /proc/sys/fs/aio-nr; changed with tasklist_lock */
    struct aio_state *aio;      /* aio.h; tasklist_lock; NULL: none yet */
    struct ktimer *later_timer; /* tasklist_lock; NULL: none yet */
    atomic_uint inotifies;      /* there are */
    atomic_uint kepts;          /* processes with a file of kept.c; */
    _Atomic uint64_t kept_rounds;
    pthread_mutex_t kept_lock;   /* outside all others: what follows, kept_watch.c's */
    int kept_fd;                 /* -1: none */
    unsigned kept_watches;       /* that it has, or had */
    _Atomic uint64_t exec_given; /* how often a guest has let somebody execute something: later_executable */
};

extern struct kernel kernel;

#endif
