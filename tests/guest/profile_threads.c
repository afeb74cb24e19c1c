/* SCMP_ACT_KILL_THREAD of the container's profile, on calls of every kind: of the keep, native ones, and the
 * gate's. */
#include <signal.h>
#include <sys/syscall.h>

#include "tests/guest/threads_end.h"

static void *call(void *arg)
{
    int nr = (int)(intptr_t)arg;
    syscall(nr, 0, 12345, 4, 0, 0, 0);
    returned++;
    return NULL;
}

static void *call_in_handler(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    returned++;
    return NULL;
}

static void handler(int signo)
{
    (void)signo;
    syscall(SYS_sched_yield, 0, 12345);
}

static void threads(void)
{
    signal(SIGUSR1, handler);
    ended("the keep's", call, SYS_getppid);
    ended("a clock", call, SYS_clock_gettime);
    ended("a native one", call, SYS_sched_yield);
    ended("by its arguments", call, SYS_madvise);
    ended("by its arguments, too", call, SYS_mmap);
    ended("the gate's", call, SYS_sigaltstack);
    ended("the gate's fork", call, SYS_fork);
    ended("the gate's shmat", call, SYS_shmat);
    ended("in a handler", call_in_handler, 0);
}

static void native_last(void)
{
    syscall(SYS_sched_yield, 0, 12345);
}

static void gates_last(void)
{
    syscall(SYS_sigaltstack, 0, 12345);
}

static void forks_last(void)
{
    syscall(SYS_fork, 0, 12345);
}

static void killed(const char *label, void (*fn)(void))
{
    int st = in_child(fn);
    CHECK(label, WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
}

int main(void)
{
    CHECK("threads", in_child(threads) == 0);
    killed("the last, by a native call", native_last);
    killed("the last, by one of the gate's", gates_last);
    killed("the last, by fork", forks_last);
    return check_done();
}
