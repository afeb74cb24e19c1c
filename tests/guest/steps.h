/* Two processes that go on in turn, by memory that they share: no call tells the keep of it. */
#ifndef TESTS_GUEST_STEPS_H
#define TESTS_GUEST_STEPS_H

#include <sched.h>
#include <stdatomic.h>

struct steps {
    atomic_int step, go_on; /* how far the one is; how far the other lets it go */
};

/* Says how far it is, then makes no call that anybody could hear of until it is told to go on. */
static inline void steps_pause_at(struct steps *s, int step)
{
    atomic_store(&s->step, step);
    while (atomic_load(&s->go_on) < step)
        sched_yield();
}

static inline void steps_await(struct steps *s, int step)
{
    while (atomic_load(&s->step) < step)
        sched_yield();
}

static inline void steps_go_on(struct steps *s, int step)
{
    atomic_store(&s->go_on, step);
}

#endif
