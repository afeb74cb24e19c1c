/* seccomp_unotify(2): who may be supervisor, and what is left when either side ends, closes or becomes
 * another program; threads and children on both sides. */
#include <pthread.h>
#include <sys/resource.h>

#include "tests/guest/notified.h"

static int asks(void)
{
    long r = syscall(SYS_getppid);
    return r < 0 ? errno : (int)r;
}

static void closed(void)
{
    struct target t = target_new(asks, LISTENS, SYS_getppid);
    AWAIT(revents_of(t.fd) == POLLIN);
    close(t.fd);
    CHECK("closed before it is received", exit_of(t.pid) == ENOSYS);
    t = target_new(asks, LISTENS, SYS_getppid);
    notif_recv(t.fd);
    int copy = dup(t.fd);
    close(t.fd);
    CHECK("a copy is enough", revents_of(copy) == POLLOUT);
    close(copy);
    CHECK("closed after", exit_of(t.pid) == ENOSYS);
    t = target_new(asks, KILLABLE, SYS_getppid);
    notif_recv(t.fd);
    close(t.fd);
    CHECK("killable, too", exit_of(t.pid) == ENOSYS);
}

/* The supervisor is another child, which is killed at its work. */
static void killed(void)
{
    int p[2];
    char c;
    MUST(pipe(p) == 0);
    struct target t = target_new(asks, LISTENS, SYS_getppid);
    pid_t pid = fork();
    if (pid == 0) {
        notif_recv(t.fd);
        MUST(write(p[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    close(t.fd);
    MUST(read(p[0], &c, 1) == 1);
    kill(pid, SIGKILL);
    CHECK("a supervisor is killed", end_of(pid) == SIGKILL && exit_of(t.pid) == ENOSYS);
    t = target_new(asks, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    kill(t.pid, SIGKILL);
    CHECK("a target is", end_of(t.pid) == SIGKILL);
    CHECK_ERRNO("it is not there", notif_go_on(t.fd, n.id), ENOENT);
    AWAIT(revents_of(t.fd) == POLLHUP);
    CHECK("and nobody else is", revents_of(t.fd) == POLLHUP);
    close(t.fd);
    t = target_new(asks, LISTENS, SYS_getppid);
    AWAIT(revents_of(t.fd) == POLLIN);
    kill(t.pid, SIGKILL);
    CHECK("before anybody heard it", end_of(t.pid) == SIGKILL);
    AWAIT(revents_of(t.fd) == POLLHUP);
    CHECK("nothing is left of it", revents_of(t.fd) == POLLHUP);
    close(t.fd);
}

static _Atomic pid_t receiver;

static void *receive(void *arg)
{
    receiver = (pid_t)syscall(SYS_gettid);
    struct seccomp_notif n = {0};
    return (void *)(intptr_t)(ioctl(*(int *)arg, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0 ? errno : 0);
}

static int naps(void)
{
    while (pause() < 0)
        ;
    return 0;
}

static void on_alarm(int signo)
{
    (void)signo;
}

static void receivers(void)
{
    pthread_t th;
    void *r;
    struct seccomp_notif n = {0};
    struct target t = target_new(naps, LISTENS, SYS_getppid);
    pthread_create(&th, NULL, receive, &t.fd);
    AWAIT(receiver);
    await_sleep_of(getpid(), receiver);
    kill(t.pid, SIGKILL);
    pthread_join(th, &r);
    CHECK("nobody will call", (intptr_t)r == ENOENT && end_of(t.pid) == SIGKILL);
    close(t.fd);
    t = target_new(naps, LISTENS, SYS_getppid);
    struct sigaction sa = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &sa, NULL);
    alarms_begin(5);
    CHECK_ERRNO("interrupted", alarms_end(ioctl(t.fd, SECCOMP_IOCTL_NOTIF_RECV, &n)), EINTR);
    kill(t.pid, SIGKILL);
    end_of(t.pid);
    close(t.fd);
}

/* Several supervisors' threads, several targets: each call is answered once. */
#define CALLS 30

static int asks_often(void)
{
    for (int i = 0; i < CALLS; i++)
        if (syscall(SYS_getppid, i) != 1000 + i)
            return 1;
    return 0;
}

static void *answer_all(void *arg)
{
    int fd = *(int *)arg;
    long n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, -1) == 1 && (p.revents & POLLIN)) {
        struct seccomp_notif s;
        memset(&s, 0, sizeof(s));
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &s) < 0)
            continue;
        n += notif_send(fd, s.id, 1000 + (long)s.data.args[0], 0, 0) == 0;
    }
    return (void *)n;
}

static int forks_and_asks(void)
{
    int good = 0, status;
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            _exit(asks_often());
    for (int i = 0; i < 3; i++)
        good += wait(&status) > 0 && status == 0;
    return good == 3 ? asks_often() : 2;
}

static void *thread_asks(void *arg)
{
    return asks_often() ? arg : NULL;
}

static int threads_ask(void)
{
    pthread_t t[3];
    void *r;
    int bad = asks_often();
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, thread_asks, &bad);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &r);
        bad |= r != NULL;
    }
    return bad;
}

