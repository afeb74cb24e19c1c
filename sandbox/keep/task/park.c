#include "sandbox/keep/task/park.h"

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/platform/listener.h"

long task_park(struct task *t, const struct sysargs *a, struct parked *p)
{
    p->task = task_get(t);
    p->a = *a;
    p->start = t->call_start;
    listener_get(a->listener);
    t->parked = p;
    t->sleep_stopped = false;
    t->sleep = SLEEP_PARKED;
    t->process->nparked++;
    task_release(t);
    return SYS_PARKED;
}

void parked_due(struct task *t)
{
    struct parked *p = t->parked;

    if (!p || p->due)
        return;
    p->due = true;
    DL_APPEND(kernel.tasks->due, p);
    atomic_fetch_add(&kernel.tasks->ndue, 1);
}

/* [T] */
static void not_due(struct parked *p)
{
    if (!p->due)
        return;
    p->due = false;
    DL_DELETE(kernel.tasks->due, p);
    atomic_fetch_sub(&kernel.tasks->ndue, 1);
}

/* [T] */
static void unpark(struct parked *p)
{
    struct task *t = p->task;

    not_due(p);
    t->parked = NULL;
    t->sleep = SLEEP_NONE;
    t->process->nparked--;
}

void parked_free(struct parked *p)
{
    if (!p)
        return;
    if (p->release)
        p->release(p);
    listener_release(p->a.listener);
    task_put(p->task);
    free(p);
}

struct parked *parked_drop(struct task *t)
{
    struct parked *p = t->parked;

    if (p)
        unpark(p);
    return p;
}

void parked_go_on(struct parked *p)
{
    task_take_over(p->task);
    p->task->call_start = p->start;
    syscall_go_on(p->task, &p->a);
    parked_free(p);
}

/* [T] Whether the wait is over; *r is how. */
static bool is_over(struct parked *p, long *r)
{
    struct task *t = p->task;

    if ((atomic_load(&t->life) & (TASK_DYING | TASK_EXITED)) || t->process->container->frozen)
        return false;
    *r = p->look(p);
    if (*r == SYS_PARKED && !p->deaf && (signal_pending(t) || t->sleep_stopped)) {
        signal_kick(t);
        *r = -ERESTARTSYS;
    }
    return *r != SYS_PARKED;
}

/* The next one whose wait is over, now this thread's to end; NULL: there is none. */
static struct parked *take_over(long *r, struct task **outer)
{
    struct parked *p;

    LOCKED(&kernel.tasklist_lock);
    while ((p = kernel.tasks->due)) {
        not_due(p);
        if (!is_over(p, r))
            continue;
        unpark(p);
        *outer = task_adopt(p->task);
        return p;
    }
    return NULL;
}

void parked_settle(void)
{
    struct task *outer;
    struct parked *p;
    long r;

    /* As in tasks_bury: nearly every call ends here. */
    while (atomic_load_explicit(&kernel.tasks->ndue, memory_order_acquire) && (p = take_over(&r, &outer))) {
        r = p->end(p, r);
        if (r == SYS_PARKED) {
            task_hand_over(outer);
            listener_resume(p);
            continue;
        }
        syscall_end(p->task, &p->a, r, &p->start);
        task_give_back(p->task, outer);
        parked_free(p);
    }
}
