/* Threads that end without having made a call but their last one, while others send signals, look at them,
 * end, or execute a program. A runtime may hear of such an end late. */
#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define THREAD_FLAGS                                                                                         \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |                      \
     CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define STACK (64 * 1024)
#define MANY 200
#define FEW 40
#define CROWD 64

struct leaver {
    _Atomic pid_t tid; /* cleared at its end */
    pid_t number;
    _Atomic(atomic_bool *) until; /* it ends when that is true; NULL: at once */
    char *stack;
};

static int leave(void *arg)
{
    struct leaver *l = arg;

    for (atomic_bool *until = l->until; until && !atomic_load_explicit(until, memory_order_relaxed);)
        __builtin_ia32_pause();
    return 0;
}

static void make(struct leaver *l, atomic_bool *until, int (*fn)(void *))
{
    if (!l->stack)
        l->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(l->stack != MAP_FAILED);
    l->until = until;
    l->number = clone(fn, l->stack + STACK, THREAD_FLAGS, l, &l->tid, NULL, &l->tid);
    MUST(l->number > 0);
}

static void join(struct leaver *l)
{
    for (pid_t tid; (tid = atomic_load(&l->tid));)
        syscall(SYS_futex, &l->tid, FUTEX_WAIT, tid, NULL, NULL, 0);
}

static int threads_of(pid_t pid)
{
    char name[64];
    int n = 0;

    snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
    DIR *d = opendir(name);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void test_gone(void)
{
    struct leaver l = {0};
    int there = 0;

    for (int i = 0; i < MANY; i++) {
        make(&l, NULL, leave);
        join(&l);
        if (i % 10)
            continue;
        AWAIT(threads_of(getpid()) == 1);
        AWAIT(syscall(SYS_tgkill, getpid(), l.number, 0) == -1);
        there += errno != ESRCH;
    }
    CHECK("who has ended is nobody", there == 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(threads_of(getpid()));
    int status;
    CHECK("nor in a child", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* What a thread finds where another one was. */
static atomic_int wrong;

static void *look_around(void *arg)
{
    sigset_t now;

    sigemptyset(&now);
    wrong += pthread_sigmask(SIG_BLOCK, NULL, &now) != 0 || sigismember(&now, SIGUSR2) != (arg != NULL);
    wrong += gettid() == getpid() || syscall(SYS_tgkill, getpid(), gettid(), 0) != 0;
    return NULL;
}

static void test_successors(void)
{
    struct leaver l = {0};
    sigset_t two;

    sigemptyset(&two);
    sigaddset(&two, SIGUSR2);
    for (intptr_t i = 0; i < MANY; i++) {
        pthread_t t;
        pthread_sigmask(i % 2 ? SIG_UNBLOCK : SIG_BLOCK, &two, NULL);
        make(&l, NULL, leave);
        join(&l);
        pthread_sigmask(i % 2 ? SIG_BLOCK : SIG_UNBLOCK, &two, NULL);
        MUST(pthread_create(&t, NULL, look_around, (void *)(i % 2)) == 0);
        pthread_join(t, NULL);
    }
    pthread_sigmask(SIG_UNBLOCK, &two, NULL);
    CHECK("the next thread is itself", wrong == 0);
}

static void *make_many(void *arg)
{
    struct leaver l = {0};

    (void)arg;
    for (int i = 0; i < MANY; i++) {
        make(&l, NULL, leave);
        join(&l);
    }
    return NULL;
}

static void test_makers(void)
{
    pthread_t t[3];

    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&t[i], NULL, make_many, NULL) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    AWAIT(threads_of(getpid()) == 1);
    CHECK("several threads make them", threads_of(getpid()) == 1);

    static struct leaver crowd[CROWD];
    for (int round = 0; round < 3; round++) {
        atomic_bool now = false;
        for (int i = 0; i < CROWD; i++)
            make(&crowd[i], &now, leave);
        now = true;
        for (int i = 0; i < CROWD; i++)
            join(&crowd[i]);
    }
    AWAIT(threads_of(getpid()) == 1);
    CHECK("a crowd ends at once", threads_of(getpid()) == 1);
}

static atomic_int handled;

static void count(int sig)
{
    (void)sig;
    handled++;
}

/* Signals of the process that only the thread could take when they were sent, or nobody. */
static void test_signals(void)
{
    struct leaver l = {0};
    sigset_t rt;

    signal(SIGRTMIN, count);
    sigemptyset(&rt);
    sigaddset(&rt, SIGRTMIN);
    for (int i = 0; i < MANY; i++) {
        atomic_bool now = false;
        make(&l, &now, leave);
        pthread_sigmask(SIG_BLOCK, &rt, NULL);
        if (i % 2)
            now = true;
        MUST(kill(getpid(), SIGRTMIN) == 0);
        now = true;
        join(&l);
        pthread_sigmask(SIG_UNBLOCK, &rt, NULL);
    }
    AWAIT(handled == MANY);
    CHECK("no signal is lost", handled == MANY);

    const struct itimerval often = {{0, 500}, {0, 500}}, never = {0};
    signal(SIGALRM, count);
    handled = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < MANY; i++) {
        make(&l, NULL, leave);
        join(&l);
    }
    AWAIT(handled > 0);
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK("nor those of a timer", handled > 0);
}

static pthread_mutex_t robust;

static void *hold(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&robust);
    return NULL;
}

static void test_robust(void)
{
    pthread_mutexattr_t attr;
    int good = 0;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attr);
    for (int i = 0; i < MANY; i++) {
        pthread_t t;
        MUST(pthread_create(&t, NULL, hold, NULL) == 0);
        pthread_join(t, NULL);
        good += pthread_mutex_lock(&robust) == EOWNERDEAD;
        pthread_mutex_consistent(&robust);
        pthread_mutex_unlock(&robust);
    }
    CHECK("a lock that it held tells of its end", good == MANY);
}

