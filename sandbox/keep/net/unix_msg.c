/* Bytes and messages through unix sockets. */
#include <poll.h>
#include <string.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/container/notify.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/net/unix.h"

#define MESSAGE_MAX (1U << 20) /* no host buffer takes more in one message */
#define TOKENS 4               /* room for more than can come, so that none is lost */

/* What every datagram starts with: who sent it. */
struct dgram_header {
    struct unix_cred cred;
    uint32_t addr_len;
    struct sockaddr_un addr;
};

size_t unix_header_size(void)
{
    return sizeof(struct dgram_header);
}

/* One transfer between keep and host. */
struct transit {
    struct task *t;
    struct file *f;
    int hostfd;
    int flags; /* the guest's MSG_* */
    const struct timespec *timeo;
    struct timespec deadline;
    int token[2]; /* -1 none */
    pid_t writer; /* received: by the host's credentials; 0 unknown */
    struct iovec iov[2];
    unsigned niov;
    int msg_flags; /* received */
};

/* A watched one only once the parcel is taken, or the watch would find it lost. */
static void drop_token(struct transit *x)
{
    for (int i = 0; i < 2; i++) {
        if (x->token[i] >= 0)
            (void)close(x->token[i]);
        x->token[i] = -1;
    }
}

static ssize_t host_send(struct transit *x)
{
    char control[CMSG_SPACE(sizeof(x->token))] __attribute__((aligned(8))) = {0};
    struct msghdr h = {.msg_iov = x->iov, .msg_iovlen = x->niov};
    if (x->token[0] >= 0) {
        size_t n = x->token[1] >= 0 ? sizeof(x->token) : sizeof(int);
        h.msg_control = control;
        h.msg_controllen = CMSG_SPACE(n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(n), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), x->token, n);
    }
    for (;;) {
        ssize_t n = sendmsg(x->hostfd, &h, (x->flags & MSG_EOR) | MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        int r = sock_wait(x->t, x->f, x->hostfd, POLLOUT, x->flags, x->timeo, &x->deadline);
        if (r < 0)
            return r;
    }
}

/* Up to two; the host passes on no others. */
static void take_token(struct transit *x, const struct cmsghdr *c)
{
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
        int fd;
        memcpy(&fd, (const char *)c + at, sizeof(fd));
        if (x->token[0] < 0)
            x->token[0] = fd;
        else if (x->token[1] < 0)
            x->token[1] = fd;
        else
            (void)close(fd);
    }
}

static void take_control(struct transit *x, struct msghdr *h)
{
    struct ucred cred;
    x->token[0] = x->token[1] = -1;
    x->writer = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS) {
            take_token(x, c);
        } else if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len >= CMSG_LEN(sizeof(cred))) {
            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
            x->writer = cred.pid;
        }
    }
}

