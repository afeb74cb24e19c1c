/* Calls about the system as a whole: its names and state, random bytes, reboot. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/reboot.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
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

/* Hardware --------------------------------------------------------------------------------------------------
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
