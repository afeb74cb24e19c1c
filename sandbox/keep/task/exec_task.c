/* What execve does to the task and its process, once the new image is certain. */
#include <string.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/mm/foreign.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/time/timer.h"
#include "sandbox/keep/trace/trace.h"

/* [T] Handlers are gone with the old image; what is ignored stays so. */
static void reset_actions(struct sighand *s)
{
    for (int i = 0; i < KSIG_MAX; i++) {
        struct ksigaction *sa = &s->action[i];
        if (sa->handler != (uint64_t)(uintptr_t)SIG_IGN)
            sa->handler = (uint64_t)(uintptr_t)SIG_DFL;
        sa->flags = 0;
        sa->restorer = 0;
        sa->mask = 0;
    }
}

/* [T] The host killed the other threads when it executed: they end here too. t goes by the leader's number.
 */
static void become_leader(struct task *t)
{
    struct process *p = t->process;
    struct pid_ns *ns = p->container->pids;
    struct task *old = p->leader;
    pid_t own = t->tid;
    if (old == t)
        return;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
    HASH_DELETE(hh_tid, ns->tids, old);
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
    HASH_DELETE(hh_tid, ns->tids, t);
    old->tid = own;
    t->tid = p->pid;
    HASH_ADD(hh_tid, ns->tids, tid, sizeof(old->tid), old);
    HASH_ADD(hh_tid, ns->tids, tid, sizeof(t->tid), t);
    p->leader = t;
    if (old->trace) { /* it is gone without a word */
        trace_free(old->trace);
        old->trace = NULL;
    }
    if (old->exited)
        task_unlink(old); /* it had only stayed for its number */
}

/* [T] Its memory is gone. The number of its host thread, if it was the process's first, is t's now: nothing
 * of o's is to be written there. */
static void forget_memory(struct task *o)
{
    task_forget_host(o);
    o->host_tid = o->lender = 0;
    o->mask_in_slot = false;
    o->signal_buf = 0;
    o->robust_list = o->clear_child_tid = 0;
}

/* [T] One of them may be whom this worker serves, as its host thread's number goes on: then another worker
 * may still be in the call in which it was killed. */
static void end_other_threads(struct task *t)
{
    struct task *o;
    if (t->process->quiet)
        quiet_over(t->process->quiet->task);
    DL_FOREACH2(t->process->threads, o, thread_next)
    {
        if (o == t || o->exited)
            continue;
        o->exit_status = SIGKILL;
        forget_memory(o);
        unsigned life = atomic_fetch_or(&o->life, TASK_DYING);
        if (life & TASK_BUSY)
            o->old_mm = mm_get(t->process->mm);
        if ((life & TASK_BUSY) > (task_is_current(o) ? TASK_BUSY_ONE : 0))
            task_interrupt(o); /* who leaves last sees to the rest */
        else if (!(life & (TASK_DYING | TASK_EXITED)))
            task_bury_later(o);
    }
}

/* Own copies of what was shared with other processes. NULL: memory is short, and sharing goes on. */
static struct sighand *unshare_sighand(struct process *p)
{
    if (atomic_load(&p->sighand->refs) == 1)
        return NULL;
    return sighand_dup(p->sighand);
}

static void own_fdtable(struct task *t)
{
    struct fdtable *own = fdtable_shared(t->fdt) ? fdtable_dup(t->fdt) : NULL;
    if (!own)
        return;
    struct fdtable *old = t->fdt;
    {
        LOCKED(&kernel.tasklist_lock);
        t->fdt = own;
    }
    fdtable_put(old);
}

static void swap_cred(struct task *t, struct cred *n)
{
    struct cred *old = t->cred;
    bool ids = n->euid != old->euid || n->egid != old->egid;
    t->cred = n;
    if (ids)
        t->pdeath_signal = 0;
    cred_put(old);
}

static bool gains(const struct exec_commit *ec, const struct cred *old)
{
    return ec->secure || (ec->cred->cap_permitted & ~old->cap_permitted);
}

void task_exec_commit(struct task *t, const struct exec_commit *ec)
{
    struct process *p = t->process;
    struct mm *old_mm;
    own_fdtable(t);
    {
        LOCKED(&kernel.tasklist_lock);
        pid_t host_pid = p->host_pid, tid = t->tid;
        end_other_threads(t);
        become_leader(t);
        struct sighand *shared = p->sighand, *own = unshare_sighand(p);
        if (own) {
            p->sighand = own;
            sighand_put(shared);
        }
        reset_actions(p->sighand);
        posix_timers_delete(p);
        old_mm = p->mm;
        p->mm = ec->mm;
        p->mm->dumpable = !ec->secure;
        p->did_exec = true;
        snprintf(t->comm, sizeof(t->comm), "%s", ec->comm);
        if (ec->cred && gains(ec, t->cred) && t->trace &&
            !t->trace->capable) /* it came since the plan was made */
            trace_detach(t->trace, 0);
        if (ec->cred)
            swap_cred(t, ec->cred);
        foreign_open(p); /* its rights are what they are now */
        trace_vfork_ends(t);
        t->mask_in_slot = false;
        t->robust_list = t->clear_child_tid = t->native_ctid = 0;
        t->restart = 0;
        t->continued = false;
        t->kicked = false; /* a kick from before may still come, or not */
        if (t->host_tid != host_pid)
            task_host_moved(t, host_pid);
        trace_execed(t, tid);
        signal_settle(t);
    }
    fdtable_close_on_exec(t->fdt);
    mm_put(old_mm);
    tasks_bury();
}
