/* TCP connections of a program with one thread, made, used and closed: a runtime may leave them to it, and
 * hear of their end later. They end when the last descriptor is closed, at once, and whoever else comes to
 * use one finds it as it is.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/guest/check.h"

#define OFTEN 80

static struct sockaddr_in at = {.sin_family = AF_INET};
static int listener;
static const char *self;

struct pair {
    int client, server;
};

static int join(int fd)
{
    return connect(fd, (struct sockaddr *)&at, sizeof(at));
}

static void shut(int fd)
{
    MUST(close(fd) == 0);
}

static int fresh(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(fd >= 0);
    return fd;
}

static int begun(void)
{
    int fd = fresh();

    MUST(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 && join(fd) == -1 && errno == EINPROGRESS);
    return fd;
}

static int taken(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    MUST(fd >= 0);
    return fd;
}

/* The client has heard that it is connected; the server has heard nothing of its socket. */
static struct pair pair(void)
{
    struct pair p = {.client = begun()};

    MUST(join(p.client) == 0);
    p.server = taken();
    return p;
}

static void part(struct pair p)
{
    shut(p.client);
    shut(p.server);
}

static ssize_t get(int fd)
{
    char c[8];

    return recv(fd, c, sizeof(c), 0);
}

static bool put(int fd)
{
    return send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

static bool is_quiet(int fd)
{
    return get(fd) == -1 && errno == EAGAIN;
}

static bool talk(struct pair p)
{
    return put(p.client) && get(p.server) == 1 && put(p.server) && get(p.client) == 1 && is_quiet(p.client) &&
           is_quiet(p.server);
}

static void begin(void)
{
    socklen_t len = sizeof(at);

    listener = fresh();
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(listener, 16) == 0 &&
         getsockname(listener, (struct sockaddr *)&at, &len) == 0);
}

/* Each instruction is hot from then on, and sockets are used without further ado. */
static void warm(void)
{
    int wrong = 0;

    for (int i = 0; i < OFTEN; i++) {
        struct pair p = pair();
        for (int k = 0; k < 6; k++)
            wrong += !talk(p);
        shut(p.server);
        wrong += get(p.client) != 0;
        shut(p.client);
    }
    CHECK("connected, used, closed", wrong == 0);
}

/* The end
 * -------------------------------------------------------------------------------------------------------- */

static struct shared {
    atomic_int go, seen;
} * sh;

/* Waits without a call that a runtime would have to hear of. */
static void await_quietly(const atomic_int *what, int value)
{
    while (atomic_load(what) != value)
        sched_yield();
}

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

/* Others
 * -------------------------------------------------------------------------------------------------------- */

static void test_dup(void)
{
    struct pair p = pair();
    int other = dup(p.server);

    shut(p.server);
    CHECK("dup", is_quiet(p.client) && put(other) && get(p.client) == 1);
    CHECK("dup2 over another", dup2(other, p.server) == p.server);
    shut(other);
    CHECK("is one more", is_quiet(p.client) && talk(p));
    shut(p.server);
    CHECK("the last one", get(p.client) == 0);
    shut(p.client);
    struct pair q = pair();
    p = pair();
    CHECK("dup2 closes", dup2(q.server, p.server) == p.server && get(p.client) == 0);
    shut(q.server);
    CHECK("fcntl", is_quiet(q.client) && fcntl(p.server, F_DUPFD, 60) == 60);
    shut(p.server);
    CHECK("as dup", put(60) && get(q.client) == 1 && close_range(60, 60, 0) == 0 && get(q.client) == 0);
    shut(p.client);
    shut(q.client);
}

