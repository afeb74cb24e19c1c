/* signalfd(2), read so often that a runtime may have the program take its signals by itself: what is read, in
 * what order, and who else takes it: handlers, sigtimedwait(2), other descriptors, threads, children, other
 * programs.
 *
 * Also run with: --lanes=off */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/guest/check.h"

#define OFTEN 120
#define ONE sizeof(struct signalfd_siginfo)

static sigset_t set;
static struct signalfd_siginfo got[8];
static volatile sig_atomic_t hits, alarms;
static const char *self;

static void block(int how, int signo)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, signo);
    MUST(sigprocmask(how, &s, NULL) == 0);
}

static bool is_empty(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0 && read(fd, got, sizeof(got)) == -1 && errno == EAGAIN;
}

static bool is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static bool is_pending(int signo)
{
    sigset_t s;
    MUST(sigpending(&s) == 0);
    return sigismember(&s, signo);
}

static bool gives(int fd, int signo)
{
    memset(got, 0xa5, sizeof(got));
    return read(fd, got, sizeof(got)) == ONE && got[0].ssi_signo == (uint32_t)signo;
}

/* As fast as it gets. */
static void warm(int fd)
{
    long wrong = 0;
    for (int i = 0; i < OFTEN; i++) {
        MUST(kill(getpid(), SIGUSR1) == 0);
        wrong += !gives(fd, SIGUSR1) || got[0].ssi_pid != (uint32_t)getpid() || got[0].ssi_uid != getuid() ||
                 got[0].ssi_code != SI_USER || got[0].ssi_errno != 0;
    }
    CHECK("often", wrong == 0 && is_empty(fd));
}

static int open_warm(void)
{
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    MUST(fd >= 0);
    warm(fd);
    return fd;
}

static void test_reads(void)
{
    int fd = open_warm();
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec parts[2] = {{got, 50}, {(char *)got + 50, sizeof(got) - 50}};
    MUST(page != MAP_FAILED && munmap(page + 4096, 4096) == 0);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    CHECK("once", is_ready(fd) && gives(fd, SIGUSR1) && is_empty(fd));
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR1);
    CHECK("the lowest first", read(fd, got, sizeof(got)) == 2 * ONE && got[0].ssi_signo == SIGUSR1 &&
                                  got[1].ssi_signo == SIGUSR2 && is_empty(fd));
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR1);
    CHECK("one by one",
          read(fd, got, ONE) == ONE && got[0].ssi_signo == SIGUSR1 && gives(fd, SIGUSR2) && is_empty(fd));
    kill(getpid(), SIGUSR1);
    CHECK_ERRNO("too short", read(fd, got, ONE - 1), EINVAL);
    CHECK("it is there still", gives(fd, SIGUSR1) && is_empty(fd));
    kill(getpid(), SIGUSR1);
    CHECK_ERRNO("a bad address", read(fd, page + 4096 - ONE / 2, ONE), EFAULT);
    CHECK("costs the signal", is_empty(fd) && !is_pending(SIGUSR1));
    kill(getpid(), SIGUSR1);
    CHECK("in pieces", readv(fd, parts, 2) == ONE && got[0].ssi_signo == SIGUSR1 && is_empty(fd));
    kill(getpid(), SIGUSR1);
    CHECK_ERRNO("not written", write(fd, got, 8), EINVAL);
    CHECK("and read", gives(fd, SIGUSR1) && is_empty(fd));
    for (int i = 0; i < 3; i++)
        MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}) == 0);
    bool good = read(fd, got, sizeof(got)) == 3 * ONE;
    for (int i = 0; i < 3; i++)
        good &= got[i].ssi_signo == (uint32_t)SIGRTMIN && got[i].ssi_int == i && got[i].ssi_code == SI_QUEUE;
    CHECK("a queue of them", good && is_empty(fd));
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    CHECK("to the thread", gives(fd, SIGUSR1) && got[0].ssi_code == SI_TKILL);
    kill(getpid(), SIGUSR1);
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    CHECK("to both", read(fd, got, sizeof(got)) == 2 * ONE && got[0].ssi_code == SI_TKILL &&
                         got[1].ssi_code == SI_USER && is_empty(fd));
}

