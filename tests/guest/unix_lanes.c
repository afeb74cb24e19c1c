/* Unix sockets that are used so often that a runtime may hand them to the program's own process: descriptors
 * and credentials among the bytes, shared ends, shutdown, the peer's end. */
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/guest/check.h"

#define OFTEN 200

union control {
    struct cmsghdr align;
    char buf[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

struct got {
    char text[200];
    ssize_t n;
    int fd, flags;
    struct ucred cred;
    bool has_cred;
};

static void warm(int from, int to)
{
    char c;
    for (int i = 0; i < OFTEN; i++)
        MUST(write(from, "w", 1) == 1 && read(to, &c, 1) == 1 && send(from, "m", 1, 0) == 1 &&
             recv(to, &c, 1, 0) == 1 && c == 'm');
}

static void make_pair(int type, int p[2])
{
    MUST(socketpair(AF_UNIX, type, 0, p) == 0);
    warm(p[0], p[1]);
    warm(p[1], p[0]);
}

static ssize_t send_fd(int sock, const char *text, int fd)
{
    union control c = {{.cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf};
    m.msg_controllen = CMSG_SPACE(sizeof(fd));
    memcpy(CMSG_DATA(&c.align), &fd, sizeof(fd));
    return sendmsg(sock, &m, 0);
}

static struct got receive_flags(int sock, size_t most, int flags)
{
    union control c = {{0}};
    struct got g = {.fd = -1};
    struct iovec v = {g.text, most};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c)};
    g.n = recvmsg(sock, &m, flags);
    g.flags = m.msg_flags;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); g.n >= 0 && h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_type == SCM_RIGHTS)
            memcpy(&g.fd, CMSG_DATA(h), sizeof(int));
        if (h->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&g.cred, CMSG_DATA(h), sizeof(g.cred));
            g.has_cred = true;
        }
    }
    return g;
}

static struct got receive(int sock)
{
    return receive_flags(sock, sizeof(((struct got *)0)->text), 0);
}

static bool says(const struct got *g, const char *text)
{
    return g->n == (ssize_t)strlen(text) && memcmp(g->text, text, (size_t)g->n) == 0;
}

static void reap(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    CHECK("the child did its part", status == 0);
}

/* Nobody has the pipe's writing end any more. */
static bool hangs_up(int pipe)
{
    struct pollfd p = {.fd = pipe, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1 && (p.revents & POLLHUP);
}

static void test_order(void)
{
    int p[2], q[2];
    make_pair(SOCK_STREAM, p);
    MUST(pipe(q) == 0);
    MUST(write(p[0], "before", 6) == 6 && send_fd(p[0], "with", q[1]) == 4 && write(p[0], "after", 5) == 5);
    struct got g = receive(p[1]);
    CHECK("bytes before, and those with a descriptor", says(&g, "beforewith") && g.fd >= 0);
    close(g.fd);
    g = receive(p[1]);
    CHECK("those behind come alone", says(&g, "after") && g.fd == -1);
    for (int i = 0; i < 3; i++)
        MUST(send_fd(p[0], "abc", q[1]) == 3 && write(p[0], "d", 1) == 1);
    char buf[20];
    CHECK("a part of the bytes takes the descriptor", (g = receive_flags(p[1], 2, 0)).n == 2 && g.fd >= 0);
    close(g.fd);
    g = receive(p[1]);
    CHECK("the rest, and what the next brings", says(&g, "cdabc") && g.fd >= 0);
    close(g.fd);
    CHECK("plain reads end there too", recv(p[1], buf, 20, 0) == 4 && memcmp(buf, "dabc", 4) == 0);
    CHECK("and go on behind", read(p[1], buf, 20) == 1 && buf[0] == 'd');
    close(q[1]);
    CHECK("what was read past is closed", hangs_up(q[0]));
    close(q[0]);
    close(p[0]);
    close(p[1]);
}

static void test_peek(void)
{
    int p[2], q[2];
    char buf[20];
    make_pair(SOCK_STREAM, p);
    MUST(pipe(q) == 0);
    MUST(write(p[0], "x", 1) == 1 && send_fd(p[0], "yz", q[1]) == 2);
    close(q[1]);
    CHECK("looking at it", recv(p[1], buf, 20, MSG_PEEK) == 3 && memcmp(buf, "xyz", 3) == 0);
    CHECK("twice", recv(p[1], buf, 2, MSG_PEEK | MSG_DONTWAIT) == 2);
    struct got g = receive_flags(p[1], 100, MSG_PEEK);
    CHECK("with the descriptor", says(&g, "xyz") && g.fd >= 0 && write(g.fd, "1", 1) == 1);
    close(g.fd);
    g = receive(p[1]);
    CHECK("takes nothing away", says(&g, "xyz") && g.fd >= 0 && write(g.fd, "2", 1) == 1);
    close(g.fd);
    CHECK("one pipe", read(q[0], buf, 20) == 2 && hangs_up(q[0]));
    close(q[0]);
    close(p[0]);
    close(p[1]);
}

/* Every byte of its own writer in order, descriptors with the bytes that they were sent with. */
#define PARCELS 60
static int busy[2];

static void *write_bytes(void *arg)
{
    char buf[64];
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        memset(buf, 'a' + i % 16, sizeof(buf));
        MUST(write(busy[0], buf, sizeof(buf)) == sizeof(buf));
    }
    return NULL;
}

