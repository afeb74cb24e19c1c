#include "sandbox/gate/poll.h"

#include <asm/unistd.h>

#include "sandbox/gate/gate.h"
#include "sandbox/gate/mailbox.h"

#define MAILBOX_TEXT __attribute__((section(".text.mailbox"), noinline))
#define INLINE static inline __attribute__((always_inline))

#define CTL_ADD 1
#define CTL_DEL 2
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

/* What the thread's epoll may still watch: a signal may have ended the last call anywhere. */
static struct {
    uint32_t round, n;
    int32_t fd[GATE_POLL_MOST];
} threads[GATE_POLL_THREADS] GATE_LATE;

extern struct gate_shared gate_shared;

INLINE int is_lane(int32_t fd)
{
    return fd < GATE_LANE_FDS && (*(volatile uint64_t *)&gate_shared.lanes.any[fd / 64] >> (fd % 64) & 1);
}

INLINE void forget(unsigned i)
{
    while (threads[i].n) {
        sys4(__NR_epoll_ctl, GATE_POLL_FD + i, CTL_DEL, threads[i].fd[threads[i].n - 1], 0);
        threads[i].n--;
    }
}

/* Once for each: what is left of a call that a signal ended can show up once, and no more. */
INLINE int watch(unsigned i, const volatile struct polled *p, uint32_t n)
{
    threads[i].round++;
    for (uint32_t k = 0; k < n; k++) {
        int32_t fd = p[k].fd;
        struct watch w;

        w.events = (p[k].events & POLL_EVENTS) | ONESHOT;
        w.data = (uint64_t)threads[i].round << 8 | k;
        if (fd < 0)
            continue;
        if (!is_lane(fd))
            return 0;
        threads[i].fd[threads[i].n] = fd;
        __atomic_store_n(&threads[i].n, threads[i].n + 1, __ATOMIC_RELEASE);
        if (sys4(__NR_epoll_ctl, GATE_POLL_FD + i, CTL_ADD, fd, &w) != 0)
            return 0;
    }
    return 1;
}

/* How many of the events are of this round; they are noted in *found by their place. */
INLINE int64_t sort(unsigned i, const volatile struct watch *w, long n, volatile uint16_t *found)
{
    int64_t count = 0;

    for (long k = 0; k < n; k++) {
        uint64_t at = w[k].data & 0xff;

        if (w[k].data >> 8 != threads[i].round || at >= GATE_POLL_MOST)
            continue;
        found[at] = (uint16_t)w[k].events;
        count += found[at] != 0;
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

MAILBOX_TEXT int64_t poll_lanes(unsigned i, int is_ppoll, const uint64_t *arg, uint32_t *waits)
{
    volatile struct polled *p = (volatile struct polled *)arg[0];
    volatile uint16_t found[GATE_POLL_MOST];
    volatile struct watch w[GATE_POLL_MOST];
    uint32_t n = (uint32_t)arg[1];
    int64_t count = 0;
    long r = 1;
    int ms;

    if (n == 0 || n > GATE_POLL_MOST || i >= GATE_POLL_THREADS || !time_out(is_ppoll, arg, &ms) ||
        !(*(volatile uint64_t *)&gate_shared.polls >> i & 1))
        return MAILBOX_RING;
    for (uint32_t k = 0; k < GATE_POLL_MOST; k++)
        found[k] = 0;
    forget(i);
    if (!watch(i, p, n)) {
        forget(i);
        return MAILBOX_RING;
    }
    while (r > 0 && count == 0) {
        __atomic_store_n(waits, 1, __ATOMIC_RELEASE);
        r = sys4(__NR_epoll_wait, GATE_POLL_FD + i, w, GATE_POLL_MOST, (uint64_t)(int64_t)ms);
        __atomic_store_n(waits, 0, __ATOMIC_RELEASE);
        count = sort(i, w, r, found);
    }
    forget(i);
    if (r < 0)
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
