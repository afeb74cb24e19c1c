/* The calls on signals: actions, masks, waiting for them, sending them (signal(7), kill(2), sigaction(2)). */
#include <linux/capability.h>
#include <string.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/signal/signal_internal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/task/pidfd.h"
#include "sandbox/keep/time/timer.h"

#define SIGSET_SIZE 8

/* Actions and masks ----------------------------------------------------------------------------------------
 */

/* [T] What is pending of a signal that is now ignored is forgotten. */
static void flush_ignored(struct process *p, int signo)
{
    struct task *t;
    if (!action_is_ignore(p, signo))
        return;
    sigpending_flush(p, &p->pending, SIGBIT(signo));
    DL_FOREACH2(p->threads, t, thread_next)
    {
        sigpending_flush(p, &t->pending, SIGBIT(signo));
    }
    if (signalfd_notify)
        signalfd_notify(p);
}

long sys_rt_sigaction(struct task *t, const struct sysargs *a)
{
    int signo = (int)a->arg[0];
    struct ksigaction new, old;
    if (a->arg[3] != SIGSET_SIZE)
        return -EINVAL;
    if (a->arg[1] && get_user(t, &new, a->arg[1]) < 0)
        return -EFAULT;
    if (signo < 1 || signo > KSIG_MAX || (a->arg[1] && (SIGBIT(signo) & SIGSET_UNBLOCKABLE)))
        return -EINVAL;
    static const struct ksigaction none;
    bool changed = false;
    {
        LOCKED(&kernel.tasklist_lock);
        struct ksigaction *sa = &t->process->sighand->action[signo - 1];
        old = *sa;
        if (a->arg[1]) {
            new.mask &= ~SIGSET_UNBLOCKABLE;
            *sa = new;
            changed = (memcmp(&old, &none, sizeof(none)) == 0) != (memcmp(sa, &none, sizeof(none)) == 0);
            flush_ignored(t->process, signo);
            fast_action_changed(t, signo);
        }
    }
    if (changed)
        fast_actions_changed(t);
    return a->arg[2] ? copy_to_user(t, a->arg[2], &old, sizeof(old)) : 0;
}

long sys_rt_sigprocmask(struct task *t, const struct sysargs *a)
{
    sigset64 set, old;
    if (a->arg[3] != SIGSET_SIZE)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        old = task_mask(t);
    }
    if (a->arg[1]) {
        if (get_user(t, &set, a->arg[1]) < 0)
            return -EFAULT;
        switch ((int)a->arg[0]) {
        case SIG_BLOCK:
            set |= old;
            break;
        case SIG_UNBLOCK:
            set = old & ~set;
            break;
        case SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
        set &= ~SIGSET_UNBLOCKABLE;
        if (set != old)
            set_blocked(t, set);
    }
    return a->arg[2] ? copy_to_user(t, a->arg[2], &old, sizeof(old)) : 0;
}

long sys_rt_sigpending(struct task *t, const struct sysargs *a)
{
    sigset64 set;
    if (a->arg[1] > SIGSET_SIZE)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        set = signal_pending_set(t) & task_mask(t);
    }
    return copy_to_user(t, a->arg[0], &set, a->arg[1]);
}

/* Waiting --------------------------------------------------------------------------------------------------
 */

/* A wait that goes on without a worker, for as long as it takes. */
struct signal_wait {
    struct parked parked; /* first */
    sigset64 set;         /* what is taken; 0: only to be interrupted */
    siginfo_t info;
};

static long look(struct parked *p)
{
    struct signal_wait *w = (struct signal_wait *)p;
    int signo = signal_dequeue(p->task, w->set, &w->info);
    return signo ? signo : SYS_PARKED;
}

/* [T] */
static long park(struct task *t, const struct sysargs *a, sigset64 set, long (*end)(struct parked *p, long r))
{
    struct signal_wait *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->parked.look = look;
    w->parked.end = end;
    w->set = set;
    return task_park(t, a, &w->parked);
}

static long pause_end(struct parked *p, long r)
{
    (void)p;
    (void)r;
    return -ERESTARTNOHAND;
}

long sys_pause(struct task *t, const struct sysargs *a)
{
    LOCKED(&kernel.tasklist_lock);
    if (!signal_pending(t))
        return park(t, a, 0, pause_end);
    signal_kick(t);
    return -ERESTARTNOHAND;
}

