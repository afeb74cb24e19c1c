/* Unix sockets: streams, datagrams, packets, names, passed descriptors and credentials, errors. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/guest/check.h"

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, path);
    return a;
}

static int bound(int type, const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, type, 0);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

static int connect_to(int fd, const char *path)
{
    struct sockaddr_un a = address(path);
    return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

/* Sends text with descriptors and, if cred, one's own credentials. */
static ssize_t send_with(int fd, const char *text, const int *fds, unsigned n, const struct ucred *cred)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(8 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } u = {0};
    struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = u.buf};
    struct cmsghdr *c = &u.align;
    if (n) {
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
        m.msg_controllen += CMSG_SPACE(n * sizeof(int));
        c = (struct cmsghdr *)(u.buf + m.msg_controllen);
    }
    if (cred) {
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(*cred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
        memcpy(CMSG_DATA(c), cred, sizeof(*cred));
        m.msg_controllen += CMSG_SPACE(sizeof(*cred));
    }
    return sendmsg(fd, &m, 0);
}

struct got {
    char text[100];
    ssize_t n;
    int fds[8], nfds, flags;
    struct ucred cred;
    bool has_cred;
};

static struct got receive(int fd, size_t control, int flags)
{
    union {
        struct cmsghdr align;
        char buf[512];
    } u = {0};
    struct got g = {0};
    struct iovec v = {g.text, sizeof(g.text)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = control};
    g.n = recvmsg(fd, &m, flags);
    g.flags = m.msg_flags;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); g.n >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == SCM_RIGHTS) {
            g.nfds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(g.fds, CMSG_DATA(c), (size_t)g.nfds * sizeof(int));
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&g.cred, CMSG_DATA(c), sizeof(g.cred));
            g.has_cred = true;
        }
    }
    return g;
}