static void *write_parcels(void *arg)
{
    int q[2];
    (void)arg;
    for (int i = 0; i < PARCELS; i++) {
        char text[2] = {(char)('A' + i % 20), 0};
        MUST(pipe(q) == 0 && write(q[1], text, 1) == 1 && send_fd(busy[0], text, q[0]) == 1);
        close(q[0]);
        close(q[1]);
    }
    return NULL;
}

static void test_busy(void)
{
    pthread_t t[2];
    long bytes = 0, parcels = 0, good = 0, inside = 0, wrong = 0;
    char now = 'a', c;

    make_pair(SOCK_STREAM, busy);
    MUST(pthread_create(&t[0], NULL, write_bytes, NULL) == 0);
    MUST(pthread_create(&t[1], NULL, write_parcels, NULL) == 0);
    while (bytes < 2000 * 64 || parcels < PARCELS) {
        struct got g = receive_flags(busy[1], 150, 0);
        MUST(g.n > 0);
        for (ssize_t i = 0; i < g.n; i++) {
            bool parcel = g.text[i] < 'a';
            parcels += parcel;
            good += parcel && i == g.n - 1 && read(g.fd, &c, 1) == 1 && c == g.text[i];
            if (parcel)
                continue;
            if (inside == 64) {
                now = now == 'p' ? 'a' : (char)(now + 1);
                inside = 0;
            }
            wrong += g.text[i] != now;
            inside++;
            bytes++;
        }
        if (g.fd >= 0)
            close(g.fd);
    }
    CHECK("all bytes", bytes == 2000 * 64 && wrong == 0);
    CHECK("all descriptors, each at the end of a read and with its own byte", good == PARCELS);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    close(busy[0]);
    close(busy[1]);
}

static void test_end_is_passed(void)
{
    int p[2], way[2];
    char buf[10];
    make_pair(SOCK_STREAM, p);
    make_pair(SOCK_SEQPACKET, way);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        close(p[1]);
        close(way[0]);
        struct got g = receive(way[1]);
        MUST(g.fd >= 0 && read(g.fd, buf, 10) == 4);
        for (int i = 0; i < OFTEN; i++)
            MUST(write(g.fd, "c", 1) == 1 && read(g.fd, buf, 1) == 1);
        _exit(0);
    }
    MUST(write(p[0], "kept", 4) == 4 && send_fd(way[0], "take", p[1]) == 4);
    close(p[1]);
    close(way[1]);
    for (int i = 0; i < OFTEN; i++)
        MUST(read(p[0], buf, 1) == 1 && buf[0] == 'c' && write(p[0], "d", 1) == 1);
    CHECK("the end of who has it ends it", read(p[0], buf, 1) == 0);
    reap(pid);
    close(p[0]);
    close(way[0]);
}

static void test_lost(void)
{
    int p[2], q[2];
    make_pair(SOCK_STREAM, p);
    MUST(pipe(q) == 0);
    MUST(send_fd(p[0], "1", p[0]) == 1 && send_fd(p[0], "2", p[1]) == 1 && send_fd(p[0], "3", q[1]) == 1);
    close(p[0]);
    close(p[1]);
    close(q[1]);
    bool gone = false;
    for (int i = 0; i < 400 && !gone; i++) {
        struct pollfd f = {.fd = q[0], .events = POLLIN};
        make_pair(SOCK_STREAM, p);
        (void)send_fd(p[0], "x", p[1]);
        close(p[0]);
        close(p[1]);
        gone = poll(&f, 1, 100) == 1;
    }
    CHECK("ends that only they themselves hold go away", gone && hangs_up(q[0]));
    close(q[0]);
}

