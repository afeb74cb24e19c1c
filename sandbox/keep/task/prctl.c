/* prctl(2): what is the keep's to know it keeps; what concerns the guest's own CPU state or memory goes to
 * the host. */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <string.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/task/cred_internal.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/mm/uaccess.h"

/* Newer than the headers of Debian 12. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#define PR_SET_MEMORY_MERGE_ 67
#define PR_GET_MEMORY_MERGE_ 68

typedef long (*prctl_fn)(struct task *t, const struct sysargs *a);

static long pr_set_pdeathsig(struct task *t, const struct sysargs *a)
{
    if (a->arg[1] > KSIG_MAX)
        return -EINVAL;
    t->pdeath_signal = (int)a->arg[1];
    return 0;
}

static long pr_get_pdeathsig(struct task *t, const struct sysargs *a)
{
    return put_user(t, t->pdeath_signal, int, a->arg[1]);
}

static long pr_get_dumpable(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->process->mm->dumpable;
}

static long pr_set_dumpable(struct task *t, const struct sysargs *a)
{
    if (a->arg[1] > 1)
        return -EINVAL;
    t->process->mm->dumpable = a->arg[1];
    return 0;
}

/* Names may lie right before unmapped memory: no byte past the page of the end is read before it is needed.
 */
static int get_name(struct task *t, char name[16], uaddr_t addr)
{
    size_t first = 4096 - addr % 4096;
    memset(name, 0, 16);
    if (first >= 15)
        return copy_from_user(t, name, addr, 15);
    if (copy_from_user(t, name, addr, first) < 0)
        return -EFAULT;
    return memchr(name, 0, first) ? 0 : copy_from_user(t, name + first, addr + first, 15 - first);
}

static long pr_set_name(struct task *t, const struct sysargs *a)
{
    char name[16];
    if (get_name(t, name, a->arg[1]) < 0)
        return -EFAULT;
    size_t len = strnlen(name, 15);
    memset(name + len, 0, sizeof(name) - len);
    LOCKED(&kernel.tasklist_lock);
    memcpy(t->comm, name, sizeof(t->comm));
    return 0;
}

static long pr_get_name(struct task *t, const struct sysargs *a)
{
    return copy_to_user(t, a->arg[1], t->comm, sizeof(t->comm));
}

static long pr_get_seccomp(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->seccomp_mode;
}

static long pr_set_seccomp(struct task *t, const struct sysargs *a)
{
    if (a->arg[1] == SECCOMP_MODE_STRICT)
        return seccomp_set_strict(t);
    return a->arg[1] == SECCOMP_MODE_FILTER ? seccomp_install(t, a, 0, a->arg[2]) : -EINVAL;
}

static long pr_capbset_read(struct task *t, const struct sysargs *a)
{
    return a->arg[1] > CAP_LAST_CAP ? -EINVAL : (long)(t->cred->cap_bounding >> a->arg[1] & 1);
}

static long pr_capbset_drop(struct task *t, const struct sysargs *a)
{
    if (!capable(t, CAP_SETPCAP))
        return -EPERM;
    if (a->arg[1] > CAP_LAST_CAP)
        return -EINVAL;
    struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    n->cap_bounding &= ~(1ULL << a->arg[1]);
    cred_commit(t, n);
    return 0;
}

static long pr_get_securebits(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->cred->securebits;
}

static long pr_set_securebits(struct task *t, const struct sysargs *a)
{
    unsigned old = t->cred->securebits;
    uint64_t want = a->arg[1];
    const unsigned all = SECURE_ALL_BITS | SECURE_ALL_LOCKS;
    unsigned changed_locked = ((old & SECURE_ALL_LOCKS) >> 1) & (old ^ (unsigned)want);
    if (changed_locked || ((old & SECURE_ALL_LOCKS) & ~want) || (want & ~(uint64_t)all) ||
        !capable(t, CAP_SETPCAP))
        return -EPERM;
    struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    n->securebits = (unsigned)want;
    cred_commit(t, n);
    return 0;
}

