/* A signal that comes in a while, and a child that is done. */
#ifndef TESTS_GUEST_ALARMED_H
#define TESTS_GUEST_ALARMED_H

#include <signal.h>
#include <sys/time.h>

#include "tests/guest/check.h"

static volatile sig_atomic_t caught; /* the last signal; 0: none since alarm_in() */

static inline void on_signal(int signo)
{
    caught = signo;
}

static inline void alarm_in(int ms, int flags)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    struct itimerval it = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};
    caught = 0;
    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
}

static inline void reap(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    CHECK("the child did its part", status == 0);
}

#endif
