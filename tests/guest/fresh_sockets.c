/* Sockets that are just made: a runtime may keep what fcntl(2) says of their O_NONBLOCK to itself until they
 * are used for something. The process itself, and whoever gets or looks at the socket, finds it as it was
 * set.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/guest/loopback.h"

#define OFTEN 60
#define FLAGS(fd) fcntl(fd, F_GETFL)
#define SET(fd, flags) (fcntl(fd, F_SETFL, flags) == 0)

static struct sockaddr_in at;
static int listener;

static int fresh(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

    MUST(fd >= 0);
    return fd;
}

static int join(int fd)
{
    return connect(fd, (struct sockaddr *)&at, sizeof(at));
}

static void shut(int fd)
{
    MUST(close(fd) == 0);
}

/* The other end of the connection that fd is making or has made. */
static int other_end(void)
{
    int fd = accept(listener, NULL, NULL);

    MUST(fd >= 0);
    return fd;
}

/* Each instruction is hot from then on, and sockets are used without further ado. */
static void warm(void)
{
    int wrong = 0;

    for (int i = 0; i < OFTEN; i++) {
        int fd = fresh(0);
        wrong += FLAGS(fd) != O_RDWR || !SET(fd, O_RDWR | O_NONBLOCK) || FLAGS(fd) != (O_RDWR | O_NONBLOCK);
        wrong += join(fd) != -1 || errno != EINPROGRESS;
        int end = other_end();
        char c;
        for (int k = 0; k < 12; k++)
            wrong += write(end, "x", 1) != 1 || recv(fd, &c, 1, 0) != 1 || send(fd, "y", 1, 0) != 1 ||
                     read(end, &c, 1) != 1;
        wrong += read(fd, &c, 1) != -1 || errno != EAGAIN;
        shut(end);
        wrong += read(fd, &c, 1) != 0;
        shut(fd);
    }
    CHECK("set, joined, used", wrong == 0);
}

static void test_flags(void)
{
    int fd = fresh(SOCK_NONBLOCK);

    CHECK("made with it", FLAGS(fd) == (O_RDWR | O_NONBLOCK));
    CHECK("taken away",
          SET(fd, 0) && FLAGS(fd) == O_RDWR && SET(fd, O_NONBLOCK) && SET(fd, O_RDWR) && FLAGS(fd) == O_RDWR);
    CHECK("what can not be set is not",
          SET(fd, O_CREAT | O_EXCL | O_WRONLY | O_TRUNC | O_NONBLOCK) && FLAGS(fd) == (O_RDWR | O_NONBLOCK));
    CHECK("others can", SET(fd, O_APPEND | O_NONBLOCK) && FLAGS(fd) == (O_RDWR | O_NONBLOCK | O_APPEND) &&
                            SET(fd, 0) && FLAGS(fd) == O_RDWR);
    CHECK_ERRNO("no such request", fcntl(fd, 9999, 0), EINVAL);
    shut(fd);
    CHECK_ERRNO("closed: asked", FLAGS(fd), EBADF);
    CHECK_ERRNO("closed: set", fcntl(fd, F_SETFL, O_NONBLOCK), EBADF);
    CHECK_ERRNO("nor is this one", FLAGS(-1), EBADF);
}

static void test_two(void)
{
    int a = fresh(0), before = SET(a, O_NONBLOCK), b = fresh(0);

    CHECK("another one is made", before && FLAGS(b) == O_RDWR && FLAGS(a) == (O_RDWR | O_NONBLOCK) &&
                                     SET(b, O_NONBLOCK) && SET(a, 0) && FLAGS(a) == O_RDWR &&
                                     FLAGS(b) == (O_RDWR | O_NONBLOCK));
    shut(a);
    int c = fresh(0);
    CHECK("its number again", c == a && FLAGS(c) == O_RDWR && FLAGS(b) == (O_RDWR | O_NONBLOCK));
    shut(b);
    shut(c);
}

static void on_alarm(int signo)
{
    (void)signo;
}