static void on_signal(int signo)
{
    (void)signo;
    hits++;
}

static void on_alarm(int signo)
{
    (void)signo;
    alarms++;
}

static void test_others_take(void)
{
    int fd = open_warm();
    siginfo_t info;
    const struct timespec none = {0};
    struct sigaction sa = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    kill(getpid(), SIGUSR1);
    CHECK("pending", is_pending(SIGUSR1));
    CHECK("sigtimedwait",
          sigtimedwait(&set, &info, &none) == SIGUSR1 && info.si_pid == getpid() && is_empty(fd));
    warm(fd);
    CHECK("nothing for it",
          !is_pending(SIGUSR1) && sigtimedwait(&set, &info, &none) == -1 && errno == EAGAIN);
    MUST(sigaction(SIGUSR1, &sa, NULL) == 0);
    block(SIG_UNBLOCK, SIGUSR1);
    block(SIG_BLOCK, SIGUSR1);
    CHECK("nor for a handler", hits == 0);
    kill(getpid(), SIGUSR1);
    block(SIG_UNBLOCK, SIGUSR1);
    CHECK("which takes it", hits == 1 && is_empty(fd));
    block(SIG_BLOCK, SIGUSR1);
    warm(fd);
    kill(getpid(), SIGUSR1);
    MUST(sigaction(SIGUSR1, &ignore, NULL) == 0);
    CHECK("ignored", is_empty(fd) && !is_pending(SIGUSR1));
    MUST(sigaction(SIGUSR1, &sa, NULL) == 0);
    warm(fd);
    kill(getpid(), SIGTSTP);
    CHECK("a stop is pending", is_ready(fd) && is_pending(SIGTSTP));
    kill(getpid(), SIGCONT);
    CHECK("and undone", !is_pending(SIGTSTP) && gives(fd, SIGCONT) && is_empty(fd));
}

/* Each of two that are pending is the only one of a mask. */
static void test_masks(int fd)
{
    sigset_t usr1, usr2;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    MUST(signalfd(fd, &usr1, 0) == fd);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    MUST(signalfd(fd, &usr2, 0) == fd);
    CHECK("the mask's", gives(fd, SIGUSR2) && is_empty(fd) && is_pending(SIGUSR1) && !is_pending(SIGUSR2));
    MUST(signalfd(fd, &set, 0) == fd);
    CHECK("and the other", gives(fd, SIGUSR1) && is_empty(fd));
}

