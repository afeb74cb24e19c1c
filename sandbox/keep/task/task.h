/* Tasks (threads) and processes (thread groups), as Linux has them: credentials, pids, groups, sessions.
 *
 *   process ALIVE --exit_group or last thread's exit--> ZOMBIE --reaped by wait, or parent ignores--> gone
 *
 * Everything here is guarded by kernel.tasklist_lock unless a line says otherwise. A task's own thread (the
 * worker that runs its call) may read its cred, fdt and fs without a lock: only the task itself changes those
 * pointers. */
#ifndef BAILEY_KEEP_TASK_H
#define BAILEY_KEEP_TASK_H

#include <sys/resource.h>
#include <uthash.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/kernel.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/time/timer.h"

struct tty;
struct fdtable;
struct fs;
struct dentry;
struct trace;

/* Immutable once it is in a task; replaced as a whole (cred.c). */
struct cred {
    atomic_int refs;
    uid_t uid, euid, suid, fsuid;
    gid_t gid, egid, sgid, fsgid;
    uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient;
    unsigned securebits;
    unsigned ngroups;
    gid_t *groups;
};

struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
/* A private copy to change, with refs 1; NULL when memory is short. */
struct cred *cred_dup(const struct cred *c);
bool capable(const struct task *t, int cap);
/* t may ask for this I/O priority (ioprio_set(2)): 0, -EINVAL or -EPERM. */
int ioprio_check(const struct task *t, int prio);

/* root, cwd and umask; shared by CLONE_FS. lock guards the fields. */
struct fs {
    atomic_int refs;
    pthread_mutex_t lock;
    struct dentry *root, *cwd;
    mode_t umask;
};

struct fs *fs_get(struct fs *f);
struct fs *fs_dup(struct fs *f); /* a copy with refs 1; NULL: no memory */
void fs_put(struct fs *f);

/* What is known of a process's address space (the mappings are the host's). Shared by CLONE_VM. */
struct mm {
    atomic_int refs;
    struct dentry *exe;
    uaddr_t start_brk, arg_start, arg_end, env_start, env_end, start_stack, start_code, end_code, vdso;
    unsigned char auxv[512];
    size_t auxv_len;
    bool dumpable;
    /* fast.c; the lock guards the rest, and is a leaf. */
    pthread_mutex_t lanes_lock;
    struct gate_lanes lanes; /* what the gate was told */
    unsigned opens, uses;    /* of plain files that were no lanes, by the keep */
    unsigned all_opens;
    bool lanes_off;   /* none is ever set again */
    bool lanes_unset; /* a fork's memory still says what the parent's lanes were */
    struct fast_site *sites;
    uaddr_t *patched; /* sites.c: call sites that gates were asked to patch [T] */
    unsigned npatched;
    uint64_t polls;                  /* struct gate_shared's */
    bool polls_off;                  /* a number of theirs is the guest's */
    unsigned polled;                 /* by the keep, of lanes only */
    struct mailbox *_Atomic mailbox; /* mailbox.h; NULL: none. Set once, under the lock */
    atomic_uint streams;             /* that became lanes when they were used */
    bool actions_told;               /* its gate knows its actions, of every signal (fast_signal.c) [T] */
    bool actions_unset;              /* a fork's memory may have others than the process */
    struct aio_context *aio;         /* aio.h [T] (utlist) */
    uaddr_t given_at;                /* its gate's struct gate_given; 0: it has none, being a fork's */
};

struct mm *mm_new(void); /* refs 1, dumpable; NULL: no memory */
struct mm *mm_get(struct mm *mm);
struct mm *mm_dup(const struct mm *mm); /* [T] */
void mm_put(struct mm *mm);             /* may close exe: no lock held */

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE, PROCESS_DEAD };

struct process {
    atomic_int refs;
    struct container *container; /* a reference */
    pid_t pid;                   /* the thread group's id, as the guest sees it */
    pid_t host_pid;              /* as the keep sees it */
    int pidfd;                   /* of the host process; -1: not watched yet (deaths.h) */
    enum process_state state;
    int exit_status; /* as wait4 reports it */

