/* epoll as servers use it: so often that a runtime may do it without leaving the process. A registration
 * belongs to an open file description and a number, whoever made it, from wherever.
 *
 * Also run with: --lanes=off */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "tests/guest/check.h"

#define OFTEN 120

struct ends {
    int in, out; /* read from in what was written to out */
};

static struct ends make_pipe(void)
{
    int p[2];
    MUST(pipe(p) == 0);
    return (struct ends){p[0], p[1]};
}

static struct ends make_unix(void)
{
    int p[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    return (struct ends){p[0], p[1]};
}

static struct ends make_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_INET, SOCK_STREAM, 0);

    MUST(l >= 0 && out >= 0 && bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 1) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0 && connect(out, (struct sockaddr *)&a, len) == 0);
    int in = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    MUST(in >= 0 && close(l) == 0);
    return (struct ends){in, out};
}

static struct ends make_eventfd(void)
{
    int e = eventfd(0, 0);
    MUST(e >= 0);
    return (struct ends){e, dup(e)};
}

static void shut(struct ends e)
{
    close(e.in);
    close(e.out);
}

/* Until it is there: TCP takes its time. */
static void feed(struct ends e)
{
    uint64_t one = 1;
    int before = 0, now = 0;
    bool tells = ioctl(e.in, FIONREAD, &before) == 0;
    MUST(write(e.out, &one, 8) == 8);
    while (tells && ioctl(e.in, FIONREAD, &now) == 0 && now < before + 8)
        nap_ms(1);
}

static void drain(struct ends e)
{
    uint64_t n;
    MUST(read(e.in, &n, 8) == 8);
}

static int ctl(int ep, int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event ev = {.events = events, .data.u64 = data};
    return epoll_ctl(ep, op, fd, &ev);
}

static int add(int ep, int fd, uint64_t data)
{
    return ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, data);
}

static int del(int ep, int fd)
{
    return epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
}

/* How many are ready now; the sum of their data. */
static int ready(int ep, uint64_t *sum)
{
    struct epoll_event got[8];
    int n = epoll_wait(ep, got, 8, 0);
    *sum = 0;
    for (int i = 0; i < n; i++)
        *sum += got[i].data.u64;
    return n;
}

static bool says(int ep, int n, uint64_t data)
{
    uint64_t sum;
    int got = ready(ep, &sum);
    if (got != n || sum != data)
        dprintf(1, "# %d ready, data %lx\n", got, (unsigned long)sum);
    return got == n && sum == data;
}

static int make_epoll(void)
{
    int ep = epoll_create1(0);
    MUST(ep >= 0);
    return ep;
}

/* Makes the sites hot, and the descriptors what they become. */
static void warm(int ep, struct ends e)
{
    for (int i = 0; i < OFTEN; i++) {
        MUST(add(ep, e.in, 1) == 0 && says(ep, 0, 0));
        feed(e);
        MUST(says(ep, 1, 1) && ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 2) == 0 && says(ep, 1, 2));
        drain(e);
        MUST(del(ep, e.in) == 0);
    }
}

static void test_operations(const char *what, struct ends e)
{
    int ep = make_epoll();
    dprintf(1, "ok %s\n", what);
    for (int round = 0; round < 2; round++) {
        CHECK_ERRNO("nothing to change", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 1), ENOENT);
        CHECK_ERRNO("nothing to take out", del(ep, e.in), ENOENT);
        CHECK("added", add(ep, e.in, 0xfeedfacecafebeef) == 0);
        CHECK_ERRNO("not twice", add(ep, e.in, 5), EEXIST);
        feed(e);
        CHECK("its data", says(ep, 1, 0xfeedfacecafebeef));
        CHECK("changed", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 7) == 0 && says(ep, 1, 7));
        CHECK("to nothing", ctl(ep, EPOLL_CTL_MOD, e.in, 0, 7) == 0 && says(ep, 0, 0));
        CHECK("taken out", del(ep, e.in) == 0 && says(ep, 0, 0));
        drain(e);
        warm(ep, e);
    }
    close(ep);
    shut(e);
}

