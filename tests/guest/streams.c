/* Pipes, TCP and unix sockets and epoll that are used so often that a runtime may hand them to the program's
 * own process: what they do must stay what it was. Every test warms its descriptors up first. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "tests/guest/ends.h"

#define OFTEN 200

static void warm(struct ends e)
{
    char c;
    for (int i = 0; i < OFTEN; i++)
        MUST(write(e.out, "w", 1) == 1 && read(e.in, &c, 1) == 1 && c == 'w');
}

static void warm_messages(struct ends e)
{
    char c;
    for (int i = 0; i < OFTEN; i++)
        MUST(send(e.out, "m", 1, 0) == 1 && recv(e.in, &c, 1, 0) == 1 && c == 'm');
}

static struct ends warm_pipe(void)
{
    struct ends e = make_pipe();
    warm(e);
    return e;
}

static struct ends warm_tcp(void)
{
    struct ends e = connect_tcp(0);
    warm(e);
    warm_messages(e);
    return e;
}

static struct ends warm_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/tmp/streams.socket"};
    int l = socket(AF_UNIX, SOCK_STREAM, 0), out = socket(AF_UNIX, SOCK_STREAM, 0);

    MUST(l >= 0 && out >= 0 && bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 1) == 0);
    MUST(connect(out, (struct sockaddr *)&a, sizeof(a)) == 0);
    int in = accept(l, NULL, NULL);
    MUST(in >= 0 && close(l) == 0 && unlink(a.sun_path) == 0);
    struct ends e = {in, out};
    warm(e);
    warm_messages(e);
    return e;
}

/* Packets, of which each of the tests that use it reads whole ones. */
static struct ends warm_packets(void)
{
    int p[2];
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
    struct ends e = {p[0], p[1]};
    warm(e);
    warm_messages(e);
    return e;
}

static struct ends warm_udp(void)
{
    int s[2];

    udp_pair(s);
    struct ends e = {s[0], s[1]};
    warm(e);
    warm_messages(e);
    return e;
}

static void shut(struct ends e)
{
    close(e.in);
    close(e.out);
}

static volatile sig_atomic_t caught;
static volatile int *shared_caught; /* with children */

static void on_signal(int signo)
{
    caught = signo;
    *shared_caught = signo;
}

static void handle(int signo, int flags)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    caught = *shared_caught = 0;
    MUST(sigaction(signo, &sa, NULL) == 0);
}

/* A child that writes when this one waits; after a signal, if that is to come first. */
static pid_t later_than(bool signal, struct ends e, const char *text, size_t n)
{
    pid_t parent = getpid(), pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        await_sleep(parent);
        AWAIT(*shared_caught || !signal);
        _exit(write(e.out, text, n) == (ssize_t)n ? 0 : 1);
    }
    return pid;
}

static pid_t later(struct ends e, const char *text, size_t n)
{
    return later_than(false, e, text, n);
}

static void reap(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    CHECK("the child did its part", status == 0);
}

static void test_waits(struct ends e)
{
    char c = 0;
    pid_t pid = later(e, "x", 1);
    CHECK("a read waits", read(e.in, &c, 1) == 1 && c == 'x');
    reap(pid);
    handle(SIGALRM, 0);
    alarms_begin(30);
    CHECK_ERRNO("interrupted", alarms_end(read(e.in, &c, 1)), EINTR);
    CHECK("by the handler", caught == SIGALRM);
    handle(SIGALRM, SA_RESTART);
    alarms_begin(30);
    pid = later_than(true, e, "y", 1);
    CHECK("restarted", alarms_end(read(e.in, &c, 1)) == 1 && c == 'y' && caught == SIGALRM);
    reap(pid);
    struct pollfd p = {e.in, POLLIN, 0};
    CHECK("poll: nothing", poll(&p, 1, 0) == 0);
    MUST(write(e.out, "z", 1) == 1);
    CHECK("poll: something", poll(&p, 1, PATIENCE_MS) == 1 && (p.revents & POLLIN) && read(e.in, &c, 1) == 1);
}