static ssize_t host_recv_once(struct transit *x, int flags)
{
    char control[CMSG_SPACE(TOKENS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))]
        __attribute__((aligned(8)));
    struct msghdr h = {
        .msg_iov = x->iov, .msg_iovlen = x->niov, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(x->hostfd, &h, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    take_control(x, &h);
    x->msg_flags = h.msg_flags;
    return n;
}

static ssize_t host_recv(struct transit *x)
{
    for (;;) {
        ssize_t n = host_recv_once(x, x->flags & (MSG_PEEK | MSG_TRUNC));
        if (n == -EINTR)
            continue;
        if (n != -EAGAIN)
            return n;
        int r = sock_wait(x->t, x->f, x->hostfd, POLLIN, x->flags, x->timeo, &x->deadline);
        if (r < 0)
            return r;
    }
}

void unix_drain(int fd)
{
    char buf[4096];
    for (;;) {
        struct transit x = {.hostfd = fd, .token = {-1, -1}, .iov = {{buf, sizeof(buf)}}, .niov = 1};
        ssize_t n = host_recv_once(&x, 0);
        if (x.token[0] >= 0) {
            unix_parcel_put(unix_parcel_take(x.token[0], false));
            drop_token(&x);
        } else if (n <= 0) {
            return;
        }
    }
}

/* Sending
 * ----------------------------------------------------------------------------------------------------- */

/* Puts p on its way to `to` with the next host_send. */
static int attach(struct transit *x, struct unix_parcel *p, struct unix_sock *to)
{
    x->token[0] = x->token[1] = -1;
    return p ? unix_parcel_token(x->t, p, to, x->token) : 0;
}

static void detach(struct transit *x, struct unix_parcel *p, struct unix_sock *to, bool sent)
{
    if (x->token[0] < 0)
        return;
    drop_token(x);
    if (!sent) {
        unix_parcel_recall(p);
        atomic_fetch_sub(&to->parcels, 1);
    }
}

/* A whole message in one host call. */
static ssize_t send_message(struct transit *x, struct uio *u, struct dgram_header *head,
                            struct unix_parcel *p, struct unix_sock *to)
{
    size_t len = u->resid;
    if (len > MESSAGE_MAX)
        return -EMSGSIZE;
    _cleanup_free_ char *buf = malloc(len + 1);
    if (!buf)
        return -ENOMEM;
    if (len && uio_get(u, buf, len) < (ssize_t)len)
        return -EFAULT;
    x->niov = 0;
    if (head)
        x->iov[x->niov++] = (struct iovec){head, sizeof(*head)};
    x->iov[x->niov++] = (struct iovec){buf, len};
    ssize_t n = attach(x, p, to);
    if (n < 0)
        return n;
    n = host_send(x);
    detach(x, p, to, n >= 0);
    return n < 0 ? n : (ssize_t)len;
}

static ssize_t send_stream(struct transit *x, struct uio *u, struct unix_parcel *p, struct unix_sock *to)
{
    _cleanup_iobuf_ struct iobuf b;
    ssize_t done = 0;
    if (iobuf_init(&b, u->resid) < 0)
        return -ENOMEM;
    ssize_t n = u->resid ? attach(x, p, to) : 0;
    while (n >= 0 && u->resid) {
        n = uio_get(u, b.p, b.size);
        x->niov = 1;
        x->iov[0] = (struct iovec){b.p, n > 0 ? (size_t)n : 0};
        while (n > 0 && x->iov[0].iov_len) {
            n = host_send(x);
            if (n < 0)
                break;
            detach(x, p, to, true);
            done += n;
            x->iov[0] = (struct iovec){(char *)x->iov[0].iov_base + n, x->iov[0].iov_len - (size_t)n};
        }
    }
    detach(x, p, to, false);
    if (n == -EPIPE && !(x->flags & MSG_NOSIGNAL))
        raise_sigpipe(x->t);
    return done || n >= 0 ? done : n;
}

/* Credentials go along where either end asked for them. */
static int add_cred(struct task *t, struct unix_sock *u, struct unix_sock *to, struct unix_parcel **p)
{
    if (*p && !(*p)->has_cred) {
        unix_sender_cred(t, &(*p)->cred);
        (*p)->has_cred = true;
    }
    if (!*p && (atomic_load(&u->passcred) || atomic_load(&to->passcred))) {
        *p = unix_parcel_cred(t);
        if (!*p)
            return -ENOMEM;
    }
    return 0;
}

static ssize_t send_connected(struct transit *x, struct sock_msg *m, struct unix_parcel **p)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(x->f);
    _cleanup_unix_ struct unix_sock *to = NULL;
    {
        LOCKED(&us->lock);
        if (u->base.type == SOCK_STREAM && m->addr.len)
            return u->status == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
        if (u->status != UNIX_CONNECTED || !u->peer)
            return -ENOTCONN;
        to = unix_get(u->peer);
    }
    int r = add_cred(x->t, u, to, p);
    if (r < 0)
        return r;
    if (u->base.type == SOCK_STREAM)
        return send_stream(x, m->u, *p, to);
    return send_message(x, m->u, NULL, *p, to); /* packets raise no SIGPIPE */
}