static void test_errors(struct ends e)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int ep = make_epoll(), file = open("/test/epoll", O_RDONLY), gone = dup(e.in);

    MUST(file >= 0 && gone >= 0 && close(gone) == 0);
    warm(ep, e);
    CHECK_ERRNO("no such epoll", add(900, e.in, 1), EBADF);
    CHECK_ERRNO("no such file", add(ep, 900, 1), EBADF);
    CHECK_ERRNO("a negative one", add(ep, -1, 1), EBADF);
    CHECK_ERRNO("a closed one", add(ep, gone, 1), EBADF);
    CHECK_ERRNO("nor to be taken out", del(ep, gone), EBADF);
    CHECK_ERRNO("not an epoll", add(e.out, e.in, 1), EINVAL);
    CHECK_ERRNO("itself", add(ep, ep, 1), EINVAL);
    CHECK_ERRNO("a regular file", add(ep, file, 1), EPERM);
    CHECK_ERRNO("a file for an epoll", add(file, e.in, 1), EINVAL);
    CHECK_ERRNO("no such operation", epoll_ctl(ep, 77, e.in, &ev), EINVAL);
    CHECK_ERRNO("a bad address", epoll_ctl(ep, EPOLL_CTL_ADD, e.in, bad_address), EFAULT);
    CHECK("which is not looked at to take out",
          add(ep, e.in, 1) == 0 && epoll_ctl(ep, EPOLL_CTL_DEL, e.in, bad_address) == 0);
    close(file);
    close(ep);
}

static void test_triggers(struct ends e)
{
    int ep = make_epoll();
    warm(ep, e);
    MUST(add(ep, e.in, 3) == 0);
    feed(e);
    CHECK("by level: again and again", says(ep, 1, 3) && says(ep, 1, 3));
    CHECK("by edge: once",
          ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLET, 4) == 0 && says(ep, 1, 4) && says(ep, 0, 0));
    feed(e);
    CHECK("and at the next", says(ep, 1, 4) && says(ep, 0, 0));
    CHECK("one shot",
          ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLONESHOT, 5) == 0 && says(ep, 1, 5) && says(ep, 0, 0));
    feed(e);
    CHECK("nothing more", says(ep, 0, 0));
    CHECK("until it is set again",
          ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLONESHOT, 6) == 0 && says(ep, 1, 6) && says(ep, 0, 0));
    CHECK_ERRNO("which it still is in", add(ep, e.in, 1), EEXIST);
    CHECK("out", del(ep, e.in) == 0);
    CHECK("exclusive", ctl(ep, EPOLL_CTL_ADD, e.in, EPOLLIN | EPOLLEXCLUSIVE, 7) == 0 && says(ep, 1, 7));
    CHECK_ERRNO("is not to be changed", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 7), EINVAL);
    MUST(del(ep, e.in) == 0);
    CHECK_ERRNO("nor made by changing", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLEXCLUSIVE, 7), EINVAL);
    CHECK_ERRNO("nor with one shot", ctl(ep, EPOLL_CTL_ADD, e.in, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 7),
                EINVAL);
    for (int i = 0; i < 3; i++)
        drain(e);
    close(ep);
    shut(e);
}

static void test_dups(struct ends e)
{
    int ep = make_epoll(), other = dup(e.in), number = e.in;
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    CHECK("under another number, too", add(ep, other, 20) == 0);
    feed(e);
    CHECK("both say so", says(ep, 2, 21));
    MUST(close(e.in) == 0);
    CHECK("a closed number stays while the description does", says(ep, 2, 21));
    CHECK_ERRNO("and is out of reach", del(ep, number), EBADF);
    struct ends f = make_pipe();
    int at = f.in == number ? f.in : dup2(f.in, number);
    CHECK("the number is another's now", at == number && add(ep, number, 300) == 0);
    feed(f);
    CHECK("three", says(ep, 3, 321));
    CHECK("the new one goes", del(ep, number) == 0 && says(ep, 2, 21));
    CHECK("the other", del(ep, other) == 0 && says(ep, 1, 1));
    MUST(close(other) == 0);
    CHECK("with the last descriptor all do", says(ep, 0, 0));
    close(number);
    close(f.in);
    close(f.out);
    close(e.out);
    close(ep);
}

/* dup2 over a registered number closes it. */
static void test_replaced(struct ends e)
{
    int ep = make_epoll();
    struct ends f = make_pipe();
    warm(ep, e);
    warm(ep, f);
    MUST(add(ep, e.in, 1) == 0);
    feed(e);
    feed(f);
    CHECK("replaced", says(ep, 1, 1) && dup2(f.in, e.in) == e.in && says(ep, 0, 0));
    CHECK_ERRNO("not in", del(ep, e.in), ENOENT);
    CHECK("to be added", add(ep, e.in, 2) == 0 && says(ep, 1, 2));
    CHECK_ERRNO("its own number is not in", del(ep, f.in), ENOENT);
    MUST(close(f.in) == 0);
    CHECK("and stays", says(ep, 1, 2));
    MUST(close(e.in) == 0);
    CHECK("and ends", says(ep, 0, 0));
    close(e.out);
    close(f.out);
    close(ep);
}