/* RECV may take one that another thread was to have: they all poll, and one of them waits until the next. At
 * the end nobody is left, which ends all waits. */
static void many(const char *name, int (*fn)(void))
{
    enum { SUPERVISORS = 3 };
    pthread_t th[SUPERVISORS];
    long all = 0;
    void *n;
    struct target t = target_new(fn, LISTENS, SYS_getppid);
    for (int i = 0; i < SUPERVISORS; i++)
        pthread_create(&th[i], NULL, answer_all, &t.fd);
    for (int i = 0; i < SUPERVISORS; i++) {
        pthread_join(th[i], &n);
        all += (long)n;
    }
    CHECK(name, exit_of(t.pid) == 0 && all == 4L * CALLS);
    close(t.fd);
}

static int becomes_another(void)
{
    execl("/proc/self/exe", "notified", "asks", NULL);
    return 99;
}

static void another_program(void)
{
    struct target t = target_new(becomes_another, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    CHECK("a new program is filtered", n.pid == (__u32)t.pid && notif_send(t.fd, n.id, 66, 0, 0) == 0);
    CHECK("and has the answer", exit_of(t.pid) == 66);
    close(t.fd);
}

/* The listener stays the target's, and is fetched from there. */
static int sv[2];

static int keeps_it(void)
{
    int fd = filter_call(LISTENS, SYS_getppid);
    MUST(write(sv[1], &fd, sizeof(fd)) == sizeof(fd));
    return asks();
}

static void fetched(void)
{
    int fd;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(keeps_it());
    MUST(read(sv[0], &fd, sizeof(fd)) == sizeof(fd));
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int mine = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    CHECK("fetched", mine >= 0);
    struct seccomp_notif n = notif_recv(mine);
    CHECK("and answered", notif_send(mine, n.id, 5, 0, 0) == 0 && exit_of(pid) == 5);
    close(mine);
}

/* Who is its own supervisor waits for itself. */
static void its_own(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        MUST(filter_call(KILLABLE, SYS_getppid) >= 0);
        _exit(asks());
    }
    await_sleep(pid);
    kill(pid, SIGKILL);
    CHECK("its own supervisor", end_of(pid) == SIGKILL);
}

static void *own_supervisor(void *arg)
{
    struct seccomp_notif n = notif_recv(*(int *)arg);
    return (void *)(intptr_t)notif_send(*(int *)arg, n.id, 21, 0, 0);
}

/* The process's other thread has no filter. */
static void of_a_thread(void)
{
    static int fd;
    pthread_t th;
    int p[2];
    MUST(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        /* What the thread's start and end need is let be. */
        fd = filter_call(LISTENS, SYS_getppid);
        pthread_create(&th, NULL, own_supervisor, &fd);
        int r = asks();
        pthread_join(th, NULL);
        _exit(r);
    }
    CHECK("by a thread", exit_of(pid) == 21);
}

