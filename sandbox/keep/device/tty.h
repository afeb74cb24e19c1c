/* Terminals: ptys with their line discipline and job control (tty_ioctl(4), pty(7), termios(3)). */
#ifndef BAILEY_KEEP_TTY_H
#define BAILEY_KEEP_TTY_H

#include "sandbox/keep/kernel.h"

struct tty;
struct pnode;

/* The container's terminals: where its ptys come from. host_root: the root directory of a private devpts
 * instance of the host, which stays the caller's; -1: the guest can not make ptys. Once, before
 * tty_console_open and the mounts. 0 or -ENOMEM. */
int devpts_init(struct container *c, int host_root);
/* The container is gone: its console, and the instance once no terminal of it is in use. */
void devpts_release(struct container *c);
/* The devpts file system (options: uid, gid, mode, ptmxmode, max). 0 or -errno. */
int devpts_mount(struct container *c, const char *options, struct pnode **ret_root);

struct tty *tty_get(struct tty *tty);
void tty_put(struct tty *tty);

/* A terminal over a host pty's slave, for a program with `terminal`: its stdio. The fd is taken over. The
 * first one of a container is its /dev/console, and number 0 in devpts, as engines have it. */
int tty_console_open(struct container *c, int host_slave_fd, struct file **ret);
/* Another open file on the console, for /dev/console. -ENXIO: the container has none. */
int tty_console_reopen(struct task *t, int flags, struct file **ret);
/* Makes f's terminal (f may be anything) the controlling one of session leader p, with p's group in front,
 * and p's user its owner. [tasklist_lock] */
void tty_make_controlling(struct process *p, struct file *f);
/* The host terminal below tty (NULL: none) raised SIGINT, SIGQUIT, SIGTSTP or SIGWINCH, which go to the
 * foreground group, or SIGHUP, which goes to the session's leader. False: nobody is there to get it.
 * [tasklist_lock] */
bool tty_host_signal(struct tty *tty, int signo);
/* Opens what /dev/tty is for t: -ENXIO without a controlling terminal. */
int tty_open_controlling(struct task *t, int flags, struct file **ret);
/* The terminal of that number, by device number: -ENXIO if there is none. */
int tty_open_index(struct task *t, unsigned index, int flags, struct file **ret);
/* /dev/ptmx, a new pair. */
int tty_open_ptmx(struct task *t, int flags, struct file **ret);
/* setsid: p leaves its terminal without a signal. [tasklist_lock] */
void tty_forget(struct process *p);
/* [tasklist_lock] A session leader ended: SIGHUP to the foreground group, and its session has no terminal any
 * more. Call it for every leader, with a terminal or not. */
void tty_session_exited(struct process *leader);
/* dev_t for /proc/PID/stat's tty_nr; 0 for NULL. [tasklist_lock] */
unsigned tty_devnum(const struct tty *tty);
pid_t tty_foreground(const struct tty *tty); /* tpgid; -1 none */

#endif
