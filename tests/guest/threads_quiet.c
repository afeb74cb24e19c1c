/* Threads that do not call anything, while others look at them, send them signals, stop, schedule, or end
 * them, or execute a program beside them. A runtime may hear of such a thread late. */
#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/guest/filtered.h"

#define THREAD_FLAGS                                                                                         \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |                      \
     CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define STACK (64 * 1024)
#define FLOCK 24
#define EARLY 60
#define PASSING 80

/* A thread without a C library's beginning: it makes no call but the one by which it ends. */
struct quiet {
    _Atomic pid_t tid;     /* as its maker was told; cleared at its end */
    pid_t number;          /* the same, for good */
    atomic_bool runs, end; /* it does; it is to */
    char *stack;
};

static atomic_int handled;
static _Atomic pid_t handled_by;

static int spin(void *arg)
{
    struct quiet *q = arg;

    atomic_store(&q->runs, true);
    while (!atomic_load_explicit(&q->end, memory_order_relaxed))
        __builtin_ia32_pause();
    return 0;
}

static void quiet_make(struct quiet *q)
{
    *q = (struct quiet){.stack =
                            mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
    MUST(q->stack != MAP_FAILED);
    q->number = clone(spin, q->stack + STACK, THREAD_FLAGS, q, &q->tid, NULL, &q->tid);
    MUST(q->number > 0);
}

/* It runs, and has called nothing. */
static void quiet_begin(struct quiet *q)
{
    quiet_make(q);
    AWAIT(atomic_load(&q->runs));
}

static void join(struct quiet *q)
{
    atomic_store(&q->end, true);
    for (pid_t tid; (tid = atomic_load(&q->tid));)
        syscall(SYS_futex, &q->tid, FUTEX_WAIT, tid, NULL, NULL, 0);
    munmap(q->stack, STACK);
}

static bool is_there(pid_t pid, pid_t tid)
{
    char name[64];

    snprintf(name, sizeof(name), "/proc/%d/task/%d", (int)pid, (int)tid);
    return access(name, F_OK) == 0;
}

static void on_signal(int sig)
{
    (void)sig;
    handled_by = gettid();
    handled++;
}

static long tgkill_(pid_t pid, pid_t tid, int sig)
{
    return syscall(SYS_tgkill, pid, tid, sig);
}

static void test_numbers(void)
{
    struct quiet q;

    quiet_begin(&q);
    CHECK("its number is where it was wanted", q.tid == q.number && q.number != getpid());
    CHECK("it is in the list of threads", is_there(getpid(), q.number));
    CHECK("it is there for signals", tgkill_(getpid(), q.number, 0) == 0);
    join(&q);
    CHECK("its number is cleared", q.tid == 0);
    AWAIT(!is_there(getpid(), q.number));
    CHECK_ERRNO("then it is gone", tgkill_(getpid(), q.number, 0), ESRCH);
}

static void test_signals(void)
{
    struct quiet q;
    sigset_t one;
    int before = handled;

    signal(SIGUSR1, on_signal);
    quiet_begin(&q);
    MUST(tgkill_(getpid(), q.number, SIGUSR1) == 0);
    AWAIT(handled > before);
    CHECK("a signal finds it at work", handled == before + 1 && handled_by == q.number);
    join(&q);

    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    before = handled;
    quiet_begin(&q);
    pthread_sigmask(SIG_BLOCK, &one, NULL);
    kill(getpid(), SIGUSR1);
    AWAIT(handled > before);
    CHECK("the process's signal, too, where only it takes it",
          handled == before + 1 && handled_by == q.number);
    join(&q);

    before = handled;
    quiet_begin(&q); /* with SIGUSR1 blocked */
    MUST(tgkill_(getpid(), q.number, SIGUSR1) == 0);
    kill(getpid(), SIGUSR1);
    nap_ms(20);
    CHECK("its mask is its maker's", handled == before);
    join(&q);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    AWAIT(handled > before);
    CHECK("what was its own is gone with it", handled == before + 1 && handled_by == getpid());
}

/* As soon as it is made, or a little later. */
static void test_early_signals(void)
{
    struct quiet q;
    int before = handled;

    for (int i = 0; i < EARLY; i++) {
        quiet_make(&q);
        MUST(tgkill_(getpid(), q.number, SIGUSR1) == 0);
        AWAIT(handled > before + i);
        join(&q);
    }
    CHECK("a signal is as early as it can be", handled == before + EARLY);
}

static void by_default(void)
{
    struct quiet q;

    signal(SIGUSR1, SIG_DFL);
    quiet_begin(&q);
    tgkill_(getpid(), q.number, SIGUSR1);
    for (;;)
        pause();
}

static void leader_leaves(void)
{
    struct quiet q;

    signal(SIGUSR1, SIG_DFL);
    quiet_begin(&q);
    syscall(SYS_exit, 0);
}

static void execs(void)
{
    struct quiet q;

    quiet_begin(&q);
    execl("/proc/self/exe", "threads_quiet", "second", NULL);
    _exit(99);
}

static void ends(void)
{
    struct quiet q;

    quiet_begin(&q);
    _exit(7);
}

static void forks(void)
{
    struct quiet q;

    quiet_begin(&q);
    pid_t pid = fork();
    if (pid == 0)
        _exit(is_there(getpid(), getpid()) && !is_there(getpid(), q.number) ? 3 : 4);
    int status;
    bool good = waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3;
    join(&q);
    _exit(good ? 5 : 6);
}

static void test_ends(void)
{
    int status = in_child(by_default);
    CHECK("a signal to it ends the process", WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    for (int i = 0; i < 5; i++) {
        status = in_child(execs);
        CHECK("a program is executed beside it", WIFEXITED(status) && WEXITSTATUS(status) == 23);
    }
    status = in_child(ends);
    CHECK("exit_group beside it", WIFEXITED(status) && WEXITSTATUS(status) == 7);
    status = in_child(forks);
    CHECK("fork beside it", WIFEXITED(status) && WEXITSTATUS(status) == 5);
    pid_t pid = fork();
    if (pid == 0)
        leader_leaves();
    AWAIT(state_of(pid, pid) == 'Z');
    kill(pid, SIGUSR1);
    CHECK("it is the last thread, and ended from outside",
          waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
}

static bool stat_line(pid_t pid, pid_t tid, char text[1024])
{
    char name[64];

    snprintf(name, sizeof(name), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 1023);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = 0;
    return n > 0;
}

static long ticks_of(pid_t pid, pid_t tid)
{
    char text[1024];
    long ticks = 0;

    if (stat_line(pid, tid, text))
        (void)sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld", &ticks);
    return ticks;
}

static void test_looked_at(void)
{
    struct quiet q;
    cpu_set_t all, one, now;
    int first = 0;

    quiet_begin(&q);
    CHECK("its state is its own", state_of(getpid(), q.number) == 'R');
    AWAIT(ticks_of(getpid(), q.number) > 1);
    CHECK("its time is counted", ticks_of(getpid(), q.number) > 1);
    join(&q);

    quiet_begin(&q);
    CHECK("which CPUs it may use", sched_getaffinity(q.number, sizeof(all), &all) == 0);
    join(&q);
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    quiet_make(&q);
    CHECK("it is told which", sched_setaffinity(q.number, sizeof(one), &one) == 0);
    CHECK("it has heard", sched_getaffinity(q.number, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &one));
    join(&q);

    struct timespec spent = {0};
    quiet_begin(&q);
    clockid_t clock = (clockid_t)(~(unsigned)q.number << 3 | 6); /* as clock_getcpuclockid(3) makes them */
    CHECK("its clock can be read", clock_gettime(clock, &spent) == 0);
    AWAIT(clock_gettime(clock, &spent) != 0 || spent.tv_nsec > 1000000 || spent.tv_sec > 0);
    CHECK("and runs", spent.tv_nsec > 1000000 || spent.tv_sec > 0);
    join(&q);

    int nice = getpriority(PRIO_PROCESS, 0), more = nice < 19 ? nice + 1 : nice;
    quiet_begin(&q);
    CHECK("it is made nicer", setpriority(PRIO_PROCESS, (id_t)q.number, more) == 0);
    CHECK("and is, alone",
          getpriority(PRIO_PROCESS, (id_t)q.number) == more && getpriority(PRIO_PROCESS, 0) == nice);
    join(&q);

    long word = 42, copy = 0;
    struct iovec local = {&copy, sizeof(copy)}, remote = {&word, sizeof(word)};
    quiet_begin(&q);
    CHECK("its memory is read by its number",
          process_vm_readv(q.number, &local, 1, &remote, 1, 0) == 8 && copy == 42);
    join(&q);
}

static void test_stopped(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct quiet q;
        quiet_begin(&q);
        kill(getpid(), SIGSTOP);
        join(&q);
        _exit(9);
    }
    MUST(waitpid(pid, &status, WUNTRACED) == pid);
    CHECK("it stops with its process", WIFSTOPPED(status));
    DIR *d;
    char name[64];
    snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
    MUST((d = opendir(name)));
    int n = 0, stopped = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            n++;
            stopped += state_of(pid, (pid_t)atoi(e->d_name)) == 'T';
        }
    closedir(d);
    CHECK("both are seen stopped", n == 2 && stopped == 2);
    kill(pid, SIGCONT);
    CHECK("and go on", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static void test_traced(void)
{
    int status, pipe_[2];
    MUST(pipe(pipe_) == 0);
    pid_t pid = fork();

    if (pid == 0) {
        struct quiet q;
        quiet_begin(&q);
        MUST(write(pipe_[1], &q.number, sizeof(q.number)) == sizeof(q.number));
        pause();
        _exit(11);
    }
    pid_t tid;
    MUST(read(pipe_[0], &tid, sizeof(tid)) == sizeof(tid));
    MUST(ptrace(PTRACE_ATTACH, tid, NULL, NULL) == 0);
    CHECK("it is traced",
          waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    MUST(ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0);
    kill(pid, SIGKILL);
    CHECK("and let go", waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    close(pipe_[0]);
    close(pipe_[1]);
}

/* Many at once; those that come and go beside one that stays. */
static void test_many(void)
{
    static struct quiet q[FLOCK];
    struct quiet other;
    int before = handled;

    for (int i = 0; i < FLOCK; i++)
        quiet_make(&q[i]);
    for (int i = 0; i < FLOCK; i++)
        MUST(tgkill_(getpid(), q[i].number, SIGUSR1) == 0);
    AWAIT(handled == before + FLOCK);
    CHECK("each has its signal", handled == before + FLOCK);
    for (int i = 0; i < FLOCK; i++)
        join(&q[i]);
    quiet_make(&q[0]);
    for (int i = 0; i < PASSING; i++) {
        quiet_make(&other);
        join(&other);
    }
    before = handled;
    MUST(tgkill_(getpid(), q[0].number, SIGUSR1) == 0);
    AWAIT(handled > before);
    CHECK("the one that stayed is who it was", handled == before + 1 && handled_by == q[0].number);
    join(&q[0]);
}

/* It waits, as a pool's threads do, while others come and go. */
static _Atomic unsigned word;
static atomic_bool woken;

/* Without errno, which is its maker's. */
static void raw_futex_wait(_Atomic unsigned *at)
{
    register long timeout __asm__("r10") = 0;
    long r = SYS_futex;

    __asm__ volatile("syscall"
                     : "+a"(r)
                     : "D"(at), "S"(FUTEX_WAIT), "d"(0), "r"(timeout)
                     : "rcx", "r11", "memory");
}

static int wait_for_word(void *arg)
{
    struct quiet *q = arg;

    atomic_store(&q->runs, true);
    while (atomic_load(&word) == 0)
        raw_futex_wait(&word);
    atomic_store(&woken, true);
    return 0;
}

static void test_waiting(void)
{
    struct quiet other,
        q = {.stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
    int before = handled;

    MUST(q.stack != MAP_FAILED);
    q.number = clone(wait_for_word, q.stack + STACK, THREAD_FLAGS, &q, &q.tid, NULL, &q.tid);
    MUST(q.number > 0);
    AWAIT(atomic_load(&q.runs));
    for (int i = 0; i < 2 * PASSING; i++) {
        quiet_make(&other);
        join(&other);
    }
    CHECK("it waits on", !woken && state_of(getpid(), q.number) == 'S');
    MUST(tgkill_(getpid(), q.number, SIGUSR1) == 0);
    AWAIT(handled > before);
    CHECK("but takes its signal", handled == before + 1 && handled_by == q.number && !woken);
    word = 1;
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
    AWAIT(woken);
    CHECK("and is woken", woken);
    join(&q);
}

/* A filter for all threads is one for it, too. */
static atomic_bool filtered;
static atomic_long seen_ppid;

static int ask_late(void *arg)
{
    struct quiet *q = arg;
    long r = SYS_getppid;

    atomic_store(&q->runs, true);
    while (!atomic_load(&filtered))
        __builtin_ia32_pause();
    __asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
    atomic_store(&seen_ppid, r);
    return 0;
}

static void filter_beside(void)
{
    const struct sock_filter code[] = {LOAD(nr), IF_CALL(SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY),
                                       RET(SECCOMP_RET_ALLOW)};
    struct quiet q = {.stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};

    MUST(q.stack != MAP_FAILED && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    q.number = clone(ask_late, q.stack + STACK, THREAD_FLAGS, &q, &q.tid, NULL, &q.tid);
    MUST(q.number > 0);
    AWAIT(atomic_load(&q.runs));
    MUST(TRY(code, SECCOMP_FILTER_FLAG_TSYNC) == 0);
    filtered = true;
    join(&q);
    _exit(seen_ppid == -ENOTTY ? 13 : 14);
}

static void test_filter(void)
{
    int status = in_child(filter_beside);
    CHECK("a filter for all threads", WIFEXITED(status) && WEXITSTATUS(status) == 13);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 23;
    test_numbers();
    test_signals();
    test_early_signals();
    test_ends();
    test_looked_at();
    test_stopped();
    test_traced();
    test_many();
    test_waiting();
    test_filter();
    return check_done();
}