static void test_fork(void)
{
    struct pair p = pair();
    int status;

    atomic_store(&sh->go, 0);
    pid_t pid = fork();
    if (pid == 0) {
        await_quietly(&sh->go, 1);
        bool good = put(p.server) && close(p.client) == 0;
        atomic_store(&sh->seen, 2);
        await_quietly(&sh->go, 2);
        _exit(!good);
    }
    shut(p.server);
    bool open = is_quiet(p.client);
    atomic_store(&sh->go, 1);
    await_quietly(&sh->seen, 2);
    CHECK("a child has it, too", open && get(p.client) == 1 && is_quiet(p.client));
    atomic_store(&sh->go, 2);
    CHECK("until it ends", waitpid(pid, &status, 0) == pid && status == 0 && get(p.client) == 0);
    shut(p.client);
    p = pair();
    pid = fork();
    if (pid == 0) {
        struct pair q = pair();
        _exit(!talk(p) || !talk(q));
    }
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK("and may use it", status == 0 && is_quiet(p.client) && talk(p));
    part(p);
}

/* A child with habits of its own takes the next connection, and goes on with it: the other end of that. */
static int served_by(pid_t *pid, int (*child)(int fd))
{
    atomic_store(&sh->go, 0);
    atomic_store(&sh->seen, 0);
    *pid = fork();
    if (*pid == 0) {
        for (int i = 0; i < OFTEN; i++)
            part(pair());
        atomic_store(&sh->seen, 1);
        await_quietly(&sh->go, 1);
        _exit(child(taken()));
    }
    AWAIT(atomic_load(&sh->seen) == 1);
    int client = begun();
    MUST(join(client) == 0);
    atomic_store(&sh->go, 1);
    return client;
}

static int stays(int fd)
{
    atomic_store(&sh->seen, put(fd) ? 2 : 3);
    while (true)
        pause();
    return 0;
}

static void test_killed(void)
{
    int status;
    pid_t pid;
    int client = served_by(&pid, stays);

    await_quietly(&sh->seen, 2);
    CHECK("whose process lives", get(client) == 1 && is_quiet(client));
    MUST(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK("and ends", get(client) == 0);
    shut(client);
}

static int execed(const char *number)
{
    int fd = atoi(number);

    return !put(fd) || fcntl(fd, F_GETFD) != 0;
}

/* The program becomes another, which then has it alone; or does not. */
static int becomes(int fd)
{
    struct pair gone = pair();
    char number[16];

    MUST(execl("/nowhere", "nowhere", NULL) == -1 && talk(gone) && is_quiet(fd));
    MUST(fcntl(fd, F_SETFD, 0) == 0);
    snprintf(number, sizeof(number), "%d", fd);
    part(pair());
    execl(self, self, number, NULL);
    return 98;
}

static void test_exec(void)
{
    struct pair p = pair();
    int status;
    pid_t pid;
    int client = served_by(&pid, becomes);

    MUST(waitpid(pid, &status, 0) == pid);
    CHECK("another program's", status == 0 && get(client) == 1 && get(client) == 0 && talk(p));
    shut(client);
    part(p);
}

/* Not even asked for close-on-exec: the host closes its own. */
static int vanishes(int fd)
{
    (void)fd;
    execl(self, self, "-1", NULL);
    return 98;
}

static void test_close_on_exec(void)
{
    int status;
    pid_t pid;
    int client = served_by(&pid, vanishes);

    CHECK("closed by an exec", waitpid(pid, &status, 0) == pid && status == 256 && get(client) == 0);
    shut(client);
}

static void forbid(int nr)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

/* From then on filters have a say in each connect, and then in each close. */
static int filtered(int fd)
{
    int going = begun();

    forbid(SYS_connect);
    bool good = join(going) == -1 && errno == ENOTTY;
    forbid(SYS_close);
    good &= join(going) == -1 && errno == ENOTTY && close(fd) == -1 && errno == ENOTTY;
    return !(good && put(fd));
}

static void test_filtered(void)
{
    int status;
    pid_t pid;
    int client = served_by(&pid, filtered);

    CHECK("a filter has its say",
          waitpid(pid, &status, 0) == pid && status == 0 && get(client) == 1 && get(client) == 0);
    shut(client);
    shut(taken()); /* what was going on */
}

static void send_fd(int through, int fd)
{
    char byte = 'x', room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec v = {&byte, 1};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);

    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    MUST(sendmsg(through, &h, 0) == 1);
}