static int dgram_target(struct task *t, struct unix_sock *u, const struct sock_addr *addr,
                        struct unix_sock **ret)
{
    struct unix_state *us = kernel.unix_state;
    int r = addr->len ? unix_find(t, addr, ret) : 0;
    if (r < 0)
        return r;
    LOCKED(&us->lock);
    if (u->shut_wr)
        return -EPIPE;
    if (!addr->len && !u->peer)
        return -ENOTCONN;
    if (!addr->len)
        *ret = unix_get(u->peer);
    struct unix_sock *to = *ret;
    if (to->base.type != SOCK_DGRAM)
        return -EPROTOTYPE;
    if (to->status == UNIX_CLOSED)
        return -ECONNREFUSED;
    if (to->peer && to->peer != u)
        return -EPERM;
    return to->shut_rd ? -EPIPE : 0;
}

static ssize_t send_dgram(struct transit *x, struct sock_msg *m, struct unix_parcel *p)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(x->f);
    _cleanup_unix_ struct unix_sock *to = NULL;
    struct dgram_header head = {.addr_len = 0};
    int r = dgram_target(x->t, u, &m->addr, &to);
    if (r < 0)
        return r;
    if (to->relay)
        return notify_take(to->relay, m->u);
    unix_sender_cred(x->t, &head.cred);
    if (p && p->has_cred)
        head.cred = p->cred;
    {
        LOCKED(&us->lock);
        head.addr_len = u->addr.len;
        head.addr = u->addr.un;
    }
    x->hostfd = to->b;
    ssize_t n = send_message(x, m->u, &head, p && p->nfiles ? p : NULL, to);
    if (n == -EPIPE || n == -ECONNRESET || n == -ENOTCONN) {
        LOCKED(&us->lock);
        n = to->status == UNIX_CLOSED ? -ECONNREFUSED : -EPIPE;
    }
    return n; // NOLINT(clang-analyzer-core.StackAddressEscape): the transit ends with this call
}

ssize_t unix_sendmsg(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    struct unix_sock *u = unix_of(f);
    struct transit x = {
        .t = t, .f = f, .hostfd = f->hostfd, .flags = flags, .timeo = &u->base.sndtimeo, .token = {-1, -1}};
    struct unix_parcel *p = NULL;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    int r = unix_parcel_make(t, m, &p);
    if (r < 0)
        return r;
    ssize_t n = u->base.type == SOCK_DGRAM ? send_dgram(&x, m, p) : send_connected(&x, m, &p);
    bool sent_files = p && p->nfiles > 0;
    unix_parcel_put(p);
    if (sent_files)
        unix_collect(true);
    return n;
}

/* Receiving
 * --------------------------------------------------------------------------------------------------- */

/* What came with the bytes: the parcel behind x->token, and the sender's credentials (NULL: the parcel's). */
static bool receive_parcel(struct transit *x, struct sock_msg *m, const struct unix_cred *cred)
{
    struct unix_sock *u = unix_of(x->f);
    struct unix_parcel *p = NULL;
    struct unix_cred writer;
    bool got = x->token[0] >= 0;
    if (got) {
        p = unix_parcel_take(x->token[0], x->flags & MSG_PEEK);
        drop_token(x);
        if (p && !(x->flags & MSG_PEEK))
            atomic_fetch_sub(&u->parcels, 1);
    } else if (!cred && x->writer > 0 && unix_lane_cred(x->writer, &writer)) {
        cred = &writer;
    }
    unix_parcel_deliver(x->t, u, p, cred, m, x->flags);
    unix_parcel_put(p);
    return got;
}