long sys_rt_sigsuspend(struct task *t, const struct sysargs *a)
{
    sigset64 mask;
    if (a->arg[1] != SIGSET_SIZE)
        return -EINVAL;
    if (get_user(t, &mask, a->arg[0]) < 0)
        return -EFAULT;
    set_temporary_mask(t, mask & ~SIGSET_UNBLOCKABLE);
    long r = sys_pause(t, a);
    if (r == -ENOMEM)
        restore_temporary_mask(t);
    return r;
}

/* The number of the signal, -EAGAIN (time is up), -EINTR. */
static int take_signal(struct task *t, sigset64 set, siginfo_t *info, const struct timespec *deadline)
{
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    LOCKED(&kernel.tasklist_lock);
    int signo = signal_dequeue(t, set, info), r = 0;
    t->sigwait = set;
    while (!signo && !r) {
        r = task_wait(t, &never, deadline);
        signo = signal_dequeue(t, set, info);
    }
    t->sigwait = 0;
    if (signo)
        return signo;
    return r == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

static long give_info(struct task *t, const struct sysargs *a, const siginfo_t *info, long signo)
{
    if (signo > 0 && a->arg[1] && copy_to_user(t, a->arg[1], info, sizeof(*info)) < 0)
        return -EFAULT;
    return signo;
}

static long sigwait_end(struct parked *p, long r)
{
    {
        LOCKED(&kernel.tasklist_lock);
        p->task->sigwait = 0;
    }
    return r > 0 ? give_info(p->task, &p->a, &((struct signal_wait *)p)->info, r) : -EINTR;
}

/* take_signal() without a deadline. */
static long sigwait_for_ever(struct task *t, const struct sysargs *a, sigset64 set, siginfo_t *info)
{
    LOCKED(&kernel.tasklist_lock);
    int signo = signal_dequeue(t, set, info);
    if (signo)
        return give_info(t, a, info, signo);
    if (signal_pending(t)) {
        signal_kick(t);
        return -EINTR;
    }
    t->sigwait = set;
    long r = park(t, a, set, sigwait_end);
    if (r != SYS_PARKED)
        t->sigwait = 0;
    return r;
}

long sys_rt_sigtimedwait(struct task *t, const struct sysargs *a)
{
    sigset64 set;
    struct timespec ts, deadline;
    siginfo_t info;
    if (a->arg[3] != SIGSET_SIZE)
        return -EINVAL;
    if (get_user(t, &set, a->arg[0]) < 0 || (a->arg[2] && get_user(t, &ts, a->arg[2]) < 0))
        return -EFAULT;
    if (a->arg[2]) {
        if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
            return -EINVAL;
        deadline_from(&deadline, &ts);
    }
    set &= ~SIGSET_UNBLOCKABLE;
    if (!a->arg[2])
        return sigwait_for_ever(t, a, set, &info);
    return give_info(t, a, &info, take_signal(t, set, &info, &deadline));
}

/* Sending --------------------------------------------------------------------------------------------------
 */

static bool same_user(const struct cred *from, const struct cred *to)
{
    return from->euid == to->suid || from->euid == to->uid || from->uid == to->suid || from->uid == to->uid;
}

bool may_signal(const struct task *from, const struct process *to, int signo)
{
    if (from->process == to || capable(from, CAP_KILL))
        return true;
    if (to->leader && same_user(from->cred, to->leader->cred))
        return true;
    return signo == SIGCONT && from->process->sid == to->sid;
}

static siginfo_t own_info(const struct task *t, int signo, int code)
{
    siginfo_t info = {.si_signo = signo, .si_code = code};
    info.si_pid = t->process->pid;
    info.si_uid = t->cred->uid;
    return info;
}

/* [T] */
static int kill_process(const struct task *from, struct process *p, const siginfo_t *info)
{
    if (info->si_signo < 0 || info->si_signo > KSIG_MAX)
        return -EINVAL;
    if (!may_signal(from, p, info->si_signo))
        return -EPERM;
    return info->si_signo ? send_signal_process(p, info, false) : 0;
}

static bool in_kill_set(const struct task *from, const struct process *p, pid_t pid)
{
    if (pid == -1)
        return !p->is_init && p != from->process;
    return p->pgid == -pid;
}

/* [T] To all of a group, or (-1) all there are but init and oneself. Any success is success. */
static int kill_many(const struct task *from, pid_t pid, const siginfo_t *info)
{
    struct process *p, *tmp;
    int r = -ESRCH;
    HASH_ITER(hh_pid, from->process->container->pids->processes, p, tmp)
    {
        if (!in_kill_set(from, p, pid))
            continue;
        int one = kill_process(from, p, info);
        if (r != 0)
            r = one;
    }
    return r;
}

static struct process *find_process(const struct task *t, pid_t pid)
{
    const struct task *other = task_by_tid(t->process->container->pids, pid);
    return other ? other->process : NULL;
}

long sys_kill(struct task *t, const struct sysargs *a)
{
    pid_t pid = (pid_t)a->arg[0];
    int signo = (int)a->arg[1];
    if (pid == INT32_MIN)
        return -ESRCH;
    siginfo_t info = own_info(t, signo, SI_USER);
    LOCKED(&kernel.tasklist_lock);
    if (pid <= 0)
        return kill_many(t, pid ? pid : -t->process->pgid, &info);
    struct process *p = find_process(t, pid);
    return p ? kill_process(t, p, &info) : -ESRCH;
}

/* tgid 0: any. */
static long send_to_thread(struct task *t, pid_t tgid, pid_t tid, const siginfo_t *info)
{
    LOCKED(&kernel.tasklist_lock);
    struct task *target = task_by_tid(t->process->container->pids, tid);
    if (!target || (tgid && target->process->pid != tgid))
        return -ESRCH;
    if (info->si_signo < 0 || info->si_signo > KSIG_MAX)
        return -EINVAL;
    if (!may_signal(t, target->process, info->si_signo))
        return -EPERM;
    return info->si_signo ? send_signal_task(target, info, false) : 0;
}

long sys_tgkill(struct task *t, const struct sysargs *a)
{
    pid_t tgid = (pid_t)a->arg[0], tid = (pid_t)a->arg[1];
    int signo = (int)a->arg[2];
    if (tgid <= 0 || tid <= 0)
        return -EINVAL;
    siginfo_t info = own_info(t, signo, SI_TKILL);
    return send_to_thread(t, tgid, tid, &info);
}

long sys_tkill(struct task *t, const struct sysargs *a)
{
    pid_t tid = (pid_t)a->arg[0];
    int signo = (int)a->arg[1];
    if (tid <= 0)
        return -EINVAL;
    siginfo_t info = own_info(t, signo, SI_TKILL);
    return send_to_thread(t, 0, tid, &info);
}

/* A siginfo from the guest; only to oneself may it look as if the kernel had made it. */
static int get_siginfo(struct task *t, siginfo_t *info, uaddr_t addr, int signo, bool to_self)
{
    if (get_user(t, info, addr) < 0)
        return -EFAULT;
    info->si_signo = signo;
    if ((info->si_code >= 0 || info->si_code == SI_TKILL) && !to_self)
        return -EPERM;
    return 0;
}

long sys_rt_sigqueueinfo(struct task *t, const struct sysargs *a)
{
    pid_t pid = (pid_t)a->arg[0];
    int signo = (int)a->arg[1];
    siginfo_t info;
    int r = get_siginfo(t, &info, a->arg[2], signo, pid == t->process->pid);
    if (r)
        return r;
    LOCKED(&kernel.tasklist_lock);
    struct process *p = find_process(t, pid);
    return p ? kill_process(t, p, &info) : -ESRCH;
}

long sys_rt_tgsigqueueinfo(struct task *t, const struct sysargs *a)
{
    pid_t tgid = (pid_t)a->arg[0], tid = (pid_t)a->arg[1];
    int signo = (int)a->arg[2];
    siginfo_t info;
    int r = get_siginfo(t, &info, a->arg[3], signo, tid == t->tid);
    if (r == -EFAULT)
        return r;
    if (tgid <= 0 || tid <= 0)
        return -EINVAL;
    if (r)
        return r;
    return send_to_thread(t, tgid, tid, &info);
}

long sys_pidfd_send_signal(struct task *t, const struct sysargs *a)
{
    int signo = (int)a->arg[1];
    if (a->arg[3])
        return -EINVAL;
    int err;
    _cleanup_(process_put_p) struct process *p = pidfd_or_dir_process(t, (int)a->arg[0], &err);
    if (!p)
        return err;
    if (signo < 0 || signo > KSIG_MAX)
        return -EINVAL;
    siginfo_t info = own_info(t, signo, SI_USER);
    if (a->arg[2]) {
        siginfo_t theirs;
        if (get_user(t, &theirs, a->arg[2]) < 0)
            return -EFAULT;
        if (theirs.si_signo != signo)
            return -EINVAL;
        int r = get_siginfo(t, &info, a->arg[2], signo, p == t->process);
        if (r)
            return r;
    }
    LOCKED(&kernel.tasklist_lock);
    if (p->state == PROCESS_DEAD)
        return -ESRCH;
    if (p->container->pids != t->process->container->pids)
        return -EINVAL;
    return kill_process(t, p, &info);
}
