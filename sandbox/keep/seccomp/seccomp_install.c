/* How tasks come by their filters: from the container's profile, and by seccomp(2). */
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/keep/seccomp/bpf.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/seccomp/seccomp_internal.h"
#include "sandbox/keep/seccomp/seccomp_notify.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"

#define CHAIN_INSNS_MAX 32768U /* as Linux: each filter counts 4 more */

static struct seccomp_filter *seccomp_get(struct seccomp_filter *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void seccomp_put(struct seccomp_filter *f)
{
    while (f && atomic_fetch_sub(&f->refs, 1) == 1) {
        struct seccomp_filter *prev = f->prev;
        if (f->standin_fd >= 0)
            (void)close(f->standin_fd);
        free(f);
        f = prev;
    }
}

/* Users --------------------------------------------------------------------------------------------------
 */

/* [T] A filter above it counts as one user, for as long as it has any itself. */
static void add_user(struct seccomp_filter *f)
{
    if (f && f->users++ == 0 && f->prev)
        f->prev->users++;
}

/* [T] */
static void drop_user(struct seccomp_filter *f)
{
    for (; f && --f->users == 0; f = f->prev)
        if (f->notifier)
            notifier_hang_up(f->notifier);
}

void seccomp_use(struct task *t, struct seccomp_filter *f)
{
    struct seccomp_filter *old = t->seccomp;

    add_user(f);
    t->seccomp = f ? seccomp_get(f) : NULL;
    drop_user(old);
    seccomp_put(old);
}

void seccomp_inherit(struct task *child, const struct task *parent)
{
    child->no_new_privs = parent->no_new_privs;
    child->seccomp_mode = parent->seccomp_mode;
    child->judged = parent->judged;
    child->judge_next = parent->judge_next;
    seccomp_use(child, parent->seccomp);
}

void seccomp_task_ended(struct task *t)
{
    drop_user(t->seccomp);
}

/* Making them
 * ------------------------------------------------------------------------------------------------
 */

static struct seccomp_filter *filter_new(unsigned len)
{
    struct seccomp_filter *f = calloc(1, sizeof(*f) + len * sizeof(struct sock_filter));
    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    f->len = len;
    f->count = 1;
    f->standin_fd = -1;
    f->chain_len = len + 4;
    return f;
}

int seccomp_apply_profile(struct task *t, const struct keep_process *p)
{
    if (!bpf_valid(p->filter, p->nfilter))
        return -EINVAL;
    struct seccomp_filter *f = filter_new(p->nfilter);
    if (!f)
        return -ENOMEM;
    memcpy(f->insns, p->filter, p->nfilter * sizeof(*p->filter));
    f->log = p->filter_log;
    f->killable = p->filter_killable;
    f->is_profile = true;
    {
        LOCKED(&kernel.tasklist_lock);
        seccomp_use(t, f);
        t->seccomp_mode = SECCOMP_MODE_FILTER;
    }
    seccomp_put(f);
    return 0;
}

void seccomp_set_standin(struct task *t, int fd)
{
    struct seccomp_filter *f = t->seccomp;
    if (f && f->standin_fd < 0)
        f->standin_fd = fd;
    else
        (void)close(fd);
}

long seccomp_set_strict(struct task *t)
{
    if (t->seccomp_mode == SECCOMP_MODE_FILTER)
        return -EINVAL;
    t->seccomp_mode = SECCOMP_MODE_STRICT;
    fast_filtered(t);
    LOCKED(&kernel.tasklist_lock);
    seccomp_see_natives(t);
    return 0;
}

static void seccomp_put_p(struct seccomp_filter **f)
{
    seccomp_put(*f);
}

static int read_program(struct task *t, uaddr_t addr, struct seccomp_filter **ret)
{
    struct {
        uint16_t len;
        uint64_t filter;
    } prog;
    if (get_user(t, &prog, addr) < 0)
        return -EFAULT;
    if (prog.len == 0 || prog.len > BPF_MAXINSNS)
        return -EINVAL;
    if (!t->no_new_privs && !capable(t, CAP_SYS_ADMIN))
        return -EACCES;
    _cleanup_free_ struct seccomp_filter *f = filter_new(prog.len);
    if (!f)
        return -ENOMEM;
    if (copy_from_user(t, f->insns, prog.filter, prog.len * sizeof(struct sock_filter)) < 0)
        return -EFAULT;
    if (!bpf_valid(f->insns, prog.len))
        return -EINVAL;
    *ret = steal_ptr(&f);
    return 0;
}

static bool is_ancestor(const struct seccomp_filter *old, const struct seccomp_filter *f)
{
    if (!old)
        return true;
    for (; f; f = f->prev)
        if (f == old)
            return true;
    return false;
}

/* [T] The first other thread that cannot take over t's filters; 0: none. */
static pid_t unsyncable(const struct task *t)
{
    const struct task *o;
    DL_FOREACH2(t->process->threads, o, thread_next)
    {
        if (o == t || o->exited)
            continue;
        bool other_mode = o->seccomp_mode != 0 && o->seccomp_mode != SECCOMP_MODE_FILTER;
        if (other_mode || !is_ancestor(o->seccomp, t->seccomp))
            return o->tid;
    }
    return 0;
}

/* [T] */
static void set_filter(struct task *t, struct seccomp_filter *f, bool no_new_privs)
{
    seccomp_use(t, f);
    t->seccomp_mode = SECCOMP_MODE_FILTER;
    t->no_new_privs |= no_new_privs;
    seccomp_see_natives(t);
    if (t->trace) /* its gate may have to tell of all calls now */
        signal_kick(t);
}

/* [T] There is at most one in a chain; the container's agent counts as one. */
static bool has_listener(const struct seccomp_filter *f)
{
    for (; f; f = f->prev)
        if (f->notifier || f->standin_fd >= 0)
            return true;
    return false;
}

/* [T] f becomes the newest link of t's chain, and with sync of every thread's. */
static long attach(struct task *t, struct seccomp_filter *f, bool sync)
{
    struct task *o;
    if (f->notifier && has_listener(t->seccomp))
        return -EBUSY;
    pid_t bad = sync ? unsyncable(t) : 0;
    if (bad)
        return bad;
    struct seccomp_filter *old = t->seccomp;
    if (old) {
        f->chain_len += old->chain_len;
        f->count += old->count;
    }
    if (f->chain_len > CHAIN_INSNS_MAX)
        return -ENOMEM;
    f->prev = old ? seccomp_get(old) : NULL;
    set_filter(t, f, false);
    if (!sync)
        return 0;
    DL_FOREACH2(t->process->threads, o, thread_next)
    {
        if (o != t && !o->exited)
            set_filter(o, f, t->no_new_privs);
    }
    return 0;
}

static bool flags_are_valid(unsigned flags)
{
    const unsigned sync = SECCOMP_FILTER_FLAG_TSYNC, esrch = SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    const unsigned listener = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    const unsigned killable = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    const unsigned known =
        sync | esrch | listener | killable | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    if (flags & ~known)
        return false;
    if ((flags & sync) && (flags & listener) && !(flags & esrch)) /* a thread's id, or a descriptor? */
        return false;
    return !(flags & killable) || (flags & listener);
}

/* It was not installed, so that its descriptor is not either. */
static void take_back(struct task *t, const struct sysargs *a, struct seccomp_filter *f, int fd)
{
    bool native;
    if (fd >= 0)
        (void)fd_close(t, a, fd, &native);
    LOCKED(&kernel.tasklist_lock);
    if (f->notifier) /* another thread holds it by now */
        notifier_hang_up(f->notifier);
}

/* 0, the number of its listener, -errno, or the thread that is in the way of sync. */
static long install(struct task *t, const struct sysargs *a, struct seccomp_filter *f, unsigned flags)
{
    int fd = 0;
    if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        fd = notifier_install(t, f, flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    if (fd < 0)
        return fd;
    long bad;
    {
        LOCKED(&kernel.tasklist_lock);
        bad = attach(t, f, flags & SECCOMP_FILTER_FLAG_TSYNC);
    }
    fast_filtered(t);
    if (bad == 0)
        return fd;
    if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        take_back(t, a, f, fd);
    return bad > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) ? -ESRCH : bad;
}

long seccomp_install(struct task *t, const struct sysargs *a, unsigned flags, uaddr_t prog)
{
    if (!flags_are_valid(flags) || t->seccomp_mode == SECCOMP_MODE_STRICT)
        return -EINVAL;
    _cleanup_(seccomp_put_p) struct seccomp_filter *f = NULL;
    int r = read_program(t, prog, &f);
    if (r)
        return r;
    f->log = flags & SECCOMP_FILTER_FLAG_LOG;
    return install(t, a, f, flags);
}

static long action_available(struct task *t, uaddr_t addr)
{
    uint32_t action;
    if (get_user(t, &action, addr) < 0)
        return -EFAULT;
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_USER_NOTIF:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

static long notif_sizes(struct task *t, uaddr_t addr)
{
    const struct seccomp_notif_sizes s = {sizeof(struct seccomp_notif), sizeof(struct seccomp_notif_resp),
                                          sizeof(struct seccomp_data)};
    return copy_to_user(t, addr, &s, sizeof(s));
}

long sys_seccomp(struct task *t, const struct sysargs *a)
{
    unsigned flags = (unsigned)a->arg[1];
    if (from_gate(a))
        return seccomp_natives_seen(t, a);
    switch ((unsigned)a->arg[0]) {
    case SECCOMP_SET_MODE_STRICT:
        return flags || a->arg[2] ? -EINVAL : seccomp_set_strict(t);
    case SECCOMP_SET_MODE_FILTER:
        return seccomp_install(t, a, flags, a->arg[2]);
    case SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : action_available(t, a->arg[2]);
    case SECCOMP_GET_NOTIF_SIZES:
        return flags ? -EINVAL : notif_sizes(t, a->arg[2]);
    default:
        return -EINVAL;
    }
}