static int recv_fd(int through)
{
    char byte, room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec v = {&byte, 1};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    int fd;

    MUST(recvmsg(through, &h, 0) == 1 && CMSG_FIRSTHDR(&h));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(fd));
    return fd;
}

static void test_passed(void)
{
    struct pair p = pair();
    int through[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, through) == 0);
    send_fd(through[0], p.server);
    shut(p.server);
    CHECK("on its way it is open", is_quiet(p.client));
    p.server = recv_fd(through[1]);
    CHECK("and there it is", talk(p));
    shut(p.server);
    CHECK("to its end", get(p.client) == 0);
    shut(p.client);
    shut(through[0]);
    shut(through[1]);
}

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* Looks at the server's end that its parent has, in every way. 77: it must not take it. */
static int look(pid_t pid, struct pair p, ino_t ino)
{
    char path[64], text[64] = "", want[64];
    int own = (int)syscall(SYS_pidfd_open, pid, 0);

    await_quietly(&sh->go, 1);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, p.server);
    snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)ino);
    bool seen = readlink(path, text, sizeof(text) - 1) > 0 && strcmp(text, want) == 0;
    int fd = (int)syscall(SYS_pidfd_getfd, own, p.server, 0);
    int r = !seen ? 1 : fd < 0 ? (errno == EPERM ? 77 : 2) : !put(fd);
    atomic_store(&sh->seen, 1);
    await_quietly(&sh->go, 2);
    return r;
}

static void test_seen(void)
{
    struct stat st;
    pid_t parent = getpid();
    int status, tell[2];

    MUST(pipe(tell) == 0);
    atomic_store(&sh->go, 0);
    atomic_store(&sh->seen, 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct {
            struct pair p;
            ino_t ino;
        } m;
        close(tell[1]);
        MUST(read(tell[0], &m, sizeof(m)) == sizeof(m));
        _exit(look(parent, m.p, m.ino));
    }
    struct {
        struct pair p;
        ino_t ino;
    } m = {.p = pair()};
    MUST(fstat(m.p.server, &st) == 0);
    part(m.p);
    m.p = pair(); /* nobody has asked for anything of it yet */
    char text[64] = "", path[64];
    struct pair q = pair();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", q.server);
    MUST(fstat(q.server, &st) == 0 && readlink(path, text, sizeof(text) - 1) > 0);
    char want[64];
    snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
    CHECK("what /proc says", strcmp(text, want) == 0 && S_ISSOCK(st.st_mode));
    MUST(fstat(m.p.server, &st) == 0);
    m.ino = st.st_ino;
    MUST(write(tell[1], &m, sizeof(m)) == sizeof(m));
    atomic_store(&sh->go, 1);
    await_quietly(&sh->seen, 1);
    shut(m.p.server);
    ssize_t n = get(m.p.client);
    bool open = n == 1 ? is_quiet(m.p.client) : n == 0;
    atomic_store(&sh->go, 2);
    MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK("who looks sees it, and who may takes it",
          open && ((WEXITSTATUS(status) == 0 && n == 1 && get(m.p.client) == 0) ||
                   (WEXITSTATUS(status) == 77 && n == 0)));
    shut(m.p.client);
    part(q);
    shut(tell[0]);
    shut(tell[1]);
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

int main(int argc, char **argv)
{
    if (argc > 1)
        return execed(argv[1]);
    self = argv[0];
    sh = shared_zeroes(sizeof(*sh));
    begin();
    warm();
    test_at_once();
    test_both();
    test_unread();
    test_epoll();
    test_dup();
    test_fork();
    test_killed();
    test_exec();
    test_close_on_exec();
    test_filtered();
    test_passed();
    test_seen();
    test_asked();
    test_again();
    test_refused();
    test_reset();
    test_pending();
    test_signals();
    test_threads();
    return check_done();
}