    struct process *parent;   /* NULL for a container's init */
    struct process *children; /* utlist, by sibling_{prev,next} */
    struct process *sibling_prev, *sibling_next;
    struct task *threads; /* utlist, by thread_{prev,next} */
    struct task *leader;  /* the first thread; stays in `threads` until the process ends */
    unsigned nthreads;    /* not yet exited */
    pid_t pgid, sid;
    struct tty *ctty;          /* a reference */
    struct sem_undo *sem_undo; /* sysv_sem.c */
    pid_t tty_old_pgrp;        /* of a session leader: who was in front when its terminal hung up */
    struct trace *tracees;     /* utlist */
    unsigned ntracees;
    bool soft_stop; /* it is stopped by its gates, not by the host (trace.h) */
    bool did_exec, child_subreaper, is_init;
    bool limits_changed; /* since its program began: its gate is not to tell them */
    unsigned nparked;    /* of its threads, those in a parked call */

    bool group_exit; /* every thread is to go, with exit_status */
    bool stopped, stop_reported, continued_pending;
    int stop_signal;
    int exit_signal; /* what the parent gets at the end, normally SIGCHLD; 0 none */

    struct sighand *sighand;
    struct sigpending pending; /* for the whole group */
    sigset64 marked;           /* of those, what every thread's gate knows of */
    struct mm *mm;
    struct quiet *quiet;     /* quiet.h; NULL: all its threads were heard of, or are to attach */
    unsigned quiet_patience; /* how many attach until that one is called; 0: as many as at first */
    struct rlimit rlim[RLIM_NLIMITS];
    unsigned nsigqueued;        /* entries in all queues of the group */
    struct itimer itimer[3];    /* ITIMER_REAL (alarm), ITIMER_VIRTUAL, ITIMER_PROF */
    struct posix_timer *timers; /* timer.c */
    int next_timer_id;
    int oom_score_adj;
    unsigned writers;                        /* foreign.h: who is writing to its memory */
    bool shut;                               /* nobody may begin to */
    struct timespec start_time;              /* CLOCK_BOOTTIME */
    struct timespec utime, stime;            /* final, once it has exited */
    struct timespec cutime, cstime;          /* of reaped children */
    long maxrss, cmaxrss;                    /* KiB */
    struct session *session;                 /* session.h: it was started from outside; NULL otherwise */
    struct signalfd_wait *signalfds;         /* signalfd.c: who to tell of new signals */
    sigset64 offered;                        /* of `pending`, what its gate may take by itself (signalfd.c) */
    struct pidfd_wait *pidfds;               /* pidfd.c: who to tell of the end */
    struct process *young_prev, *young_next; /* deaths.c */
    bool young;                              /* it is in kernel.young */
    bool unheard;                            /* unheard.h */
    int64_t attached, look_at; /* when it got its host process, when that is looked at: CLOCK_BOOTTIME, ns */
    UT_hash_handle hh_pid;
};

/* A task's workers mark it busy for the length of a call; whoever ends a task leaves the release of its files
 * to them. There are two of them when one has answered and is still leaving while another serves the next
 * call: TASK_BUSY is a count, and TASK_LEAVING one of those that have answered. TASK_SERVED: but now there
 * must not be two. */
enum task_life {
    TASK_DYING = 2,
    TASK_EXITED = 4,
    TASK_SERVED = 8,
    TASK_PARKED = 16,
    TASK_BUSY_ONE = 0x100,
    TASK_BUSY = 0xff00,
    TASK_LEAVING_ONE = 0x10000,
    TASK_LEAVING = 0xff0000
};

#define NOBODY_LOGGED_IN UINT32_MAX

/* How the keep waits on behalf of a task, so that a signal can end it (sleep.c, park.h). */
enum task_sleep { SLEEP_NONE, SLEEP_COND, SLEEP_HOST, SLEEP_PARKED };

struct task {
    atomic_int refs;
    pid_t tid;      /* as the guest sees it */
    pid_t host_tid; /* as the keep sees it; 0 until attached, or heard of first (quiet.h) */
    pid_t lender;   /* until then: a host thread with the same memory; 0: none, or it is not there yet */
    struct process *process;
    struct task *thread_prev, *thread_next;
    char comm[16];
    struct cred *cred;
    struct fdtable *fdt;
    struct fs *fs;

