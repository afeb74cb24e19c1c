#include "sandbox/keep/mm/uaccess.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>

#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/task/task.h"

#define PAGE 4096UL

int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t n)
{
    struct iovec l = {dst, n}, r = {(void *)src, n};

    size_t have = n;
    const volatile char *at = mailbox_source(t, src, &have);

    if (n == 0)
        return 0;
    if (at && have == n) {
        memcpy(dst, (const char *)at, n);
        return 0;
    }
    return process_vm_readv(task_memory_tid(t), &l, 1, &r, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

int copy_to_user(struct task *t, uaddr_t dst, const void *src, size_t n)
{
    struct iovec l = {(void *)(uintptr_t)src, n}, r = {(void *)dst, n};

    volatile char *at = mailbox_target(t, dst, n);

    if (n == 0)
        return 0;
    if (at) {
        memcpy((char *)at, src, n);
        return 0;
    }
    return process_vm_writev(task_memory_tid(t), &l, 1, &r, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

int copy_to_host_thread(pid_t host_tid, uaddr_t dst, const void *src, size_t n)
{
    struct iovec l = {(void *)(uintptr_t)src, n}, r = {(void *)dst, n};

    return process_vm_writev(host_tid, &l, 1, &r, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

#define COPIES_MAX 8

/* What one call of the host's copies, for either side. */
struct parts {
    struct iovec own[COPIES_MAX], guest[COPIES_MAX];
    unsigned n;
    ssize_t all;
};

static void add_part(struct parts *p, const void *own, uaddr_t guest, size_t n)
{
    p->own[p->n] = (struct iovec){(void *)(uintptr_t)own, n};
    p->guest[p->n++] = (struct iovec){(void *)guest, n};
    p->all += (ssize_t)n;
}

int copy_all_to_user(struct task *t, const struct user_copy *c, unsigned n)
{
    struct parts p;

    if (n > COPIES_MAX)
        return -EFAULT;
    p.n = 0;
    p.all = 0;
    for (unsigned i = 0; i < n; i++)
        add_part(&p, c[i].from, c[i].to, c[i].n);
    return process_vm_writev(task_memory_tid(t), p.own, n, p.guest, n, 0) == p.all ? 0 : -EFAULT;
}

int copy_all_from_user(struct task *t, const struct user_fetch *f, unsigned n)
{
    struct parts p;

    if (n > COPIES_MAX)
        return -EFAULT;
    p.n = 0;
    p.all = 0;
    for (unsigned i = 0; i < n; i++)
        add_part(&p, f[i].to, f[i].from, f[i].n);
    return process_vm_readv(task_memory_tid(t), p.own, n, p.guest, n, 0) == p.all ? 0 : -EFAULT;
}

/* Strings are read up to a page's end at a time: what follows it may not be mapped. The first bite is short,
 * since most strings are. */
long strncpy_from_user(struct task *t, char *dst, uaddr_t src, size_t size)
{
    size_t done = 0, bite = 256, have = size;
    const volatile char *at = mailbox_source(t, src, &have);

    if (at) {
        memcpy(dst, (const char *)at, have);
        const char *end = memchr(dst, 0, have);
        if (end)
            return end - dst;
        /* It is not what an honest gate writes. */
    }
    while (done < size) {
        size_t n = PAGE - (src + done) % PAGE;
        if (n > bite)
            n = bite;
        if (n > size - done)
            n = size - done;
        if (copy_from_user(t, dst + done, src + done, n) < 0)
            return -EFAULT;
        const char *end = memchr(dst + done, 0, n);
        if (end)
            return end - dst;
        done += n;
        bite = PAGE;
    }
    return -ENAMETOOLONG;
}

long path_from_user(struct task *t, char dst[4096], uaddr_t src)
{
    return strncpy_from_user(t, dst, src, PATH_MAX);
}

void uio_init_one(struct uio *u, struct task *t, uaddr_t base, size_t len)
{
    if (len > 0x7ffff000)
        len = 0x7ffff000; /* as Linux's MAX_RW_COUNT */
    *u = (struct uio){.task = t, .count = 1, .resid = len, .one = {(void *)base, len}};
    u->iov = &u->one;
}

int uio_init_vec(struct uio *u, struct task *t, uaddr_t vec, unsigned long count)
{
    size_t total = 0;

    *u = (struct uio){.task = t, .count = (unsigned)count};
    if (count > IOV_MAX)
        return -EINVAL;
    u->iov = &u->one;
    if (count == 0)
        return 0;
    if (count > 1) {
        u->iov = malloc(count * sizeof(struct iovec));
        if (!u->iov)
            return -ENOMEM;
    }
    int r = copy_from_user(t, u->iov, vec, count * sizeof(struct iovec));
    for (unsigned long i = 0; r == 0 && i < count; i++) {
        size_t len = u->iov[i].iov_len;
        if (len > (size_t)SSIZE_MAX)
            r = -EINVAL;
        else if (len > 0x7ffff000 - total)
            u->iov[i].iov_len = len = 0x7ffff000 - total;
        total += len;
    }
    u->resid = total;
    if (r < 0)
        uio_done(u);
    return r;
}

void uio_done(struct uio *u)
{
    if (u->iov != &u->one)
        free(u->iov);
    u->iov = NULL;
}

/* The next run of guest memory of at most max bytes: one iovec of the host's call. */
static size_t uio_next(struct uio *u, size_t max, struct iovec *r)
{
    while (u->i < u->count && u->off == u->iov[u->i].iov_len) {
        u->i++;
        u->off = 0;
    }
    if (u->i == u->count)
        return 0;
    size_t n = u->iov[u->i].iov_len - u->off;
    if (n > max)
        n = max;
    *r = (struct iovec){(char *)u->iov[u->i].iov_base + u->off, n};
    return n;
}

/* One run: guest memory, or (without a task) the keep's own. */
static ssize_t move_run(const struct uio *u, char *buf, const struct iovec *r, bool to_guest)
{
    struct iovec l = {buf, r->iov_len};

    if (!u->task) {
        memcpy(to_guest ? r->iov_base : buf, to_guest ? buf : r->iov_base, r->iov_len);
        return (ssize_t)r->iov_len;
    }
    return to_guest ? process_vm_writev(task_memory_tid(u->task), &l, 1, r, 1, 0)
                    : process_vm_readv(task_memory_tid(u->task), &l, 1, r, 1, 0);
}

static ssize_t uio_move(struct uio *u, char *buf, size_t n, bool to_guest)
{
    size_t done = 0;

    while (done < n) {
        struct iovec r;
        size_t bite = uio_next(u, n - done, &r);
        if (bite == 0)
            break;
        ssize_t got = move_run(u, buf + done, &r, to_guest);
        if (got <= 0)
            return done > 0 ? (ssize_t)done : -EFAULT;
        u->off += (size_t)got;
        u->resid -= (size_t)got;
        done += (size_t)got;
        if ((size_t)got < bite)
            break;
    }
    return (ssize_t)done;
}

ssize_t uio_put(struct uio *u, const void *src, size_t n)
{
    return uio_move(u, (char *)(uintptr_t)src, n, true);
}

ssize_t uio_get(struct uio *u, void *dst, size_t n)
{
    return uio_move(u, dst, n, false);
}