/* Without errno, which is its maker's. */
static int list_nowhere(void *arg)
{
    long r = SYS_set_robust_list;

    (void)arg;
    __asm__ volatile("syscall" : "+a"(r) : "D"(bad_address), "S"(24) : "rcx", "r11", "memory");
    return 0;
}

static void test_bad_list(void)
{
    struct leaver l = {0};

    for (int i = 0; i < FEW; i++) {
        make(&l, NULL, list_nowhere);
        join(&l);
    }
    AWAIT(threads_of(getpid()) == 1);
    CHECK("a list of locks that is nowhere", threads_of(getpid()) == 1);
}

/* All at once with a thread that ends. */
static struct leaver beside;
static atomic_bool go;

static void leader_ends(void)
{
    make(&beside, &go, leave);
    go = true;
    syscall(SYS_exit, 0);
}

static void group_ends(void)
{
    make(&beside, &go, leave);
    go = true;
    _exit(7);
}

static void program_begins(void)
{
    make(&beside, &go, leave);
    go = true;
    execl("/proc/self/exe", "threads_leave", "second", NULL);
    _exit(99);
}

static void test_ends(void)
{
    int leader = 0, group = 0, program = 0;

    for (int i = 0; i < FEW; i++) {
        int status = in_child(leader_ends);
        leader += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        status = in_child(group_ends);
        group += WIFEXITED(status) && WEXITSTATUS(status) == 7;
        status = in_child(program_begins);
        program += WIFEXITED(status) && WEXITSTATUS(status) == 23;
    }
    CHECK("the first thread ends with it", leader == FEW);
    CHECK("exit_group beside it", group == FEW);
    CHECK("a program is executed beside it", program == FEW);
}

/* From another process: whoever it meets, or who was there. */
static void meet(pid_t pid, pid_t tid)
{
    cpu_set_t set;
    int status;

    (void)syscall(SYS_tgkill, pid, tid, SIGUSR1);
    (void)state_of(pid, tid);
    (void)sched_getaffinity(tid, sizeof(set), &set);
    if (tid == pid || ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0)
        return;
    (void)ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    if (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status))
        (void)ptrace(PTRACE_DETACH, tid, NULL, NULL);
}

static void test_met(void)
{
    atomic_bool *end = shared_zeroes(sizeof(*end));
    char name[64];
    int status;

    signal(SIGUSR1, count);
    pid_t pid = fork();
    if (pid == 0) {
        while (!*end)
            make_many(NULL);
        AWAIT(threads_of(getpid()) == 1);
        _exit(threads_of(getpid()));
    }
    snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
    for (int i = 0; i < FEW; i++) {
        DIR *d = opendir(name);
        MUST(d);
        for (struct dirent *e; (e = readdir(d));)
            if (e->d_name[0] != '.')
                meet(pid, (pid_t)atoi(e->d_name));
        closedir(d);
    }
    *end = true;
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK("another process looks at them", WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "second") == 0)
        return threads_of(getpid()) == 1 ? 23 : 24;
    test_gone();
    test_successors();
    test_makers();
    test_signals();
    test_robust();
    test_bad_list();
    test_ends();
    test_met();
    return check_done();
}
