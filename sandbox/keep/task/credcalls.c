/* The calls on ids, groups and capabilities (credentials(7), capabilities(7)). A task changes its own
 * credentials only: a new object replaces the old one. */
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/idmap.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/cred_internal.h"
#include "sandbox/keep/task/task.h"

#define KEEP_ID ((uint32_t)-1)

/* What a call on several ids may name: existing ones, or "leave it". */
static bool is_uid(uid_t id)
{
    return id == KEEP_ID || idmap_has_uid(id);
}

static bool is_gid(gid_t id)
{
    return id == KEEP_ID || idmap_has_gid(id);
}
#define GROUPS_MAX 65536
#define CAP_ALL ((1ULL << (CAP_LAST_CAP + 1)) - 1)

static void cred_scrap(struct cred **c)
{
    cred_put(*c);
}
#define _cleanup_cred_ _cleanup_(cred_scrap)

void cred_commit(struct task *t, struct cred *n)
{
    struct cred *old = t->cred;
    bool changed = n->euid != old->euid || n->egid != old->egid || n->fsuid != old->fsuid ||
                   n->fsgid != old->fsgid || (n->cap_permitted & ~old->cap_permitted);
    {
        LOCKED(&kernel.tasklist_lock);
        t->cred = n;
        if (changed) {
            if (t->process->mm)
                t->process->mm->dumpable = false;
            t->pdeath_signal = 0;
        }
    }
    cred_put(old);
    fast_ids_changed(t);
}

/* Of credentials that are not in use yet: setreuid(2) and setresuid(2) have the same rules for both kinds. */
struct id_set {
    uint32_t *real, *effective, *saved;
};

/* False: who may not set any id may not set these. */
static bool set_two(const struct id_set *set, uint32_t r, uint32_t e, bool may_any)
{
    const uint32_t real = *set->real, effective = *set->effective;

    if (r != KEEP_ID && r != real && r != effective && !may_any)
        return false;
    if (e != KEEP_ID && e != real && e != effective && e != *set->saved && !may_any)
        return false;
    if (r != KEEP_ID)
        *set->real = r;
    if (e != KEEP_ID)
        *set->effective = e;
    if (r != KEEP_ID || (e != KEEP_ID && e != real))
        *set->saved = *set->effective;
    return true;
}

static bool has(const struct id_set *set, uint32_t id)
{
    return id == KEEP_ID || id == *set->real || id == *set->effective || id == *set->saved;
}

static bool set_three(const struct id_set *set, uint32_t r, uint32_t e, uint32_t s, bool may_any)
{
    if (!may_any && !(has(set, r) && has(set, e) && has(set, s)))
        return false;
    if (r != KEEP_ID)
        *set->real = r;
    if (e != KEEP_ID)
        *set->effective = e;
    if (s != KEEP_ID)
        *set->saved = s;
    return true;
}

/* User ids -------------------------------------------------------------------------------------------------
 */

static long commit_uids(struct task *t, struct cred **n)
{
    cred_uids_changed(*n, t->cred);
    (*n)->fsuid = (*n)->euid;
    cred_commit(t, steal_ptr(n));
    return 0;
}

long sys_setuid(struct task *t, const struct sysargs *a)
{
    uid_t uid = (uid_t)a->arg[0];
    if (!idmap_has_uid(uid))
        return -EINVAL;
    _cleanup_cred_ struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    if (capable(t, CAP_SETUID))
        n->uid = n->suid = uid;
    else if (uid != n->uid && uid != n->suid)
        return -EPERM;
    n->euid = uid;
    return commit_uids(t, &n);
}

long sys_setreuid(struct task *t, const struct sysargs *a)
{
    uid_t r = (uid_t)a->arg[0], e = (uid_t)a->arg[1];
    if (!is_uid(r) || !is_uid(e))
        return -EINVAL;
    _cleanup_cred_ struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    if (!set_two(&(struct id_set){&n->uid, &n->euid, &n->suid}, r, e, capable(t, CAP_SETUID)))
        return -EPERM;
    return commit_uids(t, &n);
}

long sys_setresuid(struct task *t, const struct sysargs *a)
{
    uid_t r = (uid_t)a->arg[0], e = (uid_t)a->arg[1], s = (uid_t)a->arg[2];
    if (!is_uid(r) || !is_uid(e) || !is_uid(s))
        return -EINVAL;
    _cleanup_cred_ struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    if (!set_three(&(struct id_set){&n->uid, &n->euid, &n->suid}, r, e, s, capable(t, CAP_SETUID)))
        return -EPERM;
    return commit_uids(t, &n);
}

