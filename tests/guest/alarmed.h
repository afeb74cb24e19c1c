/* For tests of calls that wait: alarms, and a child whose part is to succeed. */
#ifndef TESTS_GUEST_ALARMED_H
#define TESTS_GUEST_ALARMED_H

#include "tests/guest/check.h"

/* The last signal; 0: none since handle_alarms(). Shared, since children may wait for it. */
static volatile int *caught;

static inline void on_signal(int signo)
{
    *caught = signo;
}

/* SIGALRM every ms milliseconds until alarms_end, and none so far. */
static inline void handle_alarms(int ms, int flags)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    *caught = 0;
    MUST(sigaction(SIGALRM, &sa, NULL) == 0);
    alarms_begin(ms);
}

static inline void reap(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    CHECK("the child did its part", status == 0);
}

#endif
