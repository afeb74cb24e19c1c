/* How tasks come by their filters: from the container's profile, and by seccomp(2). */
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/keep/bpf.h"
#include "sandbox/keep/container.h"
#include "sandbox/keep/fast.h"
#include "sandbox/keep/seccomp_internal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/uaccess.h"

#define CHAIN_INSNS_MAX 32768U /* as Linux: each filter counts 4 more */

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
    t->seccomp = f;
    t->seccomp_mode = SECCOMP_MODE_FILTER;
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

/* [T] Takes a new reference. */
static void set_filter(struct task *t, struct seccomp_filter *f, bool no_new_privs)
{
    struct seccomp_filter *old = t->seccomp;
    t->seccomp = seccomp_get(f);
    t->seccomp_mode = SECCOMP_MODE_FILTER;
    t->no_new_privs |= no_new_privs;
    seccomp_put(old);
    seccomp_see_natives(t);
}

/* [T] f becomes the newest link of t's chain, and with sync of every thread's. */
static long attach(struct task *t, struct seccomp_filter *f, bool sync)
{
    struct task *o;
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

long seccomp_install(struct task *t, unsigned flags, uaddr_t prog)
{
    const unsigned known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
                           SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    if (flags & ~known)
        return -EINVAL;
    if (t->seccomp_mode == SECCOMP_MODE_STRICT)
        return -EINVAL;
    if (!t->no_new_privs && !capable(t, CAP_SYS_ADMIN))
        return -EACCES;
    _cleanup_(seccomp_put_p) struct seccomp_filter *f = NULL;
    int r = read_program(t, prog, &f);
    if (r)
        return r;
    f->log = flags & SECCOMP_FILTER_FLAG_LOG;
    long bad;
    {
        LOCKED(&kernel.tasklist_lock);
        bad = attach(t, f, flags & SECCOMP_FILTER_FLAG_TSYNC);
    }
    fast_filtered(t);
    return bad > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) ? -ESRCH : bad;
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
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
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
        return seccomp_install(t, flags, a->arg[2]);
    case SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : action_available(t, a->arg[2]);
    default:
        return -EINVAL;
    }
}
