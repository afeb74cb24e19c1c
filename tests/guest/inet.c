/* Internet sockets on loopback: TCP, UDP, IPv6, options, non-blocking connect, errors. */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/guest/loopback.h"

static struct sockaddr_in listen_address;

static int server(int type)
{
    int fd = socket(AF_INET, type, 0);
    MUST(fd >= 0);
    bind_here(fd, &listen_address);
    MUST(type != SOCK_STREAM || listen(fd, 16) == 0);
    return fd;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(connect(fd, (struct sockaddr *)&listen_address, sizeof(listen_address)) == 0);
    return fd;
}

static void *echo(void *arg)
{
    int fd = *(int *)arg;
    static char buf[65536];
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        for (ssize_t off = 0; off < n;)
            off += write(fd, buf + off, (size_t)(n - off));
    shutdown(fd, SHUT_WR);
    return NULL;
}

static void *send_all(void *arg)
{
    static char data[2000000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 31 >> 3);
    struct iovec v[2] = {{data, 1000000}, {data + 1000000, 1000000}};
    ssize_t n = writev(*(int *)arg, v, 2);
    while (n < (ssize_t)sizeof(data))
        n += write(*(int *)arg, data + n, sizeof(data) - (size_t)n);
    shutdown(*(int *)arg, SHUT_WR);
    return NULL;
}

static void test_stream(void)
{
    int l = server(SOCK_STREAM), c = dial();
    struct sockaddr_in a, b;
    socklen_t len = sizeof(a);
    int s = accept(l, (struct sockaddr *)&a, &len);
    len = sizeof(b);
    CHECK("the peer is who it says",
          s >= 0 && getsockname(c, (struct sockaddr *)&b, &len) == 0 && a.sin_port == b.sin_port);
    pthread_t t, u;
    pthread_create(&t, NULL, echo, &s);
    pthread_create(&u, NULL, send_all, &c);
    static char buf[10000];
    size_t total = 0;
    bool good = true;
    for (ssize_t n; (n = read(c, buf, sizeof(buf))) > 0; total += (size_t)n)
        for (ssize_t i = 0; i < n; i++)
            good = good && buf[i] == (char)((total + (size_t)i) * 31 >> 3);
    pthread_join(t, NULL);
    pthread_join(u, NULL);
    CHECK("two megabytes there and back", good && total == 2000000);
    close(s);
    close(c);
    c = dial();
    CHECK("connected already",
          connect(c, (struct sockaddr *)&listen_address, sizeof(listen_address)) == -1 && errno == EISCONN);
    s = accept(l, NULL, NULL);
    MUST(write(c, "0123456789", 10) == 10);
    struct pollfd p = {.fd = s, .events = POLLIN};
    int avail = 0;
    CHECK("poll and FIONREAD",
          poll(&p, 1, PATIENCE_MS) == 1 && ioctl(s, FIONREAD, &avail) == 0 && avail == 10);
    CHECK("MSG_PEEK", recv(s, buf, 4, MSG_PEEK) == 4 && recv(s, buf, 100, 0) == 10);
    CHECK_ERRNO("MSG_DONTWAIT", recv(s, buf, 1, MSG_DONTWAIT), EAGAIN);
    MUST(send(c, "!", 1, MSG_OOB) == 1);
    CHECK("that there is urgent data", poll(&(struct pollfd){s, POLLPRI, 0}, 1, PATIENCE_MS) == 1);
    CHECK("urgent data", recv(s, buf, 1, MSG_OOB) == 1 && buf[0] == '!');
    close(c);
    CHECK("end of file", recv(s, buf, 1, 0) == 0);
    close(s);
    close(l);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO("refused", connect(c, (struct sockaddr *)&listen_address, sizeof(listen_address)),
                ECONNREFUSED);
    close(c);
}

