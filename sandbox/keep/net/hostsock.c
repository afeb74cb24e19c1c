/* Sockets that the runtime's caller hands in (socket activation): host objects that the guest may use, but
 * not name others with. inet ones are like the guest's own; a unix one leads out of the sandbox, so there go
 * bytes and nothing else: no descriptor, no address. */

#include "sandbox/keep/net/inet.h"
#include "sandbox/keep/task/task.h"

static int refuse_name(struct task *t, struct file *f, const struct sock_addr *addr)
{
    (void)t;
    (void)f;
    (void)addr;
    return -EINVAL;
}

static int host_connect(struct task *t, struct file *f, const struct sock_addr *addr)
{
    (void)t;
    (void)f;
    (void)addr;
    return -EISCONN;
}

static int host_listen(struct task *t, struct file *f, int backlog)
{
    return inet_proto.listen(t, f, backlog);
}

static int host_accept(struct task *t, struct file *f, unsigned flags, struct file **ret,
                       struct sock_addr *from)
{
    return inet_proto.accept(t, f, flags, ret, from);
}

static int host_getname(struct task *t, struct file *f, bool peer, struct sock_addr *addr)
{
    return inet_proto.getname(t, f, peer, addr);
}

static ssize_t host_sendmsg(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    if (m->addr.len)
        return -EISCONN;
    m->control_len = 0;
    return inet_proto.sendmsg(t, f, m, flags);
}

/* Without room for control messages the host drops what comes along, descriptors too. */
static ssize_t host_recvmsg(struct task *t, struct file *f, struct sock_msg *m, int flags)
{
    m->control_len = 0;
    return inet_proto.recvmsg(t, f, m, flags);
}

static int host_shutdown(struct task *t, struct file *f, int how)
{
    return inet_proto.shutdown(t, f, how);
}

static int host_setsockopt(struct task *t, struct file *f, int level, int opt, const void *val, socklen_t len)
{
    return level == SOL_SOCKET ? inet_proto.setsockopt(t, f, level, opt, val, len) : -EOPNOTSUPP;
}

static int host_getsockopt(struct task *t, struct file *f, int level, int opt, void *val, socklen_t *len)
{
    return level == SOL_SOCKET ? inet_proto.getsockopt(t, f, level, opt, val, len) : -EOPNOTSUPP;
}

static long host_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    return inet_proto.ioctl(t, f, cmd, arg);
}

static void host_release(struct file *f)
{
    inet_proto.release(f);
}

static const struct sock_proto host_unix_proto = {
    .bind = refuse_name,
    .listen = host_listen,
    .connect = host_connect,
    .accept = host_accept,
    .getname = host_getname,
    .sendmsg = host_sendmsg,
    .recvmsg = host_recvmsg,
    .shutdown = host_shutdown,
    .setsockopt = host_setsockopt,
    .getsockopt = host_getsockopt,
    .ioctl = host_ioctl,
    .release = host_release,
};

static int option(int fd, int opt)
{
    int v = 0;
    socklen_t len = sizeof(v);
    return getsockopt(fd, SOL_SOCKET, opt, &v, &len) < 0 ? -errno : v;
}

struct file *host_sock_file(int fd)
{
    struct sock s = {
        .proto = &inet_proto,
        .family = option(fd, SO_DOMAIN),
        .type = option(fd, SO_TYPE),
        .protocol = option(fd, SO_PROTOCOL),
    };
    if (s.family != AF_UNIX && s.family != AF_INET && s.family != AF_INET6)
        return NULL;
    if (s.family == AF_UNIX)
        s.proto = &host_unix_proto;
    /* The keep waits before it accepts, and somebody else may be quicker: then it must not wait in the host.
     */
    if (option(fd, SO_ACCEPTCONN) == 1)
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct sock *own = malloc(sizeof(*own));
    if (!own)
        return NULL;
    *own = s;
    struct file *f = file_new(&sock_ops, O_RDWR, 0, fd, own);
    if (!f)
        free(own);
    return f;
}
