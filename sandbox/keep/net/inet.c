/* AF_INET, AF_INET6 and AF_NETLINK (read-only routes): host sockets in the pod's network namespace. What goes
 * to the host is on the lists here and in inet_opt.c: families, types, options, requests, control messages.
 */
#include "sandbox/keep/net/inet.h"

#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/fs/vfs.h"

#define IFCONF_MAX 65536

/* 0, or why there is no such socket. */
static int inet_type_check(struct task *t, int family, int type, int protocol)
{
    if (family == AF_NETLINK) {
        if (type != SOCK_RAW && type != SOCK_DGRAM)
            return -ESOCKTNOSUPPORT;
        return protocol == NETLINK_ROUTE ? 0 : -EPROTONOSUPPORT;
    }
    if (!t->process->container->net_host)
        return -EAFNOSUPPORT;
    if (protocol < 0 || protocol >= IPPROTO_MAX)
        return -EINVAL;
    switch (type) {
    case SOCK_STREAM:
        return protocol == 0 || protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
    case SOCK_DGRAM:
        return protocol == 0 || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP ||
                       protocol == IPPROTO_ICMPV6
                   ? 0
                   : -EPROTONOSUPPORT;
    case SOCK_RAW:
        return protocol ? -EPERM : -EPROTONOSUPPORT;
    default:
        return -ESOCKTNOSUPPORT;
    }
}

/* What may move without the keep: bytes of TCP and UDP. What netlink and ICMP sockets are sent, is looked at.
 */
static unsigned file_kind(const struct sock *s)
{
    if (s->type == SOCK_STREAM)
        return FILE_RAW_READ | FILE_RAW_WRITE | FILE_STREAM;
    bool udp = s->family != AF_NETLINK && (s->protocol == 0 || s->protocol == IPPROTO_UDP);
    return udp ? FILE_STREAM : 0U;
}

static int inet_file(const struct sock *like, int hostfd, unsigned flags, bool fresh, struct file **ret)
{
    struct sock *s = malloc(sizeof(*s));
    unsigned kind = file_kind(like);
    if (s) {
        *s = *like;
        s->listens = s->joins = s->joined = false;
        s->cookie = 0;
        s->fresh = fresh;
    }
    *ret = s ? file_new(&sock_ops, O_RDWR | (flags & SOCK_NONBLOCK), kind, hostfd, s) : NULL;
    if (!*ret) {
        free(s);
        (void)close(hostfd);
        return -ENOMEM;
    }
    return 0;
}

int inet_create(struct task *t, int family, int type, int protocol, unsigned flags, struct file **ret)
{
    struct sock s = {.proto = &inet_proto, .family = family, .type = type, .protocol = protocol};
    int r = inet_type_check(t, family, type, protocol);
    if (r < 0)
        return r;
    vfs_assume(t);
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0)
        return -errno;
    return inet_file(&s, fd, flags, type == SOCK_STREAM, ret);
}

/* The host's close would wait for as long as SO_LINGER says, with a worker of the keep: what is unsent goes
 * out all the same. */