    sigset64 blocked;      /* a copy where the slot has it: see task_mask() */
    bool mask_in_slot;     /* and the list of robust futexes */
    bool mask_told;        /* its gate has said with its call what is there */
    atomic_bool mask_held; /* all the same it is the copy that counts */
    sigset64 marks;        /* gate_slot.marks */
    sigset64 saved_mask;   /* what sigsuspend, ppoll ... restore */
    bool restore_mask;
    struct sigpending pending;
    atomic_bool kicked; /* the kick signal is on its way */
    uaddr_t signal_buf; /* where its gate wants to be told of signals; 0: not known yet */
    bool exited;
    int restart; /* the -ERESTART* (positive) with which the last call ended, or 0 */
    int restart_nr;
    uint64_t restart_arg0;
    bool continued;    /* the last call was answered by SYS_CONTINUE_BLOCKING */
    uint64_t ended_ip; /* behind it, or behind the last call if that was answered by EINTR; else 0 */
    struct {
        int nr;            /* of the last call that is gone on with; 0: none */
        bool ours;         /* by a restart_syscall that is not the host's business */
        bool whole;        /* or is made again as it stands */
        uint64_t ip, arg0; /* of a sleep of the host's, and its first argument */
        bool timed;        /* deadline is known */
        struct timespec deadline;
        int64_t begin; /* of a sleep of the host's, by the monotonic clock */
    } again;           /* of calls with a time-out of which nothing but their end is to be waited for */

    atomic_uint life; /* enum task_life */
    int exit_status;  /* of a dying thread, wait4 format */
    int ended_by; /* the signal by which a filter ends this thread alone, until its gate has made it exit */
    struct mm *old_mm;      /* what its worker may still be at, since another thread executed a program */
    struct task *bury_next; /* task table's list of the dying */
    sigset64 sigwait;       /* what rt_sigtimedwait waits for */

    enum task_sleep sleep;
    bool sleep_woken;           /* by task_interrupt(), though its thread may not run yet */
    bool sleep_stopped;         /* a stop ended the wait, which SIGCONT may have undone since */
    pthread_cond_t *sleep_cond; /* SLEEP_COND */
    pid_t sleep_tid;            /* SLEEP_HOST: the keep's thread to interrupt */
    struct parked *parked;      /* SLEEP_PARKED: park.h */
    struct trace *trace;        /* trace.h; NULL: nobody traces it */
    bool gate_traced;           /* as far as its gate knows */
    struct timespec call_start; /* of the call being served, where it is timed */

    bool vfork_child;
    pid_t vfork_waiter; /* who waits in the keep until it is none any more; 0: nobody */
    pid_t cloned;       /* the last one, for --strace */
    uaddr_t robust_list;
    uaddr_t clear_child_tid; /* by set_tid_address; a clone's own is the host's business */
    uaddr_t native_ctid;     /* a clone's own */
    uid_t login_uid;         /* of /proc/PID/loginuid */
    unsigned login_session;  /* both: or NOBODY_LOGGED_IN */
    int pdeath_signal;
    bool no_new_privs;
    int seccomp_mode;                       /* SECCOMP_MODE_* */
    struct seccomp_filter *_Atomic seccomp; /* seccomp.c; newest first; other threads may add to it [T] */
    long seccomp_value;                     /* what GATE_ANSWERED stood for last */
    long exact;                             /* what SYS_EXACT stands for */
    struct {
        bool is;
        int nr;
        uint64_t arg[6];
    } shown;             /* [T] the call that it makes next: its tracer has seen it, as a filter wanted */
    uint64_t judge_next; /* [T] calls that its gate is to trap, and does not yet (gate/judged.h) */
    uint64_t judged;     /* [T] those that it traps */
    unsigned long personality;
    unsigned long timer_slack, default_slack; /* ns */
    int sched_policy, sched_priority, nice, ioprio;
    bool nice_owed; /* the host is to hear of it when its thread is known */
    bool sched_reset_on_fork;
    uint64_t sched_runtime, sched_deadline, sched_period;
    int mempolicy;            /* as set_mempolicy(2) was given it; the guest's own ones have no effect */
    uint64_t mempolicy_nodes; /* bit n is node n */
    struct exec_plan *exec;   /* between GATE_EXEC and GATE_EXEC_DONE (exec.h) */
    struct listener *listener;
    uaddr_t slot;              /* struct gate_slot in its memory; 0: none */
    bool used_lane;            /* by the call being served, which the gate could have made */
    atomic_uint mailbox_rests; /* calls by the doorbell until its mailbox is worth a look again */
    bool wants_mailbox;        /* with the patch */
    uint32_t patch_nr;         /* the number of the call at patch_ip */
    uaddr_t patch_ip;          /* what its gate is to patch when it asks next; 0: nothing */
    UT_hash_handle hh_tid, hh_host;
};

