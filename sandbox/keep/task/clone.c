#include "sandbox/keep/task/clone.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/keep/device/random.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/embryo.h"
#include "sandbox/keep/task/pidfd.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/platform/listener.h"

static struct embryo *take_embryo(const struct task *parent, uint64_t token)
{
    LOCKED(&kernel.tasklist_lock);
    struct embryo *e = embryo_find(parent, token);

    if (e)
        embryo_remove(e);
    return e;
}

#define EMBRYOS_MAX 512 /* of one parent */

static uint32_t new_secret(void)
{
    uint32_t s;

    random_bytes(&s, sizeof(s));
    return s & 0x7fffffff;
}

/* What the parent's call says. */
struct request {
    unsigned long flags; /* the guest's */
    uaddr_t ptid, ctid, at;
};

static struct request request_of(const struct sysargs *a)
{
    return (struct request){
        .flags = a->arg[0] >> 32,
        .ptid = a->arg[2],
        .ctid = a->arg[3],
        .at = gate_clone_at(a->arg[5]),
    };
}

/* The token to the gate, the pid where the guest wants it, and what the child finds there. CLONE_PIDFD shares
 * the third argument with CLONE_PARENT_SETTID. */
static int tell_parent(struct task *t, const struct request *q, struct embryo *e)
{
    const uint64_t token = embryo_token(e);
    int value = e->child->tid;
    struct gate_born born;
    struct user_copy copies[3] = {{q->at, &token, sizeof(token)}};
    unsigned n = 1;

    if (q->flags & CLONE_PIDFD) {
        value = pidfd_install(t, e->child->process, 0);
        if (value < 0)
            return value;
    }
    if (q->flags & (CLONE_PARENT_SETTID | CLONE_PIDFD))
        copies[n++] = (struct user_copy){q->ptid, &value, sizeof(value)};
    if (unheard_prepare(t, e, q->flags, &born))
        copies[n++] = (struct user_copy){UNHEARD_BORN_AT, &born, sizeof(born)};
    return copy_all_to_user(t, copies, n);
}

/* The embryo of the call, which the host makes again (a stop came between); or how many of t's have not come
 * yet. */
static struct embryo *find_again(const struct task *t, const struct sysargs *a, unsigned *waiting)
{
    struct embryo *e;

    LOCKED(&kernel.tasklist_lock);
    *waiting = 0;
    DL_FOREACH(kernel.embryos, e)
    {
        if (e->parent != t)
            continue;
        if (!e->child->exited && e->call == a->arg[5])
            return e;
        ++*waiting;
    }
    return NULL;
}

/* False: the child was killed meanwhile. */
static bool embryo_add(struct embryo *e, unsigned long flags)
{
    LOCKED(&kernel.tasklist_lock);

    if (e->child->exited)
        return false;
    DL_APPEND(kernel.embryos, e);
    unheard_begin(e);
    trace_cloned(e->parent, e->child, flags, (int)(flags & CSIGNAL));
    return true;
}

static struct embryo *embryo_new(struct task *t, const struct request *q, int *err)
{
    struct embryo *e = calloc(1, sizeof(*e));
    pid_t pid;

    if (!e) {
        *err = -ENOMEM;
        return NULL;
    }
    if ((q->flags & CLONE_PIDFD) && (q->flags & (CLONE_PARENT_SETTID | CLONE_THREAD | CLONE_DETACHED)))
        *err = -EINVAL;
    else
        e->child = task_fork(t, q->flags, &pid, err);
    if (!e->child) {
        free(e);
        return NULL;
    }
    e->parent = task_get(t);
    e->secret = new_secret();
    e->child_tid = q->flags & CLONE_CHILD_SETTID ? q->ctid : 0;
    e->child->native_ctid = q->flags & CLONE_CHILD_CLEARTID ? q->ctid : 0;
    return e;
}

/* Where a tracer is to see the parent wait, the keep does the waiting. */
static bool are_native_flags(uint64_t native, unsigned long flags)
{
    return (native | (flags & CLONE_VFORK)) == GATE_CLONE_FLAGS(flags);
}

static bool is_traced(const struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return t->trace;
}

/* Whether the child needs nothing but its slot, and is in no doubt. */
static bool may_be_quiet(const struct task *t, const struct task *child, unsigned long flags)
{
    const struct process *p = t->process;

    return (flags & CLONE_THREAD) && !(flags & CLONE_PIDFD) && !p->quiet && !p->stopped && !p->group_exit &&
           !child->exited && !child->judge_next && !signal_pending_set(child) && !trace_has_tracee(p) &&
           fast_may_be(child);
}

/* Nobody has a say in its end, and no other process is on its memory. */
static bool may_leave(const struct task *child)
{
    return seccomp_always_allows(child, SYS_exit) && atomic_load(&child->process->mm->refs) == 1;
}

/* All that the child needs is written at once, but for its mask, which its maker's gate has copied from slot
 * to slot: to read it here would cost as much again. 0: it need not attach. -EAGAIN: it is to, and nothing
 * was done. */
