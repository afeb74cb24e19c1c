#include "sandbox/gate/poll.h"

#include <asm/unistd.h>

#include "sandbox/gate/gate.h"
#include "sandbox/gate/mailbox.h"

#define CTL_ADD 1
#define CTL_DEL 2
#define CTL_MOD 3
#define ENOENT 2
#define ONESHOT (1U << 30)
#define POLL_EVENTS 0x27dfU /* what poll(2) knows but POLLNVAL; in an epoll they have the same bits */

struct polled {
    int32_t fd;
    uint16_t events, revents;
};

struct watch {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

/* What the thread's epoll watches, from one call to the next: programs wait for the same descriptors again
 * and again. Each event comes once, and is asked for again when somebody wants it: so what the epoll still
 * watches of a file that has lost its number, which nobody can take back, shows up once and no more. A signal
 * may end a call anywhere. */
static struct watched {
    uint32_t round;   /* in what events come with: those of former ones are nobody's */
    uint32_t changes; /* the keep's count of them, as of the last look */
    uint32_t n;
    uint32_t waits; /* what the host has told, and so does not watch any more, is not noted yet */
    struct {
        int32_t fd;
        uint32_t events; /* that are to come; 0: none */
    } on[GATE_POLL_MOST];
} threads[GATE_POLL_THREADS] GATE_LATE;

extern struct gate_shared gate_shared;

INLINE long ctl(unsigned i, int op, int32_t fd, struct watch *w)
{
    return sys4(__NR_epoll_ctl, GATE_POLL_FD + i, op, fd, w);
}

INLINE void forget(unsigned i)
{
    volatile struct watched *t = &threads[i];

    t->round++;
    while (t->n) {
        ctl(i, CTL_DEL, t->on[t->n - 1].fd, 0);
        t->n--;
    }
}

/* What there is to watch of the last call's, at the beginning of this one. */
INLINE void look_again(unsigned i, uint32_t changes)
{
    volatile struct watched *t = &threads[i];

    if (t->changes != changes)
        forget(i);
    t->changes = changes;
    for (uint32_t j = 0; t->waits && j < t->n; j++)
        t->on[j].events = 0;
    t->waits = 0;
}

/* fd's place, a new one perhaps. */
INLINE uint32_t place_of(unsigned i, int32_t fd)
{
    volatile struct watched *t = &threads[i];
    uint32_t j = 0;

    while (j < t->n && t->on[j].fd != fd)
        j++;
    if (j == t->n && j < GATE_POLL_MOST) {
        t->on[j].fd = fd;
        t->on[j].events = 0;
        t->n = j + 1;
    }
    return j;
}

INLINE int watch_one(unsigned i, uint32_t j, uint32_t events)
{
    volatile struct watched *t = &threads[i];
    struct watch w = {events, (uint64_t)t->round << 8 | j};

    if (t->on[j].events == events)
        return 1;
    t->on[j].events = 0;
    long r = ctl(i, CTL_MOD, t->on[j].fd, &w);
    if (r == -ENOENT)
        r = ctl(i, CTL_ADD, t->on[j].fd, &w);
    if (r == 0)
        t->on[j].events = events;
    return r == 0;
}

#define NOWHERE 0xffU

/* The keep's, else. */
INLINE int are_lanes(const volatile struct polled *p, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        if (p[k].fd >= 0 && !is_lane(gate_shared.lanes.any, (uint32_t)p[k].fd))
            return 0;
    return 1;
}

/* whose: for each place, which of the n it is watched for; NOWHERE: none of them. 0: it can not be, or not
 * beside what is watched already. */
INLINE int watch(unsigned i, const volatile struct polled *p, uint32_t n, volatile uint8_t *whose)
{
    for (uint32_t k = 0; k < GATE_POLL_MOST; k++)
        whose[k] = NOWHERE;
    for (uint32_t k = 0; k < n; k++) {
        if (p[k].fd < 0)
            continue;
        uint32_t j = place_of(i, p[k].fd);
        if (j == GATE_POLL_MOST || whose[j] != NOWHERE ||
            !watch_one(i, j, (p[k].events & POLL_EVENTS) | ONESHOT))
            return 0;
        whose[j] = (uint8_t)k;
    }
    return 1;
}

/* How many of the r events are of this call; they are noted in *found by their place in it. */
INLINE int64_t sort(unsigned i, const volatile struct watch *w, long r, const volatile uint8_t *whose,
                    volatile uint16_t *found)
{
    volatile struct watched *t = &threads[i];
    int64_t count = 0;

    for (long e = 0; e < r; e++) {
        uint64_t j = w[e].data & 0xff;

        if (w[e].data >> 8 != t->round || j >= t->n)
            continue;
        t->on[j].events = 0;
        if (whose[j] == NOWHERE)
            continue;
        found[whose[j]] = (uint16_t)w[e].events;
        count += w[e].events != 0;
    }
    return count;
}

INLINE int time_out(int is_ppoll, const uint64_t *arg, int *ms)
{
    const volatile uint64_t *ts = (const volatile uint64_t *)arg[2];

    *ms = is_ppoll ? -1 : (int)arg[2];
    if (!is_ppoll)
        return 1;
    if (arg[3])
        return 0;
    if (ts)
        *ms = 0;
    return !ts || (ts[0] == 0 && ts[1] == 0);
}

/* What the host says, at least for one of the n, or in its time. */
INLINE int64_t wait_for(unsigned i, int ms, const volatile uint8_t *whose, volatile uint16_t *found,
                        uint32_t *waits)
{
    volatile struct watch w[GATE_POLL_MOST];
    int64_t count = 0;
    long r = 1;

    while (r > 0 && count == 0) {
        __atomic_store_n(&threads[i].waits, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(waits, 1, __ATOMIC_RELEASE);
        r = sys4(__NR_epoll_wait, GATE_POLL_FD + i, w, GATE_POLL_MOST, (uint64_t)(int64_t)ms);
        __atomic_store_n(waits, 0, __ATOMIC_RELEASE);
        count = sort(i, w, r, whose, found);
        __atomic_store_n(&threads[i].waits, 0, __ATOMIC_SEQ_CST);
    }
    return r < 0 ? r : count;
}

MAILBOX_TEXT int64_t poll_lanes(unsigned i, int is_ppoll, const uint64_t *arg, uint32_t changes,
                                uint32_t *waits)
{
    volatile struct polled *p = (volatile struct polled *)arg[0];
    volatile uint16_t found[GATE_POLL_MOST];
    volatile uint8_t whose[GATE_POLL_MOST];
    uint32_t n = (uint32_t)arg[1];
    int ms;

    if (n == 0 || n > GATE_POLL_MOST || i >= GATE_POLL_THREADS || !time_out(is_ppoll, arg, &ms) ||
        !(*(volatile uint64_t *)&gate_shared.polls >> i & 1) || !are_lanes(p, n))
        return MAILBOX_RING;
    for (uint32_t k = 0; k < GATE_POLL_MOST; k++)
        found[k] = 0;
    look_again(i, changes);
    if (!watch(i, p, n, whose)) {
        forget(i);
        if (!watch(i, p, n, whose))
            return MAILBOX_RING;
    }
    int64_t count = wait_for(i, ms, whose, found, waits);
    if (count < 0)
        return MAILBOX_RING;
    for (uint32_t k = 0; k < n; k++)
        p[k].revents = found[k];
    return count;
}

/* Pages that are not looked at stay the parent's, or nobody's. */
void poll_after_fork(void)
{
    if (!gate_shared.polls)
        return; /* what is left from before the keep took them back is not in a new epoll, either */
    gate_shared.polls = 0;
    for (unsigned i = 0; i < GATE_POLL_THREADS; i++)
        if (threads[i].n)
            threads[i].n = 0;
}