static int shared_ep;
static struct ends shared;

static void child_works(void)
{
    struct ends own = make_tcp();
    warm(shared_ep, own);
    MUST(add(shared_ep, own.in, 1000) == 0);
    feed(own);
    CHECK("a child's own", says(shared_ep, 1, 1000));
    CHECK("the parent's, changed by it", ctl(shared_ep, EPOLL_CTL_MOD, shared.in, EPOLLIN, 2) == 0);
    CHECK_ERRNO("not added twice", add(shared_ep, shared.in, 1), EEXIST);
    feed(shared);
    CHECK("both", says(shared_ep, 2, 1002));
    drain(shared);
}

static void child_takes_out(void)
{
    CHECK("taken out by a child", del(shared_ep, shared.in) == 0);
}

static void test_fork(struct ends e)
{
    shared_ep = make_epoll();
    shared = e;
    warm(shared_ep, e);
    MUST(add(shared_ep, e.in, 1) == 0);
    in_child(child_works);
    CHECK("what was the child's has gone with it", says(shared_ep, 0, 0));
    feed(e);
    CHECK("what it changed has stayed so", says(shared_ep, 1, 2));
    in_child(child_takes_out);
    CHECK("so has what it took out",
          says(shared_ep, 0, 0) && add(shared_ep, e.in, 3) == 0 && says(shared_ep, 1, 3));
    int number = e.in, p[2];
    char c;
    MUST(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[1]);
        _exit(read(p[0], &c, 1) == 0 ? 0 : 1);
    }
    MUST(close(e.in) == 0);
    CHECK("a child has it yet", says(shared_ep, 1, 3));
    CHECK_ERRNO("we have not", del(shared_ep, number), EBADF);
    close(p[1]);
    waitpid(pid, NULL, 0);
    CHECK("nobody has", says(shared_ep, 0, 0));
    close(p[0]);
    close(e.out);
    close(shared_ep);
}

static void send_fd(int sock, int fd)
{
    char c = 'f', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {&c, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof(int));
    MUST(sendmsg(sock, &m, 0) == 1);
}

static int receive_fd(int sock)
{
    char c, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {&c, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    int fd = -1;
    MUST(recvmsg(sock, &m, 0) == 1 && CMSG_FIRSTHDR(&m));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
    return fd;
}

static void test_in_flight(struct ends e)
{
    struct ends u = make_unix();
    int ep = make_epoll();
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    feed(e);
    send_fd(u.out, e.in);
    MUST(close(e.in) == 0);
    CHECK("in flight", says(ep, 1, 1));
    int fd = receive_fd(u.in);
    CHECK("arrived", says(ep, 1, 1));
    MUST(fd == e.in || dup2(fd, e.in) == e.in);
    CHECK("at the number it was", del(ep, e.in) == 0 && add(ep, e.in, 2) == 0 && says(ep, 1, 2));
    if (fd != e.in)
        close(fd);
    close(e.in);
    CHECK("closed", says(ep, 0, 0));
    close(e.out);
    close(ep);
    shut(u);
}

/* An epoll for another process, which has other files under the same numbers. */
static void test_passed(struct ends e)
{
    struct ends u = make_unix();
    int ep = make_epoll();
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        int got = receive_fd(u.in);
        struct ends own = make_tcp();
        MUST(dup2(own.in, e.in) == e.in);
        CHECK_ERRNO("another file", del(got, e.in), ENOENT);
        CHECK("at that number", add(got, e.in, 40) == 0);
        feed(own);
        CHECK("is seen", says(got, 1, 40));
        drain(own);
        warm(make_epoll(), own);
        feed(own);
        send_fd(u.in, got);
        MUST(read(u.in, &got, 1) == 1);
        _exit(check_failures ? 1 : 0);
    }
    send_fd(u.out, ep);
    close(ep);
    ep = receive_fd(u.out);
    CHECK("by all who have it", says(ep, 1, 40));
    feed(e);
    CHECK("with ours", says(ep, 2, 41));
    int status;
    MUST(write(u.out, "x", 1) == 1 && waitpid(pid, &status, 0) == pid);
    CHECK("the child's checks", status == 0);
    CHECK("and then alone", says(ep, 1, 1) && del(ep, e.in) == 0 && says(ep, 0, 0));
    close(ep);
    shut(e);
    shut(u);
}