static long put_three(struct task *t, const struct sysargs *a, uint32_t r, uint32_t e, uint32_t s)
{
    if (put_user(t, r, uint32_t, a->arg[0]) < 0 || put_user(t, e, uint32_t, a->arg[1]) < 0)
        return -EFAULT;
    return put_user(t, s, uint32_t, a->arg[2]);
}

long sys_getresuid(struct task *t, const struct sysargs *a)
{
    return put_three(t, a, t->cred->uid, t->cred->euid, t->cred->suid);
}

/* Returns the old one, whether it was changed or not. */
long sys_setfsuid(struct task *t, const struct sysargs *a)
{
    const struct cred *old = t->cred;
    uid_t id = (uid_t)a->arg[0], was = old->fsuid;
    bool may =
        id == old->uid || id == old->euid || id == old->suid || id == old->fsuid || capable(t, CAP_SETUID);
    if (!idmap_has_uid(id) || id == was || !may)
        return was;
    struct cred *n = cred_dup(old);
    if (!n)
        return was;
    n->fsuid = id;
    cred_fsuid_changed(n, old);
    cred_commit(t, n);
    return was;
}

long sys_getuid(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->cred->uid;
}

long sys_geteuid(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->cred->euid;
}

/* Group ids ------------------------------------------------------------------------------------------------
 */

static long commit_gids(struct task *t, struct cred **n)
{
    (*n)->fsgid = (*n)->egid;
    cred_commit(t, steal_ptr(n));
    return 0;
}

long sys_setgid(struct task *t, const struct sysargs *a)
{
    gid_t gid = (gid_t)a->arg[0];
    if (!idmap_has_gid(gid))
        return -EINVAL;
    _cleanup_cred_ struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    if (capable(t, CAP_SETGID))
        n->gid = n->sgid = gid;
    else if (gid != n->gid && gid != n->sgid)
        return -EPERM;
    n->egid = gid;
    return commit_gids(t, &n);
}

long sys_setregid(struct task *t, const struct sysargs *a)
{
    gid_t r = (gid_t)a->arg[0], e = (gid_t)a->arg[1];
    if (!is_gid(r) || !is_gid(e))
        return -EINVAL;
    _cleanup_cred_ struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    if (!set_two(&(struct id_set){&n->gid, &n->egid, &n->sgid}, r, e, capable(t, CAP_SETGID)))
        return -EPERM;
    return commit_gids(t, &n);
}

long sys_setresgid(struct task *t, const struct sysargs *a)
{
    gid_t r = (gid_t)a->arg[0], e = (gid_t)a->arg[1], s = (gid_t)a->arg[2];
    if (!is_gid(r) || !is_gid(e) || !is_gid(s))
        return -EINVAL;
    _cleanup_cred_ struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    if (!set_three(&(struct id_set){&n->gid, &n->egid, &n->sgid}, r, e, s, capable(t, CAP_SETGID)))
        return -EPERM;
    return commit_gids(t, &n);
}

long sys_getresgid(struct task *t, const struct sysargs *a)
{
    return put_three(t, a, t->cred->gid, t->cred->egid, t->cred->sgid);
}

long sys_setfsgid(struct task *t, const struct sysargs *a)
{
    const struct cred *old = t->cred;
    gid_t id = (gid_t)a->arg[0], was = old->fsgid;
    bool may =
        id == old->gid || id == old->egid || id == old->sgid || id == old->fsgid || capable(t, CAP_SETGID);
    if (!idmap_has_gid(id) || id == was || !may)
        return was;
    struct cred *n = cred_dup(old);
    if (!n)
        return was;
    n->fsgid = id;
    cred_commit(t, n);
    return was;
}

long sys_getgid(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->cred->gid;
}

long sys_getegid(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->cred->egid;
}

long sys_getgroups(struct task *t, const struct sysargs *a)
{
    const struct cred *c = t->cred;
    int size = (int)a->arg[0];
    if (size < 0 || (size && (unsigned)size < c->ngroups))
        return -EINVAL;
    if (size && copy_to_user(t, a->arg[1], c->groups, c->ngroups * sizeof(gid_t)) < 0)
        return -EFAULT;
    return c->ngroups;
}

static int by_gid(const void *a, const void *b)
{
    gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;
    return (x > y) - (x < y);
}

