/* Signal masks by the bare calls, and handlers that count. */
#ifndef TESTS_GUEST_MASKS_H
#define TESTS_GUEST_MASKS_H

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define BIT(n) (1UL << ((n)-1))
#define PATIENCE 150 /* seconds; a test hangs where a signal is lost */

/* Shared with children. */
struct shared {
    atomic_int sent, handled, bad, stop;
};
static struct shared *sh;

static volatile sig_atomic_t is_blocked, came, order[8];

static inline long mask(int how, const void *set, void *old, size_t size)
{
    return syscall(SYS_rt_sigprocmask, how, set, old, size);
}

static inline unsigned long mask_now(void)
{
    unsigned long m = 0;
    MUST(mask(SIG_BLOCK, NULL, &m, 8) == 0);
    return m;
}

static inline void set_mask(unsigned long m)
{
    MUST(mask(SIG_SETMASK, &m, NULL, 8) == 0);
}

static inline void on(int signo, void (*handler)(int), int flags, unsigned long sa_mask)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&sa.sa_mask);
    for (int s = 1; s < 32; s++)
        if (sa_mask & BIT(s))
            sigaddset(&sa.sa_mask, s);
    MUST(sigaction(signo, &sa, NULL) == 0);
}

static inline void count(int signo)
{
    order[came % 8] = signo;
    came++;
    if (is_blocked)
        atomic_fetch_add(&sh->bad, 1);
    atomic_fetch_add(&sh->handled, 1);
}

/* The watch is kept in a child: an alarm would not end the container's init. */
static inline void run_watched(void (*all)(void))
{
    sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(sh != MAP_FAILED);
    value("ended", in_child(all));
}

#endif
