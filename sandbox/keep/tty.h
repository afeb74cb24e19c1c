/* Terminals: ptys with their line discipline and job control (tty_ioctl(4), pty(7), termios(3)). */
#ifndef BAILEY_KEEP_TTY_H
#define BAILEY_KEEP_TTY_H

#include "sandbox/keep/kernel.h"

struct tty;

struct tty *tty_get(struct tty *tty);
void tty_put(struct tty *tty);

/* The container's console over a host pty slave: the guest's /dev/console and, with `terminal`, its stdio. The fd is taken over. */
int tty_console_open(struct container *c, int host_slave_fd, struct file **ret);
/* Opens what /dev/tty is for t: -ENXIO without a controlling terminal. */
int tty_open_controlling(struct task *t, int flags, struct file **ret);
/* /dev/ptmx, a new pair. */
int tty_open_ptmx(struct task *t, int flags, struct file **ret);
/* [tasklist_lock] A session leader ended: hang up, SIGHUP and SIGCONT to the foreground group. */
void tty_session_exited(struct process *leader);
/* dev_t for /proc/PID/stat's tty_nr; 0 for NULL. [tasklist_lock] */
unsigned tty_devnum(const struct tty *tty);
pid_t tty_foreground(const struct tty *tty); /* tpgid; -1 none */
/* The window of the host terminal behind the console changed: tells its foreground group. */
void tty_console_resized(struct container *c);

#endif
