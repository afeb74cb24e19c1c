/* What tty.c, tty_ioctl.c, pty.c and devpts.c share. */
#ifndef BAILEY_KEEP_TTY_INTERNAL_H
#define BAILEY_KEEP_TTY_INTERNAL_H

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/device/tty.h"

/* One terminal: the console, or the slave side of a pty with its master.
 * The line discipline is that of the host's pty below it, with the termios that the guest set. Only what
 * involves processes is the keep's: session, foreground group, and the signals that input characters raise.
 */
struct tty {
    atomic_int refs;
    struct devpts *devpts; /* a reference */
    struct pid_ns *pids;   /* a reference: whose sessions and groups these are */
    unsigned index;        /* N of /dev/pts/N */
    /* kernel.tasklist_lock: */
    pid_t sid, pgrp; /* 0: nobody's */
    /* lock: */
    pthread_mutex_t lock;
    int master;     /* the host master, owned by the master's file; -1: closed, or the console */
    int console_fd; /* the host slave of the console, owned; -1 for ptys */
    bool locked;    /* TIOCSPTLCK */
    bool exclusive; /* TIOCEXCL */
    bool lnext;     /* the last character written to the master quotes the next one */
    uid_t uid;
    gid_t gid;
    mode_t mode; /* permissions of /dev/pts/N */
};

struct devpts {
    atomic_int refs; /* the container's, its ttys', its roots' */
    pthread_mutex_t lock;
    struct tty **slots; /* by index; no references: a tty takes itself out when it is freed */
    unsigned nslots, max;
    int host_root;
    struct tty *console; /* a reference */
    bool has_uid, has_gid;
    uid_t uid;
    gid_t gid;
    mode_t mode, ptmxmode;
};

#define TTY_SLAVE_MAJOR 136

extern const struct file_ops tty_slave_ops, tty_master_ops;

/* A new terminal at the lowest free index, with one reference; NULL: no memory, or too many. */
struct tty *tty_new(struct container *c);
struct devpts *devpts_get(struct devpts *d);
void devpts_put(struct devpts *d);
/* The live terminal of that index with a reference, or NULL. */
struct tty *devpts_tty(struct devpts *d, unsigned index);

/* Opens the slave side. -EIO: locked, or its master is gone; -EBUSY: in exclusive use. */
int tty_open_slave(struct task *t, struct tty *tty, int flags, struct file **ret);
/* The same as a descriptor of the keep's own, without any check. -errno. */
int tty_host_slave(struct tty *tty);

/* Job control: t is about to read (SIGTTIN) or change (SIGTTOU) tty. 0: it may; -EIO; -ERESTARTSYS with the
 * signal sent to its group. */
int tty_check(struct task *t, struct tty *tty, int signo);
/* [tasklist_lock] A kernel-made signal for the foreground group. False: there is none. */
bool tty_signal_foreground(struct tty *tty, int signo);
/* [tasklist_lock] The controlling terminal of t's session becomes tty. */
void tty_set_controlling(struct task *t, struct tty *tty);
/* [tasklist_lock] Nobody of its session has tty any more. */
void tty_clear_session(struct tty *tty);

long tty_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg);
void tty_link_name(struct file *f, char *buf, size_t size);

/* Reads or writes f's host descriptor as a blocking or non-blocking stream. */
ssize_t tty_host_write(struct task *t, struct file *f, const char *buf, size_t n);

#endif
