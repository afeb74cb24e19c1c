#include "sandbox/keep/task/embryo.h"

#include <stdlib.h>

#include "sandbox/keep/task/clone.h"
#include "sandbox/keep/task/unheard.h"

#define LATE_NS (5 * NSEC_PER_SEC)

struct embryo *embryo_find(const struct task *parent, uint64_t token)
{
    struct embryo *e;

    DL_FOREACH(kernel.embryos, e)
    if (embryo_token(e) == token && (!parent || e->parent == parent))
        return e;
    return NULL;
}

struct embryo *embryo_of(const struct task *child)
{
    struct embryo *e;

    DL_FOREACH(kernel.embryos, e)
    if (e->child == child)
        return e;
    return NULL;
}

void embryo_remove(struct embryo *e)
{
    DL_DELETE(kernel.embryos, e);
    ktimer_cancel(&e->timer);
    unheard_over(e);
}

void embryo_free(struct embryo *e)
{
    task_put(e->child);
    task_put(e->parent);
    free(e);
}

/* [T] Nobody attached: the parent was killed before the host made the child. */
static void embryo_is_late(struct ktimer *kt)
{
    const struct embryo *e = (const struct embryo *)kt; /* its first member */
    process_kill_locked(e->child->process, SIGKILL, true);
}

/* The host's clone is on its way, or was not made. */
static void parent_ended(struct embryo *e)
{
    if (e->unheard || e->timer.queued) /* that one is looked for anyhow */
        return;
    e->timer.fire = embryo_is_late;
    ktimer_set(&e->timer, mono_now() + LATE_NS);
}

void clone_task_ended(struct task *t)
{
    struct embryo *e, *tmp;

    DL_FOREACH_SAFE(kernel.embryos, e, tmp)
    {
        if (e->child == t) {
            if (unheard_killed(e))
                continue;
            embryo_remove(e);
            embryo_free(e);
        } else if (e->parent == t && e->child->process != t->process) {
            parent_ended(e);
        }
    }
}