static int after_exec(int ep, struct ends e)
{
    feed(e);
    CHECK("kept over an exec", says(ep, 1, 9));
    CHECK_ERRNO("not twice", add(ep, e.in, 5), EEXIST);
    CHECK("changed", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 6) == 0 && says(ep, 1, 6));
    CHECK("taken out", del(ep, e.in) == 0 && says(ep, 0, 0));
    drain(e);
    warm(ep, e);
    return check_failures ? 1 : 0;
}

static void test_exec(struct ends e)
{
    struct ends gone = make_tcp(), told = make_pipe();
    char arg[3][16], c;
    int ep = make_epoll();
    warm(ep, e);
    warm(ep, gone);
    fcntl(gone.in, F_SETFD, FD_CLOEXEC);
    MUST(add(ep, e.in, 9) == 0 && add(ep, gone.in, 90) == 0);
    feed(gone);
    pid_t pid = fork();
    if (pid == 0) {
        snprintf(arg[0], 16, "%d", ep);
        snprintf(arg[1], 16, "%d", e.in);
        snprintf(arg[2], 16, "%d", e.out);
        close(told.out);
        MUST(read(told.in, &c, 1) == 0);
        execl("/test/epoll", "epoll", arg[0], arg[1], arg[2], (char *)NULL);
        _exit(127);
    }
    close(gone.in);
    shut(told);
    int status;
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK("after the exec", status == 0);
    CHECK("closed by both", says(ep, 0, 0));
    close(gone.out);
    shut(e);
    close(ep);
}

static void *add_later(void *arg)
{
    nap_ms(30);
    MUST(add(shared_ep, shared.in, *(int *)arg) == 0);
    return NULL;
}

static void *close_later(void *arg)
{
    (void)arg;
    nap_ms(30);
    close(shared.in);
    return NULL;
}

static void test_threads(struct ends e)
{
    struct epoll_event got;
    pthread_t t;
    int data = 77;
    shared_ep = make_epoll();
    shared = e;
    warm(shared_ep, e);
    feed(e);
    MUST(pthread_create(&t, NULL, add_later, &data) == 0);
    CHECK("added while another waits", epoll_wait(shared_ep, &got, 1, 3000) == 1 && got.data.u64 == 77);
    pthread_join(t, NULL);
    drain(e);
    warm(shared_ep, make_pipe());
    MUST(pthread_create(&t, NULL, close_later, NULL) == 0);
    CHECK("closed while another waits", epoll_wait(shared_ep, &got, 1, 90) == 0);
    pthread_join(t, NULL);
    CHECK_ERRNO("and gone", del(shared_ep, e.in), EBADF);
    close(e.out);
    close(shared_ep);
}

static void *churn(void *arg)
{
    int ep = *(int *)arg;
    struct ends e = make_tcp();
    for (int i = 0; i < 300; i++) {
        MUST(add(ep, e.in, 1) == 0 && ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLOUT, 1) == 0);
        MUST(del(ep, e.in) == 0);
        if (i % 50 == 49) {
            shut(e);
            e = make_tcp();
        }
    }
    shut(e);
    return NULL;
}

/* Threads that open, register and close: numbers go from one to the other. */
static void test_churn(void)
{
    pthread_t t[3];
    int ep = make_epoll();
    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&t[i], NULL, churn, &ep) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    CHECK("nothing is left", says(ep, 0, 0));
    close(ep);
}

/* A server's life: each connection has the number of the one before. */
static void test_connections(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = make_epoll(), bad = 0;
    struct epoll_event got[4];
    MUST(bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 8) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0 && add(ep, l, 1) == 0);
    for (int i = 0; i < OFTEN; i++) {
        int out = socket(AF_INET, SOCK_STREAM, 0);
        MUST(connect(out, (struct sockaddr *)&a, len) == 0);
        bad += epoll_wait(ep, got, 4, 1000) != 1 || got[0].data.u64 != 1;
        int in = accept4(l, NULL, NULL, SOCK_NONBLOCK);
        MUST(in >= 0 && ctl(ep, EPOLL_CTL_ADD, in, EPOLLIN | EPOLLET | EPOLLRDHUP, 2) == 0);
        struct ends e = {in, out};
        feed(e);
        bad += epoll_wait(ep, got, 4, 1000) != 1 || got[0].data.u64 != 2;
        drain(e);
        MUST(shutdown(out, SHUT_WR) == 0);
        bad += epoll_wait(ep, got, 4, 1000) != 1 || got[0].events != (EPOLLIN | EPOLLRDHUP);
        bad += i % 2 ? del(ep, in) != 0 : 0;
        shut(e);
    }
    CHECK("one connection after the other", bad == 0);
    CHECK("and nothing is left of them", says(ep, 0, 0));
    close(l);
    close(ep);
}