static long pr_get_keepcaps(struct task *t, const struct sysargs *a)
{
    (void)a;
    return (t->cred->securebits & issecure_mask(SECURE_KEEP_CAPS)) != 0;
}

static long pr_set_keepcaps(struct task *t, const struct sysargs *a)
{
    if (a->arg[1] > 1)
        return -EINVAL;
    if (t->cred->securebits & issecure_mask(SECURE_KEEP_CAPS_LOCKED))
        return -EPERM;
    struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    n->securebits &= ~(unsigned)issecure_mask(SECURE_KEEP_CAPS);
    if (a->arg[1])
        n->securebits |= issecure_mask(SECURE_KEEP_CAPS);
    cred_commit(t, n);
    return 0;
}

static long ambient_raise(struct task *t, unsigned cap)
{
    const struct cred *c = t->cred;
    uint64_t bit = 1ULL << cap;
    if (!(c->cap_permitted & bit) || !(c->cap_inheritable & bit) ||
        (c->securebits & issecure_mask(SECURE_NO_CAP_AMBIENT_RAISE)))
        return -EPERM;
    struct cred *n = cred_dup(c);
    if (!n)
        return -ENOMEM;
    n->cap_ambient |= bit;
    cred_commit(t, n);
    return 0;
}

static long pr_cap_ambient(struct task *t, const struct sysargs *a)
{
    uint64_t op = a->arg[1], cap = a->arg[2];
    if (a->arg[3] || a->arg[4] || (op == PR_CAP_AMBIENT_CLEAR_ALL ? cap != 0 : cap > CAP_LAST_CAP))
        return -EINVAL;
    if (op == PR_CAP_AMBIENT_IS_SET)
        return t->cred->cap_ambient >> cap & 1;
    if (op == PR_CAP_AMBIENT_RAISE)
        return ambient_raise(t, (unsigned)cap);
    if (op != PR_CAP_AMBIENT_LOWER && op != PR_CAP_AMBIENT_CLEAR_ALL)
        return -EINVAL;
    struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    n->cap_ambient &= op == PR_CAP_AMBIENT_CLEAR_ALL ? 0 : ~(1ULL << cap);
    cred_commit(t, n);
    return 0;
}

static long pr_set_child_subreaper(struct task *t, const struct sysargs *a)
{
    LOCKED(&kernel.tasklist_lock);
    t->process->child_subreaper = a->arg[1] != 0;
    return 0;
}

static long pr_get_child_subreaper(struct task *t, const struct sysargs *a)
{
    return put_user(t, t->process->child_subreaper, int, a->arg[1]);
}

static long pr_set_no_new_privs(struct task *t, const struct sysargs *a)
{
    if (a->arg[1] != 1 || a->arg[2] || a->arg[3] || a->arg[4])
        return -EINVAL;
    t->no_new_privs = true;
    return 0;
}

static long pr_get_no_new_privs(struct task *t, const struct sysargs *a)
{
    return a->arg[1] || a->arg[2] || a->arg[3] || a->arg[4] ? -EINVAL : t->no_new_privs;
}

/* The host's timers serve the guest's own sleeps: it is told, too. */
static long pr_set_timerslack(struct task *t, const struct sysargs *a)
{
    t->timer_slack = (long)a->arg[1] <= 0 ? t->default_slack : a->arg[1];
    return SYS_CONTINUE;
}

static long pr_get_timerslack(struct task *t, const struct sysargs *a)
{
    (void)a;
    return (long)t->timer_slack;
}

static long pr_get_tid_address(struct task *t, const struct sysargs *a)
{
    uaddr_t word;
    {
        LOCKED(&kernel.tasklist_lock);
        word = task_tid_address(t);
    }
    return put_user(t, word, uint64_t, a->arg[1]);
}

static long pr_zero(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return 0;
}

static long pr_set_timing(struct task *t, const struct sysargs *a)
{
    (void)t;
    return a->arg[1] == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
}

