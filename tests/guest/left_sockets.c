/* TCP connections of a program with one thread, made, used and closed: a runtime may leave them to it, and
 * hear of their end later. They end when the last descriptor is closed, at once.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

#include "tests/guest/left.h"

/* Reads to the end of what its parent's other end sends. */
static int reader(struct pair p)
{
    struct pollfd f = {.fd = p.client, .events = POLLIN};

    close(p.server);
    while (poll(&f, 1, PATIENCE_MS) == 1 && get(p.client) > 0)
        ;
    bool ended = get(p.client) == 0;
    atomic_store(&sh->seen, 1);
    return !ended;
}

static void test_at_once(void)
{
    int status, wrong = 0;

    for (int i = 0; i < 8; i++) {
        struct pair p = {.client = begun()};
        MUST(join(p.client) == 0);
        atomic_store(&sh->seen, 0);
        pid_t pid = fork();
        if (pid == 0)
            _exit(reader((struct pair){p.client, listener}));
        shut(p.client);
        p.server = taken();
        wrong += !put(p.server);
        shut(p.server);
        await_quietly(&sh->seen, 1);
        wrong += waitpid(pid, &status, 0) != pid || status != 0;
    }
    CHECK("whoever waits for the end hears of it at once", wrong == 0);
}

static void test_both(void)
{
    struct pair p = pair();

    shut(p.client);
    CHECK("the server sees the client's end", get(p.server) == 0);
    CHECK("and may still send", put(p.server));
    shut(p.server);
    CHECK_ERRNO("closed is closed", send(p.server, "x", 1, MSG_NOSIGNAL), EBADF);
    CHECK_ERRNO("twice", close(p.server), EBADF);
    CHECK_ERRNO("connected again", join(p.client), EBADF);
    CHECK_ERRNO("its flags", fcntl(p.client, F_GETFL), EBADF);
    struct pair q = pair();
    CHECK("their numbers again", q.client == p.client && q.server == p.server && talk(q));
    part(q);
}

