/* seccomp_unotify(2): calls of all kinds that a supervisor lets go on (SECCOMP_USER_NOTIF_FLAG_CONTINUE),
 * however they are made when no filter looks at them; and those that a signal interrupts before it has.
 *
 * Also run with: --strace
 * Also run with: --lanes=off */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/shm.h>

#include "tests/guest/notified.h"

static int *shared; /* [0]: how often a handler ran; [1]: what is to be read is there */

static void on_signal(int signo)
{
    (void)signo;
    shared[0]++;
}

static void handle(int signo, int flags)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(signo, &sa, NULL);
}

/* What the programs do ---------------------------------------------------------------------------------- */

static int ends[2];

static int reads(void)
{
    char c = 0;
    return read(ends[0], &c, 1) == 1 && c == 'x' ? 0 : 1;
}

static int writes(void)
{
    char name[] = "/tmp/notified.XXXXXX", text[100];
    int fd = mkstemp(name);
    unlink(name);
    for (int i = 0; i < 50; i++)
        if (write(fd, "ab", 2) != 2)
            return 1;
    return pread(fd, text, 100, 0) == 100 && memcmp(text + 98, "ab", 2) == 0 ? 0 : 2;
}

static int waits(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        nap_ms(5);
        _exit(7);
    }
    return wait4(pid, &status, 0, NULL) == pid && WEXITSTATUS(status) == 7 ? 0 : 1;
}

static int sleeps(void)
{
    return syscall(SYS_nanosleep, &(struct timespec){0, 5000000}, NULL) == 0 ? 0 : errno;
}

static int times_out(void)
{
    int word = 1;
    struct timespec ts = {0, 5000000};
    long r = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &ts, NULL, 0);
    return r == -1 && errno == ETIMEDOUT ? 0 : 1;
}

static int maps(void)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    p[5000] = 3;
    return p[5000] == 3 && munmap(p, 8192) == 0 ? 0 : 2;
}

static int forks(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(getpid() > 1 ? 3 : 4);
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status) == 3 ? 0 : 1;
}

static int vforks(void)
{
    int status = 0;
    pid_t pid = vfork();
    if (pid == 0)
        _exit(3);
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status) == 3 ? 0 : 1;
}

static int executes(void)
{
    execl("/proc/self/exe", "notified", "fine", NULL);
    return errno;
}

static int raises(void)
{
    handle(SIGUSR1, 0);
    int before = shared[0];
    raise(SIGUSR1);
    return shared[0] == before + 1 ? 0 : 1;
}

static int masks(void)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigprocmask(SIG_BLOCK, NULL, &old) < 0)
        return 1;
    return sigismember(&old, SIGUSR2) ? 0 : 2;
}

static void *nothing(void *arg)
{
    return arg;
}

static int threads(void)
{
    pthread_t t;
    void *r = NULL;
    if (pthread_create(&t, NULL, nothing, shared) != 0 || pthread_join(t, &r) != 0)
        return 1;
    return r == shared ? 0 : 2;
}

static int attaches(void)
{
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    char *p = shmat(id, NULL, 0);
    if (p == (char *)-1)
        return 1;
    p[5] = 1;
    return shmdt(p) == 0 && shmctl(id, IPC_RMID, NULL) == 0 ? 0 : 2;
}

static int identifies(void)
{
    pid_t pid = getpid();
    for (int i = 0; i < 40; i++)
        if (syscall(SYS_getpid) != pid)
            return 1;
    return 0;
}

static int yields(void)
{
    return sched_yield() == 0 && sched_yield() == 0 ? 0 : 1;
}

static int leaves(void)
{
    return 0;
}

static int looks_up(void)
{
    for (int i = 0; i < 40; i++)
        if (access("/proc/self", F_OK) != 0)
            return 1;
    return 0;
}

static int polls(void)
{
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1 && p.revents == POLLIN ? 0 : 1;
}

static int installs(void)
{
    return filter_two(0, SYS_getppid, SECCOMP_RET_ERRNO | EDOM, SYS_getppid, SECCOMP_RET_ALLOW) == 0 &&
                   syscall(SYS_getppid) == -1 && errno == EDOM
               ? 0
               : 1;
}

