/* AF_UNIX: the life of sockets, and how they find each other. See unix.h for the idea. */
#include "sandbox/keep/net/unix.h"

#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sandbox/keep/net/inet.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/container/notify.h"
#include "sandbox/keep/task/task.h"

#define BACKLOG_MAX 4096U /* net.core.somaxconn */

static const struct sock_proto unix_proto;

int unix_init(void)
{
    struct unix_state *us = calloc(1, sizeof(*us));
    if (!us)
        return -ENOMEM;
    pthread_mutex_init(&us->lock, NULL);
    us->watched = -1;
    kernel.unix_state = us;
    return 0;
}

struct unix_sock *unix_get(struct unix_sock *u)
{
    atomic_fetch_add(&u->refs, 1);
    return u;
}

void unix_put(struct unix_sock *u)
{
    if (atomic_fetch_sub(&u->refs, 1) != 1)
        return;
    if (u->b >= 0)
        (void)close(u->b);
    notify_free(u->relay);
    pthread_cond_destroy(&u->room);
    free(u);
}

static struct unix_sock *sock_new(int type, int a, int b)
{
    struct unix_sock *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->base = (struct sock){.proto = &unix_proto, .family = AF_UNIX, .type = type};
    atomic_init(&u->refs, 1);
    u->a = a;
    u->b = b;
    pthread_cond_init(&u->room, NULL);
    return u;
}

struct unix_sock *unix_relay(struct notify *relay, const char *name)
{
    struct unix_sock *u = sock_new(SOCK_DGRAM, -1, -1);
    size_t len = strlen(name);
    if (!u)
        return NULL;
    u->relay = relay;
    u->addr.un.sun_family = AF_UNIX;
    memcpy(u->addr.un.sun_path + 1, name, len);
    u->addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    return u;
}

/* u's file; u and its `a` are gone on failure. */
static int sock_file(struct unix_sock *u, unsigned flags, struct file **ret)
{
    struct unix_state *us = kernel.unix_state;
    *ret = file_new(&sock_ops, O_RDWR | (flags & SOCK_NONBLOCK), 0, u->a, u);
    if (*ret) {
        LOCKED(&us->lock);
        unix_lane_offer(u, *ret);
        return 0;
    }
    (void)close(u->a);
    unix_put(u);
    return -ENOMEM;
}

static int type_check(int *type, int protocol)
{
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (*type == SOCK_RAW)
        *type = SOCK_DGRAM;
    return *type == SOCK_STREAM || *type == SOCK_DGRAM || *type == SOCK_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
}

static int host_pair(struct task *t, int type, int fd[2])
{
    vfs_assume(t);
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0 ? -errno : 0;
}

int unix_create(struct task *t, int type, int protocol, unsigned flags, struct file **ret)
{
    int fd[2], r = type_check(&type, protocol);
    if (r == 0)
        r = host_pair(t, type, fd);
    if (r < 0)
        return r;
    struct unix_sock *u = sock_new(type, fd[0], fd[1]);
    if (u)
        return sock_file(u, flags, ret);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return -ENOMEM;
}

/* Datagram sockets are written to by way of `b`, here a duplicate of the other one's `a`. */
static struct unix_sock *pair_end(struct task *t, int type, int a, int other)
{
    int b = type == SOCK_DGRAM ? fcntl(other, F_DUPFD_CLOEXEC, 0) : -1;
    struct unix_sock *u = type == SOCK_DGRAM && b < 0 ? NULL : sock_new(type, a, b);
    if (!u) {
        if (b >= 0)
            (void)close(b);
        return NULL;
    }
    u->status = UNIX_CONNECTED;
    unix_cred_of(t, &u->self);
    u->remote = u->self;
    return u;
}

int unix_pair(struct task *t, int type, int protocol, unsigned flags, struct file *ret[2])
{
    int fd[2], r = type_check(&type, protocol);
    if (r == 0)
        r = host_pair(t, type, fd);
    if (r < 0)
        return r;
    struct unix_sock *x = pair_end(t, type, fd[0], fd[1]), *y = pair_end(t, type, fd[1], fd[0]);
    if (!x || !y) {
        (void)close(fd[0]);
        (void)close(fd[1]);
        if (x)
            unix_put(x);
        if (y)
            unix_put(y);
        return -ENOMEM;
    }
    x->peer = unix_get(y);
    y->peer = unix_get(x);
    r = sock_file(x, flags, &ret[0]);
    if (r < 0) {
        (void)close(fd[1]);
        unix_put(y->peer);
        unix_put(y);
        return r;
    }
    r = sock_file(y, flags, &ret[1]);
    if (r < 0)
        file_put(ret[0]);
    return r;
}

