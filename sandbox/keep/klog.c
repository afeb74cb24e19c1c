/* The sandbox's kernel log. */
#include "sandbox/keep/klog.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "common/version.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/version.h"

#define KLOG_RECORDS 256
#define KLOG_TEXT_MAX 200
#define KLOG_LINE_MAX (KLOG_TEXT_MAX + 40)

struct klog_record {
    uint64_t seq;
    uint64_t usec; /* since boot */
    unsigned prio; /* facility << 3 | level, as in "<6>" */
    unsigned len;
    char text[KLOG_TEXT_MAX];
};

/* An eventfd that becomes readable with each new record. */
struct klog_watch {
    struct klog_watch *next, *prev;
    int eventfd;
};

struct klog {
    pthread_mutex_t lock;
    uint64_t end;      /* records [end - KLOG_RECORDS, end) are kept */
    uint64_t cleared;  /* SYSLOG_ACTION_CLEAR: reads of all begin here */
    uint64_t read_seq; /* of /proc/kmsg and SYSLOG_ACTION_READ: the next record, */
    size_t read_off;   /* and how much of its line has been read */
    struct klog_watch *watches;
    struct klog_watch reader;
    struct klog_record ring[KLOG_RECORDS];
};

static uint64_t usec_since_boot(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    int64_t us = (now.tv_sec - kernel.boot.tv_sec) * 1000000LL + (now.tv_nsec - kernel.boot.tv_nsec) / 1000;
    return us > 0 ? (uint64_t)us : 0;
}

void klog_printf(unsigned prio, const char *fmt, ...)
{
    struct klog *k = kernel.klog;
    if (!k)
        return;
    LOCKED(&k->lock);
    struct klog_record *r = &k->ring[k->end % KLOG_RECORDS];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(r->text, sizeof(r->text), fmt, ap);
    va_end(ap);
    r->seq = k->end++;
    r->usec = usec_since_boot();
    r->prio = prio;
    r->len = n < 0 ? 0 : (unsigned)n < sizeof(r->text) ? (unsigned)n : (unsigned)sizeof(r->text) - 1;
    struct klog_watch *w;
    DL_FOREACH(k->watches, w)
    {
        (void)eventfd_write(w->eventfd, 1);
    }
}

/* Copies the first record with a sequence number >= *seq and sets *seq past it. 0; -EAGAIN: none yet; -EPIPE:
 * records were lost (*seq is set to the oldest that is left; ask again). */
static int klog_next(uint64_t *seq, struct klog_record *ret)
{
    struct klog *k = kernel.klog;
    if (!k)
        return -EAGAIN;
    LOCKED(&k->lock);
    if (*seq >= k->end)
        return -EAGAIN;
    uint64_t first = k->end > KLOG_RECORDS ? k->end - KLOG_RECORDS : 0;
    if (*seq < first) {
        *seq = first;
        return -EPIPE;
    }
    *ret = k->ring[*seq % KLOG_RECORDS];
    ++*seq;
    return 0;
}

/* The next record to be written gets this number. */
static uint64_t klog_end(void)
{
    struct klog *k = kernel.klog;
    if (!k)
        return 0;
    LOCKED(&k->lock);
    return k->end;
}

/* "<6>[    0.123456] text\n" of a record into buf (KLOG_LINE_MAX bytes). Returns its length. */
static size_t klog_format(const struct klog_record *r, char *buf)
{
    int n = snprintf(buf, KLOG_LINE_MAX, "<%u>[%5llu.%06llu] %.*s\n", r->prio,
                     (unsigned long long)(r->usec / 1000000), (unsigned long long)(r->usec % 1000000),
                     (int)r->len, r->text);
    return n < 0 ? 0 : n < KLOG_LINE_MAX ? (size_t)n : KLOG_LINE_MAX - 1;
}

static void klog_watch(struct klog_watch *w)
{
    struct klog *k = kernel.klog;
    LOCKED(&k->lock);
    DL_APPEND(k->watches, w);
}

static void klog_unwatch(struct klog_watch *w)
{
    struct klog *k = kernel.klog;
    LOCKED(&k->lock);
    DL_DELETE(k->watches, w);
}

int klog_init(void)
{
    _cleanup_free_ struct klog *k = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    k->reader.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->reader.eventfd < 0)
        return -errno;
    pthread_mutex_init(&k->lock, NULL);
    DL_APPEND(k->watches, &k->reader);
    kernel.klog = steal_ptr(&k);
    klog_printf(5, "Linux version " KEEP_RELEASE " (bailey@bailey) (Bailey keep " BAILEY_VERSION ") %s",
                KEEP_VERSION);
    klog_printf(6, "Bailey: a kernel in user space; system calls arrive as seccomp notifications");
    klog_printf(6, "Bailey: guest memory and lanes are native, names and authority are the keep's");
    return 0;
}

