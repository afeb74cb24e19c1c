/* SECCOMP_RET_KILL_THREAD: the end of one thread, from wherever it calls; what its process and parent see of
 * it. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "tests/guest/filtered.h"
#include "tests/guest/threads_end.h"

static pthread_mutex_t robust;
static pthread_barrier_t barrier;
/* The calling thread is to end with call nr. */
static void deadly(int nr)
{
    const struct sock_filter f[] = {LOAD(nr), IF_CALL((unsigned)nr, SECCOMP_RET_KILL_THREAD),
                                    RET(SECCOMP_RET_ALLOW)};
    INSTALL(f, 0);
}

static void *die_by(void *arg)
{
    int nr = (int)(intptr_t)arg;
    deadly(nr);
    syscall(nr, 0, 0, 0, 0, 0);
    returned++;
    return NULL;
}

static void ignore(int signo)
{
    (void)signo;
}

static void die_in_handler(int signo)
{
    (void)signo;
    syscall(SYS_getppid);
}

static void *die_handling(void *arg)
{
    deadly(SYS_getppid);
    raise(SIGUSR1);
    returned++;
    return arg;
}

static void *die_owning(void *arg)
{
    pthread_mutex_lock(&robust);
    return die_by(arg);
}

static void *die_strictly(void *arg)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_getppid);
    returned++;
    return arg;
}

static unsigned threads_now(void)
{
    char line[128];
    unsigned n = 0;
    FILE *f = fopen("/proc/self/status", "r");
    MUST(f);
    while (fgets(line, sizeof(line), f))
        (void)sscanf(line, "Threads: %u", &n);
    fclose(f);
    return n;
}

/* The kernel clears the id and wakes the joiner: what the C library waits for. */
static void others_go_on(void)
{
    signal(SIGUSR1, die_in_handler);
    signal(SIGSYS, ignore);
    ended("by a call", die_by, SYS_getppid);
    ended("by one that needs registers", die_by, SYS_sigaltstack);
    ended("by a native one", die_by, SYS_sched_yield);
    ended("by fork", die_by, SYS_fork);
    ended("by clone", die_by, SYS_clone);
    ended("by execve", die_by, SYS_execve);
    ended("by shmat", die_by, SYS_shmat);
    ended("by io_setup", die_by, SYS_io_setup);
    ended("by io_destroy", die_by, SYS_io_destroy);
    ended("by exit_group", die_by, SYS_exit_group);
    ended("in a handler", die_handling, 0);
    ended("in strict mode", die_strictly, 0);
    CHECK("they are gone", threads_now() == 1);
    CHECK("the rest has no filter", prctl(PR_GET_SECCOMP) == 0 && syscall(SYS_getppid) > 0);
}

static void a_robust_mutex(void)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &a);
    ended("its owner", die_owning, SYS_getppid);
    CHECK("says so", pthread_mutex_lock(&robust) == EOWNERDEAD);
}

#define MANY 12

static void many(void)
{
    pthread_t t[MANY];
    for (int i = 0; i < MANY; i++)
        MUST(pthread_create(&t[i], NULL, die_by, (void *)(intptr_t)SYS_getppid) == 0);
    for (int i = 0; i < MANY; i++)
        pthread_join(t[i], NULL);
    CHECK("many at once", returned == 0 && threads_now() == 1);
}

static volatile sig_atomic_t got;

static void on_usr2(int signo)
{
    (void)signo;
    got++;
}

static void signals_go_to_the_rest(void)
{
    signal(SIGUSR2, on_usr2);
    ended("one of two", die_by, SYS_getppid);
    kill(getpid(), SIGUSR2);
    CHECK("a signal", got == 1);
}

static void *outlive(void *arg)
{
    pthread_barrier_wait(&barrier);
    AWAIT(state_of(getpid(), getpid()) == 'Z');
    CHECK("without the leader", syscall(SYS_getpid) != syscall(SYS_gettid) && kill(getpid(), 0) == 0);
    if (arg)
        syscall(SYS_exit_group, 4);
    syscall(SYS_exit, 0);
    return NULL;
}

static void leader(intptr_t by_group)
{
    pthread_t t;
    pthread_barrier_init(&barrier, NULL, 2);
    MUST(pthread_create(&t, NULL, outlive, (void *)by_group) == 0);
    pthread_barrier_wait(&barrier);
    deadly(SYS_getppid);
    syscall(SYS_getppid);
}

static void leader_then_exit_group(void)
{
    leader(1);
}

static void leader_then_exit(void)
{
    leader(0);
}

static void *die_last(void *arg)
{
    pthread_barrier_wait(&barrier);
    AWAIT(state_of(getpid(), getpid()) == 'Z');
    return die_by(arg);
}

static void last_after_the_leader(void)
{
    pthread_t t;
    signal(SIGSYS, ignore);
    pthread_barrier_init(&barrier, NULL, 2);
    MUST(pthread_create(&t, NULL, die_last, (void *)SYS_getppid) == 0);
    pthread_barrier_wait(&barrier);
    syscall(SYS_exit, 0);
}

static void last(void)
{
    signal(SIGSYS, ignore); /* does not help */
    deadly(SYS_getppid);
    syscall(SYS_getppid);
}

static void strict_last(void)
{
    (void)die_strictly(NULL);
}

static void last_by_fork(void)
{
    deadly(SYS_fork);
    syscall(SYS_fork);
}

static void a_thread_then_exit(void)
{
    ended("not the last", die_by, SYS_getppid);
    syscall(SYS_exit, 6);
}

static void whole(const char *label, void (*fn)(void), bool signaled, int what)
{
    int st = in_child(fn);
    CHECK(label,
          signaled ? WIFSIGNALED(st) && WTERMSIG(st) == what : WIFEXITED(st) && WEXITSTATUS(st) == what);
}

int main(void)
{
    whole("others go on", others_go_on, false, 0);
    whole("robust mutex", a_robust_mutex, false, 0);
    whole("many", many, false, 0);
    whole("signals", signals_go_to_the_rest, false, 0);
    whole("the leader, then exit_group", leader_then_exit_group, false, 4);
    whole("the leader, then exit", leader_then_exit, false, 0);
    whole("the last after the leader", last_after_the_leader, true, SIGSYS);
    whole("the last", last, true, SIGSYS);
    whole("the last by fork", last_by_fork, true, SIGSYS);
    whole("the last in strict mode", strict_last, true, SIGKILL);
    whole("a thread, then exit", a_thread_then_exit, false, 6);
    return check_done();
}