static void test_nonblocking(void)
{
    int l = server(SOCK_STREAM), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int r = connect(c, (struct sockaddr *)&listen_address, sizeof(listen_address));
    CHECK("connect in progress", r == 0 || errno == EINPROGRESS);
    struct pollfd p = {.fd = c, .events = POLLOUT};
    int err = -1;
    socklen_t len = sizeof(err);
    CHECK("then writable",
          poll(&p, 1, PATIENCE_MS) == 1 && getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0);
    fcntl(l, F_SETFL, O_NONBLOCK);
    int s = accept(l, NULL, NULL);
    CHECK("accept", s >= 0 && !(fcntl(s, F_GETFL) & O_NONBLOCK));
    CHECK_ERRNO("no other", accept(l, NULL, NULL), EAGAIN);
    static char buf[100000];
    long n = 0;
    for (ssize_t w; (w = write(c, buf, sizeof(buf))) > 0; n += w)
        ;
    CHECK("the window fills", n > 100000 && errno == EAGAIN && poll(&p, 1, 0) == 0);
    struct linger lin = {1, 0};
    setsockopt(s, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin));
    close(s);
    CHECK("a reset", poll(&p, 1, PATIENCE_MS) == 1 && (p.revents & (POLLERR | POLLHUP)));
    CHECK_ERRNO("is seen", write(c, buf, 1), ECONNRESET);
    CHECK_ERRNO("then EPIPE", send(c, buf, 1, MSG_NOSIGNAL), EPIPE);
    close(c);
    close(l);
}

static long option(int fd, int level, int name, int v)
{
    socklen_t len = sizeof(v);
    if (setsockopt(fd, level, name, &v, len) != 0)
        return -errno;
    v = -1;
    return getsockopt(fd, level, name, &v, &len) == 0 ? v : -errno;
}

static void test_options(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    value("SO_REUSEADDR", option(fd, SOL_SOCKET, SO_REUSEADDR, 1));
    value("SO_REUSEPORT", option(fd, SOL_SOCKET, SO_REUSEPORT, 1));
    value("SO_KEEPALIVE", option(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
    value("SO_RCVBUF", option(fd, SOL_SOCKET, SO_RCVBUF, 20000));
    value("SO_SNDBUF", option(fd, SOL_SOCKET, SO_SNDBUF, 20000));
    value("TCP_NODELAY", option(fd, IPPROTO_TCP, TCP_NODELAY, 1));
    value("TCP_KEEPIDLE", option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77));
    value("TCP_CORK", option(fd, IPPROTO_TCP, TCP_CORK, 1));
    value("TCP_USER_TIMEOUT", option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000));
    value("IP_TOS", option(fd, IPPROTO_IP, IP_TOS, 16));
    value("IP_TTL", option(fd, IPPROTO_IP, IP_TTL, 33));
    int v = 0;
    socklen_t len = sizeof(v);
    CHECK("SO_ACCEPTCONN", getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len) == 0 && v == 0);
    CHECK_ERRNO("no such option", setsockopt(fd, SOL_SOCKET, 9999, &v, sizeof(v)), ENOPROTOOPT);
    CHECK_ERRNO("nor here", getsockopt(fd, IPPROTO_TCP, 9999, &v, &len), ENOPROTOOPT);
    CHECK_ERRNO("no such level", getsockopt(fd, 500, 1, &v, &len), EOPNOTSUPP);
    CHECK_ERRNO("another protocol's", getsockopt(fd, IPPROTO_UDP, 1, &v, &len), EOPNOTSUPP);
    CHECK_ERRNO("to be set", setsockopt(fd, 500, 1, &v, sizeof(v)), ENOPROTOOPT);
    CHECK_ERRNO("a bad pointer", getsockopt(fd, SOL_SOCKET, SO_TYPE, bad_address, &len), EFAULT);
    CHECK_ERRNO("not a socket", setsockopt(1, SOL_SOCKET, SO_REUSEADDR, &v, sizeof(v)), ENOTSOCK);
    CHECK_ERRNO("not connected", getpeername(fd, (struct sockaddr *)&listen_address, &len), ENOTCONN);
    CHECK_ERRNO("nor to be read", recv(fd, &v, 1, 0), ENOTCONN);
    close(fd);
}