static void test_stream(void)
{
    int l = bound(SOCK_STREAM, "/tmp/stream"), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO("nobody listens", connect_to(c, "/tmp/stream"), ECONNREFUSED);
    CHECK("listen", listen(l, 1) == 0);
    CHECK_ERRNO("no such name", connect_to(c, "/tmp/nowhere"), ENOENT);
    CHECK_ERRNO("not a socket", connect_to(c, "/etc/passwd"), ECONNREFUSED);
    CHECK("connect before accept", connect_to(c, "/tmp/stream") == 0 && write(c, "early", 5) == 5);
    struct sockaddr_un a;
    socklen_t len = sizeof(a);
    int s = accept(l, (struct sockaddr *)&a, &len);
    char buf[100];
    CHECK("accept", s >= 0 && len == 2 && a.sun_family == AF_UNIX && read(s, buf, 100) == 5);
    len = sizeof(a);
    CHECK("getpeername",
          getpeername(c, (struct sockaddr *)&a, &len) == 0 && strcmp(a.sun_path, "/tmp/stream") == 0);
    CHECK("its length", len == offsetof(struct sockaddr_un, sun_path) + strlen("/tmp/stream") + 1);
    len = sizeof(a);
    CHECK("getsockname of an accepted one",
          getsockname(s, (struct sockaddr *)&a, &len) == 0 && strcmp(a.sun_path, "/tmp/stream") == 0);
    CHECK_ERRNO("connected already", connect_to(c, "/tmp/stream"), EISCONN);
    struct ucred cred;
    len = sizeof(cred);
    CHECK("SO_PEERCRED",
          getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid == getpid() && cred.uid == 0);
    shutdown(c, SHUT_WR);
    CHECK("half closed", read(s, buf, 1) == 0 && write(s, "back", 4) == 4 && read(c, buf, 10) == 4);
    close(s);
    CHECK("closed", read(c, buf, 1) == 0);
    CHECK_ERRNO("EPIPE without a signal", send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
    struct stat st;
    CHECK("a socket in the tree", stat("/tmp/stream", &st) == 0 && S_ISSOCK(st.st_mode));
    int again = socket(AF_UNIX, SOCK_STREAM, 0);
    a = address("/tmp/stream");
    CHECK_ERRNO("the name is taken", bind(again, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
    unlink("/tmp/stream");
    CHECK("free again", bind(again, (struct sockaddr *)&a, sizeof(a)) == 0);
    a = address("/tmp/other");
    CHECK_ERRNO("bound already", bind(again, (struct sockaddr *)&a, sizeof(a)), EINVAL);
    close(again);
    CHECK_ERRNO("open of a socket", open("/tmp/stream", O_RDONLY), ENXIO);
    close(l);
    close(c);
}

static void test_backlog(void)
{
    int l = bound(SOCK_STREAM, "/tmp/backlog"), c[8], n = 0;
    listen(l, 2);
    for (; n < 8; n++) {
        c[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect_to(c[n], "/tmp/backlog") != 0)
            break;
    }
    CHECK("a full backlog", n == 3 && errno == EAGAIN);
    struct pollfd p = {.fd = l, .events = POLLIN};
    CHECK("the listener is readable", poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    int s = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK("accept4", fcntl(s, F_GETFL) & O_NONBLOCK && fcntl(s, F_GETFD) == FD_CLOEXEC);
    char b;
    CHECK_ERRNO("nothing there", read(s, &b, 1), EAGAIN);
    close(l);
    CHECK("reset or end for who was not accepted", read(c[2], &b, 1) <= 0);
}

static void test_dgram(void)
{
    int a = bound(SOCK_DGRAM, "/tmp/a"), b = bound(SOCK_DGRAM, "/tmp/b");
    struct sockaddr_un to = address("/tmp/a"), from;
    socklen_t len = sizeof(from);
    char buf[100];
    CHECK("sendto", sendto(b, "one", 3, 0, (struct sockaddr *)&to, sizeof(to)) == 3);
    CHECK("recvfrom", recvfrom(a, buf, 100, 0, (struct sockaddr *)&from, &len) == 3 &&
                          strcmp(from.sun_path, "/tmp/b") == 0);
    MUST(connect_to(b, "/tmp/a") == 0);
    MUST(send(b, "a longer one", 12, 0) == 12 && send(b, "second", 6, 0) == 6);
    CHECK("cut off", recv(a, buf, 4, MSG_TRUNC) == 12 && recv(a, buf, 100, 0) == 6);
    MUST(send(b, "", 0, 0) == 0);
    CHECK("an empty one", recv(a, buf, 100, 0) == 0);
    CHECK_ERRNO("only from whom it is connected to", (connect_to(a, "/tmp/a"), sendto(b, "x", 1, 0, NULL, 0)),
                EPERM);
    close(a);
    CHECK_ERRNO("gone", send(b, "x", 1, 0), ECONNREFUSED);
    close(b);
    int p[2];
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
    MUST(send(p[0], "first", 5, 0) == 5 && send(p[0], "second", 6, 0) == 6);
    struct got g = receive(p[1], 0, 0);
    CHECK("packets stay apart", g.n == 5 && recv(p[1], buf, 3, 0) == 3);
    close(p[0]);
    CHECK("their end", recv(p[1], buf, 3, 0) == 0);
    close(p[1]);
}

static void test_rights(void)
{
    int p[2], q[2], fd = open("/tmp/passed", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char buf[10];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && pipe(q) == 0);
    CHECK("send two", send_with(p[0], "two", (int[]){q[1], fd}, 2, NULL) == 3);
    close(q[1]);
    struct got g = receive(p[1], 512, MSG_CMSG_CLOEXEC);
    CHECK("receive two", g.n == 3 && g.nfds == 2 && fcntl(g.fds[0], F_GETFD) == FD_CLOEXEC);
    CHECK("one is the pipe", write(g.fds[0], "hi", 2) == 2 && read(q[0], buf, 10) == 2);
    MUST(write(fd, "abc", 3) == 3);
    CHECK("one shares the position",
          lseek(g.fds[1], 0, SEEK_CUR) == 3 && write(g.fds[1], "d", 1) == 1 && lseek(fd, 0, SEEK_CUR) == 4);
    close(g.fds[0]);
    CHECK("closed with the last", read(q[0], buf, 1) == 0);
    CHECK_ERRNO("a bad descriptor", send_with(p[0], "x", (int[]){999}, 1, NULL), EBADF);
    send_with(p[0], "cut", (int[]){fd, fd, fd}, 3, NULL);
    g = receive(p[1], CMSG_SPACE(sizeof(int)), 0);
    CHECK("too little room", g.nfds <= 2 && g.nfds >= 1 && (g.flags & MSG_CTRUNC));
    send_with(p[0], "none", (int[]){fd}, 1, NULL);
    CHECK("none wanted", read(p[1], buf, 10) == 4);
    send_with(p[0], "A", (int[]){fd}, 1, NULL);
    MUST(write(p[0], "B", 1) == 1);
    g = receive(p[1], 512, 0);
    CHECK("bytes behind descriptors", g.nfds == 1 && g.n >= 1 && g.text[0] == 'A');
    send_with(p[0], "self", (int[]){p[0], p[1]}, 2, NULL);
    close(p[0]);
    close(p[1]);
    CHECK("a socket sent through itself goes away", true);
    int d = open("/tmp", O_RDONLY | O_DIRECTORY);
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
    CHECK("a directory", send_with(p[0], "d", &d, 1, NULL) == 1 && (g = receive(p[1], 512, 0)).nfds == 1 &&
                             openat(g.fds[0], "passed", O_RDONLY) >= 0);
}

static void test_cred(void)
{
    int p[2], one = 1;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
    MUST(write(p[0], "plain", 5) == 5);
    struct got g = receive(p[1], 512, 0);
    CHECK("added for who asks", g.has_cred && g.cred.pid == getpid() && g.cred.uid == 0 && g.cred.gid == 0);
    pid_t pid = fork();
    if (pid == 0) {
        MUST(setgid(55) == 0 && setuid(44) == 0);
        struct ucred own = {getpid(), getuid(), getgid()}, fake = {1, 0, 0};
        MUST(send_with(p[0], "mine", NULL, 0, &own) == 4);
        _exit(send_with(p[0], "fake", NULL, 0, &fake) == -1 && errno == EPERM ? 0 : 1);
    }
    int st;
    g = receive(p[1], 512, 0);
    waitpid(pid, &st, 0);
    CHECK("sent by a child", g.n == 4 && g.cred.pid == pid && g.cred.uid == 44 && g.cred.gid == 55);
    CHECK("no lies", st == 0);
    int fd = dup(1);
    struct ucred own = {getpid(), 0, 0};
    CHECK("both kinds",
          send_with(p[0], "both", &fd, 1, &own) == 4 && (g = receive(p[1], 512, 0)).has_cred && g.nfds == 1);
    struct ucred cred;
    socklen_t len = sizeof(cred);
    CHECK("SO_PEERCRED of a pair",
          getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid == getpid());
}

static void test_abstract(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0name\0with zero"}, b;
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + 15, blen = sizeof(b);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK("bind", bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 5) == 0);
    CHECK("getsockname",
          getsockname(l, (struct sockaddr *)&b, &blen) == 0 && blen == len && memcmp(&a, &b, len) == 0);
    CHECK_ERRNO("a shorter name is another", connect(c, (struct sockaddr *)&a, len - 1), ECONNREFUSED);
    CHECK("connect", connect(c, (struct sockaddr *)&a, len) == 0);
    close(l);
    CHECK_ERRNO("gone with its socket", connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, len),
                ECONNREFUSED);
    l = socket(AF_UNIX, SOCK_DGRAM, 0);
    a.sun_family = AF_UNIX;
    CHECK("autobind", bind(l, (struct sockaddr *)&a, 2) == 0 &&
                          (blen = sizeof(b), getsockname(l, (struct sockaddr *)&b, &blen)) == 0 &&
                          blen == 8 && b.sun_path[0] == 0);
    CHECK_ERRNO("too short", bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, 1), EINVAL);
    CHECK_ERRNO("no such protocol", socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
    CHECK_ERRNO("no such type", socket(AF_UNIX, 11, 0), EINVAL);
    CHECK_ERRNO("no such family", socket(123, SOCK_STREAM, 0), EAFNOSUPPORT);
    int v = 0;
    len = sizeof(v);
    CHECK("SO_TYPE", getsockopt(l, SOL_SOCKET, SO_TYPE, &v, &len) == 0 && v == SOCK_DGRAM);
    CHECK("SO_DOMAIN", getsockopt(l, SOL_SOCKET, SO_DOMAIN, &v, &len) == 0 && v == AF_UNIX);
}

static void *wait_for_space(int *p)
{
    static char buf[4096];
    long n = 0;
    for (ssize_t r; (r = send(p[0], buf, sizeof(buf), MSG_DONTWAIT)) > 0; n += r)
        ;
    CHECK("a full socket", n > 50000 && errno == EAGAIN);
    struct pollfd f = {.fd = p[0], .events = POLLOUT};
    CHECK("is not writable", poll(&f, 1, 0) == 0);
    while (recv(p[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
        ;
    CHECK("until it is read", poll(&f, 1, 0) == 1);
    return NULL;
}

/* recv(2) of no bytes waits for one all the same, read(2) does not; recvmmsg(2) tells what is left of its
 * time if it has received something. */
static void test_nothing(void)
{
    char c;
    int p[2];
    struct timespec left = {.tv_sec = 100000};
    struct iovec v = {&c, 1};
    struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}},
                           {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}}};
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK_ERRNO("none of none", recv(p[0], &c, 0, MSG_DONTWAIT), EAGAIN);
    CHECK("read of none", read(p[0], &c, 0) == 0);
    CHECK("none of one", send(p[1], "x", 1, 0) == 1 && recv(p[0], &c, 0, MSG_DONTWAIT) == 0);
    CHECK("it is still there", recv(p[0], &c, 1, MSG_DONTWAIT) == 1 && c == 'x');
    close(p[1]);
    CHECK("none at the end", recv(p[0], &c, 0, 0) == 0);
    close(p[0]);
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
    CHECK_ERRNO("no message", recvmmsg(p[0], m, 2, MSG_DONTWAIT, &left), EAGAIN);
    CHECK("all the time is left", left.tv_sec == 100000 && left.tv_nsec == 0);
    CHECK("one of two messages",
          send(p[1], "x", 1, 0) == 1 && recvmmsg(p[0], m, 2, MSG_DONTWAIT, &left) == 1 && m[0].msg_len == 1);
    CHECK("some time has passed", left.tv_sec < 100000);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    int p[2];
    signal(SIGPIPE, SIG_IGN);
    test_stream();
    test_backlog();
    test_dgram();
    test_rights();
    test_cred();
    test_abstract();
    test_nothing();
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    wait_for_space(p);
    return check_done();
}