static void test_descriptors(void)
{
    int fd = open_warm(), two[2], ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN}, now;
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
    kill(getpid(), SIGUSR1);
    CHECK("epoll", epoll_wait(ep, &now, 1, 0) == 1 && gives(fd, SIGUSR1) && epoll_wait(ep, &now, 1, 0) == 0);
    kill(getpid(), SIGUSR1);
    MUST(signalfd(fd, &usr2, 0) == fd);
    CHECK("another mask", is_empty(fd) && epoll_wait(ep, &now, 1, 0) == 0 && is_pending(SIGUSR1));
    MUST(signalfd(fd, &set, 0) == fd);
    CHECK("and back", epoll_wait(ep, &now, 1, 0) == 1 && gives(fd, SIGUSR1));
    test_masks(fd);
    int dupped = dup(fd);
    kill(getpid(), SIGUSR1);
    CHECK("by another number", is_ready(fd) && gives(dupped, SIGUSR1) && is_empty(fd) && is_empty(dupped));
    warm(fd);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, two) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(write(two[1], got, sizeof(got)) == sizeof(got) && read(two[0], got, sizeof(got)) == sizeof(got));
    memset(got, 7, sizeof(got));
    MUST(write(two[1], got, sizeof(got)) == sizeof(got));
    kill(getpid(), SIGUSR1);
    MUST(dup2(two[0], fd) == fd);
    CHECK("another file there", read(fd, got, sizeof(got)) == sizeof(got) && got[0].ssi_signo == 0x07070707);
    CHECK("it is where it was", gives(dupped, SIGUSR1));
    MUST(dup2(dupped, fd) == fd);
    warm(fd);
    int second = signalfd(-1, &set, SFD_NONBLOCK);
    kill(getpid(), SIGUSR1);
    CHECK("two of them", is_ready(fd) && is_ready(second) && gives(fd, SIGUSR1) && is_empty(second));
    kill(getpid(), SIGUSR1);
    CHECK("the other one", gives(second, SIGUSR1) && is_empty(fd) && is_empty(second));
    close(second);
    warm(fd);
    kill(getpid(), SIGUSR1);
    second = signalfd(-1, &set, SFD_NONBLOCK);
    CHECK("a late one", is_ready(second) && is_ready(fd) && gives(second, SIGUSR1) && is_empty(fd));
    close(fd);
    CHECK_ERRNO("closed", read(fd, got, sizeof(got)), EBADF);
    kill(getpid(), SIGUSR1);
    MUST(fcntl(dupped, F_SETFL, 0) == 0);
    CHECK("blocking, with one", gives(dupped, SIGUSR1));
    struct sigaction sa = {.sa_handler = on_alarm};
    MUST(sigaction(SIGALRM, &sa, NULL) == 0);
    alarms_begin(5);
    CHECK_ERRNO("blocking, without", alarms_end(read(dupped, got, sizeof(got))), EINTR);
}

static void test_children(void)
{
    int fd = open_warm(), status;
    for (int i = 0; i < 3; i++) {
        MUST(kill(getpid(), SIGUSR1) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            bool none = read(fd, got, sizeof(got)) == -1 && errno == EAGAIN;
            kill(getpid(), SIGUSR1);
            bool own = gives(fd, SIGUSR1) && got[0].ssi_pid == (uint32_t)getpid();
            warm(fd);
            _exit(none && own && !check_failures ? 0 : 1);
        }
        CHECK("a child has its own", waitpid(pid, &status, 0) == pid && status == 0);
        CHECK("and its parent",
              is_pending(SIGUSR1) && gives(fd, SIGUSR1) && got[0].ssi_pid == (uint32_t)getpid());
        CHECK("alone", is_empty(fd));
        warm(fd);
        MUST(kill(getpid(), SIGUSR1) == 0);
        if ((pid = vfork()) == 0) {
            execl(self, self, "-", NULL);
            _exit(9);
        }
        CHECK("a program of its own", waitpid(pid, &status, 0) == pid && status == 0);
        CHECK("which has taken nothing", gives(fd, SIGUSR1) && is_empty(fd));
        warm(fd);
    }
}

static int shared_fd;
static atomic_long taken;
static atomic_bool over;

