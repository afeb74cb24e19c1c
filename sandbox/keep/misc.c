/* Calls about the system as a whole. */

#include <errno.h>
#include <linux/capability.h>
#include <linux/mempolicy.h>
#include <linux/reboot.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/version.h"

/* Names ----------------------------------------------------------------------------------------------------
 */

long sys_uname(struct task *t, const struct sysargs *a)
{
    const struct uts *uts = t->process->container->uts;
    struct utsname u = {
        .sysname = "Linux", .release = KEEP_RELEASE, .version = KEEP_VERSION, .machine = KEEP_MACHINE};
    _Static_assert(sizeof(u) == 6 * 65, "as the kernel's struct new_utsname");
    {
        LOCKED(&kernel.tasklist_lock);
        memcpy(u.nodename, uts->hostname, sizeof(u.nodename));
        memcpy(u.domainname, uts->domainname[0] ? uts->domainname : "(none)", uts->domainname[0] ? 65 : 7);
    }
    if ((t->personality & PER_MASK) == PER_LINUX32)
        memcpy(u.machine, "i686", sizeof("i686"));
    return copy_to_user(t, a->arg[0], &u, sizeof(u));
}

static long set_name(struct task *t, char name[65], const struct sysargs *a)
{
    int len = (int)a->arg[1];
    char new[65] = {0};
    if (!capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (len < 0 || len > 64)
        return -EINVAL;
    if (copy_from_user(t, new, a->arg[0], (size_t)len) < 0)
        return -EFAULT;
    LOCKED(&kernel.tasklist_lock);
    memcpy(name, new, sizeof(new));
    return 0;
}

long sys_sethostname(struct task *t, const struct sysargs *a)
{
    return set_name(t, t->process->container->uts->hostname, a);
}

long sys_setdomainname(struct task *t, const struct sysargs *a)
{
    return set_name(t, t->process->container->uts->domainname, a);
}

/* State ----------------------------------------------------------------------------------------------------
 */

long sys_sysinfo(struct task *t, const struct sysargs *a)
{
    struct sysinfo s;
    if (sysinfo(&s) < 0)
        return -errno;
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    s.uptime = now.tv_sec - kernel.boot.tv_sec + (now.tv_nsec > kernel.boot.tv_nsec);
    struct proc_memory m;
    proc_memory(t->process->container, &m);
    s.mem_unit = 1;
    s.totalram = m.total * 1024;
    s.freeram = m.free * 1024;
    s.bufferram = m.buffers * 1024;
    s.sharedram = m.shared * 1024;
    s.totalswap = m.swap_total * 1024;
    s.freeswap = m.swap_free * 1024;
    {
        LOCKED(&kernel.tasklist_lock);
        unsigned n = HASH_CNT(hh_tid, t->process->container->pids->tids);
        s.procs = n > UINT16_MAX ? UINT16_MAX : (unsigned short)n;
    }
    return copy_to_user(t, a->arg[0], &s, sizeof(s));
}

long sys_getrandom(struct task *t, const struct sysargs *a)
{
    uaddr_t dst = a->arg[0];
    size_t left = a->arg[1], done = 0;
    unsigned flags = (unsigned)a->arg[2];
    if (flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    if ((flags & GRND_RANDOM) && (flags & GRND_INSECURE))
        return -EINVAL;
    if (left > INT32_MAX)
        left = INT32_MAX;
    char buf[4096];
    while (left) {
        ssize_t n = getrandom(buf, left < sizeof(buf) ? left : sizeof(buf), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return done ? (long)done : -errno;
        if (copy_to_user(t, dst + done, buf, (size_t)n) < 0)
            return done ? (long)done : -EFAULT;
        done += (size_t)n;
        left -= (size_t)n;
        if (left && signal_pending(t)) /* a short answer, as Linux gives */
            break;
    }
    return (long)done;
}

long sys_reboot(struct task *t, const struct sysargs *a)
{
    unsigned magic1 = (unsigned)a->arg[0], magic2 = (unsigned)a->arg[1];
    if (!capable(t, CAP_SYS_BOOT))
        return -EPERM;
    if (magic1 != LINUX_REBOOT_MAGIC1 || (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
                                          magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
        return -EINVAL;
    /* As in a pid namespace: its init ends by a signal that tells what was asked for. */
    int signo;
    switch ((unsigned)a->arg[2]) {
    case LINUX_REBOOT_CMD_RESTART:
    case LINUX_REBOOT_CMD_RESTART2:
        signo = SIGHUP;
        break;
    case LINUX_REBOOT_CMD_HALT:
    case LINUX_REBOOT_CMD_POWER_OFF:
        signo = SIGINT;
        break;
    default:
        return -EINVAL;
    }
    struct process *init;
    {
        LOCKED(&kernel.tasklist_lock);
        init = t->process->container->init ? process_get(t->process->container->init) : NULL;
    }
    if (init) {
        process_exit(init, signo, true);
        process_put(init);
    }
    return 0;
}

long sys_vhangup(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return -EPERM;
}

/* There is no swap of the container's own, and the host's is not its to change. */
long sys_swapon(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return -EPERM;
}

long sys_swapoff(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return -EPERM;
}

/* Clocks: they are the host's, and only to be read ---------------------------------------------------------
 */

#define ADJ_ADJTIME 0x8000u /* adjtime(3)'s; with ADJ_OFFSET's bit only */

static int may_adjust(unsigned modes)
{
    if ((modes & ADJ_ADJTIME) && !(modes & ADJ_OFFSET))
        return -EINVAL;
    return modes == 0 || modes == ADJ_OFFSET_SS_READ ? 0 : -EPERM;
}

static long adjust(struct task *t, clockid_t clock, uaddr_t buf)
{
    struct timex tx;
    if (get_user(t, &tx, buf) < 0)
        return -EFAULT;
    int r = may_adjust(tx.modes);
    if (r < 0)
        return r;
    r = clock_adjtime(clock, &tx);
    if (r < 0)
        return -errno;
    return copy_to_user(t, buf, &tx, sizeof(tx)) < 0 ? -EFAULT : r;
}

long sys_adjtimex(struct task *t, const struct sysargs *a)
{
    return adjust(t, CLOCK_REALTIME, a->arg[0]);
}

long sys_clock_adjtime(struct task *t, const struct sysargs *a)
{
    int clock = (int)a->arg[0];
    if (clock < 0 || clock > CLOCK_TAI)
        return -EINVAL;
    return clock == CLOCK_REALTIME ? adjust(t, clock, a->arg[1]) : -EOPNOTSUPP;
}

long sys_settimeofday(struct task *t, const struct sysargs *a)
{
    struct timeval tv;
    if (a->arg[0]) {
        if (get_user(t, &tv, a->arg[0]) < 0)
            return -EFAULT;
        if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000)
            return -EINVAL;
    }
    return -EPERM;
}

/* Hardware and memory --------------------------------------------------------------------------------------
 */

long sys_iopl(struct task *t, const struct sysargs *a)
{
    (void)t;
    return (unsigned)a->arg[0] > 3 ? -EINVAL : -EPERM;
}

long sys_ioperm(struct task *t, const struct sysargs *a)
{
    (void)t;
    uint64_t from = a->arg[0], num = a->arg[1];
    return from + num <= from || from + num > 65536 ? -EINVAL : -EPERM;
}

/* The caller's own memory, by registers: the host's business. So are the other calls that syscalls.def has
 * answered by this. */
long sys_mlock(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return SYS_CONTINUE;
}

/* There is one memory node, and what a policy says about it makes no difference. */
long sys_get_mempolicy(struct task *t, const struct sysargs *a)
{
    uaddr_t mode = a->arg[0], mask = a->arg[1];
    uint64_t bits = a->arg[2];
    unsigned flags = (unsigned)a->arg[4];
    if (flags & ~(unsigned)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
        return -EINVAL;
    if ((flags & MPOL_F_MEMS_ALLOWED) && (flags & (MPOL_F_NODE | MPOL_F_ADDR)))
        return -EINVAL;
    if (mask && bits < 1)
        return -EINVAL;
    int now = flags & MPOL_F_NODE ? 0 : t->mempolicy;
    if (mode && !(flags & MPOL_F_MEMS_ALLOWED) && put_user(t, now, int, mode) < 0)
        return -EFAULT;
    if (!mask)
        return 0;
    uint64_t words = (bits + 63) / 64;
    if (words > 64)
        return -EINVAL;
    uint64_t nodes[64] = {flags & MPOL_F_MEMS_ALLOWED ? 1 : t->mempolicy_nodes};
    return copy_to_user(t, mask, nodes, words * sizeof(nodes[0]));
}

long sys_set_mempolicy(struct task *t, const struct sysargs *a)
{
    int mode = (int)a->arg[0] & ~MPOL_MODE_FLAGS;
    uint64_t nodes = 0;
    if (mode < 0 || mode >= MPOL_MAX)
        return -EINVAL;
    if (a->arg[1] && a->arg[2] && get_user(t, &nodes, a->arg[1]) < 0)
        return -EFAULT;
    bool none = mode == MPOL_DEFAULT || mode == MPOL_LOCAL;
    if (none ? nodes != 0 : nodes != 1 && !(nodes == 0 && mode == MPOL_PREFERRED))
        return -EINVAL;
    t->mempolicy = mode == MPOL_PREFERRED && !nodes ? MPOL_LOCAL : (int)a->arg[0];
    t->mempolicy_nodes = nodes;
    return 0;
}

/* Namespaces -----------------------------------------------------------------------------------------------
 */

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define UNSHARE_SHARED (CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)
#define UNSHARE_THREAD (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)
#define UNSHARE_NS                                                                                           \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET |             \
     CLONE_NEWTIME)

static long unshare_files(struct task *t)
{
    struct fdtable *own = fdtable_dup(t->fdt);
    if (!own)
        return -ENOMEM;
    struct fdtable *old = t->fdt;
    {
        LOCKED(&kernel.tasklist_lock); /* others look, through /proc */
        t->fdt = own;
    }
    fdtable_put(old);
    return 0;
}

static long unshare_fs(struct task *t)
{
    struct fs *own = fs_dup(t->fs);
    if (!own)
        return -ENOMEM;
    struct fs *old = t->fs;
    {
        LOCKED(&kernel.tasklist_lock);
        t->fs = own;
    }
    fs_put(old);
    return 0;
}

static bool single_threaded(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return t->process->nthreads <= 1;
}

long sys_unshare(struct task *t, const struct sysargs *a)
{
    uint64_t flags = a->arg[0];
    if (flags & ~(uint64_t)(UNSHARE_SHARED | UNSHARE_THREAD | UNSHARE_NS | CLONE_NEWUSER))
        return -EINVAL;
    if ((flags & UNSHARE_NS) && !capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & (UNSHARE_NS | CLONE_NEWUSER)) /* as a kernel built without them says */
        return -EINVAL;
    if ((flags & UNSHARE_THREAD) && !single_threaded(t))
        return -EINVAL;
    long r = flags & CLONE_FS ? unshare_fs(t) : 0;
    if (r == 0 && (flags & CLONE_FILES)) {
        r = unshare_files(t);
        /* The lanes are in the host's table, which must part as well. */
        return r < 0 ? r : SYS_CONTINUE;
    }
    return r;
}