/* Ends
 * -------------------------------------------------------------------------------------------------------- */

static void forget_unread(struct unix_sock *u, int a)
{
    if (!atomic_load(&u->parcels))
        return;
    (void)shutdown(a, SHUT_RD); /* so that nothing comes after */
    unix_drain(a);
}

static void wake_waiting(struct unix_sock *l)
{
    LOCKED(&kernel.tasklist_lock);
    if (l->waiting)
        pthread_cond_broadcast(&l->room);
}

/* A connection that nobody accepted. */
static void embryo_free(struct unix_sock *e)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *peer;
    int a;
    {
        LOCKED(&us->lock);
        e->status = UNIX_CLOSED;
        peer = e->peer;
        e->peer = NULL;
        a = e->a;
        e->a = -1;
        if (peer->a >= 0) /* something unread makes the other side's next call fail with ECONNRESET */
            (void)send(peer->a, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    forget_unread(e, a);
    (void)close(a);
    unix_put(peer);
    unix_put(e);
}

static void unix_release(struct file *f)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f), *peer, *queue;
    struct dentry *d;
    {
        LOCKED(&us->lock);
        u->status = UNIX_CLOSED;
        d = unix_unbind(u);
        peer = u->peer;
        u->peer = NULL;
        queue = u->queue;
        u->queue = NULL;
        u->a = -1;
        u->file = NULL;
    }
    forget_unread(u, f->hostfd);
    wake_waiting(u);
    while (queue) {
        struct unix_sock *e = queue;
        DL_DELETE2(queue, e, queue_prev, queue_next);
        embryo_free(e);
    }
    if (peer)
        unix_put(peer);
    if (d)
        dentry_put(d);
    unix_put(u);
    unix_collect(false);
}

/* Connections
 * ------------------------------------------------------------------------------------------------- */

static int unix_listen(struct task *t, struct file *f, int backlog)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f);
    if (u->base.type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    {
        LOCKED(&us->lock);
        if (!u->addr.len || (u->status != UNIX_IDLE && u->status != UNIX_LISTEN))
            return -EINVAL;
        u->backlog = (unsigned)backlog < BACKLOG_MAX ? (unsigned)backlog : BACKLOG_MAX;
        u->status = UNIX_LISTEN;
        unix_cred_of(t, &u->self);
    }
    wake_waiting(u);
    return 0;
}

