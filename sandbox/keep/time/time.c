/* Clocks and sleeping. The clocks are the host's, and so is the waiting: no pointer's target matters to
 * anyone but the guest itself. */
#include <errno.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/timex.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/events/poll.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/time/timer.h"

/* CPU clocks of others (negative numbers) go by pids, which the host counts differently: only one's own. */
static int64_t cpu_clock_ns(struct task *t, clockid_t clock)
{
    pid_t pid = ~(clock >> 3); /* as clock_getcpuclockid(3) makes them */
    bool per_thread = clock & 4;
    quiet_await_clock(t, clock);
    LOCKED(&kernel.tasklist_lock);
    const struct pid_ns *ns = t->process->container->pids;
    const struct task *other = pid ? task_by_tid(ns, pid) : t;
    if (!other || (clock & 3) == 3 || (per_thread && other->process != t->process))
        return -EINVAL;
    if (!per_thread && other->tid != other->process->pid && pid)
        return -EINVAL;
    if ((clock & 3) == 2)
        return per_thread ? task_cpu_ns(other) : process_cpu_ns(other->process);
    struct timespec ut, st;
    process_cputime(other->process, &ut, &st);
    return ts_ns(&ut) + ((clock & 3) == 1 ? 0 : ts_ns(&st)); /* a thread's: its process's, which is no less */
}

long sys_clock_gettime(struct task *t, const struct sysargs *a)
{
    clockid_t clock = (clockid_t)a->arg[0];
    if (clock >= 0)
        return SYS_CONTINUE;
    int64_t ns = cpu_clock_ns(t, clock);
    if (ns < 0)
        return -EINVAL;
    struct timespec ts = ns_ts(ns);
    return copy_to_user(t, a->arg[1], &ts, sizeof(ts));
}

long sys_clock_getres(struct task *t, const struct sysargs *a)
{
    clockid_t clock = (clockid_t)a->arg[0];
    if (clock >= 0)
        return SYS_CONTINUE;
    if (cpu_clock_ns(t, clock) < 0)
        return -EINVAL;
    return a->arg[1] ? copy_to_user(t, a->arg[1], &(struct timespec){.tv_nsec = 1}, sizeof(struct timespec))
                     : 0;
}

long sys_gettimeofday(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_CONTINUE;
}

long sys_time(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_CONTINUE;
}

/* Sleeping -------------------------------------------------------------------------------------------------
 *
 * The host's, at first. A wake-up for nothing ends that all the same: then the keep goes on with what is
 * left, when the gate makes restart_syscall of it, as Linux would. */

static long sleep_begins(struct task *t, const struct sysargs *a, bool whole)
{
    t->again.nr = a->nr;
    t->again.ip = a->ip;
    t->again.arg0 = a->arg[0];
    t->again.whole = whole;
    t->again.timed = false;
    t->again.begin = mono_now();
    return SYS_CONTINUE_BLOCKING;
}

long sys_nanosleep(struct task *t, const struct sysargs *a)
{
    return fast_sleeps(t, a) ? -ERESTARTNOINTR : sleep_begins(t, a, false);
}

long sys_clock_nanosleep(struct task *t, const struct sysargs *a)
{
    struct timespec ts;
    clockid_t clock = (clockid_t)a->arg[0];
    bool whole = a->arg[1] & TIMER_ABSTIME;
    if (clock == CLOCK_PROCESS_CPUTIME_ID && !whole) {
        t->again.nr = 0;
        return SYS_CONTINUE_BLOCKING;
    }
    if (clock >= 0)
        return sleep_begins(t, a, whole);
    if (get_user(t, &ts, a->arg[2]) < 0)
        return -EFAULT;
    return -EINVAL; /* others' CPU clocks */
}

/* Where the remainder is in the length's place, the host has left it there. */
static int sleep_deadline(struct task *t, uaddr_t length, uaddr_t remainder)
{
    struct timespec ts;
    if (t->again.timed)
        return 0;
    if (get_user(t, &ts, length) < 0)
        return -EFAULT;
    if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
        return -EINVAL;
    deadline_since(&t->again.deadline, length == remainder ? mono_now() : t->again.begin, &ts);
    t->again.timed = true;
    return 0;
}

static long sleep_on(struct task *t, uaddr_t length, uaddr_t remainder)
{
    int r = sleep_deadline(t, length, remainder);
    if (r < 0)
        return r;
    r = host_wait_many(t, NULL, 0, &t->again.deadline);
    if (r != -ERESTARTSYS)
        return r;
    struct timespec left = deadline_left(&t->again.deadline);
    if (remainder && copy_to_user(t, remainder, &left, sizeof(left)) < 0)
        return -EFAULT;
    return -ERESTART_RESTARTBLOCK;
}

/* The host goes on with what a stop had interrupted: a sleep, or a wait that the keep knows nothing of. The
 * registers are those of the call that is gone on with. */
long sys_restart_syscall(struct task *t, const struct sysargs *a)
{
    if (!t->again.ours) {
        if (t->again.ip != a->ip || t->again.arg0 != a->arg[0])
            t->again.nr = 0;
        return SYS_CONTINUE_BLOCKING;
    }
    switch (t->again.nr) {
    case SYS_poll:
        return poll_on(t, a);
    case SYS_clock_nanosleep:
        return sleep_on(t, a->arg[2], a->arg[3]);
    default:
        return sleep_on(t, a->arg[0], a->arg[1]);
    }
}

/* Setting the clock is the host's privilege. */
long sys_clock_settime(struct task *t, const struct sysargs *a)
{
    struct timespec ts;
    clockid_t clock = (clockid_t)a->arg[0];
    if (clock != CLOCK_REALTIME && clock >= 0)
        return -EINVAL;
    if (get_user(t, &ts, a->arg[1]) < 0)
        return -EFAULT;
    return clock == CLOCK_REALTIME ? -EPERM : -EINVAL;
}

long sys_times(struct task *t, const struct sysargs *a)
{
    const int64_t tick = NSEC_PER_SEC / sysconf(_SC_CLK_TCK);
    struct timespec ut, st, now;
    struct tms tms;
    {
        LOCKED(&kernel.tasklist_lock);
        process_cputime(t->process, &ut, &st);
        tms.tms_utime = ts_ns(&ut) / tick;
        tms.tms_stime = ts_ns(&st) / tick;
        tms.tms_cutime = ts_ns(&t->process->cutime) / tick;
        tms.tms_cstime = ts_ns(&t->process->cstime) / tick;
    }
    if (a->arg[0] && copy_to_user(t, a->arg[0], &tms, sizeof(tms)) < 0)
        return -EFAULT;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return ts_ns(&now) / tick;
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