static void *reads(void *arg)
{
    struct signalfd_siginfo si;
    (void)arg;
    while (!over)
        if (read(shared_fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR1)
            taken++;
    return NULL;
}

static void test_threads(void)
{
    pthread_t thread;
    long wrong = 0;
    shared_fd = open_warm();
    MUST(kill(getpid(), SIGUSR1) == 0);
    MUST(pthread_create(&thread, NULL, reads, NULL) == 0);
    for (long i = 1; i <= OFTEN; i++) {
        struct signalfd_siginfo si;
        AWAIT(taken == i || (read(shared_fd, &si, sizeof(si)) == sizeof(si) && ++taken == i));
        wrong += taken != i;
        MUST(kill(getpid(), SIGUSR1) == 0);
    }
    AWAIT(taken == OFTEN + 1);
    over = true;
    MUST(pthread_join(thread, NULL) == 0);
    CHECK("each by one thread", wrong == 0 && taken == OFTEN + 1 && !is_pending(SIGUSR1));
    warm(shared_fd);
}

static void test_exec(void)
{
    int fd = open_warm();
    char number[16];
    snprintf(number, sizeof(number), "%d", fd);
    MUST(fcntl(fd, F_SETFD, 0) == 0 && kill(getpid(), SIGUSR1) == 0);
    execl(self, self, number, NULL);
    MUST(!"exec");
}

static int after_exec(int fd)
{
    CHECK("over an exec", is_ready(fd) && gives(fd, SIGUSR1) && is_empty(fd) && !is_pending(SIGUSR1));
    warm(fd);
    return check_failures ? 98 : 0;
}

/* From another process, each as soon as the last one is known to be taken; with handlers in the middle. */
#define RAIN 1500

static void test_rain(void)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    int told[2], fd = open_warm();
    MUST(pipe(told) == 0);
    pid_t target = getpid(), pid = fork();
    if (pid == 0) {
        char c;
        for (int i = 0; i < RAIN; i++) {
            MUST(kill(target, SIGUSR1) == 0);
            if (i % 3 == 0) /* once or twice, and never none */
                MUST(kill(target, SIGUSR1) == 0);
            MUST(read(told[0], &c, 1) == 1);
        }
        _exit(0);
    }
    MUST(sigaction(SIGALRM, &sa, NULL) == 0);
    alarms_begin(1);
    long wrong = 0;
    for (int i = 0; i < RAIN; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (!gives(fd, SIGUSR1))
            if (errno != EAGAIN || (poll(&p, 1, PATIENCE_MS) == 0 && wrong++ > 3))
                break;
        wrong += got[0].ssi_pid != (uint32_t)pid;
        if (i % 3 == 0) /* the second may come only now */
            (void)!read(fd, got, sizeof(got));
        MUST(write(told[1], "", 1) == 1);
    }
    alarms_end(0);
    int status;
    CHECK("none is lost", waitpid(pid, &status, 0) == pid && status == 0 && wrong == 0);
}

/* Two that wake each other, as servers do. */
static void test_latches(void)
{
    volatile pid_t *pids = shared_zeroes(4096);
    pid_t pid[2];
    for (int me = 0; me < 2; me++) {
        if ((pid[me] = fork()) != 0)
            continue;
        int fd = open_warm(), ep = epoll_create1(0);
        struct epoll_event ev = {.events = EPOLLIN}, now;
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
        pids[me] = getpid();
        AWAIT(pids[!me]);
        for (int i = 0; i < RAIN; i++) {
            if (me == 0)
                MUST(kill(pids[1], SIGUSR1) == 0);
            MUST(epoll_wait(ep, &now, 1, PATIENCE_MS) == 1);
            MUST(gives(fd, SIGUSR1) && got[0].ssi_pid == (uint32_t)pids[!me]);
            if (me == 1)
                MUST(kill(pids[0], SIGUSR1) == 0);
        }
        _exit(check_failures ? 1 : 0);
    }
    for (int me = 0; me < 2; me++) {
        int status;
        CHECK("woken each time", waitpid(pid[me], &status, 0) == pid[me] && status == 0);
    }
}

int main(int argc, char **argv)
{
    int signos[] = {SIGUSR1, SIGUSR2, SIGRTMIN, SIGTSTP, SIGCONT};
    self = argv[0];
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signos) / sizeof(*signos); i++)
        sigaddset(&set, signos[i]);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    if (argc > 1 && *argv[1] == '-')
        return is_pending(SIGUSR1);
    if (argc > 1)
        return after_exec(atoi(argv[1]));
    CHECK("reads", in_child(test_reads) == 0);
    CHECK("others", in_child(test_others_take) == 0);
    CHECK("descriptors", in_child(test_descriptors) == 0);
    CHECK("children", in_child(test_children) == 0);
    CHECK("threads", in_child(test_threads) == 0);
    CHECK("programs", in_child(test_exec) == 0);
    CHECK("rain", in_child(test_rain) == 0);
    test_latches();
    return check_done();
}