/* The host thread by which t's memory is reached; 0: it can not be. */
static inline pid_t task_memory_tid(const struct task *t)
{
    return t->host_tid ? t->host_tid : t->lender;
}

bool task_is_current(const struct task *t); /* the calling thread serves a call of t's */

/* Reference counts: get returns its argument. put may free: the caller holds no lock that freeing needs. */
struct task *task_get(struct task *t);
void task_put(struct task *t);
struct process *process_get(struct process *p);
void process_put(struct process *p);
void process_put_p(struct process **p); /* for _cleanup_ */

/* Lookup by the guest's numbers in a pid namespace; tasklist_lock held; no reference is taken. NULL: none. */
struct task *task_by_tid(const struct pid_ns *ns, pid_t tid);
struct process *process_by_pid(const struct pid_ns *ns, pid_t pid); /* zombies too */

/* True for the task's own credentials to act on (kill(2)) another. [T] */
bool may_signal(const struct task *from, const struct process *to, int signo);
/* CPU time of a process so far (the host's count), and its peak of memory in KiB. */
void process_cputime(const struct process *p, struct timespec *utime, struct timespec *stime);
/* [T] The same exactly (the above are counted by ticks), of a process and of one thread, in ns. The thread's
 * is as of when it last began to run. 0: not known, or a thread that has ended. */
int64_t process_cpu_ns(const struct process *p);
int64_t task_cpu_ns(const struct task *t);
/* No process of the group has a parent outside of it but in its session. [T] */
bool pgrp_is_orphaned(const struct pid_ns *ns, pid_t pgid, const struct process *ignore);

/* By the host's thread id (leaf lock inside); takes a reference. */
struct task *task_by_host_tid(pid_t host_tid);
/* Attaches the host thread: from now on signals reach it. For a process's first thread host_pid is
 * set, too. The thread must be known to be alive (its notification is pending). tasklist_lock not held. */
void task_set_host_tid(struct task *t, pid_t host_tid);

/* Scheduling, I/O priority, memory policy and personality of a session's first task, before it runs
 * (confine.h). */
struct keep_confine;
void task_confine(struct task *t, const struct keep_confine *c);

/* Limits that the host enforces, for a host process that has just come to be one of the guest's. */
void rlimits_tell_host(const struct process *p);

/* The next free pid. tasklist_lock held. -EAGAIN when all are taken. */
pid_t pid_alloc(struct pid_ns *ns);

/* A container's first task (vpid 1) or an exec'd one: a new process that leads its own session and group,
 * with empty fdtable, given cred and fs (references taken over). tasklist_lock not held. Returns a reference;
 * NULL: no memory (nothing is taken over). */
struct task *task_spawn(struct container *c, struct cred *cred, struct fs *fs, struct fdtable *fdt);

/* The tables. Once, before anything else here. 0 or -ENOMEM. */
int tasks_init(void);

/* Every worker brackets a notification's call with these. task_enter is false when the task is on its way out
 * (then no call and no leave). task_leave finishes what the call began: exits of this task, and of those that
 * it killed. */
bool task_enter(struct task *t);
void task_leave(struct task *t);
/* Within the bracket, just before the answer: from then on this worker touches t only to leave, be it ever so
 * late. */
void task_answers(struct task *t);
/* Within the bracket, for an answer that is given before the call is over: whoever serves t's next call waits
 * until this worker has left. t is the bracket's task, or the one that its execve goes on as. */
