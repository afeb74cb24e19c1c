/* SECCOMP_RET_USER_NOTIF of a guest's own filter: the call waits, parked, until the supervisor has answered,
 * or a signal interrupts it, in which case it is made again as signal(7) says. */
#include "sandbox/keep/seccomp/seccomp_notify.h"

#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/lanes/mailbox.h"

#define NOT_WRITABLE (UINT64_MAX - 1) /* what an eventfd's counter holds at most */

void notifier_put(struct seccomp_notifier *n)
{
    if (atomic_fetch_sub(&n->refs, 1) == 1)
        free(n);
}

void notifier_sync(struct seccomp_notifier *n)
{
    uint64_t full = NOT_WRITABLE;
    char byte = 0;

    if (!n->file)
        return;
    while (n->in_fd >= 0 && n->in_bytes < n->nwaits && write(n->in_fd, &byte, 1) == 1)
        n->in_bytes++;
    while (n->in_bytes > n->nwaits && read(n->file->hostfd, &byte, 1) == 1)
        n->in_bytes--;
    if (n->out == (n->nsent > 0))
        return;
    n->out = !n->out;
    if (n->out)
        (void)!read(n->file->outfd, &full, sizeof(full));
    else
        (void)!write(n->file->outfd, &full, sizeof(full));
}

/* [T] Nothing the supervisor says of it counts any more. */
static void take_out(struct notif *c)
{
    struct seccomp_notifier *n = c->notifier;

    if (!c->prev) /* utlist: never NULL in a list */
        return;
    DL_DELETE(n->calls, c);
    c->prev = NULL;
    n->nwaits -= c->state == NOTIF_WAITS;
    n->nsent -= c->state == NOTIF_SENT;
    notifier_sync(n);
}

static long look(struct parked *p)
{
    const struct notif *c = (const struct notif *)p;

    return c->state == NOTIF_REPLIED && !c->adding ? 0 : SYS_PARKED;
}

/* Made again, if it is, by its own instruction: with the number that the guest called, though its gate may
 * have asked with another. */
static long interrupted(struct task *t, int nr)
{
    t->restart = ERESTARTSYS;
    t->restart_nr = nr;
    t->exact = -EINTR;
    return SYS_EXACT;
}

static long finish(struct parked *p, long r)
{
    struct notif *c = (struct notif *)p;

    {
        LOCKED(&kernel.tasklist_lock);
        take_out(c);
    }
    if (is_restart(r))
        return interrupted(p->task, c->data.nr);
    if (c->flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE)
        return SYS_PARKED;
    return seccomp_answer(p->task, &p->a, c->error ? c->error : c->val);
}

static void release(struct parked *p)
{
    struct notif *c = (struct notif *)p;

    {
        LOCKED(&kernel.tasklist_lock);
        take_out(c);
    }
    notifier_put(c->notifier);
}

/* [T] */
static long enqueue(struct task *t, struct seccomp_notifier *n, struct notif *c, const struct sysargs *a)
{
    atomic_fetch_add(&n->refs, 1);
    c->notifier = n;
    c->id = n->next_id++;
    c->parked.look = look;
    c->parked.end = finish;
    c->parked.release = release;
    DL_APPEND(n->calls, c);
    n->nwaits++;
    n->requests++;
    notifier_sync(n);
    notifier_wake(n);
    return task_park(t, a, &c->parked);
}

long seccomp_notify(struct task *t, const struct seccomp_filter *by, const struct sysargs *a,
                    const struct seccomp_data *d)
{
    if (mailbox_must_not_wait())
        return -ERESTARTSYS;
    _cleanup_free_ struct notif *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->data = *d;
    LOCKED(&kernel.tasklist_lock);
    if (!by->notifier)
        return -ENOSYS;
    if (signal_pending(t)) {
        signal_kick(t);
        return interrupted(t, d->nr);
    }
    return enqueue(t, by->notifier, steal_ptr(&c), a);
}