static ssize_t recv_dgram(struct transit *x, struct sock_msg *m)
{
    struct dgram_header head;
    size_t want = m->u->resid < MESSAGE_MAX ? m->u->resid : MESSAGE_MAX;
    _cleanup_free_ char *buf = malloc(want + 1);
    if (!buf)
        return -ENOMEM;
    x->iov[0] = (struct iovec){&head, sizeof(head)};
    x->iov[1] = (struct iovec){buf, want};
    x->niov = 2;
    ssize_t n = host_recv(x);
    if (n < 0)
        return n;
    if ((size_t)n < sizeof(head)) /* shut down */
        return receive_parcel(x, m, NULL), 0;
    n -= (ssize_t)sizeof(head);
    m->flags = x->msg_flags & MSG_TRUNC;
    m->addr.len = head.addr_len <= sizeof(head.addr) ? head.addr_len : 0;
    memcpy(&m->addr.ss, &head.addr, m->addr.len);
    size_t got = (size_t)n < want ? (size_t)n : want;
    (void)receive_parcel(x, m, &head.cred);
    if (got && uio_put(m->u, buf, got) < (ssize_t)got)
        return -EFAULT;
    return n;
}

static ssize_t recv_packet(struct transit *x, struct sock_msg *m)
{
    size_t want = m->u->resid < MESSAGE_MAX ? m->u->resid : MESSAGE_MAX;
    _cleanup_free_ char *buf = malloc(want + 1);
    if (!buf)
        return -ENOMEM;
    x->iov[0] = (struct iovec){buf, want};
    x->niov = 1;
    ssize_t n = host_recv(x);
    if (n < 0)
        return n;
    m->flags = x->msg_flags & (MSG_TRUNC | MSG_EOR);
    size_t got = (size_t)n < want ? (size_t)n : want;
    (void)receive_parcel(x, m, NULL);
    if (got && uio_put(m->u, buf, got) < (ssize_t)got)
        return -EFAULT;
    return n;
}

/* Of no bytes at all: not before there is one, or there will be none. */
static ssize_t recv_nothing(struct transit *x)
{
    char c;

    x->iov[0] = (struct iovec){&c, 1};
    x->niov = 1;
    x->flags |= MSG_PEEK;
    ssize_t n = host_recv(x);
    if (n >= 0)
        drop_token(x);
    return n < 0 ? n : 0; // NOLINT(clang-analyzer-core.StackAddressEscape): the transit ends with this call
}

static ssize_t recv_stream(struct transit *x, struct sock_msg *m)
{
    _cleanup_iobuf_ struct iobuf b;
    ssize_t done = 0;
    bool first = true, stop = false;
    if (iobuf_init(&b, m->u->resid) < 0)
        return -ENOMEM;
    x->flags &= ~MSG_TRUNC;
    x->niov = 1;
    while (m->u->resid && !stop) {
        size_t want = m->u->resid < b.size ? m->u->resid : b.size;
        x->iov[0] = (struct iovec){b.p, want};
        ssize_t n = host_recv(x);
        if (n < 0)
            return done ? done : n;
        if (first || x->token[0] >= 0)
            stop = receive_parcel(x, m, NULL);
        first = false;
        if (n == 0)
            return done;
        if (uio_put(m->u, b.p, (size_t)n) < n)
            return done ? done : -EFAULT;
        done += n;
        stop |= (x->flags & MSG_PEEK) || (!(x->flags & MSG_WAITALL) && (size_t)n < want);
        if (!(x->flags & MSG_WAITALL))
            x->flags |= MSG_DONTWAIT;
    }
    return done;
}

ssize_t unix_recvmsg(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f);
    struct transit x = {
        .t = t, .f = f, .hostfd = f->hostfd, .flags = flags, .timeo = &u->base.rcvtimeo, .token = {-1, -1}};
    if (flags & (MSG_OOB | MSG_ERRQUEUE))
        return flags & MSG_OOB ? -EOPNOTSUPP : -EAGAIN;
    if (u->base.type == SOCK_DGRAM)
        return recv_dgram(&x, m);
    {
        LOCKED(&us->lock);
        if (u->status != UNIX_CONNECTED)
            return u->base.type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
        if (m->want_addr && u->peer) {
            m->addr.len = u->peer->addr.len;
            memcpy(&m->addr.ss, &u->peer->addr.un, m->addr.len);
        }
    }
    if (u->base.type == SOCK_STREAM)
        return m->u->resid ? recv_stream(&x, m) : recv_nothing(&x);
    return recv_packet(&x, m);
}
