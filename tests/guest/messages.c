/* sendmsg, recvmsg and recvfrom with an address, on sockets that are used so often that a runtime may look
 * after them in the program's own process: waits, errors that are told once, bad addresses, what comes along.
 */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/guest/alarmed.h"
#include "tests/guest/loopback.h"

#define OFTEN 200

static ssize_t send_pieces(int fd, const char *a, const char *b, int flags)
{
    struct iovec v[2] = {{(void *)(uintptr_t)a, strlen(a)}, {(void *)(uintptr_t)b, b ? strlen(b) : 0}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = b ? 2 : 1};
    return sendmsg(fd, &m, flags);
}

static ssize_t tell(int fd, const char *text)
{
    return send_pieces(fd, text, NULL, 0);
}

static char got[64];
static struct msghdr last;

static ssize_t hear_flags(int fd, int flags)
{
    static char control[128], name[128];
    struct iovec v = {got, sizeof(got) - 1};
    last = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    last.msg_controllen = sizeof(control);
    last.msg_name = name;
    last.msg_namelen = sizeof(name);
    memset(got, 0, sizeof(got));
    return recvmsg(fd, &last, flags);
}

static ssize_t hear(int fd)
{
    return hear_flags(fd, 0);
}

static bool heard(int fd, const char *text)
{
    return hear(fd) == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

static void warm(int from, int to)
{
    struct sockaddr_storage a;
    for (int i = 0; i < OFTEN; i++) {
        socklen_t len = sizeof(a);
        MUST(tell(from, "w") == 1 && heard(to, "w") && tell(from, "v") == 1);
        MUST(recvfrom(to, got, 1, 0, (struct sockaddr *)&a, &len) == 1 && got[0] == 'v');
    }
}

static void make(int kind, int s[2])
{
    if (kind == 0)
        udp_pair(s);
    else
        MUST(socketpair(AF_UNIX,
                        kind == 1   ? SOCK_STREAM
                        : kind == 2 ? SOCK_SEQPACKET
                                    : SOCK_DGRAM,
                        0, s) == 0);
    warm(s[0], s[1]);
    warm(s[1], s[0]);
}

/* Says it when the parent waits; after a signal, if that is to come first. */
static pid_t later(int fd, const char *text, bool after_signal)
{
    pid_t parent = getpid(), pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        await_sleep(parent);
        AWAIT(*caught || !after_signal);
        _exit(tell(fd, text) == (ssize_t)strlen(text) ? 0 : 1);
    }
    return pid;
}

static void test_waits(int s[2])
{
    pid_t pid = later(s[0], "later", false);
    CHECK("waited for", heard(s[1], "later"));
    reap(pid);
    CHECK_ERRNO("not waited for", hear_flags(s[1], MSG_DONTWAIT), EAGAIN);
    handle_alarms(30, 0);
    CHECK_ERRNO("interrupted", alarms_end(hear(s[1])), EINTR);
    CHECK("by the handler", *caught == SIGALRM);
    handle_alarms(30, SA_RESTART);
    pid = later(s[0], "again", true);
    CHECK("begun again", heard(s[1], "again") && *caught == SIGALRM);
    (void)alarms_end(0);
    reap(pid);
    struct timeval tv = {0, 60000}, much = {1000, 0}, none = {0, 0};
    MUST(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    long begin = now_ms();
    CHECK_ERRNO("a time-out", hear(s[1]), EAGAIN);
    CHECK("after its time", now_ms() - begin >= 55);
    MUST(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &much, sizeof(much)) == 0);
    handle_alarms(20, SA_RESTART);
    CHECK_ERRNO("with a time-out it is never begun again", alarms_end(hear(s[1])), EINTR);
    MUST(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)) == 0);
}