static void set_passcred(int fd, int on)
{
    MUST(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
}

static void test_credentials(void)
{
    int p[2], go[2];
    make_pair(SOCK_STREAM, p);
    MUST(pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        for (int i = 0; i < OFTEN; i++)
            MUST(write(p[0], "w", 1) == 1);
        MUST(read(go[0], &c, 1) == 1 && setgid(55) == 0 && setresuid(44, 66, 0) == 0);
        MUST(write(p[0], "own", 3) == 3 && read(go[0], &c, 1) == 1);
        _exit(0);
    }
    char all[OFTEN];
    MUST(recv(p[1], all, OFTEN, MSG_WAITALL) == OFTEN);
    MUST(write(p[0], "early", 5) == 5);
    set_passcred(p[1], 1);
    struct got g = receive(p[1]);
    CHECK("written before", says(&g, "early") && g.has_cred && g.cred.pid == 0 && g.cred.uid == 65534);
    MUST(write(p[0], "late", 4) == 4);
    g = receive(p[1]);
    CHECK("written after", says(&g, "late") && g.has_cred && g.cred.pid == getpid() && g.cred.uid == 0);
    MUST(write(go[1], "1", 1) == 1);
    g = receive(p[1]);
    CHECK("by a child, with its real ids",
          says(&g, "own") && g.cred.pid == pid && g.cred.uid == 44 && g.cred.gid == 55);
    set_passcred(p[1], 0);
    MUST(write(p[0], "plain", 5) == 5);
    g = receive(p[1]);
    CHECK("none are asked for", says(&g, "plain") && !g.has_cred);
    MUST(write(go[1], "2", 1) == 1);
    reap(pid);
    close(p[0]);
    close(p[1]);
}

static void *fill(void *arg)
{
    static char big[1 << 20];
    memset(big, 'f', sizeof(big));
    MUST(write(*(int *)arg, big, sizeof(big)) == sizeof(big));
    return NULL;
}

/* Asked for while a writer waits for room. */
static void test_credentials_meanwhile(void)
{
    int p[2];
    pthread_t t;
    long n = 0;
    struct got g = {0};
    make_pair(SOCK_STREAM, p);
    MUST(pthread_create(&t, NULL, fill, &p[0]) == 0);
    struct pollfd room = {p[0], POLLOUT, 0};
    AWAIT(poll(&room, 1, 0) == 0);
    set_passcred(p[1], 1);
    g = receive(p[1]);
    CHECK("the first bytes have none", g.n > 0 && g.has_cred && g.cred.pid == 0);
    for (n = g.n; n < 1 << 20 && g.n > 0; n += g.n)
        g = receive(p[1]);
    CHECK("the last ones do", n == 1 << 20 && g.has_cred && g.cred.pid == getpid());
    pthread_join(t, NULL);
    close(p[0]);
    close(p[1]);
}

static int reader_end;
static void *read_end(void *arg)
{
    char c;
    (void)arg;
    return (void *)(intptr_t)read(reader_end, &c, 1);
}

static void test_shutdown(void)
{
    int p[2];
    char buf[10];
    pthread_t t;
    void *r;
    for (int how = 0; how < 3; how++) {
        make_pair(SOCK_STREAM, p);
        reader_end = p[0];
        MUST(pthread_create(&t, NULL, read_end, NULL) == 0);
        nap_ms(30);
        MUST(shutdown(how == 0 ? p[0] : p[1], how == 0 ? SHUT_RD : how == 1 ? SHUT_WR : SHUT_RDWR) == 0);
        pthread_join(t, &r);
        CHECK("a reader is woken by the end", r == 0);
        close(p[0]);
        close(p[1]);
    }
    make_pair(SOCK_STREAM, p);
    MUST(write(p[0], "last", 4) == 4 && shutdown(p[0], SHUT_WR) == 0);
    CHECK("what was written before", read(p[1], buf, 10) == 4 && read(p[1], buf, 10) == 0);
    CHECK_ERRNO("no more", send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK("the other way", write(p[1], "back", 4) == 4 && read(p[0], buf, 10) == 4);
    close(p[0]);
    CHECK_ERRNO("gone", send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(p[1]);
    make_pair(SOCK_STREAM, p);
    MUST(write(p[0], "unread", 6) == 6);
    close(p[1]);
    CHECK_ERRNO("something was left unread", read(p[0], buf, 1), ECONNRESET);
    CHECK("told once", read(p[0], buf, 1) == 0);
    close(p[0]);
}

static void test_killed(void)
{
    int p[2];
    char c;
    make_pair(SOCK_STREAM, p);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        for (;;)
            MUST(read(p[1], &c, 1) == 1 && write(p[1], &c, 1) == 1);
    }
    close(p[1]);
    for (int i = 0; i < OFTEN; i++)
        MUST(write(p[0], "k", 1) == 1 && read(p[0], &c, 1) == 1);
    kill(pid, SIGKILL);
    CHECK("its end", read(p[0], &c, 1) == 0);
    waitpid(pid, NULL, 0);
    CHECK_ERRNO("nobody there", send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(p[0]);
}

static void test_counts(void)
{
    int p[2], n = -1, small = 4096;
    char buf[1000] = {0};
    long sent = 0;
    make_pair(SOCK_STREAM, p);
    MUST(write(p[0], buf, 100) == 100 && write(p[0], buf, 23) == 23);
    CHECK("FIONREAD", ioctl(p[1], FIONREAD, &n) == 0 && n == 123);
    CHECK("SIOCOUTQ", ioctl(p[0], SIOCOUTQ, &n) == 0 && n > 0);
    MUST(recv(p[1], buf, 123, MSG_WAITALL) == 123);
    CHECK("none", ioctl(p[1], FIONREAD, &n) == 0 && n == 0 && ioctl(p[0], SIOCOUTQ, &n) == 0 && n == 0);
    MUST(setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
    for (ssize_t w; (w = send(p[0], buf, sizeof(buf), MSG_DONTWAIT)) > 0; sent += w)
        ;
    CHECK("a small buffer is soon full", errno == EAGAIN && sent > 0 && sent < 20000);
    struct pollfd f = {.fd = p[0], .events = POLLOUT};
    CHECK("not writable", poll(&f, 1, 0) == 0);
    while (recv(p[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
        ;
    CHECK("again", poll(&f, 1, PATIENCE_MS) == 1 && f.revents == POLLOUT);
    close(p[0]);
    close(p[1]);
}

static void test_packets(void)
{
    int p[2], q[2];
    char buf[20];
    struct iovec v[2] = {{(void *)(uintptr_t) "two", 3}, {(void *)(uintptr_t) "parts", 5}};
    make_pair(SOCK_SEQPACKET, p);
    MUST(pipe(q) == 0);
    MUST(write(p[0], "first", 5) == 5 && writev(p[0], v, 2) == 8 && send(p[0], "third", 5, 0) == 5);
    CHECK("one at a time", read(p[1], buf, 20) == 5 && read(p[1], buf, 20) == 8);
    CHECK("its whole length", recv(p[1], buf, 2, MSG_TRUNC | MSG_PEEK) == 5 && recv(p[1], buf, 2, 0) == 2);
    CHECK_ERRNO("the rest is gone", recv(p[1], buf, 20, MSG_DONTWAIT), EAGAIN);
    MUST(write(p[0], "a", 1) == 1 && send_fd(p[0], "b", q[1]) == 1 && write(p[0], "c", 1) == 1);
    struct got g = receive(p[1]);
    CHECK("without", says(&g, "a") && g.fd == -1);
    g = receive(p[1]);
    CHECK("with a descriptor", says(&g, "b") && g.fd >= 0);
    close(g.fd);
    g = receive(p[1]);
    CHECK("without again", says(&g, "c") && g.fd == -1);
    MUST(send_fd(p[0], "d", q[1]) == 1);
    close(q[1]);
    CHECK("read past", read(p[1], buf, 20) == 1 && hangs_up(q[0]));
    static char big[300000];
    CHECK_ERRNO("too long", send(p[0], big, sizeof(big), 0), EMSGSIZE);
    close(p[0]);
    CHECK("their end", read(p[1], buf, 20) == 0);
    close(p[1]);
    close(q[0]);
}

/* Parcels that lie there while a socket comes into use. */
static void test_early_parcel(void)
{
    int p[2], q[2];
    char c;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && pipe(q) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(write(p[0], "w", 1) == 1);
    MUST(send_fd(p[0], "p", q[1]) == 1);
    close(q[1]);
    for (int i = 0; i < OFTEN; i++)
        MUST(read(p[1], &c, 1) == 1 && c == 'w');
    MUST(read(p[1], &c, 1) == 1 && c == 'p');
    CHECK("read past as well", hangs_up(q[0]));
    close(q[0]);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_order();
    test_peek();
    test_busy();
    test_end_is_passed();
    test_lost();
    test_credentials();
    test_credentials_meanwhile();
    test_shutdown();
    test_killed();
    test_counts();
    test_packets();
    test_early_parcel();
    return check_done();
}
