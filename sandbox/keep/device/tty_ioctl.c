/* Terminal ioctls (ioctl_tty(2)): those about processes are answered here, those about the line by the host.
 */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "sandbox/keep/device/tty_internal.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static bool is_master(const struct file *f)
{
    return f->ops == &tty_master_ops;
}

/* What the host answers ------------------------------------------------------------------------------------
 */

enum pass_flag {
    PASS_IN = 1,     /* the argument points to size bytes that go in */
    PASS_OUT = 2,    /* ... that come out */
    PASS_VALUE = 4,  /* the argument is a number */
    PASS_CHANGE = 8, /* stops a background group (SIGTTOU) */
    PASS_MASTER = 16 /* only at the master */
};

struct pass {
    unsigned cmd;
    unsigned short size, flags;
};

static const struct pass passes[] = {
    {TCGETS, sizeof(struct termios), PASS_OUT},
    {TCSETS, sizeof(struct termios), PASS_IN | PASS_CHANGE},
    {TCSETSW, sizeof(struct termios), PASS_IN | PASS_CHANGE},
    {TCSETSF, sizeof(struct termios), PASS_IN | PASS_CHANGE},
    {TCGETS2, sizeof(struct termios2), PASS_OUT},
    {TCSETS2, sizeof(struct termios2), PASS_IN | PASS_CHANGE},
    {TCSETSW2, sizeof(struct termios2), PASS_IN | PASS_CHANGE},
    {TCSETSF2, sizeof(struct termios2), PASS_IN | PASS_CHANGE},
    {TCGETA, sizeof(struct termio), PASS_OUT},
    {TCSETA, sizeof(struct termio), PASS_IN | PASS_CHANGE},
    {TCSETAW, sizeof(struct termio), PASS_IN | PASS_CHANGE},
    {TCSETAF, sizeof(struct termio), PASS_IN | PASS_CHANGE},
    {TIOCGLCKTRMIOS, sizeof(struct termios), PASS_OUT},
    {TIOCGWINSZ, sizeof(struct winsize), PASS_OUT},
    {TIOCOUTQ, sizeof(int), PASS_OUT},
    {TIOCINQ, sizeof(int), PASS_OUT},
    {TIOCGSOFTCAR, sizeof(int), PASS_OUT},
    {TIOCSSOFTCAR, sizeof(int), PASS_IN | PASS_CHANGE},
    {TIOCPKT, sizeof(int), PASS_IN | PASS_MASTER},
    {TIOCGPKT, sizeof(int), PASS_OUT | PASS_MASTER},
    {TCSBRK, 0, PASS_VALUE | PASS_CHANGE},
    {TCSBRKP, 0, PASS_VALUE | PASS_CHANGE},
    {TCXONC, 0, PASS_VALUE | PASS_CHANGE},
    {TCFLSH, 0, PASS_VALUE | PASS_CHANGE},
    {TIOCSBRK, 0, PASS_VALUE | PASS_CHANGE},
    {TIOCCBRK, 0, PASS_VALUE | PASS_CHANGE},
};

static const struct pass *pass_find(unsigned cmd)
{
    for (size_t i = 0; i < ARRAY_SIZE(passes); i++) {
        if (passes[i].cmd == cmd)
            return &passes[i];
    }
    return NULL;
}

static long pass_run(struct task *t, struct file *f, const struct pass *p, uaddr_t arg)
{
    if ((p->flags & PASS_MASTER) && !is_master(f))
        return -ENOTTY;
    if (p->flags & PASS_CHANGE) {
        int r = tty_check(t, f->priv, SIGTTOU);
        if (r < 0)
            return r;
    }
    if (p->flags & PASS_VALUE)
        return ioctl(f->hostfd, p->cmd, (unsigned long)(int)arg) < 0 ? -errno : 0;
    char buf[64] = {0};
    _Static_assert(sizeof(struct termios2) <= sizeof(buf), "buf holds every argument");
    if ((p->flags & PASS_IN) && copy_from_user(t, buf, arg, p->size) < 0)
        return -EFAULT;
    if (p->cmd == TIOCINQ) /* what was typed may not have come through yet: a poll makes it */
        (void)poll(&(struct pollfd){.fd = f->hostfd, .events = POLLIN}, 1, 0);
    int r = ioctl(f->hostfd, p->cmd, buf);
    if (r < 0)
        return -errno;
    if ((p->flags & PASS_OUT) && copy_to_user(t, arg, buf, p->size) < 0)
        return -EFAULT;
    return r;
}

/* Sessions and groups --------------------------------------------------------------------------------------
 */

static long set_ctty(struct task *t, struct file *f, bool steal)
{
    struct tty *tty = f->priv;
    bool admin = capable(t, CAP_SYS_ADMIN);
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = t->process;
    if (p->sid == p->pid && p->ctty == tty && tty->sid == p->sid)
        return 0;
    if (p->sid != p->pid || p->ctty)
        return -EPERM;
    if (tty->sid && !(steal && admin))
        return -EPERM;
    if ((atomic_load(&f->flags) & O_ACCMODE) == O_WRONLY && !admin)
        return -EPERM;
    tty_clear_session(tty);
    tty_set_controlling(t, tty);
    return 0;
}

static long give_up_ctty(struct task *t, struct tty *tty)
{
    LOCKED(&kernel.tasklist_lock);
    struct process *p = t->process;
    if (p->ctty != tty)
        return -ENOTTY;
    if (p->sid != p->pid) {
        tty_forget(p);
        return 0;
    }
    (void)tty_signal_foreground(tty, SIGHUP);
    (void)tty_signal_foreground(tty, SIGCONT);
    tty_clear_session(tty);
    return 0;
}