static void test_udp(void)
{
    int a = server(SOCK_DGRAM), b = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = listen_address, from;
    socklen_t len = sizeof(from);
    char buf[100];
    CHECK("sendto", sendto(b, "datagram", 8, 0, (struct sockaddr *)&to, sizeof(to)) == 8);
    CHECK("recvfrom", recvfrom(a, buf, 100, 0, (struct sockaddr *)&from, &len) == 8 &&
                          from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK("answer",
          sendto(a, "reply", 5, 0, (struct sockaddr *)&from, len) == 5 && recv(b, buf, 2, MSG_TRUNC) == 5);
    struct iovec v[2] = {{"se", 2}, {"nt", 2}};
    struct msghdr m = {.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = v, .msg_iovlen = 2};
    CHECK("sendmsg", sendmsg(b, &m, 0) == 4 && recv(a, buf, 100, 0) == 4 && memcmp(buf, "sent", 4) == 0);
    struct mmsghdr mm[2] = {{.msg_hdr = m}, {.msg_hdr = m}};
    CHECK("sendmmsg", sendmmsg(b, mm, 2, 0) == 2 && mm[1].msg_len == 4);
    struct iovec in = {buf, 100};
    struct mmsghdr rm[3] = {{.msg_hdr = {.msg_iov = &in, .msg_iovlen = 1}},
                            {.msg_hdr = {.msg_iov = &in, .msg_iovlen = 1}}};
    CHECK("recvmmsg", recvmmsg(a, rm, 2, 0, NULL) == 2 && rm[0].msg_len == 4);
    CHECK_ERRNO("too long", sendto(b, bad_address, 70000, 0, (struct sockaddr *)&to, sizeof(to)), EMSGSIZE);
    CHECK_ERRNO("no address", send(b, "x", 1, 0), EDESTADDRREQ);
    close(a);
    MUST(connect(b, (struct sockaddr *)&to, sizeof(to)) == 0 && send(b, "x", 1, 0) == 1);
    CHECK("an answer comes", poll(&(struct pollfd){b, POLLIN, 0}, 1, PATIENCE_MS) == 1);
    CHECK_ERRNO("nobody there", recv(b, buf, 1, MSG_DONTWAIT), ECONNREFUSED);
    close(b);
}

static void test_six(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET6, SOCK_STREAM, 0), c = socket(AF_INET6, SOCK_STREAM, 0);
    if (l < 0) {
        value("IPv6", -errno);
        return;
    }
    CHECK("bind", bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 1) == 0);
    getsockname(l, (struct sockaddr *)&a, &len);
    CHECK("connect", connect(c, (struct sockaddr *)&a, len) == 0);
    int s = accept(l, NULL, NULL);
    char buf[10];
    CHECK("through", write(c, "six", 3) == 3 && read(s, buf, 10) == 3);
    close(s);
    close(c);
    close(l);
}

static void as_nobody(void)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_ANY)};
    MUST(setgid(65534) == 0 && setuid(65534) == 0);
    value("a low port without the capability",
          bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : -errno);
    CHECK_ERRNO("a raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
    CHECK_ERRNO("a packet socket", socket(AF_PACKET, SOCK_RAW, 0), EPERM);
}