static pthread_barrier_t barrier;

static void *diverges(void *arg)
{
    filter_two(0, SYS_getsid, SECCOMP_RET_ERRNO | EDOM, SYS_getsid, SECCOMP_RET_ERRNO | EDOM);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return arg;
}

static void *waits_and_asks(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return (void *)syscall(SYS_getppid);
}

#define SYNCED (LISTENS | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH)

static void not_in_sync(void)
{
    pthread_t t;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, diverges, NULL);
    pthread_barrier_wait(&barrier);
    int next = dup(0);
    close(next);
    CHECK_ERRNO("a thread is in the way", filter_call(SYNCED, SYS_getppid), ESRCH);
    CHECK("no descriptor is left", dup(0) == next);
    CHECK("no filter", syscall(SYS_getppid) >= 0);
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
}

static void in_sync(void)
{
    pthread_t t;
    void *r;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, waits_and_asks, NULL);
    pthread_barrier_wait(&barrier);
    int fd = filter_call(SYNCED, SYS_getppid);
    pthread_barrier_wait(&barrier);
    struct seccomp_notif n = notif_recv(fd);
    CHECK("another thread's call", n.pid != (__u32)getpid() && notif_send(fd, n.id, 31, 0, 0) == 0);
    pthread_join(t, &r);
    CHECK("and its answer", (long)r == 31);
}

static int full(void)
{
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, 3});
    return asks();
}

static void no_room(void)
{
    struct target t = target_new(full, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    CHECK_ERRNO("no number is free", notif_addfd(t.fd, n.id, 0, 0, 0, 0), EMFILE);
    CHECK_ERRNO("nor for an answer", notif_addfd(t.fd, n.id, 0, SECCOMP_ADDFD_FLAG_SEND, 0, 0), EMFILE);
    CHECK("but in place of one", notif_addfd(t.fd, n.id, 1, SECCOMP_ADDFD_FLAG_SETFD, 2, 0) == 2);
    CHECK("is", notif_send(t.fd, n.id, 4, 0, 0) == 0 && exit_of(t.pid) == 4);
    close(t.fd);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, 100});
    CHECK_ERRNO("no listener either", filter_call(LISTENS, SYS_getppid), EMFILE);
    CHECK("and no filter", syscall(SYS_getppid) >= 0);
}

/* Targets are killed while they are answered, and given things. */
static void races(void)
{
    int good = 0;
    for (int i = 0; i < 60; i++) {
        struct target t = target_new(asks_often, i % 2 ? LISTENS : KILLABLE, SYS_getppid);
        pid_t killer = fork();
        if (killer == 0) {
            for (int k = 0; k < i * 20; k++)
                (void)!getppid();
            kill(t.pid, SIGKILL);
            _exit(0);
        }
        struct pollfd p = {.fd = t.fd, .events = POLLIN};
        while (poll(&p, 1, -1) == 1 && (p.revents & POLLIN)) {
            struct seccomp_notif n;
            memset(&n, 0, sizeof(n));
            if (ioctl(t.fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
                continue;
            int fd = notif_addfd(t.fd, n.id, t.fd, SECCOMP_ADDFD_FLAG_SETFD, 40, O_CLOEXEC);
            if (fd != 40 && errno != ENOENT && errno != ESRCH)
                good = -1000;
            notif_send(t.fd, n.id, 1000 + (long)n.data.args[0], 0, 0);
        }
        int status = end_of(t.pid);
        good += (status == SIGKILL || status == 0) && exit_of(killer) == 0;
        close(t.fd);
    }
    value("killed at some time", good);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2)
        return asks();
    in_child(closed);
    in_child(killed);
    in_child(receivers);
    many("children and supervisors", forks_and_asks);
    many("threads and supervisors", threads_ask);
    in_child(another_program);
    in_child(fetched);
    in_child(its_own);
    in_child(of_a_thread);
    in_child(not_in_sync);
    in_child(in_sync);
    in_child(no_room);
    in_child(races);
    return check_done();
}
