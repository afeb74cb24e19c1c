/* The kernel log of the sandbox: a ring of records, as syslog(2), /dev/kmsg and /proc/kmsg show it. */
#ifndef BAILEY_KEEP_KLOG_H
#define BAILEY_KEEP_KLOG_H

#include <stddef.h>

#include "sandbox/keep/kernel.h"

/* Makes the log with the first lines of the boot; kernel.boot is set already. 0 or -ENOMEM. */
int klog_init(void);

/* The rest of the boot's lines, when the container's file systems are mounted. */
struct keep_boot;
void klog_boot(const struct keep_boot *b);

/* Appends one record (no newline). prio: 0 emergency ... 7 debug, or with a facility. Any thread, any lock
 * held but those of klog.c; without klog_init it does nothing. */
void klog_printf(unsigned prio, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A read of /proc/kmsg, or syslog(2) type 2: text of records that no such read has had before; blocks until
 * there are any unless nonblock (-EAGAIN). Writes at most len bytes at buf of t. */
long klog_read_once(struct task *t, uaddr_t buf, size_t len, bool nonblock);

/* /dev/kmsg. */
int kmsg_open(struct task *t, int flags, struct file **ret);

#endif
