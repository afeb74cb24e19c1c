/* Credentials: the object, and how capabilities follow ids and execve (capabilities(7)). The calls are in
 * credcalls.c. */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/keep/idmap.h"
#include "sandbox/keep/task/cred_internal.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/trace/trace.h"

struct cred *cred_get(struct cred *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void cred_put(struct cred *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    free(c->groups);
    free(c);
}

struct cred *cred_dup(const struct cred *c)
{
    struct cred *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    memcpy(n, c, sizeof(*n));
    atomic_init(&n->refs, 1);
    n->groups = NULL;
    if (c->ngroups) {
        n->groups = calloc(c->ngroups, sizeof(*n->groups));
        if (!n->groups) {
            free(n);
            return NULL;
        }
        memcpy(n->groups, c->groups, c->ngroups * sizeof(*n->groups));
    }
    return n;
}

bool capable(const struct task *t, int cap)
{
    return t->cred->cap_effective >> cap & 1;
}

void cred_uids_changed(struct cred *n, const struct cred *old)
{
    if (n->securebits & issecure_mask(SECURE_NO_SETUID_FIXUP))
        return;
    bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool has_root = n->uid == 0 || n->euid == 0 || n->suid == 0;
    if (had_root && !has_root) {
        if (!(n->securebits & issecure_mask(SECURE_KEEP_CAPS)))
            n->cap_permitted = n->cap_effective = 0;
        n->cap_ambient = 0; /* even with "keep caps": they would make it root again at the next execve */
    }
    if (old->euid == 0 && n->euid != 0)
        n->cap_effective = 0;
    if (old->euid != 0 && n->euid == 0)
        n->cap_effective = n->cap_permitted;
}

#define CAP_FS_SET                                                                                           \
    (1ULL << CAP_CHOWN | 1ULL << CAP_MKNOD | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH |        \
     1ULL << CAP_FOWNER | 1ULL << CAP_FSETID | 1ULL << CAP_LINUX_IMMUTABLE | 1ULL << CAP_MAC_OVERRIDE)

void cred_fsuid_changed(struct cred *n, const struct cred *old)
{
    if (n->securebits & issecure_mask(SECURE_NO_SETUID_FIXUP))
        return;
    if (old->fsuid == 0 && n->fsuid != 0)
        n->cap_effective &= ~CAP_FS_SET;
    if (old->fsuid != 0 && n->fsuid == 0)
        n->cap_effective |= n->cap_permitted & CAP_FS_SET;
}

/* Set-id bits count unless the task may not gain rights. A group bit without execute means mandatory locking.
 */
/* A tracer must not come by rights that way which it has not itself: ptrace(2), capabilities(7). */
static bool gains_nothing(const struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return t->no_new_privs || (t->trace && !t->trace->capable);
}

static void apply_set_ids(const struct task *t, const struct exec_file_rights *r, struct cred *n)
{
    if (gains_nothing(t) || !idmap_has_uid(r->uid) || !idmap_has_gid(r->gid))
        return;
    if (r->mode & S_ISUID)
        n->euid = r->uid;
    if ((r->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        n->egid = r->gid;
}

/* pP' = (pI & fI) | (fP & bounding), and what root's file would have. Returns whether fE counts as set. */
static bool file_caps(const struct task *t, const struct exec_file_rights *r, struct cred *n, bool *eperm)
{
    const struct cred *old = t->cred;
    bool effective = false;
    uint64_t fp = 0, fi = 0;
    if (r->has_caps && !gains_nothing(t)) {
        fp = r->cap_permitted;
        fi = r->cap_inheritable;
        effective = r->cap_effective;
    }
    uint64_t granted = (old->cap_inheritable & fi) | (fp & old->cap_bounding);
    if (effective && (fp & ~granted))
        *eperm = true;
    n->cap_permitted = granted;
    if (n->securebits & issecure_mask(SECURE_NOROOT))
        return effective;
    bool set_id_with_caps = r->has_caps && n->uid != 0 && n->euid == 0; /* then the file's set alone counts */
    if (!set_id_with_caps && (n->euid == 0 || n->uid == 0))
        n->cap_permitted = old->cap_bounding | old->cap_inheritable;
    return effective || (!set_id_with_caps && n->euid == 0);
}

struct cred *exec_cred(const struct task *t, const struct exec_file_rights *r, bool *secure, bool *eperm)
{
    const struct cred *old = t->cred;
    struct cred *n = cred_dup(old);
    if (!n)
        return NULL;
    *eperm = false;
    apply_set_ids(t, r, n);
    bool effective = file_caps(t, r, n, eperm);
    bool set_id = n->euid != old->uid || n->egid != old->gid;
    bool ambient_ends = set_id || (r->has_caps && !t->no_new_privs);
    if (ambient_ends)
        n->cap_ambient = 0;
    n->cap_permitted |= n->cap_ambient;
    if (!t->no_new_privs && gains_nothing(t))
        n->cap_permitted &= old->cap_permitted;
    n->cap_effective = effective ? n->cap_permitted : n->cap_ambient;
    n->suid = n->fsuid = n->euid;
    n->sgid = n->fsgid = n->egid;
    n->securebits &= ~(unsigned)issecure_mask(SECURE_KEEP_CAPS);
    *secure = set_id || (n->uid != 0 && (effective || (n->cap_permitted & ~n->cap_ambient)));
    return n;
}