static void test_unread(void)
{
    struct linger now = {.l_onoff = 1};
    struct pair p = pair();

    MUST(put(p.client));
    shut(p.server);
    CHECK("what is not read resets", get(p.client) == -1 && errno == ECONNRESET);
    shut(p.client);
    p = pair();
    MUST(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
    shut(p.server);
    CHECK("SO_LINGER of no time resets", get(p.client) == -1 && errno == ECONNRESET);
    shut(p.client);
    p = pair();
    now.l_linger = 5;
    MUST(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0 && put(p.server));
    shut(p.server);
    CHECK("SO_LINGER of some does not", get(p.client) == 1 && get(p.client) == 0);
    shut(p.client);
}

static void test_epoll(void)
{
    struct epoll_event e = {.events = EPOLLIN}, got;
    struct pair p = pair();
    int ep = epoll_create1(EPOLL_CLOEXEC), wrong = 0;

    for (int i = 0; i < 60; i++) {
        e.data.u32 = (unsigned)i;
        wrong += epoll_ctl(ep, EPOLL_CTL_ADD, p.client, &e) != 0 || epoll_wait(ep, &got, 1, 0) != 0 ||
                 !put(p.server);
        wrong +=
            epoll_wait(ep, &got, 1, PATIENCE_MS) != 1 || got.data.u32 != (unsigned)i || get(p.client) != 1;
        int before = p.client;
        shut(p.server);
        shut(p.client);
        wrong += epoll_wait(ep, &got, 1, 0) != 0;
        p = pair();
        wrong += p.client != before;
    }
    CHECK("an epoll forgets what is closed", wrong == 0);
    for (int i = 0; i < 60; i++) {
        struct pollfd f = {.fd = p.client, .events = POLLIN};
        wrong += poll(&f, 1, 0) != 0 || !put(p.server) || poll(&f, 1, PATIENCE_MS) != 1 || get(p.client) != 1;
        part(p);
        p = pair();
    }
    CHECK("so does poll", wrong == 0);
    part(p);
    shut(ep);
}

/* Every call that asks, each for a pair of its own. */
static void test_asked(void)
{
    struct sockaddr_in name, peer;
    socklen_t len = sizeof(name), size = sizeof(int);
    int v = -1, n = -1;
    struct pair p = pair();

    CHECK("getpeername",
          getpeername(p.server, (struct sockaddr *)&peer, &len) == 0 &&
              getsockname(p.client, (struct sockaddr *)&name, &len) == 0 && name.sin_port == peer.sin_port &&
              getpeername(p.client, (struct sockaddr *)&peer, &len) == 0 && peer.sin_port == at.sin_port);
    part(p);
    p = pair();
    CHECK("getsockopt", getsockopt(p.client, SOL_SOCKET, SO_ERROR, &v, &size) == 0 && v == 0 &&
                            getsockopt(p.server, SOL_SOCKET, SO_TYPE, &v, &size) == 0 && v == SOCK_STREAM);
    part(p);
    p = pair();
    CHECK("ioctl", put(p.client) && ioctl(p.server, FIONREAD, &n) == 0 && n == 1);
    part(p);
    p = pair();
    CHECK("shutdown",
          shutdown(p.server, SHUT_WR) == 0 && get(p.client) == 0 && put(p.client) && get(p.server) == 1);
    part(p);
    p = pair();
    CHECK("F_SETFL", fcntl(p.client, F_GETFL) == (O_RDWR | O_NONBLOCK) && fcntl(p.client, F_SETFL, 0) == 0 &&
                         put(p.server) && get(p.client) == 1 && recv(p.client, &n, 1, MSG_DONTWAIT) == -1 &&
                         errno == EAGAIN);
    part(p);
    p = pair();
    fd_set set;
    FD_ZERO(&set);
    FD_SET(p.server, &set);
    CHECK("select",
          put(p.client) && select(p.server + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(p.server, &set));
    part(p);
}

/* connect(2), again
 * -------------------------------------------------------------------------------------------------------- */

static void test_again(void)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int fd = begun();

    CHECK_ERRNO("a bad address", connect(fd, bad_address, sizeof(at)), EFAULT);
    CHECK_ERRNO("a short one", connect(fd, (struct sockaddr *)&at, 1), EINVAL);
    CHECK_ERRNO("a long one", connect(fd, (struct sockaddr *)&at, 4096), EINVAL);
    CHECK("connected", join(fd) == 0);
    CHECK_ERRNO("once", join(fd), EISCONN);
    CHECK_ERRNO("and for all", join(fd), EISCONN);
    struct pair p = {fd, taken()};
    CHECK("talks", talk(p));
    CHECK("taken back", connect(fd, &none, sizeof(none)) == 0 && get(p.server) == -1 && errno == ECONNRESET);
    CHECK("and made anew",
          join(fd) == -1 && errno == EINPROGRESS && join(fd) == 0 && join(fd) == -1 && errno == EISCONN);
    shut(p.server);
    p.server = taken();
    CHECK("talks again", talk(p));
    part(p);
    fd = begun();
    int other = dup(fd);
    CHECK("by another number", join(other) == 0 && join(fd) == -1 && errno == EISCONN);
    shut(other);
    p = (struct pair){fd, taken()};
    CHECK("that is closed", talk(p));
    part(p);
}

static void test_refused(void)
{
    struct sockaddr_in there = at, nowhere = at;
    socklen_t len = sizeof(nowhere);
    int fd = fresh(), wrong = 0;

    nowhere.sin_port = 0;
    MUST(bind(fd, (struct sockaddr *)&nowhere, sizeof(nowhere)) == 0 &&
         getsockname(fd, (struct sockaddr *)&nowhere, &len) == 0);
    at = nowhere;
    for (int i = 0; i < 40; i++) {
        int c = begun();
        wrong += join(c) != -1 || errno != ECONNREFUSED;
        wrong += join(c) != -1 || errno != EINPROGRESS;
        shut(c);
    }
    CHECK("refused, and tried again", wrong == 0);
    int c = begun(), error = 0;
    len = sizeof(error);
    CHECK("who asks otherwise", getsockopt(c, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
                                    error == ECONNREFUSED && join(c) == -1 && errno == ECONNABORTED);
    shut(c);
    at = there;
    shut(fd);
}

/* The other end has reset it before anybody asked again. */
static void test_reset(void)
{
    struct linger now = {.l_onoff = 1};
    int wrong = 0;

    for (int i = 0; i < 40; i++) {
        int c = begun(), s = taken();
        MUST(setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
        shut(s);
        wrong += join(c) != -1 || errno != ECONNRESET;
        shut(c);
    }
    CHECK("reset meanwhile", wrong == 0);
}

/* A listener whose queue is full hears of no more. */
static void test_pending(void)
{
    struct sockaddr_in there = at;
    socklen_t len = sizeof(at);
    int full = fresh(), fd[4], wrong = 0;

    at.sin_port = 0;
    MUST(bind(full, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(full, 0) == 0 &&
         getsockname(full, (struct sockaddr *)&at, &len) == 0);
    for (int i = 0; i < 4; i++)
        fd[i] = begun();
    CHECK("the first is connected", join(fd[0]) == 0);
    for (int i = 0; i < 4; i++)
        wrong += join(fd[3]) != -1 || errno != EALREADY;
    CHECK("the last is not", wrong == 0);
    struct pollfd f = {.fd = fd[3], .events = POLLOUT};
    CHECK("nor is it ready", poll(&f, 1, 0) == 0);
    for (int i = 0; i < 4; i++)
        shut(fd[i]);
    shut(full);
    at = there;
}

static atomic_int caught;

static void on_alarm(int signo)
{
    int saved = errno;

    (void)signo;
    atomic_fetch_add(&caught, 1);
    part(pair());
    errno = saved;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 700}, {0, 700}}, never = {0};
    sigset_t set;
    int wrong = 0, rounds = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
    do {
        int fd = begun();
        wrong += join(fd) != 0;
        MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0); /* what the handler connects is not for this one */
        int s = taken();
        MUST(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
        shut(fd);
        shut(s);
    } while (++rounds < 1500 && caught < 150);
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK("signals in the middle", wrong == 0);
}

static void *use_it(void *arg)
{
    struct pair *p = arg, mine = pair();
    bool good = talk(*p) && talk(mine);

    part(mine);
    shut(p->server);
    return (void *)(long)!(good && get(p->client) == 0);
}

static void test_threads(void)
{
    struct pair p = pair(), q = pair();
    pthread_t thread;
    void *wrong;

    MUST(pthread_create(&thread, NULL, use_it, &p) == 0 && pthread_join(thread, &wrong) == 0);
    CHECK("threads", !wrong && talk(q));
    shut(q.server);
    CHECK("afterwards", get(q.client) == 0);
    shut(p.client);
    shut(q.client);
}

int main(void)
{
    begin();
    test_at_once();
    test_both();
    test_unread();
    test_epoll();
    test_asked();
    test_again();
    test_refused();
    test_reset();
    test_pending();
    test_signals();
    test_threads();
    return check_done();
}