/* [lock] Makes c and a new embryo in l's queue each other's peers. */
static int link_up(struct task *t, struct file *cf, struct unix_sock *l)
{
    struct unix_sock *c = unix_of(cf);
    struct unix_sock *e = sock_new(c->base.type, c->b, -1);
    if (!e)
        return -ENOMEM;
    c->b = -1;
    unix_cred_of(t, &c->self);
    e->status = c->status = UNIX_CONNECTED;
    e->addr = l->addr;
    e->self = c->remote = l->self;
    e->remote = c->self;
    atomic_store(&e->passcred, atomic_load(&l->passcred));
    e->peer = unix_get(c);
    c->peer = unix_get(e);
    unix_lane_offer(c, cf);
    DL_APPEND2(l->queue, e, queue_prev, queue_next);
    l->qlen++;
    if (send(l->b, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
        l->bytes++;
    return 0;
}

/* 0; -EAGAIN: the queue is full. */
static int try_connect(struct task *t, struct file *f, struct unix_sock *l)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *c = unix_of(f);
    LOCKED(&us->lock);
    if (c->status == UNIX_CONNECTED)
        return -EISCONN;
    if (c->status != UNIX_IDLE)
        return -EINVAL;
    if (l->base.type != c->base.type)
        return -EPROTOTYPE;
    if (l->status != UNIX_LISTEN || l->shut_rd)
        return -ECONNREFUSED;
    if (l->qlen > l->backlog)
        return -EAGAIN;
    return link_up(t, f, l);
}

static int connect_stream(struct task *t, struct file *f, struct unix_sock *l)
{
    struct unix_sock *c = unix_of(f);
    const struct timespec *timeo = &c->base.sndtimeo;
    bool timed = timeo->tv_sec || timeo->tv_nsec;
    struct timespec d;
    int r = try_connect(t, f, l);
    if (r != -EAGAIN || file_nonblock(f))
        return r;
    if (timed)
        deadline_from(&d, timeo);
    LOCKED(&kernel.tasklist_lock);
    l->waiting++;
    for (;;) {
        r = try_connect(t, f, l);
        if (r != -EAGAIN)
            break;
        r = task_wait(t, &l->room, timed ? &d : NULL);
        if (r < 0)
            break;
    }
    l->waiting--;
    return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* r == NULL: no more peer. */
static int connect_dgram(struct unix_sock *u, struct unix_sock *r)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *old;
    {
        LOCKED(&us->lock);
        if (r && r->base.type != u->base.type)
            return -EPROTOTYPE;
        if (r && r->peer && r->peer != u)
            return -EPERM;
        old = u->peer;
        u->peer = r ? unix_get(r) : NULL;
        u->status = r ? UNIX_CONNECTED : UNIX_IDLE;
    }
    if (old)
        unix_put(old);
    return 0;
}

static int unix_connect(struct task *t, struct file *f, const struct sock_addr *addr)
{
    struct unix_sock *u = unix_of(f);
    _cleanup_unix_ struct unix_sock *other = NULL;
    if (addr->len < sizeof(sa_family_t))
        return -EINVAL;
    if (u->base.type == SOCK_DGRAM && addr->ss.ss_family == AF_UNSPEC)
        return connect_dgram(u, NULL);
    int r = unix_find(t, addr, &other);
    if (r < 0)
        return r;
    return u->base.type == SOCK_DGRAM ? connect_dgram(u, other) : connect_stream(t, f, other);
}

/* [lock] The next embryo; the bytes that tell of more than there are go. */
static struct unix_sock *queue_pop(struct unix_sock *l)
{
    struct unix_sock *e = l->queue;
    char buf[64];
    if (!e)
        return NULL;
    DL_DELETE2(l->queue, e, queue_prev, queue_next);
    l->qlen--;
    while (l->bytes > l->qlen && recv(l->a, buf, 1, MSG_DONTWAIT) == 1)
        l->bytes--;
    return e;
}

static int try_accept(struct unix_sock *l, struct unix_sock **ret)
{
    struct unix_state *us = kernel.unix_state;
    LOCKED(&us->lock);
    if (l->status != UNIX_LISTEN)
        return -EINVAL;
    *ret = queue_pop(l);
    if (*ret)
        return 0;
    return l->shut_rd ? -EINVAL : -EAGAIN;
}

static int unix_accept(struct task *t, struct file *f, unsigned flags, struct file **ret,
                       struct sock_addr *from)
{
    struct unix_sock *l = unix_of(f), *e = NULL;
    struct timespec d = {0};
    if (l->base.type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    for (;;) {
        int r = try_accept(l, &e);
        if (r == 0)
            break;
        if (r == -EAGAIN)
            r = sock_wait(t, f, l->a, POLLIN, 0, &l->base.rcvtimeo, &d);
        if (r < 0)
            return r;
    }
    wake_waiting(l);
    unix_addr_out(&e->peer->addr, from);
    return sock_file(e, flags, ret);
}

static int unix_getname(struct task *t, struct file *f, bool peer, struct sock_addr *addr)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f);
    (void)t;
    LOCKED(&us->lock);
    if (peer && !u->peer)
        return -ENOTCONN;
    unix_addr_out(peer ? &u->peer->addr : &u->addr, addr);
    return 0;
}

static int unix_shutdown(struct task *t, struct file *f, int how)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_sock *u = unix_of(f);
    (void)t;
    {
        LOCKED(&us->lock);
        u->shut_rd |= how != SHUT_WR;
        u->shut_wr |= how != SHUT_RD;
    }
    if (u->base.type == SOCK_DGRAM)
        how = how == SHUT_WR ? -1 : SHUT_RD; /* the host's peer is not the guest's */
    if (how >= 0 && shutdown(f->hostfd, how) < 0)
        return -errno;
    wake_waiting(u);
    return 0;
}