static void on_alarm(int signo)
{
    (void)signo;
}

static void alarm_in(int ms)
{
    struct itimerval it = {{0, 0}, {0, ms * 1000}};
    struct sigaction sa = {.sa_handler = on_alarm};
    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
}

/* Sockets that wait, and are watched all the same. */
static void test_blocking(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0), ep = make_epoll(), out = socket(AF_INET, SOCK_STREAM, 0),
        error = -1;
    char c;
    MUST(add(ep, l, 1) == 0 && bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 0) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0 && add(ep, out, 2) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN, 1) == 0 && ctl(ep, EPOLL_CTL_MOD, out, EPOLLIN, 2) == 0);
    alarm_in(40);
    CHECK_ERRNO("accept waits, and is interrupted", accept(l, NULL, NULL), EINTR);
    CHECK("connected", connect(out, (struct sockaddr *)&a, len) == 0);
    int in = accept(l, NULL, NULL);
    MUST(in >= 0 && write(in, "x", 1) == 1);
    CHECK("and used", read(out, &c, 1) == 1 && c == 'x');
    alarm_in(40);
    CHECK_ERRNO("a read of it waits", read(out, &c, 1), EINTR);
    int full[3];
    for (int i = 0; i < 3; i++)
        MUST((full[i] = socket(AF_INET, SOCK_STREAM, 0)) >= 0 && add(ep, full[i], 4) == 0);
    for (int i = 0; i < 3 && error; i++) {
        alarm_in(60);
        error = connect(full[i], (struct sockaddr *)&a, len) == 0;
    }
    CHECK_ERRNO("where nobody accepts, connect waits", -!error, EINTR);
    for (int i = 0; i < 3; i++)
        close(full[i]);
    MUST(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
    while ((error = accept(l, NULL, NULL)) >= 0)
        close(error);
    CHECK_ERRNO("nobody is there", accept(l, NULL, NULL), EAGAIN);
    MUST(fcntl(l, F_SETFL, 0) == 0);
    alarm_in(40);
    CHECK_ERRNO("and waited for", accept(l, NULL, NULL), EINTR);
    close(l);
    close(in);
    close(out);
    close(ep);
}

static void test_nested(struct ends e)
{
    int inner = make_epoll(), outer = make_epoll();
    warm(inner, e);
    for (int i = 0; i < OFTEN; i++)
        MUST(add(outer, inner, 4) == 0 && del(outer, inner) == 0);
    CHECK("an epoll in an epoll", add(outer, inner, 4) == 0 && add(inner, e.in, 1) == 0 && says(outer, 0, 0));
    feed(e);
    CHECK("speaks for its own", says(outer, 1, 4) && says(inner, 1, 1));
    CHECK_ERRNO("in no circle", add(inner, outer, 4), ELOOP);
    drain(e);
    CHECK("silent", says(outer, 0, 0));
    feed(e);
    MUST(close(inner) == 0);
    CHECK("gone", says(outer, 0, 0));
    close(outer);
    shut(e);
}

static void test_mixed(void)
{
    struct ends e[4] = {make_pipe(), make_tcp(), make_eventfd(), make_unix()};
    int ep = make_epoll(), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec its = {.it_value = {0, 1}};
    for (int i = 0; i < 4; i++)
        warm(ep, e[i]);
    for (int i = 0; i < 4; i++) {
        MUST(add(ep, e[i].in, 1UL << (4 * i)) == 0);
        feed(e[i]);
    }
    MUST(timerfd_settime(timer, 0, &its, NULL) == 0 && add(ep, timer, 0x50000) == 0);
    nap_ms(5);
    CHECK("all kinds together", says(ep, 5, 0x51111));
    for (int i = 0; i < 4; i++)
        shut(e[i]);
    CHECK("all but the last closed", says(ep, 1, 0x50000));
    close(timer);
    CHECK("and that", says(ep, 0, 0));
    close(ep);
}

