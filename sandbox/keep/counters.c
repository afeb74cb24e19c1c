#include "sandbox/keep/counters.h"

#include <errno.h>
#include <stdio.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

struct counter {
    atomic_ulong calls, continued, posted, ns;
};

struct counters {
    atomic_bool timed;
    struct counter call[SYSCALL_MAX];
};

static struct counter *counter_of(int nr)
{
    return nr >= 0 && nr < SYSCALL_MAX && kernel.counters ? &kernel.counters->call[nr] : NULL;
}

int counters_init(void)
{
    kernel.counters = calloc(1, sizeof(*kernel.counters));
    return kernel.counters ? 0 : -ENOMEM;
}

bool counters_timed(void)
{
    return kernel.counters && atomic_load_explicit(&kernel.counters->timed, memory_order_relaxed);
}

static unsigned long since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)((now.tv_sec - start->tv_sec) * 1000000000L + now.tv_nsec - start->tv_nsec);
}

void counters_count(int nr, long r, const struct timespec *start)
{
    struct counter *c = counter_of(nr);

    if (!c)
        return;
    atomic_fetch_add_explicit(&c->calls, 1, memory_order_relaxed);
    if (r == SYS_CONTINUE || r == SYS_CONTINUE_BLOCKING)
        atomic_fetch_add_explicit(&c->continued, 1, memory_order_relaxed);
    if (mailbox_must_not_wait())
        atomic_fetch_add_explicit(&c->posted, 1, memory_order_relaxed);
    if (start->tv_sec)
        atomic_fetch_add_explicit(&c->ns, since(start), memory_order_relaxed);
}

void counters_posted(int nr, unsigned n)
{
    struct counter *c = counter_of(nr);

    if (!c)
        return;
    atomic_fetch_add_explicit(&c->calls, n, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->posted, n, memory_order_relaxed);
}

/* [T] What the gates of c's threads did by themselves, as those say: they are the guest's to believe. */
static void count_gates(const struct container *c, uint64_t *answered, uint64_t *transfers)
{
    struct process *p, *tmp;
    struct task *t;

    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    {
        if (p->container != c || p->state != PROCESS_ALIVE)
            continue;
        DL_FOREACH2(p->threads, t, thread_next)
        {
            uint64_t n[2];
            if (t->slot && !t->exited &&
                copy_from_user(t, n, t->slot + offsetof(struct gate_slot, answered), sizeof(n)) == 0) {
                *answered += n[0];
                *transfers += n[1];
            }
        }
    }
}

int counters_write(const struct container *c, int fd)
{
    uint64_t answered = 0, transfers = 0;

    if (!kernel.counters)
        return -ENOMEM;
    bool timed = atomic_exchange(&kernel.counters->timed, true);
    {
        LOCKED(&kernel.tasklist_lock);
        count_gates(c, &answered, &transfers);
    }
    dprintf(fd, "timed %d\ngate %lu %lu\n", timed, answered, transfers);
    for (int nr = 0; nr < SYSCALL_MAX; nr++) {
        struct counter *k = &kernel.counters->call[nr];
        unsigned long calls = atomic_load(&k->calls);
        const char *name = syscall_table[nr].name;
        if (calls && dprintf(fd, "call %s %lu %lu %lu %lu\n", name ? name : "unknown", calls,
                             atomic_load(&k->continued), atomic_load(&k->posted), atomic_load(&k->ns)) < 0)
            return -EIO;
    }
    return 0;
}
