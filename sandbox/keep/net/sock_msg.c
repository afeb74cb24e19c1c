/* send, recv and their families: message headers in and out. */
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "sandbox/keep/net/sock.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

#define CONTROL_MAX 65536U
#define MMSG_MAX 1024U
#define IOV_MAX_ 1024UL

/* The guest's struct msghdr and mmsghdr, as the kernel lays them out. */
struct user_msghdr {
    uaddr_t name;
    int32_t namelen;
    int32_t pad;
    uaddr_t iov;
    uint64_t iovlen;
    uaddr_t control;
    uint64_t controllen;
    uint32_t flags;
    uint32_t pad2;
};

struct user_mmsghdr {
    struct user_msghdr hdr;
    uint32_t len;
    uint32_t pad;
};

static struct sock *get(struct task *t, uint64_t fd, struct file **f, long *err)
{
    *f = fd_get(t, (int)fd);
    *err = *f ? -ENOTSOCK : -EBADF;
    return *f ? sock_of(*f) : NULL;
}

bool sock_put_cmsg(struct sock_msg *m, size_t *used, int level, int type, const void *data, size_t len)
{
    size_t room = m->control && m->control_len > *used ? m->control_len - *used : 0;
    struct cmsghdr h = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    if (room < sizeof(h)) {
        m->flags |= MSG_CTRUNC;
        return false;
    }
    bool whole = room >= h.cmsg_len;
    if (!whole) {
        m->flags |= MSG_CTRUNC;
        h.cmsg_len = room;
    }
    memcpy(m->control + *used, &h, sizeof(h));
    memcpy(m->control + *used + CMSG_LEN(0), data, h.cmsg_len - CMSG_LEN(0));
    size_t space = CMSG_ALIGN(h.cmsg_len);
    if (space > room)
        space = room;
    memset(m->control + *used + h.cmsg_len, 0, space - h.cmsg_len);
    *used += space;
    return whole;
}

long sys_sendto(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    struct uio u;
    struct sock_msg m = {.u = &u};
    long err;
    struct sock *s = get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    if ((int64_t)a->arg[2] < 0)
        return -EINVAL;
    if (a->arg[4]) {
        int len = (int)a->arg[5];
        if (len < 0 || (size_t)len > sizeof(m.addr.ss))
            return -EINVAL;
        if (copy_from_user(t, &m.addr.ss, a->arg[4], (size_t)len) < 0)
            return -EFAULT;
        m.addr.len = (socklen_t)len;
    }
    uio_init_one(&u, t, a->arg[1], a->arg[2]);
    ssize_t n = s->proto->sendmsg(t, f, &m, (int)a->arg[3]);
    if (n > 0 && !a->arg[4])
        t->used_lane = lane_stream(t, a, (int)a->arg[0], f);
    return n;
}

static int name_to_user(struct task *t, const struct sock_addr *addr, uaddr_t name, int room)
{
    int n = room < (int)addr->len ? room : (int)addr->len;
    return copy_to_user(t, name, &addr->ss, (size_t)n);
}

long sys_recvfrom(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    struct uio u;
    struct sock_msg m = {.u = &u, .want_addr = a->arg[4] != 0};
    long err;
    int room = 0;
    struct sock *s = get(t, a->arg[0], &f, &err);
    if (!s)
        return err;
    if ((int64_t)a->arg[2] < 0)
        return -EINVAL;
    uio_init_one(&u, t, a->arg[1], a->arg[2]);
    ssize_t n = s->proto->recvmsg(t, f, &m, (int)a->arg[3]);
    if (n > 0)
        t->used_lane = lane_stream(t, a, (int)a->arg[0], f);
    if (n < 0 || !a->arg[4])
        return n;
    if (get_user(t, &room, a->arg[5]) < 0)
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (name_to_user(t, &m.addr, a->arg[4], room) < 0 || put_user(t, m.addr.len, int, a->arg[5]) < 0)
        return -EFAULT;
    return n;
}

/* Checks *h and copies what it points to: address, vector, control data. On success uio_done and
 * free(m->control). */
static int msg_begin(struct task *t, struct user_msghdr *h, struct sock_msg *m, struct uio *u, bool send)
{
    if (h->namelen < 0)
        return -EINVAL;
    if ((size_t)h->namelen > sizeof(m->addr.ss))
        h->namelen = sizeof(m->addr.ss);
    if (h->iovlen > IOV_MAX_)
        return -EMSGSIZE;
    if (h->controllen > INT_MAX || (send && h->controllen > CONTROL_MAX))
        return -ENOBUFS;
    memset(m, 0, sizeof(*m));
    m->u = u;
    m->want_addr = h->name != 0;
    m->control_len = !h->control ? 0 : h->controllen < CONTROL_MAX ? h->controllen : CONTROL_MAX;
    if (send && h->name && h->namelen) {
        m->addr.len = (socklen_t)h->namelen;
        if (copy_from_user(t, &m->addr.ss, h->name, m->addr.len) < 0)
            return -EFAULT;
    }
    if (m->control_len) {
        m->control = calloc(1, m->control_len);
        if (!m->control)
            return -ENOMEM;
    }
    int r = send ? copy_from_user(t, m->control, h->control, m->control_len) : 0;
    if (r == 0)
        r = uio_init_vec(u, t, h->iov, h->iovlen);
    if (r < 0)
        free(m->control);
    return r;
}

