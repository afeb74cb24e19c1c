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
/* The devpts file system (options: uid, gid, mode, ptmxmode, max). 0 or -errno. */
int devpts_mount(struct container *c, const char *options, struct pnode **ret_root);

struct tty *tty_get(struct tty *tty);
void tty_put(struct tty *tty);

/* The container's console over a host pty slave: the guest's /dev/console and, with `terminal`, its stdio.
 * The fd is taken over. In devpts it is number 0, as engines have it: give the file the dentry of /dev/pts/0
 * if that can be found. */
int tty_console_open(struct container *c, int host_slave_fd, struct file **ret);
/* Another open file on the console, for /dev/console. -ENXIO: the container has none. */
int tty_console_reopen(struct task *t, int flags, struct file **ret);
/* Makes f's terminal (f may be anything) the controlling one of session leader p, with p's group in front,
 * and p's user its owner. [tasklist_lock] */
void tty_make_controlling(struct process *p, struct file *f);
/* The host terminal behind the console raised SIGINT, SIGQUIT, SIGTSTP or SIGWINCH (to the foreground group),
 * or SIGHUP (to the session's leader). False: nobody is there to get it. [tasklist_lock] */
bool tty_console_signal(struct container *c, int signo);
/* Opens what /dev/tty is for t: -ENXIO without a controlling terminal. */
int tty_open_controlling(struct task *t, int flags, struct file **ret);
/* The terminal of that number, by device number: -ENXIO if there is none. */
int tty_open_index(struct task *t, unsigned index, int flags, struct file **ret);
/* /dev/ptmx, a new pair. */
int tty_open_ptmx(struct task *t, int flags, struct file **ret);
/* The file is a terminal (either end): for isatty-like decisions. */
bool tty_file_is(const struct file *f);
/* setsid: p leaves its terminal without a signal. fork: child's is the parent's. [tasklist_lock] */
void tty_forget(struct process *p);
void tty_inherit(struct process *child, const struct process *parent);
/* [tasklist_lock] A session leader ended: SIGHUP to the foreground group, and its session has no terminal any
 * more. Call it for every leader, with a terminal or not. */
void tty_session_exited(struct process *leader);
/* dev_t for /proc/PID/stat's tty_nr; 0 for NULL. [tasklist_lock] */
unsigned tty_devnum(const struct tty *tty);
pid_t tty_foreground(const struct tty *tty); /* tpgid; -1 none */
/* The window of the host terminal behind the console changed: tells its foreground group. */
void tty_console_resized(struct container *c);

#endif