static void test_kinds(void)
{
    CHECK_ERRNO("no such protocol", socket(AF_INET, SOCK_STREAM, 255), EPROTONOSUPPORT);
    CHECK_ERRNO("of another kind", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERRNO("no number of one", socket(AF_INET, SOCK_STREAM, 1000), EINVAL);
    CHECK_ERRNO("nor below", socket(AF_INET6, SOCK_DGRAM, -1), EINVAL);
    CHECK_ERRNO("before the type counts", socket(AF_INET, 4, 1000), EINVAL);
    CHECK_ERRNO("no such type", socket(AF_INET, 4, IPPROTO_TCP), ESOCKTNOSUPPORT);
    CHECK_ERRNO("no type at all", socket(AF_INET, 11, 0), EINVAL);
    CHECK_ERRNO("raw without a protocol", socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
    CHECK_ERRNO("no such family", socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO("a unix socket of TCP", socket(AF_UNIX, SOCK_STREAM, IPPROTO_TCP), EPROTONOSUPPORT);
    CHECK_ERRNO("of no such type", socket(AF_UNIX, 4, 0), ESOCKTNOSUPPORT);
}

static void test_errors(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x08080808)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), l = server(SOCK_STREAM);
    CHECK_ERRNO("not our address", bind(fd, (struct sockaddr *)&a, sizeof(a)), EADDRNOTAVAIL);
    a.sin_port = htons(80);
    CHECK_ERRNO("no way there", connect(fd, (struct sockaddr *)&a, sizeof(a)), ENETUNREACH);
    CHECK_ERRNO("taken", bind(fd, (struct sockaddr *)&listen_address, sizeof(a)), EADDRINUSE);
    CHECK_ERRNO("a short address", bind(fd, (struct sockaddr *)&a, 3), EINVAL);
    a.sin_family = 99;
    CHECK_ERRNO("another family", bind(fd, (struct sockaddr *)&a, sizeof(a)), EAFNOSUPPORT);
    CHECK_ERRNO("listen on a datagram socket", listen(socket(AF_INET, SOCK_DGRAM, 0), 1), EOPNOTSUPP);
    CHECK_ERRNO("a bad address", connect(fd, bad_address, 16), EFAULT);
    CHECK_ERRNO("a length that cannot be", connect(fd, (struct sockaddr *)&a, (socklen_t)-1), EINVAL);
    struct timeval tv = {.tv_usec = 30000};
    setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    CHECK_ERRNO("accept's time-out", accept(l, NULL, NULL), EAGAIN);
    close(fd);
    close(l);
    CHECK("another user", in_child(as_nobody) == 0);
}

static void test_pairs(void)
{
    int s[2];
    CHECK_ERRNO("no pairs", socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
    CHECK_ERRNO("nor of these", socketpair(AF_INET6, SOCK_DGRAM, 0, s), EOPNOTSUPP);
    CHECK_ERRNO("of no protocol", socketpair(AF_INET, SOCK_STREAM, IPPROTO_UDP, s), EPROTONOSUPPORT);
    CHECK_ERRNO("of no type", socketpair(AF_INET, 75, 0, s), EINVAL);
}

/* By a socket of any family: the C library asks by one of AF_UNIX. */
static void test_interfaces(void)
{
    char name[IF_NAMESIZE] = "";
    struct ifreq ask = {.ifr_name = "lo"}, none = {.ifr_name = "nothing0"};
    int s = socket(AF_UNIX, SOCK_DGRAM, 0);
    unsigned lo = if_nametoindex("lo");
    CHECK("the loopback's number", lo == 1);
    CHECK("its name", if_indextoname(lo, name) && strcmp(name, "lo") == 0);
    CHECK("its flags", ioctl(s, SIOCGIFFLAGS, &ask) == 0 && (ask.ifr_flags & IFF_LOOPBACK));
    CHECK("its MTU", ioctl(s, SIOCGIFMTU, &ask) == 0 && ask.ifr_mtu >= 1500);
    CHECK_ERRNO("one that is not there", ioctl(s, SIOCGIFINDEX, &none), ENODEV);
    CHECK_ERRNO("at a bad address", ioctl(s, SIOCGIFINDEX, bad_address), EFAULT);
    CHECK_ERRNO("addresses are for inet", ioctl(s, SIOCGIFADDR, &ask), ENOTTY);
    struct ifconf all = {.ifc_len = 0};
    CHECK("all of them", ioctl(s, SIOCGIFCONF, &all) == 0 && all.ifc_len >= 0);
    close(s);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_stream();
    test_nonblocking();
    test_options();
    test_udp();
    test_six();
    test_kinds();
    test_errors();
    test_pairs();
    test_interfaces();
    return check_done();
}
