/* wait4 and waitid: what a parent learns of its children, and reaping (wait(2)). */
#include <sys/wait.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/task/pidfd.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/time/timer.h"
#include "sandbox/keep/trace/trace.h"

struct wait_query {
    int kind; /* P_ALL, P_PID, P_PGID */
    pid_t id;
    int options;
    /* What was found: */
    pid_t pid;
    uid_t uid;
    int code, status; /* CLD_*, and siginfo's status */
    int wstatus;      /* as wait4 says it */
    struct rusage rusage;
};

static bool eligible(const struct wait_query *q, const struct process *p)
{
    if (q->kind == P_PID && p->pid != q->id)
        return false;
    if (q->kind == P_PGID && p->pgid != q->id)
        return false;
    bool is_clone = p->exit_signal != SIGCHLD;
    return (q->options & __WALL) || is_clone == ((q->options & __WCLONE) != 0);
}

static struct timeval ts_tv(struct timespec ts)
{
    return (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
}

static void found(struct wait_query *q, const struct process *p, int code, int status, int wstatus)
{
    struct timespec ut, st;
    process_cputime(p, &ut, &st);
    q->pid = p->pid;
    q->uid = p->leader ? p->leader->cred->uid : 0;
    q->code = code;
    q->status = status;
    q->wstatus = wstatus;
    q->rusage.ru_utime = ts_tv(ts_add(ut, p->cutime));
    q->rusage.ru_stime = ts_tv(ts_add(st, p->cstime));
    q->rusage.ru_maxrss = p->maxrss > p->cmaxrss ? p->maxrss : p->cmaxrss;
}

static void take_zombie(struct wait_query *q, struct process *p)
{
    found(q, p, end_code(p->exit_status), end_status(p->exit_status), p->exit_status);
    if (!(q->options & WNOWAIT))
        process_reap(p, true);
}

/* [T] True: p has something to tell, and *q holds it. */
static bool take_event(struct wait_query *q, struct process *p)
{
    if (p->state == PROCESS_ZOMBIE) {
        if (!(q->options & WEXITED))
            return false;
        take_zombie(q, p);
        return true;
    }
    bool keep = q->options & WNOWAIT;
    bool traced = p->leader && p->leader->trace && p->leader->trace->tracer == p->parent;
    if (p->stopped && !traced && !p->stop_reported && (q->options & WSTOPPED)) {
        found(q, p, CLD_STOPPED, p->stop_signal, p->stop_signal << 8 | 0x7f);
        p->stop_reported = !keep;
        return true;
    }
    if (p->continued_pending && (q->options & WCONTINUED)) {
        found(q, p, CLD_CONTINUED, SIGCONT, 0xffff);
        p->continued_pending = keep;
        return true;
    }
    return false;
}

static bool is_meant(const struct wait_query *q, const struct trace *tr)
{
    if (q->kind == P_PID)
        return tr->tid == q->id;
    return q->kind != P_PGID || (tr->task ? tr->task->process->pgid : tr->pgid) == q->id;
}

/* [T] True: the tracee has something to tell, and *q holds it. */
static bool take_stop(struct wait_query *q, struct trace *tr)
{
    if (tr->reported || (tr->state != TRACE_STOPPED && tr->state != TRACE_ENDED))
        return false;
    if (tr->state == TRACE_ENDED) {
        if (!(q->options & WEXITED))
            return false;
        q->pid = tr->tid;
        q->uid = tr->uid;
        q->code = end_code(tr->exit_status);
        q->status = end_status(tr->exit_status);
        q->wstatus = tr->exit_status;
        if (!(q->options & WNOWAIT))
            trace_free(tr);
        return true;
    }
    found(q, tr->task->process, tr->has_info ? CLD_TRAPPED : CLD_STOPPED, tr->code, tr->code << 8 | 0x7f);
    q->pid = tr->tid;
    tr->reported = !(q->options & WNOWAIT);
    return true;
}

/* [T] As scan, of those that it traces. */
static int scan_tracees(struct wait_query *q, struct process *tracer)
{
    struct trace *tr, *tmp;
    int r = -ECHILD;
    DL_FOREACH_SAFE(tracer->tracees, tr, tmp)
    {
        if (!is_meant(q, tr))
            continue;
        r = 0;
        if (take_stop(q, tr))
            return 1;
    }
    return r;
}

/* [T] 1 found, 0 not yet, -ECHILD. */
static int scan(struct wait_query *q, struct process *parent)
{
    struct process *p, *tmp;
    int r = parent->tracees ? scan_tracees(q, parent) : -ECHILD;
    if (r == 1)
        return r;
    DL_FOREACH_SAFE2(parent->children, p, tmp, sibling_next)
    {
        if (!eligible(q, p))
            continue;
        r = 0;
        if (take_event(q, p))
            return 1;
    }
    return r;
}

/* A wait that goes on without a worker. */
struct wait_call {
    struct parked parked; /* first */
    struct wait_query q;
};

static long look(struct parked *p)
{
    struct wait_call *w = (struct wait_call *)p;
    int r = scan(&w->q, p->task->process);
    return r == 0 ? SYS_PARKED : r;
}

/* 1 with *q filled, 0 (WNOHANG), -errno, or SYS_PARKED: `end` gets the result. */
static long do_wait(struct task *t, const struct sysargs *a, struct wait_query *q,
                    long (*end)(struct parked *p, long r))
{
    LOCKED(&kernel.tasklist_lock);
    int r = scan(q, t->process);
    if (r != 0 || (q->options & WNOHANG))
        return r;
    if (signal_pending(t)) {
        signal_kick(t);
        return -ERESTARTSYS;
    }
    struct wait_call *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->parked.look = look;
    w->parked.end = end;
    w->q = *q;
    return task_park(t, a, &w->parked);
}

static long wait4_result(struct task *t, const struct sysargs *a, const struct wait_query *q, long r)
{
    if (r <= 0 || r == SYS_PARKED)
        return r;
    if (a->arg[1] && put_user(t, q->wstatus, int32_t, a->arg[1]) < 0)
        return -EFAULT;
    if (a->arg[3] && copy_to_user(t, a->arg[3], &q->rusage, sizeof(q->rusage)) < 0)
        return -EFAULT;
    return q->pid;
}

static long wait4_end(struct parked *p, long r)
{
    return wait4_result(p->task, &p->a, &((struct wait_call *)p)->q, r);
}

long sys_wait4(struct task *t, const struct sysargs *a)
{
    const int allowed = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
    pid_t pid = (pid_t)a->arg[0];
    struct wait_query q = {.options = (int)a->arg[2]};
    if (q.options & ~allowed)
        return -EINVAL;
    q.options |= WEXITED;
    if (a->arg[3])
        t->process->container->count_memory = true;
    if (pid == INT32_MIN)
        return -ESRCH;
    q.kind = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
    q.id = pid > 0 ? pid : pid == 0 ? t->process->pgid : -pid;
    return wait4_result(t, a, &q, do_wait(t, a, &q, wait4_end));
}

/* Who is meant, from waitid's first two arguments. */
static int waitid_target(struct task *t, struct wait_query *q, int kind, pid_t id)
{
    q->kind = kind;
    q->id = id;
    switch (kind) {
    case P_ALL:
        return 0;
    case P_PID:
        return id > 0 ? 0 : -EINVAL;
    case P_PGID:
        if (id == 0)
            q->id = t->process->pgid;
        return id >= 0 ? 0 : -EINVAL;
    case P_PIDFD:
        break;
    default:
        return -EINVAL;
    }
    if (id < 0)
        return -EINVAL;
    bool nonblock;
    int err;
    _cleanup_(process_put_p) struct process *p = pidfd_process(t, id, &nonblock, &err);
    if (!p)
        return err;
    q->kind = P_PID;
    q->id = p->pid;
    return nonblock;
}

static int put_waitid_info(struct task *t, uaddr_t addr, const struct wait_query *q, bool any)
{
    struct {
        int32_t signo, err, code, pad, pid, uid, status;
    } info = {0};
    if (any) {
        info.signo = SIGCHLD;
        info.code = q->code;
        info.pid = q->pid;
        info.uid = (int32_t)q->uid;
        info.status = q->status;
    }
    return copy_to_user(t, addr, &info, sizeof(info));
}

static long waitid_result(struct task *t, const struct sysargs *a, const struct wait_query *q, long r)
{
    if (r == SYS_PARKED || is_restart(r))
        return r;
    if (r > 0 && a->arg[4] && copy_to_user(t, a->arg[4], &q->rusage, sizeof(q->rusage)) < 0)
        return -EFAULT;
    if (a->arg[2] && put_waitid_info(t, a->arg[2], q, r > 0) < 0) /* cleared after an error, too */
        return -EFAULT;
    return r < 0 ? r : 0;
}

static long waitid_end(struct parked *p, long r)
{
    return waitid_result(p->task, &p->a, &((struct wait_call *)p)->q, r);
}

/* As do_wait, by waitid's arguments. */
static long waitid_query(struct task *t, const struct sysargs *a, struct wait_query *q)
{
    const int events = WEXITED | WSTOPPED | WCONTINUED;
    const int allowed = events | WNOHANG | WNOWAIT | __WNOTHREAD | __WCLONE | __WALL;
    if ((q->options & ~allowed) || !(q->options & events))
        return -EINVAL;
    int nonblock = waitid_target(t, q, (int)a->arg[0], (pid_t)a->arg[1]);
    if (nonblock < 0)
        return nonblock;
    bool hang = !(q->options & WNOHANG);
    if (nonblock)
        q->options |= WNOHANG;
    long r = do_wait(t, a, q, waitid_end);
    return r == 0 && nonblock && hang ? -EAGAIN : r;
}

long sys_waitid(struct task *t, const struct sysargs *a)
{
    struct wait_query q = {.options = (int)a->arg[3]};
    if (a->arg[4])
        t->process->container->count_memory = true;
    return waitid_result(t, a, &q, waitid_query(t, a, &q));
}