static pid_t session_of_pgrp(const struct pid_ns *ns, pid_t pgid)
{
    for (const struct process *p = ns->processes; p; p = p->hh_pid.next) {
        if (p->pgid == pgid)
            return p->sid;
    }
    return -1;
}

static long set_foreground(struct task *t, struct file *f, uaddr_t arg)
{
    struct tty *tty = f->priv;
    int pgid;
    long r = tty_check(t, tty, SIGTTOU);
    if (r == -EIO)
        return -ENOTTY;
    if (r < 0)
        return r;
    if (get_user(t, &pgid, arg) < 0)
        return -EFAULT;
    if (pgid < 0)
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = t->process;
    if (!p->ctty || p->ctty != tty || tty->sid != p->sid)
        return -ENOTTY;
    pid_t sid = session_of_pgrp(p->container->pids, pgid);
    if (sid < 0)
        return -ESRCH;
    if (sid != p->sid)
        return -EPERM;
    tty->pgrp = pgid;
    return 0;
}

static long get_ids(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    const struct tty *tty = f->priv;
    pid_t id;
    {
        LOCKED(&kernel.tasklist_lock);
        if (!is_master(f) && t->process->ctty != tty)
            return -ENOTTY;
        if (cmd == TIOCGSID && !tty->sid)
            return -ENOTTY;
        id = cmd == TIOCGSID ? tty->sid : tty->pgrp;
    }
    return put_user(t, id, int, arg);
}

static long raise_signal(struct file *f, uaddr_t signo)
{
    if (!is_master(f))
        return -ENOTTY;
    if (signo != SIGINT && signo != SIGQUIT && signo != SIGTSTP)
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    (void)tty_signal_foreground(f->priv, (int)signo);
    return 0;
}

/* Ptys -----------------------------------------------------------------------------------------------------
 */

static long set_winsize(struct task *t, struct file *f, uaddr_t arg)
{
    struct tty *tty = f->priv;
    struct winsize new, old;
    if (get_user(t, &new, arg) < 0)
        return -EFAULT;
    if (ioctl(f->hostfd, TIOCGWINSZ, &old) < 0)
        return -errno;
    if (memcmp(&new, &old, sizeof(new)) == 0)
        return 0;
    if (ioctl(f->hostfd, TIOCSWINSZ, &new) < 0)
        return -errno;
    LOCKED(&kernel.tasklist_lock);
    if (tty->console_fd < 0) /* the host tells the porter of the console's */
        (void)tty_signal_foreground(tty, SIGWINCH);
    return 0;
}

static long set_lock(struct task *t, struct tty *tty, uaddr_t arg)
{
    int on;
    if (get_user(t, &on, arg) < 0)
        return -EFAULT;
    LOCKED(&tty->lock);
    tty->locked = on != 0;
    return 0;
}

static long open_peer(struct task *t, struct tty *tty, unsigned flags)
{
    struct file *f = NULL;
    int r = tty_open_slave(t, tty, (int)flags | O_NOCTTY, &f);
    if (r < 0)
        return r;
    char path[32];
    tty_link_name(f, path, sizeof(path));
    (void)path_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW, &f->dentry);
    return fd_return(t, f, flags & O_CLOEXEC);
}

static long master_ioctl(struct task *t, struct tty *tty, unsigned cmd, uaddr_t arg)
{
    switch (cmd) {
    case TIOCGPTN:
        return put_user(t, tty->index, unsigned, arg);
    case TIOCSPTLCK:
        return set_lock(t, tty, arg);
    case TIOCGPTLCK:
        return put_user(t, tty->locked, int, arg);
    case TIOCGPTPEER:
        return open_peer(t, tty, (unsigned)arg);
    default:
        return -ENOTTY;
    }
}

static long set_exclusive(struct tty *tty, bool on)
{
    LOCKED(&tty->lock);
    tty->exclusive = on;
    return 0;
}

static long set_ldisc(struct task *t, uaddr_t arg)
{
    int ldisc;
    if (get_user(t, &ldisc, arg) < 0)
        return -EFAULT;
    return ldisc == 0 ? 0 : -EINVAL;
}

static unsigned tty_rdev(const struct file *f)
{
    const struct tty *tty = f->priv;
    if (is_master(f))
        return 5u << 8 | 2;
    return tty_devnum(tty);
}

long tty_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg)
{
    struct tty *tty = f->priv;
    const struct pass *p = pass_find(cmd);
    if (p)
        return pass_run(t, f, p, arg);
    switch (cmd) {
    case TIOCSWINSZ:
        return set_winsize(t, f, arg);
    case TIOCSCTTY:
        return is_master(f) ? -ENOTTY : set_ctty(t, f, arg == 1);
    case TIOCNOTTY:
        return give_up_ctty(t, tty);
    case TIOCGPGRP:
    case TIOCGSID:
        return get_ids(t, f, cmd, arg);
    case TIOCSPGRP:
        return set_foreground(t, f, arg);
    case TIOCSIG:
        return raise_signal(f, arg);
    case TIOCEXCL:
    case TIOCNXCL:
        return set_exclusive(tty, cmd == TIOCEXCL);
    case TIOCGEXCL:
        return put_user(t, tty->exclusive, int, arg);
    case TIOCGETD:
        return put_user(t, 0, int, arg);
    case TIOCSETD:
        return set_ldisc(t, arg);
    case TIOCGDEV:
        return put_user(t, tty_rdev(f), unsigned, arg);
    case TIOCSTI: /* as with the sysctl dev.tty.legacy_tiocsti = 0 */
        return -EIO;
    case TIOCCONS:
    case TIOCVHANGUP:
    case TIOCSLCKTRMIOS:
        return -EPERM;
    default:
        return is_master(f) ? master_ioctl(t, tty, cmd, arg) : -ENOTTY;
    }
}