static int tell_quiet(struct task *t, const struct sysargs *a, const struct request *q, struct embryo *e)
{
    struct task *child = e->child;
    uaddr_t slot = (a->arg[5] & GATE_CLONE_CALL) == GATE_CALLED_THREAD
                       ? fast_slot_at((a->arg[5] & (GATE_AREA_SIZE - 1)) >> GATE_CLONE_SLOT_SHIFT)
                       : 0;

    if (!slot)
        return -EAGAIN;
    LOCKED(&kernel.tasklist_lock);
    quiet_passed_over(t->process);
    if (!may_be_quiet(t, child, q->flags) ||
        !quiet_begin(t, child, q->at + offsetof(struct gate_clone, quiet), may_leave(child)))
        return -EAGAIN;
    const uint64_t words[3] = {embryo_token(e), child->process->quiet->leaves ? GATE_LEAVES : GATE_QUIET, 0};
    const int32_t tid = child->tid;
    struct gate_slot s;
    struct user_copy parts[FAST_SLOT_PARTS + 3];
    unsigned n = fast_take_slot(child, slot, task_mask_is_in_slot(t), &s, parts);
    parts[n++] = (struct user_copy){q->at, words, sizeof(words)};
    if (q->flags & CLONE_PARENT_SETTID)
        parts[n++] = (struct user_copy){q->ptid, &tid, sizeof(tid)};
    if (e->child_tid && !(q->flags & CLONE_PARENT_SETTID && q->ptid == e->child_tid))
        parts[n++] = (struct user_copy){e->child_tid, &tid, sizeof(tid)};
    if (copy_all_to_user(t, parts, n) < 0) {
        quiet_over(child);
        child->lender = 0;
        child->slot = 0;
        child->mask_in_slot = false;
        return -EAGAIN;
    }
    DL_PREPEND(kernel.embryos, e);
    return 0;
}

static long approve(struct task *t, const struct sysargs *a, const struct request *q)
{
    int err;
    struct embryo *e = embryo_new(t, q, &err);

    if (!e)
        return err;
    e->call = a->arg[5];
    t->cloned = e->child->tid;
    if ((err = tell_quiet(t, a, q, e)) == 0)
        return SYS_CONTINUE;
    if (err == -EAGAIN) {
        if (q->flags & CLONE_THREAD)
            task_copy_mask(e->child, t);
        err = tell_parent(t, q, e);
    }
    if (err == 0 && embryo_add(e, q->flags))
        return SYS_CONTINUE;
    task_fork_abort(e->child);
    embryo_free(e);
    return err < 0 ? err : -EAGAIN;
}

/* The gate's native clone. Its arguments are registers; what else it could be made to create (a wrong stack)
 * is still a guest behind the same filter. */
long sys_clone(struct task *t, const struct sysargs *a)
{
    struct request q = request_of(a);
    bool tells = !(q.flags & CLONE_SETTLS);
    unsigned waiting;

    if (!from_gate(a) || !are_native_flags(a->arg[0] & UINT32_MAX, q.flags))
        return -EPERM;
    if (a->arg[0] & CLONE_VFORK && is_traced(t))
        return GATE_VFORK_STOPS;
    if (find_again(t, a, &waiting))
        return SYS_CONTINUE;
    quiet_area_given(t->process, q.at);
    if (waiting >= EMBRYOS_MAX)
        return -EAGAIN;
    if (tells)
        sigmask_told(t, a->arg[4]);
    long r = approve(t, a, &q);
    if (tells)
        sigmask_told_over(t);
    return r;
}

bool clone_left(const struct sysargs *a)
{
    return a->nr == SYS_exit && from_gate(a);
}

void clone_gives_back(pid_t host_tid, uaddr_t in_use)
{
    if (in_use)
        (void)copy_to_host_thread(host_tid, in_use, &(uint32_t){0}, sizeof(uint32_t));
}

/* The host's process that a thread belongs to. Whoever is in the call a stays that thread, and so does the
 * number that of its process: while it is, the descriptor is of no other. -1: it is gone. */
static int process_of(pid_t host_tid, const struct sysargs *a)
{
    static const char field[] = "\nTgid:";
    _cleanup_sb_ struct strbuf sb = {0};

    if (host_proc_read(&sb, "%d/status", (int)host_tid) < 0 || !sb.s)
        return -1;
    const char *line = strstr(sb.s, field);
    if (!line)
        return -1;
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, atoi(line + sizeof(field) - 1), 0);
    return notif_is_pending(a) ? steal_fd(&fd) : -1;
}

void clone_end_stranger(pid_t host_tid, const struct sysargs *a)
{
    _cleanup_close_ int fd = process_of(host_tid, a);

    if (fd >= 0)
        (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

struct task *clone_heard(pid_t host_tid, const struct sysargs *a)
{
    struct embryo *its;
    struct task *t = unheard_heard(host_tid, a->nr);
    if (t)
        return t;
    {
        LOCKED(&kernel.tasklist_lock);
        if (!(t = quiet_find(host_tid)) || (clone_left(a) && !quiet_has_area(t->process, a->arg[1])))
            return NULL;
        task_get(t);
        if ((its = embryo_of(t)))
            embryo_remove(its);
        task_host_known(t, host_tid, a->nr);
    }
    if (its)
        embryo_free(its);
    return t;
}

long gate_clone_abort(struct task *t, const struct sysargs *a)
{
    struct embryo *e = take_embryo(t, a->arg[0]);

    if (!e)
        return -ESRCH;
    {
        LOCKED(&kernel.tasklist_lock);
        trace_clone_failed(t, e->child);
        quiet_over(e->child);
        e->child->lender = 0;
    }
    task_fork_abort(e->child);
    embryo_free(e);
    return 0;
}

long gate_attach(pid_t host_tid, const struct sysargs *a)
{
    struct embryo *e = take_embryo(NULL, a->arg[0]);

    if (!e)
        return -ESRCH;
    struct task *child = e->child;
    long r = 0;
    task_set_host_tid(child, host_tid);
    /* It may have been killed meanwhile, and its memory given back; while it is in a call that waits. */
    if (task_enter(child)) {
        fast_attach(child, a->arg[1], e->child_tid);
        r = fdtable_is_strange(child->fdt) ? GATE_ATTACH_CLEAR : 0;
        task_leave(child);
    }
    embryo_free(e);
    return r;
}
