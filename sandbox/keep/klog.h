/* The kernel log of the sandbox: a ring of records, as syslog(2), /dev/kmsg and /proc/kmsg show it. */
#ifndef BAILEY_KEEP_KLOG_H
#define BAILEY_KEEP_KLOG_H

#include <stddef.h>

#include "sandbox/keep/kernel.h"

#define KLOG_TEXT_MAX 200

struct klog_record {
    uint64_t seq;
    uint64_t usec; /* since boot */
    unsigned prio; /* facility << 3 | level, as in "<6>" */
    unsigned len;
    char text[KLOG_TEXT_MAX];
};

/* Makes the log with the first lines of the boot; kernel.boot is set already. 0 or -ENOMEM. */
int klog_init(void);

/* The rest of the boot's lines, when the container's file systems are mounted. */
struct keep_boot;
void klog_boot(const struct keep_boot *b);

/* Appends one record (no newline). prio: 0 emergency ... 7 debug, or with a facility. Any thread, any lock
 * held but those of klog.c; without klog_init it does nothing. */
void klog_printf(unsigned prio, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Copies the first record with a sequence number >= *seq and sets *seq past it. 0; -EAGAIN: none yet; -EPIPE:
 * records were lost (*seq is set to the oldest that is left; ask again). */
int klog_next(uint64_t *seq, struct klog_record *ret);
/* The next record to be written gets this number. */
uint64_t klog_end(void);
/* "<6>[    0.123456] text\n" of a record into buf (KLOG_LINE_MAX bytes). Returns its length. */
#define KLOG_LINE_MAX (KLOG_TEXT_MAX + 40)
size_t klog_format(const struct klog_record *r, char *buf);

/* An eventfd that is readable while there are records at or after *seq: watched from now to klog_unwatch. */
struct klog_watch {
    struct klog_watch *next, *prev;
    int eventfd;
};
void klog_watch(struct klog_watch *w);
void klog_unwatch(struct klog_watch *w);

/* A read of /proc/kmsg, or syslog(2) type 2: text of records that no such read has had before; blocks until
 * there are any unless nonblock (-EAGAIN). Writes at most len bytes at buf of t. */
long klog_read_once(struct task *t, uaddr_t buf, size_t len, bool nonblock);

/* /dev/kmsg. */
int kmsg_open(struct task *t, int flags, struct file **ret);

#endif
