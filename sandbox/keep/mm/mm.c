/* Memory calls that do not go natively by themselves: mappings of files, and those that the filter would not
 * judge. */
#include <errno.h>
#include <fcntl.h>
#include <asm/prctl.h>
#include <linux/futex.h>
#include <sys/mman.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

/* The gate's place is refused: an honest program must not lose its gate, and no program may change the gate's
 * text, as some of what is there the keep lets the host read (seccomp_native.c). */

/* What is wrong with a mapping whatever it is of. */
static int check_map(uint64_t addr, uint64_t len, uint64_t flags)
{
    uint64_t type = flags & MAP_TYPE;

    if (len == 0 || (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE))
        return -EINVAL;
    if ((flags & MAP_FIXED || flags & MAP_FIXED_NOREPLACE) && gate_meets(addr, len))
        return -ENOMEM;
    return flags & MAP_HUGETLB ? -EINVAL : 0; /* the host's reserve is not the guest's to take */
}

static long map_file(struct task *t, const struct sysargs *a)
{
    int fd = (int)a->arg[4];
    _cleanup_file_ struct file *f = fd_get(t, fd);

    if (!f)
        return -EBADF;
    int err = check_map(a->arg[0], a->arg[1], a->arg[3]);
    if (err)
        return err;
    unsigned mode = atomic_load(&f->flags) & O_ACCMODE;
    if (mode != O_RDONLY && mode != O_RDWR)
        return -EACCES; /* a mapping for writing alone is readable, too */
    if (f->kind & FILE_DIR || f->hostfd < 0 || !(f->kind & FILE_LANE))
        return -ENODEV;
    /* As libraries are loaded: the gate is told, which maps the other segments. */
    bool more = a->arg[3] & (MAP_FIXED | MAP_DENYWRITE);
    int r = more && lane_ready(t, a, fd, f, SIZE_MAX) ? 0 : lane_donate(t, a, fd, f);
    return r < 0 ? r : SYS_CONTINUE;
}

long sys_mmap(struct task *t, const struct sysargs *a)
{
    if (!(a->arg[3] & MAP_ANONYMOUS))
        return map_file(t, a);
    int err = check_map(a->arg[0], a->arg[1], a->arg[3]);
    return err ? err : SYS_CONTINUE;
}

long sys_munmap(struct task *t, const struct sysargs *a)
{
    (void)t;
    return gate_meets(a->arg[0], a->arg[1]) ? -EINVAL : SYS_CONTINUE;
}

long sys_mprotect(struct task *t, const struct sysargs *a)
{
    (void)t;
    return gate_meets(a->arg[0], a->arg[1]) ? -EACCES : SYS_CONTINUE;
}

long sys_mremap(struct task *t, const struct sysargs *a)
{
    (void)t;
    if (gate_meets(a->arg[0], a->arg[1]) || ((a->arg[3] & MREMAP_FIXED) && gate_meets(a->arg[4], a->arg[2])))
        return -EINVAL;
    return SYS_CONTINUE;
}

long sys_madvise(struct task *t, const struct sysargs *a)
{
    int advice = (int)a->arg[2];

    (void)t;
    if (gate_meets(a->arg[0], a->arg[1]))
        return -EINVAL;
    if (advice == MADV_MERGEABLE || advice == MADV_UNMERGEABLE)
        return 0; /* a hint; sharing pages between sandboxes would tell of their contents */
    return advice < 0 || advice > MADV_POPULATE_WRITE ? -EINVAL : SYS_CONTINUE;
}

/* The native one is the gate's; the guest's is the gate's to serve. Only a guest that jumps into the gate
 * gets here. */
long sys_brk(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return -EINVAL;
}

/* Locks with priority inheritance do not come here: the gate makes plain ones of them (sandbox/gate/futex.c).
 */
long sys_futex(struct task *t, const struct sysargs *a)
{
    (void)t;
    switch (a->arg[1] & ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return SYS_CONTINUE_BLOCKING;
    case FUTEX_WAKE:
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_WAKE_OP:
    case FUTEX_WAKE_BITSET:
        return SYS_CONTINUE;
    default:
        return -ENOSYS;
    }
}

long sys_rseq(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_CONTINUE;
}

long sys_arch_prctl(struct task *t, const struct sysargs *a)
{
    (void)t;
    switch (a->arg[0]) {
    case ARCH_SET_FS:
    case ARCH_GET_FS:
    case ARCH_SET_GS:
    case ARCH_GET_GS:
        return SYS_CONTINUE;
    case ARCH_GET_CPUID:
        return 1;
    case ARCH_SET_CPUID:
        return -ENODEV; /* as on processors that can not trap it */
    default:
        return -EINVAL;
    }
}

/* The caller's own memory, by registers: the host's business. So are the other calls that syscalls.def has
 * answered by this. */
long sys_mlock(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return SYS_CONTINUE;
}