/* It waits, or not, as it was set. */
static void test_waits(void)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    struct itimerval every = {{0, 20000}, {0, 20000}}, never = {0};
    int fd = fresh(SOCK_NONBLOCK);
    char c;

    CHECK("before it is connected: nothing waits", SET(fd, 0) && recv(fd, &c, 1, 0) == -1 &&
                                                       errno == ENOTCONN &&
                                                       send(fd, &c, 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    shut(fd);
    fd = fresh(SOCK_NONBLOCK);
    CHECK("connect waits", SET(fd, 0) && join(fd) == 0);
    int end = other_end();
    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
    CHECK("and so does what is read", recv(fd, &c, 1, 0) == -1 && errno == EINTR);
    CHECK("however that is done", read(fd, &c, 1) == -1 && errno == EINTR);
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    shut(end);
    shut(fd);
    fd = fresh(0);
    CHECK("an epoll may know it",
          SET(fd, O_NONBLOCK) && epoll_create1(0) == fd + 1 &&
              epoll_ctl(fd + 1, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN}) == 0 &&
              FLAGS(fd) == (O_RDWR | O_NONBLOCK) && join(fd) == -1 && errno == EINPROGRESS);
    end = other_end();
    CHECK("it does not wait", recv(fd, &c, 1, 0) == -1 && errno == EAGAIN);
    shut(fd + 1);
    shut(end);
    shut(fd);
}

static void test_listens(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(any);
    int fd = fresh(0);

    CHECK("one that listens", SET(fd, O_NONBLOCK) && bind(fd, (struct sockaddr *)&any, len) == 0 &&
                                  listen(fd, 4) == 0 && accept(fd, NULL, NULL) == -1 && errno == EAGAIN);
    MUST(getsockname(fd, (struct sockaddr *)&any, &len) == 0);
    int c = fresh(0);
    MUST(connect(c, (struct sockaddr *)&any, len) == 0);
    int s = accept(fd, NULL, NULL), n = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
    CHECK("what it gives", s >= 0 && n == -1 && errno == EAGAIN && FLAGS(s) == O_RDWR);
    CHECK("is not fresh", SET(s, O_NONBLOCK) && recv(s, &(char){0}, 1, 0) == -1 && errno == EAGAIN);
    shut(s);
    shut(c);
    shut(fd);
}

/* Others
 * ----------------------------------------------------------------------------------------------------------
 */

static unsigned fdinfo(pid_t pid, int fd)
{
    char path[64], line[64];
    unsigned flags = 0;

    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
    FILE *f = fopen(path, "r");
    MUST(f);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "flags: %o", &flags) == 1)
            break;
    fclose(f);
    return flags;
}

static void test_copies(void)
{
    int fd = fresh(0), wrong = 0, status;

    wrong += !SET(fd, O_NONBLOCK);
    int other = dup(fd);
    wrong += FLAGS(other) != (O_RDWR | O_NONBLOCK) || !SET(other, 0) || FLAGS(fd) != O_RDWR;
    shut(other);
    CHECK("dup", wrong == 0);
    shut(fd);
    fd = fresh(0);
    wrong += !SET(fd, O_NONBLOCK) || (fdinfo(getpid(), fd) & O_ACCMODE) != O_RDWR ||
             !(fdinfo(getpid(), fd) & O_NONBLOCK);
    CHECK("fdinfo", wrong == 0);
    shut(fd);
    fd = fresh(0);
    wrong += !SET(fd, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        _exit(FLAGS(fd) != (O_RDWR | O_NONBLOCK) || !SET(fd, 0));
    CHECK("fork", wrong == 0 && waitpid(pid, &status, 0) == pid && status == 0 && FLAGS(fd) == O_RDWR);
    CHECK("the child's is the parent's", SET(fd, O_NONBLOCK) && FLAGS(fd) == (O_RDWR | O_NONBLOCK));
    shut(fd);
}

static struct shared {
    atomic_int fd, go, seen, stop;
} * sh;

/* Sets and asks all the time, until it is to stop; then whether all was right. */
static int toggle(void)
{
    int wrong = 0;

    while (!atomic_load(&sh->stop)) {
        int fd = fresh(0), flags = 0;
        atomic_store(&sh->fd, fd);
        for (int i = 0; i < 200; i++) {
            flags ^= O_NONBLOCK;
            wrong += !SET(fd, flags) || FLAGS(fd) != (O_RDWR | flags);
        }
        wrong += !SET(fd, O_NONBLOCK) || join(fd) != -1 || errno != EINPROGRESS;
        shut(fd);
        shut(other_end());
        atomic_fetch_add(&sh->go, 1);
    }
    return wrong;
}

static void test_looked_at(void)
{
    int looks = 0, status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(toggle() != 0);
    AWAIT(atomic_load(&sh->go) > 0);
    while (looks < 20 || atomic_load(&sh->go) < 20) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, atomic_load(&sh->fd));
        FILE *f = fopen(path, "r");
        looks += f != NULL;
        if (f)
            fclose(f);
    }
    atomic_store(&sh->stop, 1);
    CHECK("who looks takes nothing away", waitpid(pid, &status, 0) == pid && status == 0);
}