void klog_boot(const struct keep_boot *b)
{
    struct proc_memory m;
    unsigned cpus = procfs_cpus(kernel.container, NULL);
    proc_memory(kernel.container, &m);
    klog_printf(6, "Memory: %lluK/%lluK available", (unsigned long long)m.available,
                (unsigned long long)m.total);
    klog_printf(6, "smp: Brought up 1 node, %u CPU%s", cpus, cpus == 1 ? "" : "s");
    for (unsigned i = 0; i < b->nmounts; i++)
        klog_printf(6, "VFS: Mounted %s (%s filesystem)", b->mounts[i].target, b->mounts[i].type);
    klog_printf(6, "NET: %s",
                b->net_host ? "inet sockets are made in the container's network namespace" : "no network");
    if (b->process.args)
        klog_printf(6, "Run %s as init process", b->process.args[0]);
}

/* syslog(2) ------------------------------------------------------------------------------------------------
 */

/* Copies what is left of one line to the reader. Returns the bytes, or -EFAULT. Nothing advances on a fault.
 */
static long read_part(struct task *t, struct klog *k, uaddr_t buf, size_t len, uint64_t *seq, size_t *off)
{
    struct klog_record r;
    int e = klog_next(seq, &r);
    if (e == -EPIPE) {
        *off = 0;
        e = klog_next(seq, &r);
    }
    if (e < 0)
        return 0;
    char line[KLOG_LINE_MAX];
    size_t n = klog_format(&r, line);
    size_t left = n - (*off < n ? *off : n);
    size_t take = left < len ? left : len;
    if (copy_to_user(t, buf, line + (n - left), take) < 0)
        return -EFAULT;
    if (take < left) {
        *off = n - left + take;
        --*seq;
    } else {
        *off = 0;
    }
    LOCKED(&k->lock);
    k->read_seq = *seq;
    k->read_off = *off;
    return (long)take;
}

long klog_read_once(struct task *t, uaddr_t buf, size_t len, bool nonblock)
{
    struct klog *k = kernel.klog;
    if (!k)
        return -EAGAIN;
    for (;;) {
        uint64_t seq;
        size_t off;
        {
            eventfd_t drained;
            LOCKED(&k->lock);
            (void)eventfd_read(k->reader.eventfd, &drained);
            seq = k->read_seq;
            off = k->read_off;
        }
        size_t total = 0;
        while (total < len) {
            long n = read_part(t, k, buf + total, len - total, &seq, &off);
            if (n < 0)
                return total ? (long)total : n;
            if (n == 0)
                break;
            total += (size_t)n;
        }
        if (total || len == 0)
            return (long)total;
        if (nonblock)
            return -EAGAIN;
        int r = host_wait(t, k->reader.eventfd, POLLIN, NULL);
        if (r < 0)
            return r;
    }
}

/* The newest whole lines that fit into len, oldest first. */
static long read_all(struct task *t, uaddr_t buf, size_t len, bool clear)
{
    struct klog *k = kernel.klog;
    uint64_t end = klog_end(), from;
    {
        LOCKED(&k->lock);
        from = k->cleared;
        if (clear)
            k->cleared = end;
    }
    size_t total = 0;
    char line[KLOG_LINE_MAX];
    struct klog_record r;
    if (end - from > KLOG_RECORDS)
        from = end - KLOG_RECORDS;
    for (uint64_t s = from; s < end && klog_next(&s, &r) == 0;)
        total += klog_format(&r, line);
    size_t put = 0;
    for (uint64_t s = from; s < end && klog_next(&s, &r) == 0;) {
        size_t n = klog_format(&r, line);
        if (total > len) {
            total -= n;
            continue;
        }
        if (put + n > len)
            break;
        if (copy_to_user(t, buf + put, line, n) < 0)
            return -EFAULT;
        put += n;
    }
    return (long)put;
}

static long size_unread(struct klog *k)
{
    LOCKED(&k->lock);
    uint64_t first = k->end > KLOG_RECORDS ? k->end - KLOG_RECORDS : 0;
    long total = 0;
    char line[KLOG_LINE_MAX];
    for (uint64_t s = k->read_seq > first ? k->read_seq : first; s < k->end; s++)
        total += (long)klog_format(&k->ring[s % KLOG_RECORDS], line);
    return total - (long)k->read_off;
}

enum syslog_action {
    ACTION_CLOSE,
    ACTION_OPEN,
    ACTION_READ,
    ACTION_READ_ALL,
    ACTION_READ_CLEAR,
    ACTION_CLEAR,
    ACTION_CONSOLE_OFF,
    ACTION_CONSOLE_ON,
    ACTION_CONSOLE_LEVEL,
    ACTION_SIZE_UNREAD,
    ACTION_SIZE_BUFFER,
};

