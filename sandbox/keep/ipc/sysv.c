/* System V IPC: identifiers, keys and permissions. */
#include "sandbox/keep/ipc/sysv.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

/* As on Linux: an id is a slot and a generation, so that an old id does not mean a new object. */
#define SLOT_BITS 15
#define SLOT_MASK ((1 << SLOT_BITS) - 1)
#define SEQ_MASK 0xffffu

struct ipc *ipc_new(void)
{
    struct ipc *ipc = calloc(1, sizeof(*ipc));
    if (!ipc)
        return NULL;
    ipc->users = 1;
    ipc->sem.max = ipc->msg.max = ipc->shm.max = 1 << SLOT_BITS; /* settings say less (procfs.h) */
    return ipc;
}

struct ipc *ipc_join(struct ipc *ipc)
{
    ipc->users++;
    return ipc;
}

static void remove_all(struct ipc_ids *ids)
{
    for (unsigned i = 0; i < ids->nslots; i++)
        if (ids->slots[i])
            ipc_remove(ids, ids->slots[i]);
    free(ids->slots);
    *ids = (struct ipc_ids){0};
}

void ipc_free_if_unused(struct ipc *ipc)
{
    if (!ipc->users && !ipc->mqueues)
        free(ipc);
}

void ipc_leave(struct ipc *ipc)
{
    if (!ipc)
        return;
    if (ipc->users == 1) {
        remove_all(&ipc->sem);
        remove_all(&ipc->msg);
        remove_all(&ipc->shm);
        mqueue_ipc_ends(ipc);
    }
    ipc->users--;
    ipc_free_if_unused(ipc);
}

struct ipc_object *ipc_find(const struct ipc_ids *ids, int id)
{
    if (id < 0 || (unsigned)(id & SLOT_MASK) >= ids->nslots)
        return NULL;
    struct ipc_object *o = ids->slots[id & SLOT_MASK];
    return o && o->id == id ? o : NULL;
}

static struct ipc_object *by_key(const struct ipc_ids *ids, key_t key)
{
    for (unsigned i = 0; i < ids->nslots; i++) {
        if (ids->slots[i] && ids->slots[i]->key == key)
            return ids->slots[i];
    }
    return NULL;
}

static bool in_group(const struct cred *c, gid_t gid)
{
    if (c->egid == gid)
        return true;
    for (unsigned i = 0; i < c->ngroups; i++) {
        if (c->groups[i] == gid)
            return true;
    }
    return false;
}

int ipc_allowed(struct task *t, const struct ipc_object *o, mode_t want)
{
    unsigned asked = (want >> 6 | want >> 3 | want) & 7, granted = o->mode;
    if (t->cred->euid == o->uid || t->cred->euid == o->cuid)
        granted >>= 6;
    else if (in_group(t->cred, o->gid) || in_group(t->cred, o->cgid))
        granted >>= 3;
    return (asked & ~granted) && !capable(t, CAP_IPC_OWNER) ? -EACCES : 0;
}

bool ipc_owned(struct task *t, const struct ipc_object *o)
{
    return t->cred->euid == o->uid || t->cred->euid == o->cuid || capable(t, CAP_SYS_ADMIN);
}

int ipc_lookup(struct task *t, struct ipc_ids *ids, key_t key, int flags, struct ipc_object **ret)
{
    struct ipc_object *o = key == IPC_PRIVATE ? NULL : by_key(ids, key);
    *ret = o;
    if (!o)
        return key == IPC_PRIVATE || (flags & IPC_CREAT) ? 0 : -ENOENT;
    if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
        return -EEXIST;
    int r = ipc_allowed(t, o, (mode_t)flags & 0777);
    return r < 0 ? r : 1;
}

static int grow(struct ipc_ids *ids)
{
    unsigned n = ids->nslots ? ids->nslots * 2 : 16;
    struct ipc_object **grown = reallocarray(ids->slots, n, sizeof(struct ipc_object *));
    if (!grown)
        return -ENOMEM;
    memset(grown + ids->nslots, 0, (n - ids->nslots) * sizeof(struct ipc_object *));
    ids->slots = grown;
    ids->nslots = n;
    return 0;
}

int ipc_add(struct task *t, struct ipc_ids *ids, struct ipc_object *o, key_t key, int flags)
{
    if (ids->used >= ids->max)
        return -ENOSPC;
    unsigned i = 0;
    while (i < ids->nslots && ids->slots[i])
        i++;
    if (i == ids->nslots && grow(ids) < 0)
        return -ENOMEM;
    o->key = key;
    o->id = (int)((ids->seq++ & SEQ_MASK) << SLOT_BITS | i);
    o->uid = o->cuid = t->cred->euid;
    o->gid = o->cgid = t->cred->egid;
    o->mode = (mode_t)flags & 0777;
    o->refs = 1;
    ids->slots[i] = o;
    ids->used++;
    return o->id;
}

void ipc_put(struct ipc_object *o)
{
    if (--o->refs == 0)
        o->free(o);
}

void ipc_remove(struct ipc_ids *ids, struct ipc_object *o)
{
    o->removed = true;
    ids->slots[o->id & SLOT_MASK] = NULL;
    ids->used--;
    ipc_put(o);
}

void ipc_fill_perm(const struct ipc_object *o, struct ipc_perm *perm)
{
    memset(perm, 0, sizeof(*perm));
    perm->__key = o->key;
    perm->uid = o->uid;
    perm->gid = o->gid;
    perm->cuid = o->cuid;
    perm->cgid = o->cgid;
    perm->mode = o->mode;
    perm->__seq = (unsigned short)((unsigned)o->id >> SLOT_BITS);
}

void ipc_set_perm(struct ipc_object *o, const struct ipc_perm *perm)
{
    o->uid = perm->uid;
    o->gid = perm->gid;
    o->mode = perm->mode & 0777;
}

int ipc_stat_slot(struct task *t, const struct ipc_ids *ids, int slot, bool any, struct ipc_object **ret)
{
    *ret = slot >= 0 && (unsigned)slot < ids->nslots ? ids->slots[slot] : NULL;
    if (!*ret)
        return -EINVAL;
    return any ? 0 : ipc_allowed(t, *ret, 0444);
}

int ipc_last_slot(const struct ipc_ids *ids)
{
    int last = 0;
    for (unsigned i = 0; i < ids->nslots; i++) {
        if (ids->slots[i])
            last = (int)i;
    }
    return last;
}

long ipc_buf_put(struct ipc_buf *buf, const void *data, size_t len)
{
    buf->len = len < sizeof(buf->data) ? len : sizeof(buf->data);
    memcpy(buf->data, data, buf->len);
    return 0;
}

long ipc_control(struct task *t, const struct sysargs *a, uaddr_t arg, size_t n_in,
                 long (*fn)(struct task *t, const struct sysargs *a, struct ipc_buf *buf))
{
    struct ipc_buf buf = {0};
    long r;
    if (copy_from_user(t, buf.data, arg, n_in) < 0)
        return -EFAULT;
    {
        LOCKED(&kernel.tasklist_lock);
        r = fn(t, a, &buf);
    }
    return r >= 0 && copy_to_user(t, arg, buf.data, buf.len) < 0 ? -EFAULT : r;
}