/* Waits without a call that a runtime would have to hear of. */
static void await_quietly(const atomic_int *what, int value)
{
    while (atomic_load(what) != value)
        sched_yield();
}

/* Round after round: the other process sets, this one asks. */
static int look_quietly(pid_t pid, int rounds)
{
    int wrong = 0;

    for (int i = 1; i <= rounds; i++) {
        AWAIT(atomic_load(&sh->go) == i);
        unsigned flags = fdinfo(pid, atomic_load(&sh->fd));
        wrong += (flags & O_NONBLOCK) != (i % 2 ? O_NONBLOCK : 0);
        atomic_store(&sh->seen, i);
    }
    return wrong;
}

static void test_seen(void)
{
    pid_t parent = getpid();
    int wrong = 0, status;

    atomic_store(&sh->go, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(look_quietly(parent, 10));
    for (int i = 1; i <= 10; i++) {
        int fd = fresh(i % 2 ? 0 : SOCK_NONBLOCK);
        wrong += !SET(fd, i % 2 ? O_NONBLOCK : 0);
        atomic_store(&sh->fd, fd);
        atomic_store(&sh->go, i);
        await_quietly(&sh->seen, i);
        wrong += FLAGS(fd) != (O_RDWR | (i % 2 ? O_NONBLOCK : 0));
        shut(fd);
    }
    CHECK("who looks sees it", waitpid(pid, &status, 0) == pid && status == 0 && wrong == 0);
}

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* 77: it must not. */
static int take(pid_t pid)
{
    int own = (int)syscall(SYS_pidfd_open, pid, 0);

    AWAIT(atomic_load(&sh->go) == 1);
    int fd = (int)syscall(SYS_pidfd_getfd, own, atomic_load(&sh->fd), 0);
    int r = fd < 0 ? (errno == EPERM ? 77 : 1) : FLAGS(fd) != (O_RDWR | O_NONBLOCK) || !SET(fd, 0);
    atomic_store(&sh->seen, 1);
    return r;
}

/* From then on the flag is two processes'. */
static void test_taken(void)
{
    pid_t parent = getpid();
    int status;

    atomic_store(&sh->go, 0);
    atomic_store(&sh->seen, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(take(parent));
    int fd = fresh(0), set = SET(fd, O_NONBLOCK);
    atomic_store(&sh->fd, fd);
    atomic_store(&sh->go, 1);
    await_quietly(&sh->seen, 1);
    int flags = FLAGS(fd);
    MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    bool taken = WEXITSTATUS(status) == 0 && flags == O_RDWR;
    bool kept = WEXITSTATUS(status) == 77 && flags == (O_RDWR | O_NONBLOCK);
    CHECK("taken by another process", set && (taken || kept));
    shut(fd);
}

static void *set_it(void *arg)
{
    int fd = *(int *)arg;

    return (void *)(long)(FLAGS(fd) != (O_RDWR | O_NONBLOCK) || !SET(fd, 0));
}

static void test_threads(void)
{
    int fd = fresh(0), set = SET(fd, O_NONBLOCK);
    pthread_t thread;
    void *wrong;

    MUST(pthread_create(&thread, NULL, set_it, &fd) == 0 && pthread_join(thread, &wrong) == 0);
    CHECK("threads", set && !wrong && FLAGS(fd) == O_RDWR);
    shut(fd);
}

static atomic_int caught, bad_in_handler;

static void makes_one(int signo)
{
    int saved = errno, fd = fresh(0);

    (void)signo;
    atomic_fetch_add(&caught, 1);
    if (!SET(fd, O_NONBLOCK) || FLAGS(fd) != (O_RDWR | O_NONBLOCK))
        atomic_fetch_add(&bad_in_handler, 1);
    close(fd);
    errno = saved;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_handler = makes_one, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 300}, {0, 300}}, never = {0};
    int wrong = 0, rounds = 0;

    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
    do {
        int fd = fresh(0), flags = 0;
        for (int i = 0; i < 8; i++) {
            flags ^= O_NONBLOCK;
            wrong += !SET(fd, flags) || FLAGS(fd) != (O_RDWR | flags);
        }
        shut(fd);
    } while (++rounds < 2000 && caught < 200);
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK("signals in the middle", wrong == 0 && bad_in_handler == 0);
}

int main(void)
{
    sh = shared_zeroes(sizeof(*sh));
    listener = listen_here(0, 16, &at);
    warm();
    test_flags();
    test_two();
    test_waits();
    test_listens();
    test_copies();
    test_looked_at();
    test_seen();
    test_taken();
    test_threads();
    test_signals();
    return check_done();
}