long sys_syslog(struct task *t, const struct sysargs *a)
{
    int type = (int)a->arg[0], len = (int)a->arg[2];
    struct klog *k = kernel.klog;
    if (type < ACTION_CLOSE || type > ACTION_SIZE_BUFFER)
        return -EINVAL;
    if (type != ACTION_READ_ALL && type != ACTION_SIZE_BUFFER && !capable(t, CAP_SYSLOG) &&
        !capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    bool reads = type == ACTION_READ || type == ACTION_READ_ALL || type == ACTION_READ_CLEAR;
    if (reads && (!a->arg[1] || len < 0))
        return -EINVAL;
    if (!k || (reads && len == 0))
        return 0;
    switch (type) {
    case ACTION_READ:
        return klog_read_once(t, a->arg[1], (size_t)len, false);
    case ACTION_READ_ALL:
    case ACTION_READ_CLEAR:
        return read_all(t, a->arg[1], (size_t)len, type == ACTION_READ_CLEAR);
    case ACTION_CLEAR: {
        LOCKED(&k->lock);
        k->cleared = k->end;
        return 0;
    }
    case ACTION_CONSOLE_LEVEL:
        return len < 1 || len > 8 ? -EINVAL : 0;
    case ACTION_SIZE_UNREAD:
        return size_unread(k);
    case ACTION_SIZE_BUFFER:
        return KLOG_RECORDS * KLOG_LINE_MAX;
    default:
        return 0;
    }
}

/* /dev/kmsg ------------------------------------------------------------------------------------------------
 */

struct kmsg {
    struct klog_watch watch;
    pthread_mutex_t lock;
    uint64_t seq;
};

static int kmsg_take(struct kmsg *m, struct klog_record *r)
{
    LOCKED(&m->lock);
    int e = klog_next(&m->seq, r);
    if (e != -EAGAIN)
        return e;
    /* Not readable any more; a record that came meanwhile makes it so again. */
    eventfd_t drained;
    (void)eventfd_read(m->watch.eventfd, &drained);
    return klog_next(&m->seq, r);
}

static ssize_t kmsg_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    struct kmsg *m = f->priv;
    struct klog_record r;
    for (;;) {
        int e = kmsg_take(m, &r);
        if (e == 0)
            break;
        if (e != -EAGAIN || (atomic_load(&f->flags) & O_NONBLOCK))
            return e;
        e = host_wait(t, f->hostfd, POLLIN, NULL);
        if (e < 0)
            return e;
    }
    char line[KLOG_LINE_MAX + 40];
    int n = snprintf(line, sizeof(line), "%u,%llu,%llu,-;%.*s\n", r.prio, (unsigned long long)r.seq,
                     (unsigned long long)r.usec, (int)r.len, r.text);
    if (n < 0 || (size_t)n > u->resid)
        return -EINVAL;
    return uio_put(u, line, (size_t)n);
}

static ssize_t kmsg_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)t;
    (void)f;
    (void)pos;
    char text[1024];
    size_t total = u->resid;
    if (total >= sizeof(text))
        return -EINVAL;
    ssize_t n = uio_get(u, text, total);
    if (n < 0)
        return n;
    text[n] = '\0';
    char *s = text;
    unsigned prio = 1 << 3 | 4; /* facility user, level warning */
    if (*s == '<') {
        char *end;
        unsigned long v = strtoul(s + 1, &end, 10);
        if (*end == '>' && v < 1024) {
            prio = (unsigned)v < 8 ? 1 << 3 | (unsigned)v : (unsigned)v;
            s = end + 1;
        }
    }
    for (char *c = s; *c; c++) {
        if ((unsigned char)*c < ' ')
            *c = c[1] ? ' ' : '\0';
    }
    klog_printf(prio, "%s", s);
    return n;
}

static off_t kmsg_llseek(struct task *t, struct file *f, off_t off, int whence)
{
    (void)t;
    struct kmsg *m = f->priv;
    if (off != 0)
        return -ESPIPE;
    LOCKED(&m->lock);
    if (whence != SEEK_SET && whence != SEEK_END && whence != SEEK_DATA)
        return -EINVAL;
    m->seq = whence == SEEK_END ? klog_end() : 0;
    (void)eventfd_write(m->watch.eventfd, 1);
    return 0;
}

static void kmsg_release(struct file *f)
{
    struct kmsg *m = f->priv;
    klog_unwatch(&m->watch);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct file_ops kmsg_ops = {
    .name = "kmsg",
    .read = kmsg_read,
    .write = kmsg_write,
    .llseek = kmsg_llseek,
    .release = kmsg_release,
};

int kmsg_open(struct task *t, int flags, struct file **ret)
{
    (void)t;
    if (!kernel.klog)
        return -ENXIO;
    _cleanup_free_ struct kmsg *m = calloc(1, sizeof(*m));
    _cleanup_close_ int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!m || fd < 0)
        return -ENOMEM;
    pthread_mutex_init(&m->lock, NULL);
    m->watch.eventfd = fd;
    struct file *f = file_new(&kmsg_ops, (unsigned)flags, 0, fd, m);
    if (!f)
        return -ENOMEM;
    (void)steal_fd(&fd);
    klog_watch(&steal_ptr(&m)->watch);
    *ret = f;
    return 0;
}
