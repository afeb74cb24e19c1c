/* For all processes with a file that is kept (kept.c): it is no more. */
#include "sandbox/keep/lanes/kept_internal.h"

#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define IDLE_MOST 8U /* looks (LATER_NS) until an idle gate is kicked */
#define LOOKS 2000   /* at a gate that is in the middle of it */
#define NAPS 1000    /* of a gate's that is to close something, */
#define NAP_NS 200000L

/* [T] */
void kept_forbid(struct process *p)
{
    struct mailbox *b = p->mm ? p->mm->mailbox : NULL;
    struct kept *k = kept_of(b);

    if (!b || !k || !atomic_load(&k->file))
        return;
    atomic_store(&k->granted, false);
    kept_store(&b->later->kept.granted, 0);
}

/* [T] Something is kept, and it was not visited in this round. */
static bool is_wanted(struct mailbox *b, uint64_t round)
{
    const struct kept *k = kept_of(b);

    if (!k || !atomic_load(&k->file) || b->kept_round == round)
        return false;
    b->kept_round = round;
    return true;
}

static struct task *find(uint64_t round)
{
    return atomic_load(&kernel.kepts) ? mailbox_find(is_wanted, round) : NULL;
}

void kept_forbid_all(void)
{
    uint64_t round = atomic_fetch_add(&kernel.kept_rounds, 1) + 1;
    struct task *t;

    LOCKED(&kernel.tasklist_lock);
    while ((t = find(round)))
        kept_forbid(t->process);
}

/* [T] The gate may be in the middle of a change. */
static void await_gate(const struct mailbox *b)
{
    for (unsigned i = 0; i < LOOKS && kept_load(&b->later->closing); i++)
        __builtin_ia32_pause();
}

/* Files to be put once no lock is held: the one that was kept, and those that have been closed. */
struct freed {
    struct file *kept, *closed[LATER_MOST];
    unsigned n;
};

static void put_freed(struct freed *f)
{
    kept_put(f->kept);
    later_put(f->closed, f->n);
}

/* later_lock held. What is not dormant is an open file like any other from now on; with the process's next
 * call it is not native any more. */
static struct file *let_go(struct task *t, struct mailbox *b)
{
    struct kept *k = kept_of(b);

    if (!k->file)
        return NULL;
    kept_sync(t, b);
    if (!k->gone && !k->open)
        return NULL;
    atomic_store(&k->left, !k->gone);
    return kept_forget(b);
}

/* [T] Ends what t's process has. True: its gate has yet to close it. *f is empty. */
static bool release(struct task *t, struct freed *f)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);

    kept_forbid(t->process);
    await_gate(b);
    if (!kept_load(&b->later->closing)) {
        f->n = later_take(b, t->fdt, f->closed); /* or its number could be one of those */
        LOCKED(&b->later_lock);
        f->kept = let_go(t, b);
    }
    return atomic_load(&k->file) && !task_is_current(t); /* else kept_after sees to the rest */
}

/* A gate that was kicked closes what is dormant in its handler. One that is stopped does not. */
static void await_closed(const struct mailbox *b)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};

    worker_about_to_block();
    for (unsigned i = 0; i < NAPS && kept_load(&b->later->kept.state) == KEPT_DORMANT; i++)
        (void)nanosleep(&nap, NULL);
}

/* t was kicked: waits for it. b: its mailbox, a reference. */
static void await_release(struct task *t, struct mailbox *b)
{
    struct freed f = {0};

    await_closed(b);
    {
        LOCKED(&kernel.tasklist_lock);
        if (!t->exited && t->fdt && kept_box(t) == b)
            kept_of(b)->slow = release(t, &f); /* one that does not come is not waited for again */
    }
    put_freed(&f);
}

/* All of one process's, if it has any. */
static void settle_one(struct task *t)
{
    struct mailbox *b = NULL;
    struct freed f = {0};
    bool waits = false;
    {
        LOCKED(&kernel.tasklist_lock);
        if (!t->exited && t->fdt && (b = kept_box(t)) && kept_of(b) && release(t, &f)) {
            signal_kick(t);
            waits = !kept_of(b)->slow && !mailbox_must_not_wait();
        }
        if (waits)
            atomic_fetch_add(&b->refs, 1);
    }
    put_freed(&f);
    if (waits) {
        await_release(t, b);
        mailbox_put(b);
    }
}

/* The next one of a round, a reference. NULL: there is none. */
static struct task *next(uint64_t round)
{
    LOCKED(&kernel.tasklist_lock);
    struct task *t = find(round);

    return t ? task_get(t) : NULL;
}

void kept_settle(void)
{
    uint64_t round = atomic_load(&kernel.kepts) ? atomic_fetch_add(&kernel.kept_rounds, 1) + 1 : 0;
    struct task *t;

    while (round && (t = next(round))) {
        settle_one(t);
        task_put(t);
    }
}

/* What is idle goes with the process's next call, if that comes soon; a kick could be noticed, by who waits
 * for a time in the host. */
static void tidy_one(struct task *t)
{
    struct freed f = {0};
    {
        LOCKED(&kernel.tasklist_lock);
        struct mailbox *b = t->exited || !t->fdt ? NULL : kept_box(t);
        struct kept *k = kept_of(b);
        uint32_t uses = k ? kept_uses(&b->later->kept) : 0;
        if (k && k->granted && uses != k->uses) {
            k->uses = uses;
            k->idle = 0;
        } else if (k && release(t, &f) && ++k->idle >= IDLE_MOST) {
            signal_kick(t);
        }
    }
    put_freed(&f);
}

bool kept_tidy(void)
{
    uint64_t round = atomic_fetch_add(&kernel.kept_rounds, 1) + 1;
    struct task *t;

    while ((t = next(round))) {
        tidy_one(t);
        task_put(t);
    }
    if (atomic_load(&kernel.kepts))
        return true;
    kept_unwatch();
    return false;
}