static void test_nonblock(struct ends e)
{
    char c, big[4096] = {0};
    int flags = fcntl(e.in, F_GETFL), n = 0;
    MUST(fcntl(e.in, F_SETFL, flags | O_NONBLOCK) == 0);
    CHECK_ERRNO("not to wait", read(e.in, &c, 1), EAGAIN);
    MUST(fcntl(e.in, F_SETFL, flags) == 0);
    pid_t pid = later(e, "n", 1);
    CHECK("to wait again", read(e.in, &c, 1) == 1 && c == 'n');
    reap(pid);
    pid = fork();
    if (pid == 0)
        _exit(fcntl(e.in, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : 1);
    reap(pid);
    CHECK_ERRNO("a child's doing", read(e.in, &c, 1), EAGAIN);
    int on = 0;
    MUST(ioctl(e.in, FIONBIO, &on) == 0 && fcntl(e.in, F_GETFL) == flags);
    MUST(fcntl(e.out, F_SETFL, fcntl(e.out, F_GETFL) | O_NONBLOCK) == 0);
    long filled = 0;
    for (ssize_t w; (w = write(e.out, big, sizeof(big))) > 0; filled += w)
        n++;
    CHECK("until it is full", n > 3 && errno == EAGAIN);
    MUST(fcntl(e.out, F_SETFL, fcntl(e.out, F_GETFL) & ~O_NONBLOCK) == 0);
    MUST(fcntl(e.in, F_SETFL, flags | O_NONBLOCK) == 0);
    for (long end = now_ms() + PATIENCE_MS; filled > 0 && now_ms() < end;) {
        ssize_t r = read(e.in, big, sizeof(big));
        if (r > 0)
            filled -= r;
        else
            nap_ms(1);
    }
    CHECK("all that was written", filled == 0);
    MUST(fcntl(e.in, F_SETFL, flags) == 0);
}

static void *drain(void *arg)
{
    struct ends *e = arg;
    char buf[5000];
    long sum = 0;
    for (ssize_t n; (n = read(e->in, buf, sizeof(buf))) > 0;)
        sum += n;
    return (void *)sum;
}

/* More than fits: a blocking write returns when all is written. */
static void test_bulk(struct ends e)
{
    static char big[3 << 20];
    pthread_t t;
    void *sum;
    struct iovec v[2] = {{big, 1 << 20}, {big, 1 << 19}};

    MUST(pthread_create(&t, NULL, drain, &e) == 0);
    CHECK("all of it", write(e.out, big, sizeof(big)) == sizeof(big));
    CHECK("and by pieces", writev(e.out, v, 2) == 3 << 19);
    bool open_still = shutdown(e.out, SHUT_WR) == 0;
    if (!open_still)
        close(e.out);
    MUST(pthread_join(t, &sum) == 0);
    CHECK("to the end of file", (long)sum == (long)sizeof(big) + (3 << 19));
    CHECK("which stays", read(e.in, big, 1) == 0);
    if (open_still)
        close(e.out);
    close(e.in);
}

static void test_broken(struct ends e, bool raises)
{
    handle(SIGPIPE, 0);
    close(e.in);
    ssize_t r = 0;
    for (int i = 0; i < 10000 && r >= 0; i++) {
        r = write(e.out, "b", 1);
        nap_ms(1);
    }
    CHECK("nobody reads", r == -1 && (errno == EPIPE || errno == ECONNRESET));
    for (int i = 0; i < 100 && !caught; i++)
        (void)!write(e.out, "b", 1);
    CHECK("SIGPIPE, but for packets", caught == (raises ? SIGPIPE : 0));
    close(e.out);
}

static void test_end_in_child(void)
{
    struct ends e = warm_pipe();
    char c;
    pid_t pid = fork();
    if (pid == 0) {
        close(e.in);
        for (int i = 0; i < OFTEN; i++)
            MUST(write(e.out, "c", 1) == 1);
        _exit(0);
    }
    close(e.out);
    int n = 0;
    while (read(e.in, &c, 1) == 1)
        n++;
    CHECK("a child's bytes, then the end", n == OFTEN);
    reap(pid);
    close(e.in);
}

static void test_killed_writer(void)
{
    struct ends e = warm_pipe();
    char c;
    pid_t pid = fork();
    if (pid == 0) {
        warm(e);
        pause();
    }
    close(e.out);
    nap_ms(50);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(e.in, &c, 1) == 1)
        ;
    CHECK("a killed writer's end is closed", read(e.in, &c, 1) == 0);
    close(e.in);
}