/* Harmless to anybody else, and about things that only the host has. */
static long pr_host(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_CONTINUE;
}

/* The gate's, to hear of all calls of a traced thread (sandbox/gate/trace.c). All in registers, and its own
 * affair. */
static long pr_dispatch(struct task *t, const struct sysargs *a)
{
    (void)t;
    bool on = a->arg[1] == 1 && a->arg[2] == GATE_BASE && a->arg[3] == GATE_LIMIT - GATE_BASE;
    bool off = a->arg[1] == 0 && a->arg[2] == 0 && a->arg[3] == 0;
    return from_gate(a) && (on || off) && a->arg[4] == 0 ? SYS_CONTINUE : -EINVAL;
}

static long pr_privileged(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return -EPERM;
}

static prctl_fn find(uint64_t option)
{
    static const struct {
        uint64_t option;
        prctl_fn fn;
    } table[] = {
        {PR_SET_PDEATHSIG, pr_set_pdeathsig},
        {PR_GET_PDEATHSIG, pr_get_pdeathsig},
        {PR_GET_DUMPABLE, pr_get_dumpable},
        {PR_SET_DUMPABLE, pr_set_dumpable},
        {PR_SET_NAME, pr_set_name},
        {PR_GET_NAME, pr_get_name},
        {PR_GET_SECCOMP, pr_get_seccomp},
        {PR_SET_SECCOMP, pr_set_seccomp},
        {PR_CAPBSET_READ, pr_capbset_read},
        {PR_CAPBSET_DROP, pr_capbset_drop},
        {PR_GET_SECUREBITS, pr_get_securebits},
        {PR_SET_SECUREBITS, pr_set_securebits},
        {PR_GET_KEEPCAPS, pr_get_keepcaps},
        {PR_SET_KEEPCAPS, pr_set_keepcaps},
        {PR_CAP_AMBIENT, pr_cap_ambient},
        {PR_SET_CHILD_SUBREAPER, pr_set_child_subreaper},
        {PR_GET_CHILD_SUBREAPER, pr_get_child_subreaper},
        {PR_SET_NO_NEW_PRIVS, pr_set_no_new_privs},
        {PR_GET_NO_NEW_PRIVS, pr_get_no_new_privs},
        {PR_SET_TIMERSLACK, pr_set_timerslack},
        {PR_GET_TIMERSLACK, pr_get_timerslack},
        {PR_GET_TID_ADDRESS, pr_get_tid_address},
        {PR_GET_TIMING, pr_zero}, /* PR_TIMING_STATISTICAL */
        {PR_SET_TIMING, pr_set_timing},
        {PR_SET_PTRACER, pr_zero}, /* for Yama, which is not here */
        {PR_SET_SYSCALL_USER_DISPATCH, pr_dispatch},
        {PR_TASK_PERF_EVENTS_DISABLE, pr_zero},
        {PR_TASK_PERF_EVENTS_ENABLE, pr_zero},
        {PR_GET_THP_DISABLE, pr_host},
        {PR_SET_THP_DISABLE, pr_host},
        {PR_GET_TSC, pr_host},
        {PR_SET_VMA, pr_host},
        {PR_GET_SPECULATION_CTRL, pr_host},
        {PR_SET_SPECULATION_CTRL, pr_host},
        {PR_MCE_KILL_GET, pr_host},
        {PR_MCE_KILL, pr_host},
        {PR_SET_MEMORY_MERGE_, pr_privileged},
        {PR_GET_MEMORY_MERGE_, pr_host},
        {PR_SET_MM, pr_privileged},
        {PR_SET_IO_FLUSHER, pr_privileged},
        {PR_GET_IO_FLUSHER, pr_privileged},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].option == option)
            return table[i].fn;
    return NULL;
}

long sys_prctl(struct task *t, const struct sysargs *a)
{
    prctl_fn fn = find((uint32_t)a->arg[0]);
    return fn ? fn(t, a) : -EINVAL;
}
