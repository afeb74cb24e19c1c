#include "sandbox/keep/clone.h"

#include <errno.h>
#include <sched.h>

#include "sandbox/keep/fast.h"
#include "sandbox/keep/pidfd.h"
#include "sandbox/keep/random.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task_internal.h"
#include "sandbox/keep/uaccess.h"

/* A child between the keep's approval and its attaching. */
struct embryo {
    struct ktimer timer; /* first: since its parent ended with the host's clone perhaps on its way */
    struct embryo *next, *prev;
    struct task *child, *parent; /* references */
    uint32_t secret;
    uaddr_t child_tid; /* CLONE_CHILD_SETTID: where the child's tid goes in its own memory; 0: nowhere */
    bool issued;       /* the host's clone was let through */
};

static struct embryo *find_embryo(const struct task *parent, uint64_t token)
{
    struct embryo *e;

    DL_FOREACH(kernel.embryos, e)
    if (e->secret == token >> 32 && e->child->tid == (pid_t)(token & 0x7fffffff) &&
        (!parent || e->parent == parent))
        return e;
    return NULL;
}

static struct embryo *take_embryo(const struct task *parent, uint64_t token)
{
    LOCKED(&kernel.tasklist_lock);
    struct embryo *e = find_embryo(parent, token);

    if (e) {
        DL_DELETE(kernel.embryos, e);
        ktimer_cancel(&e->timer);
    }
    return e;
}

static void embryo_free(struct embryo *e)
{
    task_put(e->child);
    task_put(e->parent);
    free(e);
}

#define EMBRYOS_MAX 512 /* of one parent */
#define LATE_NS (5 * NSEC_PER_SEC)

/* [tasklist_lock] Nobody attached: the parent was killed before the host made the child. */
static void embryo_is_late(struct ktimer *kt)
{
    const struct embryo *e = (const struct embryo *)kt; /* its first member */
    process_kill_locked(e->child->process, SIGKILL, true);
}

static void parent_ended(struct embryo *e)
{
    if (!e->issued)
        embryo_is_late(&e->timer);
    else if (!e->timer.queued)
        ktimer_set(&e->timer, mono_now() + LATE_NS);
}

void clone_task_ended(struct task *t)
{
    struct embryo *e, *tmp;

    DL_FOREACH_SAFE(kernel.embryos, e, tmp)
    {
        if (e->child == t) {
            DL_DELETE(kernel.embryos, e);
            ktimer_cancel(&e->timer);
            embryo_free(e);
        } else if (e->parent == t && e->child->process != t->process) {
            parent_ended(e);
        }
    }
}

static uint32_t new_secret(void)
{
    uint32_t s;

    random_bytes(&s, sizeof(s));
    return s & 0x7fffffff;
}

/* CLONE_PIDFD shares the third argument with CLONE_PARENT_SETTID. */
static int tell_parent(struct task *t, const struct sysargs *a, struct task *child, pid_t pid)
{
    unsigned long flags = a->arg[0];

    if ((flags & CLONE_PARENT_SETTID) && put_user(t, pid, int, a->arg[2]) < 0)
        return -EFAULT;
    if (flags & CLONE_PIDFD) {
        int fd = pidfd_install(t, child->process, 0);
        if (fd < 0)
            return fd;
        if (put_user(t, fd, int, a->arg[2]) < 0)
            return -EFAULT;
    }
    return 0;
}

/* An earlier question of t's that no clone followed: an honest gate would have said so. *issued: how many
 * clones went through whose children have not come yet. */
static struct embryo *take_unissued(const struct task *t, unsigned *issued)
{
    LOCKED(&kernel.tasklist_lock);
    struct embryo *e;

    *issued = 0;
    DL_FOREACH(kernel.embryos, e)
    {
        if (e->parent != t)
            continue;
        if (!e->issued) {
            DL_DELETE(kernel.embryos, e);
            return e;
        }
        ++*issued;
    }
    return NULL;
}

/* 0, or -EAGAIN: questions alone must not fill the keep. */
static int drop_earlier(const struct task *t)
{
    struct embryo *e;
    unsigned issued;

    while ((e = take_unissued(t, &issued))) {
        task_fork_abort(e->child);
        embryo_free(e);
    }
    return issued < EMBRYOS_MAX ? 0 : -EAGAIN;
}

/* False: the child was killed meanwhile. */
static bool embryo_add(struct embryo *e)
{
    LOCKED(&kernel.tasklist_lock);

    if (e->child->exited)
        return false;
    DL_APPEND(kernel.embryos, e);
    return true;
}

long gate_clone(struct task *t, const struct sysargs *a)
{
    unsigned long flags = a->arg[0] & 0xffffffff;
    pid_t pid;
    int err = drop_earlier(t);

    if (err < 0)
        return err;
    struct embryo *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    if ((flags & CLONE_PIDFD) && (flags & (CLONE_PARENT_SETTID | CLONE_THREAD | CLONE_DETACHED)))
        err = -EINVAL;
    else
        e->child = task_fork(t, flags, &pid, &err);
    if (!e->child) {
        free(e);
        return err;
    }
    e->timer.fire = embryo_is_late;
    e->parent = task_get(t);
    e->secret = new_secret();
    e->child_tid = flags & CLONE_CHILD_SETTID ? a->arg[3] : 0;
    e->child->native_ctid = flags & CLONE_CHILD_CLEARTID ? a->arg[3] : 0;
    err = tell_parent(t, a, e->child, pid);
    if (err < 0) {
        task_fork_abort(e->child);
        embryo_free(e);
        return err;
    }
    long token = (long)((uint64_t)e->secret << 32 | (uint32_t)pid);
    if (embryo_add(e))
        return token;
    embryo_free(e);
    return -EAGAIN;
}

long gate_clone_abort(struct task *t, const struct sysargs *a)
{
    struct embryo *e = take_embryo(t, a->arg[0]);

    if (!e)
        return -ESRCH;
    task_fork_abort(e->child);
    embryo_free(e);
    return 0;
}

long gate_attach(pid_t host_tid, const struct sysargs *a)
{
    struct embryo *e = take_embryo(NULL, a->arg[0]);

    if (!e || !e->issued) {
        if (e) {
            task_fork_abort(e->child);
            embryo_free(e);
        }
        return -ESRCH;
    }
    struct task *child = e->child;
    task_set_host_tid(child, host_tid);
    /* It may have been killed meanwhile, and its memory given back; while it is in a call that waits. */
    if (task_enter(child)) {
        fast_attach(child, a->arg[1]);
        if (e->child_tid)
            (void)put_user(child, child->tid, int, e->child_tid);
        task_leave(child);
    }
    embryo_free(e);
    return 0;
}

/* The gate's native clone: only once for each approval. Its arguments are registers; what else it could be
 * made to create (a wrong flag) is still a guest behind the same filter. */
long sys_clone(struct task *t, const struct sysargs *a)
{
    const unsigned long native = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_PARENT |
                                 CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID;
    struct embryo *e;

    if (!from_gate(a) || (a->arg[0] & ~native))
        return -EPERM;
    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH(kernel.embryos, e)
    {
        if (e->parent == t && !e->issued) {
            e->issued = true;
            return SYS_CONTINUE;
        }
    }
    return -EPERM;
}
