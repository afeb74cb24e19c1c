/* The socket calls but for messages: addresses and options in and out. */
#include "sandbox/keep/net/sock.h"

#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

#define OPT_MAX 1024 /* longer option values have no use in any option that is let through */

static ssize_t sock_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    struct sock_msg m = {.u = u};
    struct sock *s = f->priv;
    (void)pos;
    if (u->resid == 0) /* read(2) of no bytes waits for none, takes no message and says no error */
        return 0;
    return s->proto->recvmsg(t, f, &m, 0);
}

static ssize_t sock_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    struct sock_msg m = {.u = u};
    struct sock *s = f->priv;
    (void)pos;
    return s->proto->sendmsg(t, f, &m, 0);
}

static long sock_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    struct sock *s = f->priv;
    return s->proto->ioctl(t, f, cmd, arg);
}

static void sock_release(struct file *f)
{
    struct sock *s = f->priv;
    s->proto->release(f);
}

static int mirror_timeout(const struct file *f, int opt, const struct timespec *ts)
{
    struct timeval tv = {ts->tv_sec, (ts->tv_nsec + 999) / 1000};
    return setsockopt(f->hostfd, SOL_SOCKET, opt, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

/* What waits on the host's socket by itself, waits as the guest asked for. The keep's own transfers are all
 * MSG_DONTWAIT. */
static int mirror_timeouts(const struct file *f)
{
    const struct sock *s = f->priv;
    int r = s->timed ? mirror_timeout(f, SO_RCVTIMEO, &s->rcvtimeo) : 0;
    return r == 0 && s->timed ? mirror_timeout(f, SO_SNDTIMEO, &s->sndtimeo) : r;
}

/* [pos_lock] Who listens accepts by the keep. */
static int mirror_nonblock(const struct file *f, bool nonblock)
{
    const struct sock *s = f->priv;
    return fcntl(f->hostfd, F_SETFL, nonblock || s->listens ? O_NONBLOCK : 0) < 0 ? -errno : 0;
}

int sock_host_waits(struct file *f, bool may)
{
    LOCKED(&f->pos_lock);
    return mirror_nonblock(f, !may || file_nonblock(f));
}

static int sock_become_lane(struct file *f)
{
    const struct sock *s = f->priv;
    int r = s->proto->become_lane ? s->proto->become_lane(f) : 0;
    if (r == 0)
        r = mirror_timeouts(f);
    return r < 0 || s->fresh || file_nonblock(f) ? r
                                                 : mirror_nonblock(f, false); /* it is O_NONBLOCK so far */
}

bool sock_is_fresh(struct file *f)
{
    const struct sock *s = sock_of(f);
    return s && s->fresh;
}

void sock_settle(struct file *f, bool nonblock)
{
    struct sock *s = sock_of(f);
    LOCKED(&f->pos_lock);
    if (!s || !s->fresh)
        return;
    s->fresh = false;
    if (nonblock)
        atomic_fetch_or(&f->flags, O_NONBLOCK);
    else
        atomic_fetch_and(&f->flags, ~(unsigned)O_NONBLOCK);
    if (!nonblock && atomic_load(&f->laned))
        (void)mirror_nonblock(f, false);
}

static int sock_set_flags(struct task *t, struct file *f, unsigned flags)
{
    (void)t;
    LOCKED(&f->pos_lock);
    if (!atomic_load(&f->laned))
        return 0;
    return mirror_nonblock(f, flags & O_NONBLOCK);
}

const struct file_ops sock_ops = {
    .name = "socket",
    .read = sock_read,
    .write = sock_write,
    .ioctl = sock_ioctl,
    .stat = hostio_stat,
    .link_name = hostio_link_name,
    .set_flags = sock_set_flags,
    .become_lane = sock_become_lane,
    .release = sock_release,
};

int sock_wait(struct task *t, struct file *f, int hostfd, short events, int msg_flags,
              const struct timespec *timeo, struct timespec *deadline)
{
    bool timed = timeo->tv_sec || timeo->tv_nsec;
    if ((msg_flags & MSG_DONTWAIT) || file_nonblock(f))
        return -EAGAIN;
    if (timed && !deadline->tv_sec)
        deadline_from(deadline, timeo);
    int r = host_wait(t, hostfd, events, timed ? deadline : NULL);
    if (r == -ETIMEDOUT)
        return -EAGAIN;
    if (r == -ERESTARTSYS && timed)
        return -EINTR;
    return r < 0 ? r : 0;
}

/* The socket behind fd with a reference to its file; *err is EBADF or ENOTSOCK otherwise. */
static struct sock *sock_get(struct task *t, uint64_t fd, struct file **f, int *err)
{
    *f = fd_get(t, (int)fd);
    *err = *f ? -ENOTSOCK : -EBADF;
    return *f ? sock_of(*f) : NULL;
}

static int addr_from_user(struct task *t, struct sock_addr *addr, uaddr_t p, int len)
{
    memset(addr, 0, sizeof(*addr));
    if (len < 0 || (size_t)len > sizeof(addr->ss))
        return -EINVAL;
    if (copy_from_user(t, &addr->ss, p, (size_t)len) < 0)
        return -EFAULT;
    addr->len = (socklen_t)len;
    return 0;
}

/* *plen: the guest's buffer size, replaced by the true length. */
static int addr_to_user(struct task *t, const struct sock_addr *addr, uaddr_t p, uaddr_t plen)
{
    int len;
    if (get_user(t, &len, plen) < 0)
        return -EFAULT;
    if (len < 0)
        return -EINVAL;
    if (len > (int)addr->len)
        len = (int)addr->len;
    const struct user_copy parts[] = {{p, &addr->ss, (size_t)len}, {plen, &addr->len, sizeof(int)}};
    return len ? copy_all_to_user(t, parts, 2) : copy_all_to_user(t, parts + 1, 1);
}

#define SOCK_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* What socket() makes. 0 or -errno. */
static int create(struct task *t, const struct sysargs *a, struct file **ret)
{
    int family = (int)a->arg[0], type = (int)a->arg[1] & 0xf, protocol = (int)a->arg[2];
    unsigned flags = (unsigned)a->arg[1] & ~0xfU;
    if ((flags & ~(unsigned)SOCK_FLAGS) || type > SOCK_PACKET)
        return -EINVAL;
    switch (family) {
    case AF_UNIX:
        return unix_create(t, type, protocol, flags, ret);
    case AF_INET:
    case AF_INET6:
    case AF_NETLINK:
        return inet_create(t, family, type, protocol, flags, ret);
    case AF_PACKET: /* not there, but this is what is asked first */
        return capable(t, CAP_NET_RAW) ? -EAFNOSUPPORT : -EPERM;
    default:
        return -EAFNOSUPPORT;
    }
}

long sys_socket(struct task *t, const struct sysargs *a)
{
    struct file *f;
    int r = create(t, a, &f);
    return r < 0 ? r : fd_return_stream(t, a, f, (unsigned)a->arg[1] & SOCK_CLOEXEC);
}

/* Only unix sockets come in pairs, but what is no socket at all is refused as such. */
static long no_pair(struct task *t, const struct sysargs *a)
{
    struct file *f;
    int r = create(t, a, &f);
    if (r < 0)
        return r;
    file_put(f);
    return -EOPNOTSUPP;
}

long sys_socketpair(struct task *t, const struct sysargs *a)
{
    int type = (int)a->arg[1] & 0xf, fd[2];
    unsigned flags = (unsigned)a->arg[1] & ~0xfU;
    struct file *f[2];
    bool native = false;
    if (flags & ~(unsigned)SOCK_FLAGS)
        return -EINVAL;
    if ((int)a->arg[0] != AF_UNIX)
        return no_pair(t, a);
    int r = unix_pair(t, type, (int)a->arg[2], flags, f);
    if (r < 0)
        return r;
    fd[0] = fd_return(t, f[0], flags & SOCK_CLOEXEC);
    if (fd[0] < 0) {
        file_put(f[1]);
        return fd[0];
    }
    fd[1] = fd_return(t, f[1], flags & SOCK_CLOEXEC);
    if (fd[1] >= 0 && copy_to_user(t, a->arg[3], fd, sizeof(fd)) == 0)
        return 0;
    r = fd[1] < 0 ? fd[1] : -EFAULT;
    (void)fd_close(t, a, fd[0], &native);
    if (fd[1] >= 0)
        (void)fd_close(t, a, fd[1], &native);
    return r;
}

long sys_bind(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    struct sock_addr addr;
    int err;
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    err = addr_from_user(t, &addr, a->arg[1], (int)a->arg[2]);
    return err < 0 ? err : s->proto->bind(t, f, &addr);
}

long sys_listen(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    int err;
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    return s ? s->proto->listen(t, f, (int)a->arg[1]) : err;
}

long sys_connect(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    struct sock_addr addr;
    int err;
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    err = addr_from_user(t, &addr, a->arg[1], (int)a->arg[2]);
    int refused = later_refusal(t, (unsigned)a->arg[0]);
    if (err < 0)
        return err;
    err = s->proto->connect(t, f, &addr);
    if (err == 0 || (err == -EINPROGRESS && file_nonblock(f)))
        t->used_lane = fd_leave(t, (int)a->arg[0], f, err != 0);
    return err == -ECONNABORTED && refused ? refused : err;
}

static long do_accept(struct task *t, const struct sysargs *a, unsigned flags)
{
    _cleanup_file_ struct file *f;
    struct sock_addr from = {.len = 0};
    struct file *conn;
    int err;
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    if (flags & ~(unsigned)SOCK_FLAGS)
        return -EINVAL;
    if (!fd_has_room(t)) /* before a connection is taken out of the queue */
        return -EMFILE;
    int r = s->proto->accept(t, f, flags, &conn, &from);
    if (r < 0)
        return r;
    if (a->arg[1])
        r = addr_to_user(t, &from, a->arg[1], a->arg[2]);
    if (r == 0)
        return fd_return_stream(t, a, conn, flags & SOCK_CLOEXEC);
    file_put(conn);
    return r;
}

long sys_accept(struct task *t, const struct sysargs *a)
{
    return do_accept(t, a, 0);
}

long sys_accept4(struct task *t, const struct sysargs *a)
{
    return do_accept(t, a, (unsigned)a->arg[3]);
}

static long do_getname(struct task *t, const struct sysargs *a, bool peer)
{
    _cleanup_file_ struct file *f;
    struct sock_addr addr = {.len = 0};
    int err;
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    err = s->proto->getname(t, f, peer, &addr);
    return err < 0 ? err : addr_to_user(t, &addr, a->arg[1], a->arg[2]);
}

long sys_getsockname(struct task *t, const struct sysargs *a)
{
    return do_getname(t, a, false);
}

long sys_getpeername(struct task *t, const struct sysargs *a)
{
    return do_getname(t, a, true);
}

long sys_shutdown(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    int err, how = (int)a->arg[1];
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    return s->proto->shutdown(t, f, how);
}

/* Options
 * ---------------------------------------------------------------------------------------------------- */

#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif

static struct timespec *timeout_option(struct sock *s, int level, int opt)
{
    if (level != SOL_SOCKET)
        return NULL;
    if (opt == SO_RCVTIMEO || opt == SO_RCVTIMEO_NEW)
        return &s->rcvtimeo;
    if (opt == SO_SNDTIMEO || opt == SO_SNDTIMEO_NEW)
        return &s->sndtimeo;
    return NULL;
}

static int set_timeout(struct timespec *ts, const void *val, size_t len)
{
    struct timeval tv;
    if (len < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, val, sizeof(tv));
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return -EDOM;
    *ts = tv.tv_sec < 0 ? (struct timespec){0, 1} : (struct timespec){tv.tv_sec, tv.tv_usec * 1000};
    return 0;
}

long sys_setsockopt(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    int err, level = (int)a->arg[1], opt = (int)a->arg[2], len = (int)a->arg[4];
    char val[OPT_MAX] __attribute__((aligned(8)));
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    if (len < 0 || len > OPT_MAX)
        return -EINVAL;
    if (copy_from_user(t, val, a->arg[3], (size_t)len) < 0)
        return -EFAULT;
    struct timespec *ts = timeout_option(s, level, opt);
    if (ts) {
        LOCKED(&f->pos_lock);
        err = set_timeout(ts, val, (size_t)len);
        s->timed |= err == 0;
        return err == 0 && atomic_load(&f->laned) ? mirror_timeouts(f) : err;
    }
    return s->proto->setsockopt(t, f, level, opt, val, (socklen_t)len);
}

/* What every family answers alike. 1: not one of these. */
static int common_getsockopt(struct sock *s, int level, int opt, void *val, socklen_t *len)
{
    struct timespec *ts = timeout_option(s, level, opt);
    int v;
    if (ts) {
        struct timeval tv = {ts->tv_sec, ts->tv_nsec / 1000};
        if (*len > sizeof(tv))
            *len = sizeof(tv);
        memcpy(val, &tv, *len);
        return 0;
    }
    if (level != SOL_SOCKET)
        return 1;
    if (opt == SO_DOMAIN)
        v = s->family;
    else if (opt == SO_TYPE)
        v = s->type;
    else if (opt == SO_PROTOCOL && s->family == AF_UNIX)
        v = 0;
    else
        return 1;
    if (*len > sizeof(v))
        *len = sizeof(v);
    memcpy(val, &v, *len);
    return 0;
}

long sys_getsockopt(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    int err, level = (int)a->arg[1], opt = (int)a->arg[2], ulen;
    char val[OPT_MAX] __attribute__((aligned(8)));
    struct sock *s = sock_get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    if (get_user(t, &ulen, a->arg[4]) < 0)
        return -EFAULT;
    if (ulen < 0)
        return -EINVAL;
    socklen_t len = ulen < OPT_MAX ? (socklen_t)ulen : OPT_MAX;
    memset(val, 0, len);
    err = common_getsockopt(s, level, opt, val, &len);
    if (err > 0)
        err = s->proto->getsockopt(t, f, level, opt, val, &len);
    if (err < 0)
        return err;
    if (copy_to_user(t, a->arg[3], val, len) < 0)
        return -EFAULT;
    return put_user(t, len, int, a->arg[4]);
}
