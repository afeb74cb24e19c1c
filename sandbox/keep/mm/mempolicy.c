/* get_mempolicy(2) and set_mempolicy(2). */
#include <errno.h>
#include <linux/mempolicy.h>

#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

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
