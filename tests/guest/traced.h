/* For the programs that trace a child of theirs. */
#ifndef TESTS_GUEST_TRACED_H
#define TESTS_GUEST_TRACED_H

#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "tests/guest/check.h"

static inline bool stopped_by(int status, int sig)
{
    return WIFSTOPPED(status) && status >> 8 == sig;
}

static inline bool is_event(int status, int event)
{
    return status >> 8 == (SIGTRAP | event << 8);
}

static inline int wait_for(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
        ;
    return status;
}

/* A child that has asked to be traced and stopped itself. */
static inline pid_t traced_child(void (*then)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
            _exit(99);
        raise(SIGSTOP);
        then();
        _exit(0);
    }
    return pid;
}

/* The registers of one that stands. */
static inline struct user_regs_struct regs_of(pid_t pid)
{
    struct user_regs_struct r;

    MUST(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0);
    return r;
}

static inline void started(pid_t pid)
{
    int status = wait_for(pid);
    CHECK("a tracee stops with SIGSTOP", stopped_by(status, SIGSTOP));
}

static inline void ended(pid_t pid, int code)
{
    int status = wait_for(pid);
    value("ends", WIFEXITED(status) ? WEXITSTATUS(status) : -status);
    CHECK("as expected", WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static inline pid_t idle_child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

#endif