static void inet_release(struct file *f)
{
    struct sock *s = f->priv;
    struct linger off = {0, 0};
    if (s->lingers)
        (void)setsockopt(f->hostfd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
    free(f->priv);
}

static int inet_bind(struct task *t, struct file *f, const struct sock_addr *addr)
{
    struct sock *s = f->priv;
    if (s->family != AF_NETLINK && addr->len >= sizeof(struct sockaddr_in)) {
        /* The port is at the same place for both families. */
        int port = ntohs(((const struct sockaddr_in *)&addr->ss)->sin_port);
        if (port && !capable(t, CAP_NET_BIND_SERVICE) && port < (int)procfs_limit(LIMIT_UNPRIVILEGED_PORT))
            return -EACCES;
    }
    return bind(f->hostfd, (const struct sockaddr *)&addr->ss, addr->len) < 0 ? -errno : 0;
}

static int inet_listen(struct task *t, struct file *f, int backlog)
{
    struct sock *s = f->priv;
    (void)t;
    if (listen(f->hostfd, backlog) < 0)
        return -errno;
    s->listens = true;
    return atomic_load(&f->laned) ? sock_host_waits(f, false) : 0;
}

/* A stream's connect goes on in the background; asking again tells how it went. */
static int connect_waiting(struct task *t, struct file *f, const struct sock_addr *addr)
{
    struct sock *s = f->priv;
    struct timespec d = {0};
    for (;;) {
        if (connect(f->hostfd, (const struct sockaddr *)&addr->ss, addr->len) == 0)
            return 0;
        int e = errno;
        if (e == EINTR)
            continue;
        if ((e != EINPROGRESS && e != EALREADY) || file_nonblock(f))
            return -e;
        int r = sock_wait(t, f, f->hostfd, POLLOUT, 0, &s->sndtimeo, &d);
        if (r < 0)
            return r == -EAGAIN ? -EINPROGRESS : r;
    }
}

static int inet_connect(struct task *t, struct file *f, const struct sock_addr *addr)
{
    struct sock *s = f->priv;
    bool ends = addr->len >= sizeof(sa_family_t) && addr->ss.ss_family == AF_UNSPEC;
    if (s->joined && !ends && addr->len >= sizeof(sa_family_t))
        return -EISCONN;
    bool may_wait = atomic_load(&f->laned) && !file_nonblock(f);
    int r = may_wait ? sock_host_waits(f, false) : 0;
    if (r == 0)
        r = connect_waiting(t, f, addr);
    if (r == 0)
        s->listens = false;
    s->joined &= !(r == 0 && ends);
    if (may_wait)
        (void)sock_host_waits(f, true);
    return r;
}

static int inet_accept(struct task *t, struct file *f, unsigned flags, struct file **ret,
                       struct sock_addr *from)
{
    struct sock *s = f->priv;
    struct timespec d = {0};
    for (;;) {
        from->len = sizeof(from->ss);
        int fd = accept4(f->hostfd, (struct sockaddr *)&from->ss, &from->len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            return inet_file(s, fd, flags, false, ret);
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        int r = sock_wait(t, f, f->hostfd, POLLIN, 0, &s->rcvtimeo, &d);
        if (r < 0)
            return r;
    }
}

static int inet_getname(struct task *t, struct file *f, bool peer, struct sock_addr *addr)
{
    (void)t;
    addr->len = sizeof(addr->ss);
    int r = peer ? getpeername(f->hostfd, (struct sockaddr *)&addr->ss, &addr->len)
                 : getsockname(f->hostfd, (struct sockaddr *)&addr->ss, &addr->len);
    return r < 0 ? -errno : 0;
}

static int inet_shutdown(struct task *t, struct file *f, int how)
{
    (void)t;
    return shutdown(f->hostfd, how) < 0 ? -errno : 0;
}

/* Only questions may be asked of the host's routing tables. */
static int netlink_check(const char *p, size_t len)
{
    while (len >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr h;
        memcpy(&h, p, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > len)
            break; /* here the host stops reading, too */
        if (h.nlmsg_type >= RTM_BASE && (h.nlmsg_type - RTM_BASE) % 4 != 2)
            return -EPERM;
        size_t step = NLMSG_ALIGN(h.nlmsg_len);
        if (step >= len)
            break;
        p += step;
        len -= step;
    }
    return 0;
}

#define SEND_FLAGS                                                                                           \
    (MSG_OOB | MSG_DONTROUTE | MSG_DONTWAIT | MSG_EOR | MSG_CONFIRM | MSG_NOSIGNAL | MSG_MORE | MSG_FASTOPEN)
#define RECV_FLAGS (MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_DONTWAIT | MSG_ERRQUEUE)

/* One host sendmsg of n bytes, repeated until something was sent. */
static ssize_t send_some(struct task *t, struct file *f, struct msghdr *h, int flags, struct timespec *d)
{
    struct sock *s = f->priv;
    for (;;) {
        ssize_t w = sendmsg(f->hostfd, h, (flags & SEND_FLAGS) | MSG_DONTWAIT | MSG_NOSIGNAL);
        if (w >= 0)
            return w;
        if (errno == EINTR)
            continue;
        if (errno == EINPROGRESS && !file_nonblock(f) && !(flags & MSG_DONTWAIT))
            errno = EAGAIN; /* MSG_FASTOPEN on a blocking socket */
        if (errno != EAGAIN)
            return -errno;
        int r = sock_wait(t, f, f->hostfd, POLLOUT, flags, &s->sndtimeo, d);
        if (r < 0)
            return r;
    }
}

static ssize_t finish_send(struct task *t, ssize_t done, ssize_t err, int flags)
{
    if (err == -EPIPE && !(flags & MSG_NOSIGNAL))
        raise_sigpipe(t);
    return done ? done : err;
}

static ssize_t inet_send_stream(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    _cleanup_iobuf_ struct iobuf b;
    struct timespec d = {0};
    ssize_t done = 0;
    if (iobuf_init(&b, m->u->resid) < 0)
        return -ENOMEM;
    struct msghdr h = {.msg_name = m->addr.len ? &m->addr.ss : NULL, .msg_namelen = m->addr.len};
    h.msg_control = m->control;
    h.msg_controllen = m->control_len;
    do {
        ssize_t n = m->u->resid ? uio_get(m->u, b.p, b.size) : 0;
        if (n < 0)
            return finish_send(t, done, n, flags);
        struct iovec v = {b.p, (size_t)n};
        h.msg_iov = &v;
        h.msg_iovlen = 1;
        do {
            ssize_t w = send_some(t, f, &h, flags | (m->u->resid ? MSG_MORE : 0), &d);
            if (w < 0)
                return finish_send(t, done, w, flags);
            done += w;
            v = (struct iovec){(char *)v.iov_base + w, v.iov_len - (size_t)w};
        } while (v.iov_len);
    } while (m->u->resid);
    return done;
}

static ssize_t inet_send_message(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    struct sock *s = f->priv;
    struct timespec d = {0};
    size_t len = m->u->resid;
    if (len > HOSTIO_CHUNK)
        return -EMSGSIZE;
    _cleanup_iobuf_ struct iobuf b;
    if (iobuf_init(&b, len) < 0)
        return -ENOMEM;
    ssize_t n = len ? uio_get(m->u, b.p, len) : 0;
    if (n < 0 || (size_t)n < len)
        return -EFAULT;
    if (s->family == AF_NETLINK) {
        int r = netlink_check(b.p, len);
        if (r < 0)
            return r;
    }
    struct iovec v = {b.p, len};
    struct msghdr h = {.msg_name = m->addr.len ? &m->addr.ss : NULL,
                       .msg_namelen = m->addr.len,
                       .msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = m->control,
                       .msg_controllen = m->control_len};
    n = send_some(t, f, &h, flags, &d);
    return n < 0 ? finish_send(t, 0, n, flags) : n;
}

static ssize_t inet_sendmsg(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    struct sock *s = f->priv;
    int r = inet_filter_cmsgs(m);
    if (r < 0)
        return r;
    return s->type == SOCK_STREAM ? inet_send_stream(t, f, m, flags) : inet_send_message(t, f, m, flags);
}

/* One host recvmsg, waited for. */
static ssize_t recv_some(struct task *t, struct file *f, struct msghdr *h, int flags, struct timespec *d)
{
    struct sock *s = f->priv;
    socklen_t namelen = h->msg_namelen;
    size_t controllen = h->msg_controllen;
    for (;;) {
        h->msg_namelen = namelen;
        h->msg_controllen = controllen;
        ssize_t n = recvmsg(f->hostfd, h, (flags & RECV_FLAGS & ~MSG_WAITALL) | MSG_DONTWAIT);
        if (n >= 0)
            return n;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN || (flags & MSG_ERRQUEUE))
            return -errno;
        int r = sock_wait(t, f, f->hostfd, flags & MSG_OOB ? POLLPRI : POLLIN, flags, &s->rcvtimeo, d);
        if (r < 0)
            return r;
    }
}

static ssize_t inet_recvmsg(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    struct sock *s = f->priv;
    struct timespec d = {0};
    bool stream = s->type == SOCK_STREAM;
    ssize_t done = 0;
    _cleanup_iobuf_ struct iobuf b;
    if (iobuf_init(&b, m->u->resid) < 0)
        return -ENOMEM;
    size_t control_len = m->control_len;
    m->control_len = 0;
    for (;;) {
        size_t want = m->u->resid < b.size ? m->u->resid : b.size;
        struct iovec v = {b.p, want};
        struct msghdr h = {.msg_name = &m->addr.ss,
                           .msg_namelen = sizeof(m->addr.ss),
                           .msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = done ? NULL : m->control,
                           .msg_controllen = done ? 0 : control_len};
        ssize_t n = recv_some(t, f, &h, flags, &d);
        if (n < 0)
            return done ? done : n;
        if (!done) {
            m->addr.len = h.msg_name ? h.msg_namelen : 0;
            m->control_len = h.msg_controllen;
            m->flags = h.msg_flags;
        }
        size_t got = (size_t)n < want ? (size_t)n : want;
        if (got && !(stream && (flags & MSG_TRUNC)) && uio_put(m->u, b.p, got) < (ssize_t)got)
            return done ? done : -EFAULT;
        done += n;
        if (!stream || n == 0 || m->u->resid == 0 ||
            (flags & (MSG_PEEK | MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE)))
            return done;
        if (!(flags & MSG_WAITALL)) {
            if ((size_t)n < want)
                return done;
            flags |= MSG_DONTWAIT; /* more than the buffer holds: take what is there */
        }
    }
}

static int inet_setsockopt(struct task *t, struct file *f, int level, int opt, const void *val, socklen_t len)
{
    (void)t;
    struct sock *s = f->priv;
    if (!inet_option_allowed(s->family, level, opt, true))
        return -ENOPROTOOPT;
    if (setsockopt(f->hostfd, level, opt, val, len) < 0)
        return -errno;
    s->tells |= level == IPPROTO_IP || level == IPPROTO_IPV6; /* IP_RECVERR */
    if (level == SOL_SOCKET && opt == SO_LINGER) {
        struct linger l;
        memcpy(&l, val, sizeof(l)); /* the host found it long enough */
        s->lingers = l.l_onoff && l.l_linger > 0;
    }
    return 0;
}

/* What the host's IPv4 says of options at levels of other protocols; its IPv6 has one answer for all. */
static bool is_level_of(const struct sock *s, int level)
{
    static const int own[] = {[SOCK_STREAM] = IPPROTO_TCP, [SOCK_DGRAM] = IPPROTO_UDP, [SOCK_RAW] = SOL_RAW};

    return s->family != AF_INET || level == SOL_SOCKET || level == IPPROTO_IP ||
           ((size_t)s->type < sizeof(own) / sizeof(own[0]) && level == own[s->type]);
}

static int inet_getsockopt(struct task *t, struct file *f, int level, int opt, void *val, socklen_t *len)
{
    (void)t;
    struct sock *s = f->priv;
    if (!inet_option_allowed(s->family, level, opt, false))
        return is_level_of(s, level) ? -ENOPROTOOPT : -EOPNOTSUPP;
    return getsockopt(f->hostfd, level, opt, val, len) < 0 ? -errno : 0;
}

/* SIOCGIFCONF has a pointer inside: the list is made in the keep's memory. */
static long inet_ifconf(struct task *t, int hostfd, uaddr_t arg)
{
    struct {
        int32_t len;
        int32_t pad;
        uaddr_t buf;
    } uc;
    if (get_user(t, &uc, arg) < 0)
        return -EFAULT;
    if (uc.len < 0)
        return -EINVAL;
    int len = uc.len < IFCONF_MAX ? uc.len : IFCONF_MAX;
    _cleanup_free_ char *buf = calloc(1, (size_t)len + 1);
    if (!buf)
        return -ENOMEM;
    struct ifconf ic = {.ifc_len = len};
    ic.ifc_buf = uc.buf ? buf : NULL;
    if (ioctl(hostfd, SIOCGIFCONF, &ic) < 0)
        return -errno;
    if (uc.buf && (ic.ifc_len > len || copy_to_user(t, uc.buf, buf, (size_t)ic.ifc_len) < 0))
        return -EFAULT;
    return put_user(t, ic.ifc_len, int32_t, arg);
}

static long inet_ifreq(struct task *t, int hostfd, unsigned cmd, uaddr_t arg)
{
    struct ifreq req;
    if (get_user(t, &req, arg) < 0)
        return -EFAULT;
    if (ioctl(hostfd, cmd, &req) < 0)
        return -errno;
    return copy_to_user(t, arg, &req, sizeof(req));
}

long inet_interface_ioctl(struct task *t, unsigned cmd, uaddr_t arg)
{
    switch (cmd) {
    case SIOCGIFCONF:
    case SIOCGIFNAME:
    case SIOCGIFFLAGS:
    case SIOCGIFMETRIC:
    case SIOCGIFMTU:
    case SIOCGIFHWADDR:
    case SIOCGIFINDEX:
    case SIOCGIFTXQLEN:
        break;
    default:
        return -ENOTTY;
    }
    if (!t->process->container->net_host)
        return -ENOTTY;
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    return cmd == SIOCGIFCONF ? inet_ifconf(t, fd, arg) : inet_ifreq(t, fd, cmd, arg);
}

static long inet_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    int n;
    switch (cmd) {
    case FIONREAD:
    case SIOCOUTQ:
    case SIOCATMARK:
        if (ioctl(f->hostfd, cmd, &n) < 0)
            return -errno;
        return put_user(t, n, int, arg);
    case SIOCGIFCONF:
        return inet_ifconf(t, f->hostfd, arg);
    case SIOCGIFNAME:
    case SIOCGIFFLAGS:
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFMETRIC:
    case SIOCGIFMTU:
    case SIOCGIFHWADDR:
    case SIOCGIFINDEX:
    case SIOCGIFTXQLEN:
        return inet_ifreq(t, f->hostfd, cmd, arg);
    default:
        return -ENOTTY;
    }
}

const struct sock_proto inet_proto = {
    .bind = inet_bind,
    .listen = inet_listen,
    .connect = inet_connect,
    .accept = inet_accept,
    .getname = inet_getname,
    .sendmsg = inet_sendmsg,
    .recvmsg = inet_recvmsg,
    .shutdown = inet_shutdown,
    .setsockopt = inet_setsockopt,
    .getsockopt = inet_getsockopt,
    .ioctl = inet_ioctl,
    .release = inet_release,
};