static void test_messages(int s[2], bool stream)
{
    char whole[4] = {0};
    MUST(tell(s[0], "one") == 3 && send_pieces(s[0], "tw", "o", 0) == 3 &&
         send_pieces(s[0], "3", NULL, MSG_DONTWAIT) == 1);
    CHECK("looked at", hear_flags(s[1], MSG_PEEK) == (stream ? 7 : 3));
    if (stream)
        CHECK("all of it", heard(s[1], "onetwo3"));
    else
        CHECK("one by one", heard(s[1], "one") && heard(s[1], "two") && heard(s[1], "3"));
    CHECK("nothing came along", last.msg_controllen == 0 && last.msg_flags == 0);
    MUST(tell(s[0], "long") == 4);
    struct iovec v[2] = {{whole, 1}, {whole + 1, 1}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    CHECK("into pieces", recvmsg(s[1], &m, 0) == 2 && strcmp(whole, "lo") == 0);
    CHECK("cut", stream || (m.msg_flags & MSG_TRUNC));
    CHECK("or left", !stream || heard(s[1], "ng"));
    m = (struct msghdr){.msg_iovlen = 0};
    CHECK("no pieces", stream || (sendmsg(s[0], &m, 0) == 0 && hear(s[1]) == 0));
}

static void test_bad(int s[2])
{
    struct iovec v = {bad_address, 4};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK_ERRNO("no message", sendmsg(s[0], bad_address, 0), EFAULT);
    CHECK_ERRNO("nor to be had", recvmsg(s[1], bad_address, 0), EFAULT);
    CHECK_ERRNO("no bytes", sendmsg(s[0], &m, 0), EFAULT);
    m.msg_iov = bad_address;
    CHECK_ERRNO("no pieces", sendmsg(s[0], &m, 0), EFAULT);
    CHECK_ERRNO("no descriptor", sendmsg(999, &m, 0), EBADF);
    CHECK_ERRNO("not a socket", tell(1, "x"), ENOTSOCK);
    MUST(tell(s[0], "fine") == 4);
    CHECK("after all that", heard(s[1], "fine"));
}

static void test_ends(void)
{
    int s[2];
    struct sigaction sa = {.sa_handler = on_signal};
    MUST(sigaction(SIGPIPE, &sa, NULL) == 0);
    make(1, s);
    MUST(tell(s[0], "unread") == 6);
    close(s[1]);
    CHECK_ERRNO("an error", hear(s[0]), ECONNRESET);
    CHECK("is told once", hear(s[0]) == 0);
    *caught = 0;
    CHECK_ERRNO("nobody there", send_pieces(s[0], "x", NULL, MSG_NOSIGNAL), EPIPE);
    CHECK("without a signal", !*caught);
    CHECK_ERRNO("and", tell(s[0], "x"), EPIPE);
    CHECK("with one", *caught == SIGPIPE);
    close(s[0]);
    make(0, s);
    close(s[1]);
    MUST(tell(s[0], "x") == 1);
    CHECK("an answer comes", poll(&(struct pollfd){s[0], POLLIN, 0}, 1, PATIENCE_MS) == 1);
    CHECK_ERRNO("refused", hear(s[0]), ECONNREFUSED);
    CHECK_ERRNO("told once, too", hear_flags(s[0], MSG_DONTWAIT), EAGAIN);
    close(s[0]);
}

static void test_addresses(void)
{
    int s[2];
    struct sockaddr_in from, own;
    socklen_t len = sizeof(from), own_len = sizeof(own);
    udp_pair(s);
    warm(s[0], s[1]);
    MUST(getsockname(s[0], (struct sockaddr *)&own, &own_len) == 0 && tell(s[0], "u") == 1);
    CHECK("from whom", recvfrom(s[1], got, 1, 0, (struct sockaddr *)&from, &len) == 1 &&
                           len == sizeof(from) && from.sin_port == own.sin_port);
    MUST(tell(s[0], "u") == 1 && hear(s[1]) == 1);
    CHECK("in a message", last.msg_namelen == sizeof(from) &&
                              ((struct sockaddr_in *)last.msg_name)->sin_port == own.sin_port);
    CHECK_ERRNO("none", recvfrom(s[1], got, 1, MSG_DONTWAIT, (struct sockaddr *)&from, &len), EAGAIN);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    MUST(connect(s[1], &none, sizeof(none)) == 0);
    CHECK_ERRNO("to nobody", tell(s[1], "x"), EDESTADDRREQ);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    caught = shared_zeroes(sizeof(*caught));
    for (int kind = 0; kind < 4; kind++) {
        int s[2];
        make(kind, s);
        test_waits(s);
        test_messages(s, kind == 1);
        test_bad(s);
        close(s[0]);
        close(s[1]);
    }
    test_ends();
    test_addresses();
    return check_done();
}