/* Options
 * ----------------------------------------------------------------------------------------------------- */

static int unix_setsockopt(struct task *t, struct file *f, int level, int opt, const void *val, socklen_t len)
{
    struct unix_sock *u = unix_of(f);
    int v;
    (void)t;
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (len < sizeof(v))
        return -EINVAL;
    memcpy(&v, val, sizeof(v));
    switch (opt) {
    case SO_PASSCRED:
        return unix_set_passcred(f, v != 0);
    case SO_SNDBUF:
        if (u->base.type == SOCK_DGRAM && u->b >= 0)
            (void)setsockopt(u->b, level, opt, val, len);
        break;
    case SO_RCVBUF:
    case SO_REUSEADDR:
    case SO_KEEPALIVE:
    case SO_BROADCAST:
    case SO_LINGER:
    case SO_PRIORITY:
    case SO_RCVLOWAT:
    case SO_TIMESTAMP:
        break;
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        return -EPERM;
    default:
        return -ENOPROTOOPT;
    }
    return setsockopt(f->hostfd, level, opt, val, len) < 0 ? -errno : 0;
}

static int opt_out(void *val, socklen_t *len, const void *data, size_t n)
{
    if (*len > n)
        *len = (socklen_t)n;
    memcpy(val, data, *len);
    return 0;
}

static int opt_peercred(const struct task *t, struct unix_sock *u, void *val, socklen_t *len)
{
    struct unix_state *us = kernel.unix_state;
    struct ucred c = {0, (uid_t)-1, (gid_t)-1};
    LOCKED(&us->lock);
    if (u->status == UNIX_CONNECTED && u->remote.pid)
        c = unix_cred_for(t, &u->remote);
    else if (u->status == UNIX_LISTEN)
        c = unix_cred_for(t, &u->self);
    return opt_out(val, len, &c, sizeof(c));
}

static int unix_getsockopt(struct task *t, struct file *f, int level, int opt, void *val, socklen_t *len)
{
    struct unix_sock *u = unix_of(f);
    int v;
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    switch (opt) {
    case SO_PEERCRED:
        return opt_peercred(t, u, val, len);
    case SO_PASSCRED:
        v = atomic_load(&u->passcred);
        return opt_out(val, len, &v, sizeof(v));
    case SO_ACCEPTCONN:
        v = u->status == UNIX_LISTEN;
        return opt_out(val, len, &v, sizeof(v));
    case SO_ERROR:
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_REUSEADDR:
    case SO_KEEPALIVE:
    case SO_BROADCAST:
    case SO_LINGER:
    case SO_PRIORITY:
    case SO_RCVLOWAT:
    case SO_TIMESTAMP:
    case SO_COOKIE:
        return getsockopt(f->hostfd, level, opt, val, len) < 0 ? -errno : 0;
    default:
        return -ENOPROTOOPT;
    }
}

static long unix_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    struct unix_sock *u = unix_of(f);
    int n = 0;
    if (cmd != FIONREAD && cmd != SIOCOUTQ)
        return inet_interface_ioctl(t, cmd, arg);
    if (u->status == UNIX_LISTEN && cmd == FIONREAD)
        return -EINVAL;
    if (ioctl(f->hostfd, cmd, &n) < 0)
        return -errno;
    if (cmd == FIONREAD && u->base.type == SOCK_DGRAM && n >= (int)unix_header_size())
        n -= (int)unix_header_size();
    return put_user(t, n, int, arg);
}

static const struct sock_proto unix_proto = {
    .bind = unix_bind,
    .listen = unix_listen,
    .connect = unix_connect,
    .accept = unix_accept,
    .getname = unix_getname,
    .sendmsg = unix_sendmsg,
    .recvmsg = unix_recvmsg,
    .shutdown = unix_shutdown,
    .setsockopt = unix_setsockopt,
    .getsockopt = unix_getsockopt,
    .ioctl = unix_ioctl,
    .become_lane = unix_become_lane,
    .release = unix_release,
};