static void test_high_number(struct ends e)
{
    struct rlimit r;
    int ep = make_epoll(), high;
    MUST(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = r.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &r) == 0);
    high = r.rlim_cur > 3000 ? 2999 : (int)r.rlim_cur - 1;
    MUST(dup2(e.in, high) == high);
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    CHECK("a high number", add(ep, high, 20) == 0);
    CHECK_ERRNO("once", add(ep, high, 20), EEXIST);
    feed(e);
    CHECK("beside the low one", says(ep, 2, 21));
    CHECK("changed", ctl(ep, EPOLL_CTL_MOD, high, EPOLLIN, 30) == 0 && says(ep, 2, 31));
    CHECK("taken out", del(ep, high) == 0 && says(ep, 1, 1));
    CHECK_ERRNO("only once", del(ep, high), ENOENT);
    MUST(dup2(ep, high) == high);
    CHECK("an epoll of a high number", ctl(high, EPOLL_CTL_MOD, e.in, EPOLLIN, 5) == 0 && says(high, 1, 5));
    close(high);
    shut(e);
    close(ep);
}

/* A filter that looks at reads: from then on nothing may bypass it, and all is as it was. */
static void filtered(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16 + 8),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, EPOLL_CTL_MOD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
    struct ends late = make_tcp();
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
    CHECK_ERRNO("the filter's word", ctl(shared_ep, EPOLL_CTL_MOD, shared.in, EPOLLIN, 2), EDOM);
    CHECK_ERRNO("what was there is there", add(shared_ep, shared.in, 3), EEXIST);
    feed(shared);
    CHECK("and tells", says(shared_ep, 1, 1));
    CHECK("and goes", del(shared_ep, shared.in) == 0 && says(shared_ep, 0, 0));
    drain(shared);
    CHECK("and comes again", add(shared_ep, shared.in, 3) == 0);
    CHECK("beside another", add(shared_ep, late.in, 4) == 0);
    feed(late);
    CHECK("which tells", says(shared_ep, 1, 4));
}

static void test_filter(struct ends e)
{
    shared_ep = make_epoll();
    shared = e;
    warm(shared_ep, e);
    MUST(add(shared_ep, e.in, 1) == 0);
    in_child(filtered);
    feed(e);
    CHECK("the child's doing", says(shared_ep, 1, 3));
    CHECK("changed without a filter",
          ctl(shared_ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 5) == 0 && says(shared_ep, 1, 5));
    close(shared_ep);
    shut(e);
}

/* Memory without the table: each has its own descriptors. */
static int vm_child(void *arg)
{
    struct ends e = make_pipe();
    int ep = *(int *)arg;
    MUST(close(shared.in) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(add(ep, e.in, 1) == 0 && del(ep, e.in) == 0);
    shut(e);
    return 0;
}

static void test_shared_memory(struct ends e)
{
    static char stack[65536] __attribute__((aligned(16)));
    int ep = make_epoll(), status;
    shared = e;
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    pid_t pid = clone(vm_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &ep);
    MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK("the other's checks", status == 0);
    feed(e);
    CHECK("ours is open", says(ep, 1, 1) && ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 2) == 0 && says(ep, 1, 2));
    drain(e);
    MUST(del(ep, e.in) == 0);
    warm(ep, e);
    close(ep);
    shut(e);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return after_exec(atoi(argv[1]), (struct ends){atoi(argv[2]), atoi(argv[3])});
    test_operations("pipe", make_pipe());
    test_operations("tcp", make_tcp());
    test_operations("eventfd", make_eventfd());
    test_operations("unix", make_unix());
    struct ends e = make_tcp();
    test_errors(e);
    test_triggers(e);
    test_triggers(make_unix());
    test_dups(make_pipe());
    test_dups(make_tcp());
    test_dups(make_unix());
    test_replaced(make_tcp());
    test_fork(make_tcp());
    test_fork(make_pipe());
    test_in_flight(make_tcp());
    test_in_flight(make_pipe());
    test_passed(make_tcp());
    test_exec(make_tcp());
    test_exec(make_pipe());
    test_threads(make_tcp());
    test_churn();
    test_connections();
    test_blocking();
    test_nested(make_tcp());
    test_mixed();
    test_high_number(make_tcp());
    test_filter(make_tcp());
    test_shared_memory(make_tcp());
    return check_done();
}
