/* getdents and getdents64. Host directories are read by the host straight into the form that guests get. */
#include <dirent.h>
#include <sys/syscall.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

#define READ_MAX 65536u

/* The kernel's layouts. */
struct dirent64_head {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

struct dirent_head {
    uint64_t ino;
    uint64_t off;
    uint16_t reclen;
    char name[]; /* and the type in the record's last byte */
};

struct collector {
    struct dir_context ctx;
    char *buf;
    size_t size, used;
    bool old; /* getdents */
    bool full;
};

static size_t record_size(bool old, size_t name_len)
{
    size_t head = old ? offsetof(struct dirent_head, name) + 1 : offsetof(struct dirent64_head, name);

    return (head + name_len + 1 + 7) & ~(size_t)7;
}

static int collect(struct dir_context *ctx, const char *name, uint64_t ino, unsigned char type, int64_t off)
{
    struct collector *c = (struct collector *)ctx;
    size_t len = strlen(name), n = record_size(c->old, len);

    if (n > c->size - c->used) {
        c->full = true;
        return -EINVAL;
    }
    char *at = c->buf + c->used;
    memset(at, 0, n);
    if (c->old) {
        struct dirent_head h = {.ino = ino, .off = (uint64_t)off, .reclen = (uint16_t)n};
        memcpy(at, &h, sizeof(h));
        memcpy(at + offsetof(struct dirent_head, name), name, len);
        at[n - 1] = (char)type;
    } else {
        struct dirent64_head h = {.ino = ino, .off = off, .reclen = (uint16_t)n, .type = type};
        memcpy(at, &h, offsetof(struct dirent64_head, name));
        memcpy(at + offsetof(struct dirent64_head, name), name, len);
    }
    c->used += n;
    return 0;
}

/* Turns host records into the old form. They need no more room: the head is one byte shorter and gains one.
 */
static void collect_host(struct collector *c, const char *host, size_t n)
{
    for (size_t at = 0; at < n;) {
        const struct dirent64_head *h = (const struct dirent64_head *)(host + at);
        (void)collect(&c->ctx, h->name, h->ino, h->type, h->off);
        at += h->reclen;
    }
}

static void patch_types(char *host, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct dirent64_head *h = (struct dirent64_head *)(host + at);
        h->type = device_dirent_type(h->ino, h->type);
        at += h->reclen;
    }
}

static long read_host(struct file *f, struct collector *c)
{
    char *to = c->buf;
    _cleanup_free_ char *heap = NULL;
    size_t want = c->size;

    if (c->old) {
        to = heap = malloc(c->size);
        if (!heap)
            return -ENOMEM;
    }
    long n = syscall(SYS_getdents64, f->hostfd, to, want);
    if (n <= 0)
        return n == 0 ? 0 : -errno;
    if (device_any())
        patch_types(to, (size_t)n);
    if (c->old)
        collect_host(c, heap, (size_t)n);
    else
        c->used = (size_t)n;
    return (long)c->used;
}

static long read_dir(struct task *t, struct file *f, struct collector *c)
{
    if (hostfs_is_dir(f)) {
        LOCKED(&f->pos_lock);
        return read_host(f, c);
    }
    if (!f->ops->iterate)
        return -ENOTDIR;
    LOCKED(&f->pos_lock);
    int r = f->ops->iterate(t, f, &c->ctx);
    if (r < 0 && c->used == 0)
        return r;
    return c->used == 0 && c->full ? -EINVAL : (long)c->used;
}

static long getdents_call(struct task *t, const struct sysargs *a, bool old)
{
    unsigned count = (unsigned)a->arg[2];
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);
    _cleanup_iobuf_ struct iobuf b = {0};

    if (!f)
        return -EBADF;
    if (!(f->kind & FILE_DIR))
        return -ENOTDIR;
    size_t size = count < READ_MAX ? count : READ_MAX;
    if (iobuf_init(&b, size) < 0)
        return -ENOMEM;
    struct collector c = {.ctx = {.emit = collect}, .buf = b.p, .size = size, .old = old};
    long n = read_dir(t, f, &c);
    if (n <= 0)
        return n;
    int r = copy_to_user(t, a->arg[1], b.p, (size_t)n);
    return r < 0 ? r : n;
}

long sys_getdents(struct task *t, const struct sysargs *a)
{
    return getdents_call(t, a, true);
}

long sys_getdents64(struct task *t, const struct sysargs *a)
{
    return getdents_call(t, a, false);
}