static void test_exec(const char *self)
{
    struct ends e = warm_pipe();
    char in[16];
    pid_t pid = fork();
    if (pid == 0) {
        close(e.out);
        snprintf(in, sizeof(in), "%d", e.in);
        execl(self, self, "count", in, (char *)NULL);
        _exit(127);
    }
    close(e.in);
    for (int i = 0; i < OFTEN; i++)
        MUST(write(e.out, "e", 1) == 1);
    close(e.out);
    reap(pid);
}

static int count(int fd)
{
    char c;
    int n = 0;
    while (read(fd, &c, 1) == 1)
        n++;
    return n == OFTEN ? 0 : 1;
}

static void *closer(void *arg)
{
    struct ends *e = arg;
    nap_ms(50);
    MUST(write(e->out, "q", 1) == 1);
    return NULL;
}

static void test_stopped(void)
{
    struct ends e = warm_pipe();
    pthread_t t;
    char c;
    pid_t pid = fork();
    if (pid == 0)
        _exit(read(e.in, &c, 1) == 1 && c == 's' ? 0 : 1);
    await_sleep(pid);
    int status;
    kill(pid, SIGSTOP);
    MUST(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    MUST(write(e.out, "s", 1) == 1);
    kill(pid, SIGCONT);
    reap(pid);
    MUST(pthread_create(&t, NULL, closer, &e) == 0);
    CHECK("from another thread", read(e.in, &c, 1) == 1 && c == 'q');
    pthread_join(t, NULL);
    shut(e);
}

static void test_socket(struct ends e, bool stream)
{
    struct timeval tv = {0, 60000}, none = {0, 0};
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char buf[16];

    CHECK_ERRNO("MSG_DONTWAIT", recv(e.in, buf, 1, MSG_DONTWAIT), EAGAIN);
    MUST(write(e.out, "head", 4) == 4);
    pid_t pid = later(e, "tail", 4);
    CHECK("MSG_WAITALL", recv(e.in, buf, 8, MSG_WAITALL) == (stream ? 8 : 4) &&
                             memcmp(buf, "headtail", stream ? 8 : 4) == 0);
    reap(pid);
    CHECK("the rest", stream || recv(e.in, buf, 8, 0) == 4);
    MUST(send(e.out, "p", 1, MSG_NOSIGNAL) == 1);
    CHECK("MSG_PEEK", recv(e.in, buf, 16, MSG_PEEK) == 1 && recv(e.in, buf, 16, 0) == 1);
    MUST(send(e.out, "a", 1, 0) == 1);
    CHECK("with a place for the address",
          recvfrom(e.in, buf, 1, 0, (struct sockaddr *)&from, &len) == 1 && buf[0] == 'a');
    MUST(setsockopt(e.in, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    long begin = now_ms();
    CHECK_ERRNO("a time-out", read(e.in, buf, 1), EAGAIN);
    CHECK("after its time", now_ms() - begin >= 50);
    MUST(setsockopt(e.in, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)) == 0);
    pid = later(e, "t", 1);
    CHECK("and none", read(e.in, buf, 1) == 1 && buf[0] == 't');
    reap(pid);
    shut(e);
}

static void test_sendfile(void)
{
    struct ends e = warm_tcp();
    static char text[400000];
    pthread_t t;
    void *sum;
    int fd = open("/tmp/streams", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2];

    MUST(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
    MUST(pthread_create(&t, NULL, drain, &e) == 0);
    long done = 0;
    for (off_t off = 0; off < (off_t)sizeof(text);) {
        ssize_t n = sendfile(e.out, fd, &off, sizeof(text) - (size_t)off);
        MUST(n > 0);
        done += n;
    }
    CHECK("sendfile to one that waits", done == sizeof(text));
    MUST(pipe(p) == 0 && write(p[1], "spliced", 7) == 7);
    CHECK("splice to it", splice(p[0], NULL, e.out, NULL, 100, 0) == 7);
    shutdown(e.out, SHUT_WR);
    pthread_join(t, &sum);
    CHECK("it arrives", (long)sum == (long)sizeof(text) + 7);
    close(p[0]);
    close(p[1]);
    close(fd);
    unlink("/tmp/streams");
    shut(e);
}

static bool put_event(int fd, uint64_t v)
{
    return write(fd, &v, sizeof(v)) == sizeof(v);
}

/* What it held; 0: nothing. */
static uint64_t take_event(int fd)
{
    uint64_t v = 0;
    return read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

static int make_eventfd(unsigned count, int flags)
{
    int fd = eventfd(count, flags);
    MUST(fd >= 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(put_event(fd, 3) && take_event(fd) > 0);
    return fd;
}

static void *wake_event(void *arg)
{
    nap_ms(50);
    MUST(put_event(*(int *)arg, 5));
    return NULL;
}

static void test_event_counts(int fd)
{
    uint64_t v[2] = {UINT64_MAX, 1};
    struct iovec two[2] = {{v, 4}, {(char *)v + 4, 4}};

    CHECK_ERRNO("nothing there", read(fd, v, sizeof(v[0])), EAGAIN);
    CHECK("sums", put_event(fd, 7) && put_event(fd, 8) && take_event(fd) == 15 && take_event(fd) == 0);
    CHECK_ERRNO("too short to read", read(fd, v, 7), EINVAL);
    CHECK_ERRNO("too short to write", write(fd, v, 7), EINVAL);
    CHECK_ERRNO("nothing to read to", read(fd, v, 0), EINVAL);
    v[0] = UINT64_MAX;
    CHECK_ERRNO("the one value that is none", write(fd, v, 8), EINVAL);
    CHECK("to the brim", put_event(fd, UINT64_MAX - 1));
    v[0] = 1;
    CHECK_ERRNO("and no more", write(fd, v, 8), EAGAIN);
    CHECK("all at once, in pieces", readv(fd, two, 2) == 8 && v[0] == UINT64_MAX - 1);
    CHECK_ERRNO("no position", pread(fd, v, 8, 0), ESPIPE);
}

static void test_eventfd(void)
{
    int fd = make_eventfd(0, EFD_NONBLOCK), sem = make_eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    int ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 77}, got[2];
    pthread_t t;

    test_event_counts(fd);
    while (take_event(sem))
        ;
    CHECK("one by one",
          put_event(sem, 2) && take_event(sem) == 1 && take_event(sem) == 1 && take_event(sem) == 0);
    MUST(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
    MUST(pthread_create(&t, NULL, wake_event, &fd) == 0);
    CHECK("it wakes",
          epoll_wait(ep, got, 2, PATIENCE_MS) == 1 && got[0].data.u64 == 77 && got[0].events == EPOLLIN);
    CHECK("once for each write",
          epoll_wait(ep, got, 2, 0) == 0 && put_event(fd, 1) && epoll_wait(ep, got, 2, 0) == 1);
    pthread_join(t, NULL);
    CHECK("both were counted", take_event(fd) == 6);
    pid_t pid = fork();
    if (pid == 0)
        _exit(put_event(fd, 9) ? 0 : 1);
    reap(pid);
    CHECK("a child's", take_event(fd) == 9);
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0);
    MUST(pthread_create(&t, NULL, wake_event, &fd) == 0);
    CHECK("to wait for it", take_event(fd) == 5);
    pthread_join(t, NULL);
    handle(SIGALRM, 0);
    alarms_begin(30);
    CHECK("interrupted", alarms_end((long)take_event(fd)) == 0 && errno == EINTR && caught == SIGALRM);
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
    CHECK("and not to wait again", take_event(fd) == 0 && errno == EAGAIN);
    int plain = make_eventfd(0, 0);
    MUST(pthread_create(&t, NULL, wake_event, &plain) == 0);
    CHECK("one that always waits", take_event(plain) == 5);
    pthread_join(t, NULL);
    close(plain);
    close(ep);
    close(sem);
    close(fd);
}

static int epfd;

static void *add_later(void *arg)
{
    struct ends *e = arg;
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0};
    nap_ms(50);
    MUST(epoll_ctl(epfd, EPOLL_CTL_ADD, e->in, &ev) == 0 && write(e->out, "l", 1) == 1);
    return NULL;
}

static void test_epoll(void)
{
    struct ends e = warm_pipe(), f = warm_tcp();
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0xfeedfacecafebeef}, got[4];
    pthread_t t;
    char c;

    epfd = epoll_create1(EPOLL_CLOEXEC);
    MUST(epfd >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, e.in, &ev) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(write(e.out, "e", 1) == 1 && epoll_wait(epfd, got, 4, PATIENCE_MS) == 1 &&
             epoll_pwait(epfd, got, 4, PATIENCE_MS, NULL) == 1 && read(e.in, &c, 1) == 1);
    CHECK("its data", got[0].data.u64 == 0xfeedfacecafebeef && got[0].events == EPOLLIN);
    long begin = now_ms();
    CHECK("a time-out", epoll_wait(epfd, got, 4, 60) == 0 && now_ms() - begin >= 55);
    handle(SIGALRM, SA_RESTART);
    alarms_begin(30);
    CHECK_ERRNO("interrupted, whatever the handler's flags",
                alarms_end(epoll_wait(epfd, got, 4, PATIENCE_MS)), EINTR);
    CHECK_ERRNO("no room", epoll_wait(epfd, got, 0, 0), EINVAL);
    MUST(pthread_create(&t, NULL, add_later, &f) == 0);
    CHECK("what is added meanwhile", epoll_wait(epfd, got, 4, PATIENCE_MS) == 1 &&
                                         got[0].data.u64 == 0x123456789abcdef0 && read(f.in, &c, 1) == 1);
    pthread_join(t, NULL);
    CHECK("taken out", epoll_ctl(epfd, EPOLL_CTL_DEL, f.in, NULL) == 0 && write(f.out, "d", 1) == 1 &&
                           epoll_wait(epfd, got, 4, 30) == 0);
    sigset_t block, none;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    handle(SIGALRM, 0);
    alarms_begin(20);
    CHECK("blocked", epoll_wait(epfd, got, 4, 60) == 0 && !caught);
    CHECK_ERRNO("let in by its mask", alarms_end(epoll_pwait(epfd, got, 4, PATIENCE_MS, &none)), EINTR);
    CHECK("the handler ran", caught == SIGALRM);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    close(e.in);
    CHECK("closed files are not watched", write(f.out, "d", 1) == 1 && epoll_wait(epfd, got, 4, 20) == 0);
    close(epfd);
    close(e.out);
    shut(f);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "count") == 0)
        return count(atoi(argv[2]));
    shared_caught = shared_zeroes(sizeof(*shared_caught));
    struct ends p = warm_pipe(), s = warm_tcp(), u = warm_unix(), q = warm_packets(), d = warm_udp();
    test_waits(p);
    test_waits(s);
    test_waits(u);
    test_waits(q);
    test_waits(d);
    test_nonblock(p);
    test_nonblock(s);
    test_nonblock(u);
    test_nonblock(q);
    test_bulk(p);
    test_bulk(s);
    test_bulk(u);
    test_broken(warm_pipe(), true);
    test_broken(warm_tcp(), true);
    test_broken(warm_unix(), true);
    test_broken(q, false);
    test_end_in_child();
    test_killed_writer();
    test_exec(argv[0]);
    test_stopped();
    test_socket(warm_tcp(), true);
    test_socket(warm_unix(), true);
    test_socket(warm_packets(), false);
    test_socket(d, false);
    test_sendfile();
    test_epoll();
    test_eventfd();
    return check_done();
}