void task_answer_early(struct task *t);
void task_answer_over(void); /* it was not given after all */
/* [T] Within the bracket: the task's call goes on without the worker, which must not leave. */
void task_release(struct task *t);
/* [T] A call that was released is this thread's to end; it may be in the middle of another task's call, which
 * is returned for task_give_back (no lock held), the end of the bracket. */
struct task *task_adopt(struct task *t);
void task_give_back(struct task *t, struct task *outer);
/* Instead of that: another thread is to go on with it, and begins by task_take_over. */
void task_hand_over(struct task *outer);
void task_take_over(struct task *t);
/* [T] t, which is parked, stays what it is until task_let_go, whoever kills it. By one thread at a time. */
void task_hold(struct task *t);
/* True: t was killed meanwhile, and is to end by task_exit once no lock is held. */
bool task_let_go(struct task *t);
/* Within the bracket of another task: t is this thread's, too, as within a bracket, until task_let_go; who
 * serves its next call waits until this worker has left. False: t is in a call that lasts, or it ends. */
bool task_claim(struct task *t);
/* The same for a call that came without a notification: false also where a worker is at a call of t's that it
 * has not answered. One that comes meanwhile waits, so this is for short calls only. */
bool task_enter_idle(struct task *t);
void task_leave_idle(struct task *t);
/* Finishes the exit of tasks that were killed by a signal. Threads of the keep that are no workers call it
 * after sending signals. No lock held. */
void tasks_bury(void);

/* clone(2): checks flags, makes the child (an embryo: host_tid 0, signals to it stay pending) in parent's
 * likeness. Returns a reference, with the child's tid in *ret_pid; NULL with -errno in *err (EINVAL, EPERM,
 * EAGAIN, ENOMEM, -ERESTARTNOINTR). The host's clone is the caller's. tasklist_lock not held. */
struct task *task_fork(struct task *parent, unsigned long flags, pid_t *ret_pid, int *err);
/* The host's clone did not happen: the embryo vanishes without a trace. The caller's reference stays its own.
 */
void task_fork_abort(struct task *child);

/* What execve does to the task, once the new image is certain. */
struct exec_commit {
    struct mm *mm; /* taken over */
    const char *comm;
    struct cred *cred; /* from exec_cred(); taken over; NULL: as before */
    bool secure;       /* not dumpable: cred changed */
};
void task_exec_commit(struct task *t, const struct exec_commit *ec);

/* File capabilities and set-id bits of the program, as capabilities(7) uses them. */
struct exec_file_rights {
    mode_t mode; /* with S_ISUID, S_ISGID; 0 on nosuid mounts */
    uid_t uid;
    gid_t gid;
    bool has_caps;
    uint64_t cap_permitted, cap_inheritable;
    bool cap_effective;
};
/* The credentials after executing such a file; NULL: no memory. *secure: AT_SECURE. *eperm: the file's
 * capabilities cannot all be granted (execve fails with EPERM). */
struct cred *exec_cred(const struct task *t, const struct exec_file_rights *r, bool *secure, bool *eperm);

/* Ends one thread with status (wait4 format); the last one ends the process: files closed, children handed
 * over, parent told. Does not touch the host process. Idempotent. */
void task_exit(struct task *t, int status);
/* t's call ends t, as if by signo, and no other thread: its gate is told to leave. The call is still to be
 * answered, with anything. A process's only thread takes the process with it. */
void task_end_alone(struct task *t, int signo);
/* Ends a whole process from outside or by exit_group: marks it, kills the host process if kill_host. */
void process_exit(struct process *p, int status, bool kill_host);
void process_kill_locked(struct process *p, int status, bool kill_host); /* [T] the same */
/* [T] The zombie p is gone, with whom it waited for (wait(2)); its times are its parent's if count_times. */
void process_reap(struct process *p, bool count_times);

/* What waitid and SIGCHLD say of an end, in place of wait4's status: CLD_*, and the exit code or the signal.
 */
static inline int end_code(int wstatus)
{
    if ((wstatus & 0x7f) == 0)
        return CLD_EXITED;
    return wstatus & 0x80 ? CLD_DUMPED : CLD_KILLED;
}

static inline int end_status(int wstatus)
{
    return wstatus & 0x7f ? wstatus & 0x7f : wstatus >> 8 & 0xff;
}

#endif