long sys_setgroups(struct task *t, const struct sysargs *a)
{
    size_t count = (size_t)(uint32_t)a->arg[0];
    if (!capable(t, CAP_SETGID) || idmap_denies_groups())
        return -EPERM;
    if (count > GROUPS_MAX)
        return -EINVAL;
    _cleanup_free_ gid_t *groups = count ? calloc(count, sizeof(*groups)) : NULL;
    if (count && !groups)
        return -ENOMEM;
    if (count && copy_from_user(t, groups, a->arg[1], count * sizeof(*groups)) < 0)
        return -EFAULT;
    for (size_t i = 0; i < count; i++)
        if (!idmap_has_gid(groups[i]))
            return -EINVAL;
    if (count)
        qsort(groups, count, sizeof(*groups), by_gid); /* as Linux shows them */
    struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    free(n->groups);
    n->groups = steal_ptr(&groups);
    n->ngroups = (unsigned)count;
    cred_commit(t, n);
    return 0;
}

/* Capabilities ---------------------------------------------------------------------------------------------
 */

/* How many 32-bit words a version has; an unknown one is answered with ours. 0, or -EINVAL. */
static int cap_words(struct task *t, uaddr_t header, pid_t *pid, unsigned *words)
{
    struct __user_cap_header_struct h;
    if (get_user(t, &h, header) < 0)
        return -EFAULT;
    *pid = h.pid;
    switch (h.version) {
    case _LINUX_CAPABILITY_VERSION_1:
        *words = _LINUX_CAPABILITY_U32S_1;
        return 0;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        *words = _LINUX_CAPABILITY_U32S_3;
        return 0;
    default:
        return put_user(t, _LINUX_CAPABILITY_VERSION_3, uint32_t, header) < 0 ? -EFAULT : -EINVAL;
    }
}

long sys_capget(struct task *t, const struct sysargs *a)
{
    pid_t pid;
    unsigned words;
    int r = cap_words(t, a->arg[0], &pid, &words);
    if (r) /* without a place for data this only asks for the version */
        return r == -EINVAL && !a->arg[1] ? 0 : r;
    if (pid < 0)
        return -EINVAL;
    uint64_t e, p, i;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct task *other = pid ? task_by_tid(t->process->container->pids, pid) : t;
        if (!other)
            return -ESRCH;
        e = other->cred->cap_effective;
        p = other->cred->cap_permitted;
        i = other->cred->cap_inheritable;
    }
    struct __user_cap_data_struct data[2] = {{(uint32_t)e, (uint32_t)p, (uint32_t)i},
                                             {(uint32_t)(e >> 32), (uint32_t)(p >> 32), (uint32_t)(i >> 32)}};
    return a->arg[1] ? copy_to_user(t, a->arg[1], data, words * sizeof(data[0])) : 0;
}

static int check_capset(const struct task *t, uint64_t e, uint64_t p, uint64_t i)
{
    const struct cred *old = t->cred;
    if (!capable(t, CAP_SETPCAP) && (i & ~(old->cap_inheritable | old->cap_permitted)))
        return -EPERM;
    if (i & ~(old->cap_inheritable | old->cap_bounding))
        return -EPERM;
    if ((p & ~old->cap_permitted) || (e & ~p))
        return -EPERM;
    return 0;
}

long sys_capset(struct task *t, const struct sysargs *a)
{
    pid_t pid;
    unsigned words;
    struct __user_cap_data_struct d[2] = {0};
    int r = cap_words(t, a->arg[0], &pid, &words);
    if (r)
        return r;
    if (pid != 0 && pid != t->tid)
        return -EPERM;
    if (copy_from_user(t, d, a->arg[1], words * sizeof(d[0])) < 0)
        return -EFAULT;
    uint64_t e = (d[0].effective | (uint64_t)d[1].effective << 32) & CAP_ALL;
    uint64_t p = (d[0].permitted | (uint64_t)d[1].permitted << 32) & CAP_ALL;
    uint64_t i = (d[0].inheritable | (uint64_t)d[1].inheritable << 32) & CAP_ALL;
    r = check_capset(t, e, p, i);
    if (r)
        return r;
    struct cred *n = cred_dup(t->cred);
    if (!n)
        return -ENOMEM;
    n->cap_effective = e;
    n->cap_permitted = p;
    n->cap_inheritable = i;
    n->cap_ambient &= p & i;
    cred_commit(t, n);
    return 0;
}
