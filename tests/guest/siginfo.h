/* Handlers with siginfo. */
#ifndef TESTS_GUEST_SIGINFO_H
#define TESTS_GUEST_SIGINFO_H

#include "tests/guest/check.h"

/* also: a signal that is blocked while it runs, or 0. */
static inline void handle_info(int signo, void (*fn)(int, siginfo_t *, void *), int flags, int also)
{
    struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&sa.sa_mask);
    if (also)
        sigaddset(&sa.sa_mask, also);
    MUST(sigaction(signo, &sa, NULL) == 0);
}

/* how: SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK, of this one. */
static inline void block(int how, int signo)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, signo);
    MUST(sigprocmask(how, &s, NULL) == 0);
}

#endif