static void msg_end(struct sock_msg *m)
{
    uio_done(m->u);
    free(m->control);
}

static ssize_t send_one(struct task *t, struct file *f, struct user_msghdr *h, int flags)
{
    struct sock *s = f->priv;
    struct sock_msg m;
    struct uio u;
    int r = msg_begin(t, h, &m, &u, true);
    if (r < 0)
        return r;
    ssize_t n = s->proto->sendmsg(t, f, &m, flags);
    msg_end(&m);
    return n;
}

long sys_sendmsg(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    struct user_msghdr h;
    long err;
    if (!get(t, a->arg[0], &f, &err))
        return err;
    if (get_user(t, &h, a->arg[1]) < 0)
        return -EFAULT;
    ssize_t n = send_one(t, f, &h, (int)a->arg[2]);
    if (n > 0 && !h.name && !h.controllen && h.iovlen == 1)
        t->used_lane = lane_stream(t, a, (int)a->arg[0], f);
    return n;
}

long sys_sendmmsg(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    unsigned n = (unsigned)a->arg[2] < MMSG_MAX ? (unsigned)a->arg[2] : MMSG_MAX;
    long err;
    if (!get(t, a->arg[0], &f, &err))
        return err;
    for (unsigned i = 0; i < n; i++) {
        struct user_mmsghdr h;
        uaddr_t at = a->arg[1] + i * sizeof(h);
        ssize_t r = -EFAULT;
        if (copy_from_user(t, &h, at, sizeof(h)) == 0)
            r = send_one(t, f, &h.hdr, (int)a->arg[3]);
        if (r >= 0 && put_user(t, r, uint32_t, at + offsetof(struct user_mmsghdr, len)) < 0)
            r = -EFAULT;
        if (r < 0)
            return i ? (long)i : r;
    }
    return n;
}

static int msg_to_user(struct task *t, const struct sock_msg *m, const struct user_msghdr *h, uaddr_t at,
                       int flags)
{
    if (h->name) {
        if (name_to_user(t, &m->addr, h->name, h->namelen) < 0 ||
            put_user(t, m->addr.len, int, at + offsetof(struct user_msghdr, namelen)) < 0)
            return -EFAULT;
    }
    if (h->control && copy_to_user(t, h->control, m->control, m->control_len) < 0)
        return -EFAULT;
    struct {
        uint64_t controllen;
        uint32_t flags;
    } __attribute__((packed)) out = {m->control_len, (uint32_t)(m->flags | (flags & MSG_CMSG_CLOEXEC))};
    _Static_assert(offsetof(struct user_msghdr, flags) == offsetof(struct user_msghdr, controllen) + 8,
                   "written as one");
    return copy_to_user(t, at + offsetof(struct user_msghdr, controllen), &out, sizeof(out));
}

static ssize_t recv_one(struct task *t, struct file *f, uaddr_t at, int flags)
{
    struct sock *s = f->priv;
    struct user_msghdr h;
    struct sock_msg m;
    struct uio u;
    if (get_user(t, &h, at) < 0)
        return -EFAULT;
    int r = msg_begin(t, &h, &m, &u, false);
    if (r < 0)
        return r;
    ssize_t n = s->proto->recvmsg(t, f, &m, flags);
    if (n >= 0 && msg_to_user(t, &m, &h, at, flags) < 0)
        n = -EFAULT;
    msg_end(&m);
    return n;
}

long sys_recvmsg(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    long err;
    if (!get(t, a->arg[0], &f, &err))
        return err;
    ssize_t n = recv_one(t, f, a->arg[1], (int)a->arg[2]);
    if (n > 0)
        t->used_lane = lane_stream(t, a, (int)a->arg[0], f);
    return n;
}

static bool expired(const struct timespec *d)
{
    struct timespec left = deadline_left(d);
    return left.tv_sec == 0 && left.tv_nsec == 0;
}

/* The time-out is looked at after each message only, as on Linux. */
long sys_recvmmsg(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f;
    unsigned n = (unsigned)a->arg[2] < MMSG_MAX ? (unsigned)a->arg[2] : MMSG_MAX, i = 0;
    int flags = (int)a->arg[3];
    ssize_t r = 0;
    struct timespec ts = {0}, d;
    long err;
    if (!get(t, a->arg[0], &f, &err))
        return err;
    if (a->arg[4] && get_user(t, &ts, a->arg[4]) < 0)
        return -EFAULT;
    if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000L)
        return -EINVAL;
    deadline_from(&d, &ts);
    while (i < n && (i == 0 || !a->arg[4] || !expired(&d))) {
        uaddr_t at = a->arg[1] + i * sizeof(struct user_mmsghdr);
        r = recv_one(t, f, at, flags & ~MSG_WAITFORONE);
        if (r >= 0 && put_user(t, r, uint32_t, at + offsetof(struct user_mmsghdr, len)) < 0)
            r = -EFAULT;
        if (r < 0)
            break;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        i++;
    }
    if (i && a->arg[4]) {
        ts = deadline_left(&d);
        (void)copy_to_user(t, a->arg[4], &ts, sizeof(ts));
    }
    return i ? (long)i : r;
}