/* vfork's stub in a static program and the C library's clone are both of them. */
static const struct kind {
    const char *name;
    int (*fn)(void);
    long nr, other;
} kinds[] = {
    {"read", reads, SYS_read, SYS_read},
    {"write", writes, SYS_write, SYS_pread64},
    {"wait4", waits, SYS_wait4, SYS_wait4},
    {"nanosleep", sleeps, SYS_nanosleep, SYS_nanosleep},
    {"futex", times_out, SYS_futex, SYS_futex},
    {"mmap", maps, SYS_mmap, SYS_munmap},
    {"fork", forks, SYS_clone, SYS_fork},
    {"vfork", vforks, SYS_clone, SYS_vfork},
    {"execve", executes, SYS_execve, SYS_execve},
    {"tgkill", raises, SYS_tgkill, SYS_rt_sigreturn},
    {"rt_sigprocmask", masks, SYS_rt_sigprocmask, SYS_rt_sigprocmask},
    {"clone", threads, SYS_clone, SYS_exit},
    {"shmat", attaches, SYS_shmat, SYS_shmdt},
    {"getpid", identifies, SYS_getpid, SYS_getpid},
    {"sched_yield", yields, SYS_sched_yield, SYS_sched_yield},
    {"exit_group", leaves, SYS_exit_group, SYS_exit_group},
    {"access", looks_up, SYS_access, SYS_access},
    {"poll", polls, SYS_poll, SYS_poll},
    {"seccomp", installs, SYS_seccomp, SYS_seccomp},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void go_on(void)
{
    for (size_t i = 0; i < KINDS; i++) {
        MUST(pipe(ends) == 0);
        struct target t = target_of(kinds[i].fn, LISTENS, kinds[i].nr, kinds[i].other);
        struct pollfd p = {.fd = t.fd, .events = POLLIN};
        MUST(poll(&p, 1, PATIENCE_MS) == 1);
        bool first = notif_go_on(t.fd, notif_recv(t.fd).id) == 0;
        MUST(write(ends[1], "x", 1) == 1);
        go_on_with_all(t.fd);
        CHECK(kinds[i].name, first && exit_of(t.pid) == 0);
        close(t.fd);
        close(ends[0]);
        close(ends[1]);
    }
}

/* Those that wait are in nobody's way. */
static void many_at_once(void)
{
    enum { MANY = 40 };
    struct target t[MANY];
    int good = 0;
    MUST(pipe(ends) == 0);
    for (int i = 0; i < MANY; i++)
        t[i] = target_new(reads, LISTENS, SYS_read);
    for (int i = 0; i < MANY; i++)
        MUST(notif_go_on(t[i].fd, notif_recv(t[i].fd).id) == 0);
    for (int i = 0; i < MANY; i++)
        await_sleep(t[i].pid);
    for (int i = 0; i < MANY; i++)
        MUST(write(ends[1], "x", 1) == 1);
    for (int i = 0; i < MANY; i++) {
        good += exit_of(t[i].pid) == 0;
        close(t[i].fd);
    }
    value("of many", good);
}

/* Interrupted -------------------------------------------------------------------------------------------- */

static int flags_of_handler;

/* The call, with a handler that ends it or does not. */
static int asks(void)
{
    handle(SIGUSR1, flags_of_handler);
    long r = syscall(SYS_getppid);
    return r < 0 ? errno : (int)r;
}

static int yields_once(void)
{
    handle(SIGUSR1, flags_of_handler);
    return sched_yield() < 0 ? errno : 44;
}

static int executes_later(void)
{
    handle(SIGUSR1, flags_of_handler);
    return executes();
}

static int forks_later(void)
{
    handle(SIGUSR1, flags_of_handler);
    int status = 0;
    pid_t pid = (pid_t)syscall(SYS_fork);
    if (pid == 0)
        _exit(0);
    return pid < 0 ? errno : waitpid(pid, &status, 0) == pid && status == 0 ? 44 : 1;
}

static bool hit(const struct target *t)
{
    int before = *(volatile int *)shared;
    MUST(kill(t->pid, SIGUSR1) == 0);
    AWAIT(*(volatile int *)shared > before);
    return shared[0] == before + 1;
}

static void interrupted(void)
{
    struct seccomp_notif n;
    flags_of_handler = 0;
    struct target t = target_new(asks, LISTENS, SYS_getppid);
    AWAIT(revents_of(t.fd) == POLLIN);
    CHECK("before it is received", hit(&t) && exit_of(t.pid) == EINTR);
    memset(&n, 0, sizeof(n));
    CHECK_ERRNO("there is nothing to receive", ioctl(t.fd, SECCOMP_IOCTL_NOTIF_RECV, &n), ENOENT);
    close(t.fd);
    t = target_new(asks, LISTENS, SYS_getppid);
    n = notif_recv(t.fd);
    CHECK("after", hit(&t) && exit_of(t.pid) == EINTR);
    CHECK_ERRNO("not there any more", notif_send(t.fd, n.id, 1, 0, 0), ENOENT);
    CHECK_ERRNO("not valid", notif_valid(t.fd, n.id), ENOENT);
    CHECK_ERRNO("nothing to add to", notif_addfd(t.fd, n.id, 1, 0, 0, 0), ENOENT);
    close(t.fd);
}

static void again_of(const char *name, int (*fn)(void), long nr, int result)
{
    flags_of_handler = SA_RESTART;
    struct target t = target_new(fn, LISTENS, nr);
    struct seccomp_notif n = notif_recv(t.fd);
    bool good = hit(&t);
    struct seccomp_notif second = notif_recv(t.fd);
    good = good && second.id != n.id && second.data.nr == nr && second.pid == n.pid &&
           second.data.instruction_pointer == n.data.instruction_pointer;
    good = good && notif_send(t.fd, n.id, 1, 0, 0) == -1 && errno == ENOENT;
    good = good && notif_go_on(t.fd, second.id) == 0 && exit_of(t.pid) == result;
    CHECK(name, good);
    close(t.fd);
}

static void made_again(void)
{
    again_of("a call made again", asks, SYS_getppid, getpid());
    again_of("a native one", yields_once, SYS_sched_yield, 44);
    again_of("fork", forks_later, SYS_fork, 44);
    again_of("execve", executes_later, SYS_execve, 0);
}

static void ended_of(const char *name, int (*fn)(void), long nr)
{
    flags_of_handler = 0;
    struct target t = target_new(fn, LISTENS, nr);
    notif_recv(t.fd);
    CHECK(name, hit(&t) && exit_of(t.pid) == EINTR);
    close(t.fd);
}

static void ended(void)
{
    ended_of("a native one ends", yields_once, SYS_sched_yield);
    ended_of("fork ends", forks_later, SYS_fork);
    ended_of("execve ends", executes_later, SYS_execve);
}

static void killable(void)
{
    flags_of_handler = 0;
    struct target t = target_new(asks, KILLABLE, SYS_getppid);
    AWAIT(revents_of(t.fd) == POLLIN);
    CHECK("killable: not before it is received", hit(&t) && exit_of(t.pid) == EINTR);
    close(t.fd);
    t = target_new(asks, KILLABLE, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    int before = shared[0];
    kill(t.pid, SIGUSR1);
    nap_ms(20);
    CHECK("killable: no handler runs", shared[0] == before && notif_valid(t.fd, n.id) == 0);
    CHECK("before the answer", notif_send(t.fd, n.id, 33, 0, 0) == 0 && exit_of(t.pid) == 33);
    CHECK("then it does", shared[0] == before + 1);
    close(t.fd);
    t = target_new(asks, KILLABLE, SYS_getppid);
    n = notif_recv(t.fd);
    kill(t.pid, SIGKILL);
    CHECK("killable: it is", end_of(t.pid) == SIGKILL);
    CHECK_ERRNO("and gone", notif_send(t.fd, n.id, 1, 0, 0), ENOENT);
    close(t.fd);
}

static void stopped(void)
{
    int status;
    flags_of_handler = 0;
    struct target t = target_new(asks, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    kill(t.pid, SIGSTOP);
    CHECK("stops", waitpid(t.pid, &status, WUNTRACED) == t.pid && WIFSTOPPED(status));
    kill(t.pid, SIGCONT);
    struct seccomp_notif second = notif_recv(t.fd);
    CHECK("and asks again", second.id != n.id && notif_send(t.fd, second.id, 12, 0, 0) == 0);
    CHECK("with its answer", exit_of(t.pid) == 12);
    close(t.fd);
}

/* A tracer's interrupt ends the wait as a signal does. */
static void traced(void)
{
    int status;
    struct target t = target_new(asks, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    MUST(ptrace(PTRACE_SEIZE, t.pid, 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, t.pid, 0, 0) == 0);
    CHECK("a tracer has it stop", waitpid(t.pid, &status, 0) == t.pid && WIFSTOPPED(status));
    CHECK_ERRNO("its call is off", notif_valid(t.fd, n.id), ENOENT);
    MUST(ptrace(PTRACE_CONT, t.pid, 0, 0) == 0);
    struct seccomp_notif second = notif_recv(t.fd);
    CHECK("and on again", second.id != n.id && notif_send(t.fd, second.id, 13, 0, 0) == 0);
    CHECK("with an answer", exit_of(t.pid) == 13);
    close(t.fd);
    /* Each call that is seen by the tracer is seen by the supervisor, too. */
    t = target_new(asks, LISTENS, SYS_getppid);
    n = notif_recv(t.fd);
    MUST(ptrace(PTRACE_SEIZE, t.pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
    MUST(ptrace(PTRACE_INTERRUPT, t.pid, 0, 0) == 0 && waitpid(t.pid, &status, 0) == t.pid);
    MUST(ptrace(PTRACE_SYSCALL, t.pid, 0, 0) == 0 && waitpid(t.pid, &status, 0) == t.pid);
    bool entry = status >> 8 == (SIGTRAP | 0x80);
    MUST(ptrace(PTRACE_SYSCALL, t.pid, 0, 0) == 0);
    second = notif_recv(t.fd);
    CHECK("between its beginning", entry && notif_send(t.fd, second.id, 14, 0, 0) == 0);
    CHECK("and its end", waitpid(t.pid, &status, 0) == t.pid && status >> 8 == (SIGTRAP | 0x80) &&
                             ptrace(PTRACE_PEEKUSER, t.pid, 10 * 8, 0) == 14);
    MUST(ptrace(PTRACE_CONT, t.pid, 0, 0) == 0);
    CHECK("the supervisor's word", exit_of(t.pid) == 14);
    close(t.fd);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return strcmp(argv[1], "fine") != 0;
    shared = shared_zeroes(64);
    in_child(go_on);
    in_child(many_at_once);
    in_child(interrupted);
    in_child(made_again);
    in_child(ended);
    in_child(killable);
    in_child(stopped);
    in_child(traced);
    return check_done();
}
