/* Shared memory segments (shmget(2), shmop(2), shmctl(2)).
 *
 * A segment is a sealed memfd of the host. Mapping it is the guest's own native mmap: the gate asks
 * (GATE_SHMAT), gets a descriptor and where to map it, and says when it is done. Who has it mapped, the
 * host's /proc/PID/maps tells. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/events/aio.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/mm/maps.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/ipc/sysv_shm.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs.h"
#include "sandbox/keep/task/unheard.h"

#define PAGE 4096UL
#define SEGMENT_MAX (1UL << 46)
#ifndef SHM_EXEC
#define SHM_EXEC 0100000
#endif

struct segment {
    struct ipc_object obj;
    struct ipc *ipc;
    size_t size;    /* as asked for */
    int fd, ro_fd;  /* the memfd, for both kinds of attachment */
    struct stat st; /* of the memfd: its device and inode */
    bool dest;      /* IPC_RMID came: goes with the last attachment */
    bool locked;    /* SHM_LOCK: told, but there is no swap to keep it from */
    pid_t cpid, lpid;
    time_t atime, dtime, ctime;
};

static time_t wall_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

static uint64_t pages(size_t size)
{
    return (size + PAGE - 1) / PAGE;
}

static void segment_free(struct ipc_object *o)
{
    struct segment *s = (struct segment *)o;
    s->ipc->shm_pages -= pages(s->size);
    close(s->fd);
    close(s->ro_fd);
    free(s);
}

/* Who has it mapped ----------------------------------------------------------------------------------------
 */

/* The next mapping of s in a maps text. */
static bool next_mapping(const char **at, const struct segment *s, struct mapping *m)
{
    while (maps_next(at, m))
        if (m->ino == s->st.st_ino && m->dev == s->st.st_dev)
            return true;
    return false;
}

/* [T] */
static unsigned long count_attached(const struct segment *s)
{
    unsigned long n = 0;
    const struct container *c;

    unheard_find_all();
    DL_FOREACH(kernel.container, c)
    for (const struct process *p = c->ipc == s->ipc ? c->pids->processes : NULL; p; p = p->hh_pid.next) {
        _cleanup_sb_ struct strbuf maps = {0};
        struct mapping m;
        if (p->container != c || p->state != PROCESS_ALIVE || !p->host_pid ||
            host_proc_read(&maps, "%d/maps", p->host_pid) < 0)
            continue;
        for (const char *at = maps.s; next_mapping(&at, s, &m);)
            n += m.off == 0;
    }
    return n;
}

/* [T] Lets go of removed segments that nobody has any more. */
static void sweep(struct ipc *ipc)
{
    for (unsigned i = 0; i < ipc->shm.nslots; i++) {
        struct segment *s = (struct segment *)ipc->shm.slots[i];
        if (s && s->dest && count_attached(s) == 0)
            ipc_remove(&ipc->shm, &s->obj);
    }
}

/* Making ---------------------------------------------------------------------------------------------------
 */

static int segment_memory(struct segment *s)
{
    vfs_assume_self();
    s->fd = memfd_create("SYSV", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->fd < 0)
        return -errno;
    if (ftruncate(s->fd, (off_t)(pages(s->size) * PAGE)) < 0 || fstat(s->fd, &s->st) < 0 ||
        fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    s->ro_fd = hostfd_reopen(s->fd, O_RDONLY);
    return s->ro_fd < 0 ? s->ro_fd : 0;
}

static long segment_make(struct task *t, struct ipc *ipc, key_t key, size_t size, int flags)
{
    if (size == 0)
        return -EINVAL;
    if (size > procfs_limit(LIMIT_SHMMAX))
        return -EINVAL;
    if (size > SEGMENT_MAX)
        return -ENOMEM;
    if (ipc->shm.used >= procfs_limit(LIMIT_SHMMNI) ||
        ipc->shm_pages + pages(size) > procfs_limit(LIMIT_SHMALL))
        return -ENOSPC;
    if (flags & SHM_HUGETLB) /* the host's reserve is not the guest's to take */
        return -EPERM;
    struct segment *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->obj.free = segment_free;
    s->ipc = ipc;
    s->size = size;
    s->fd = s->ro_fd = -1;
    s->cpid = t->process->pid;
    s->ctime = wall_clock();
    ipc->shm_pages += pages(size);
    long r = segment_memory(s);
    if (r == 0)
        r = ipc_add(t, &ipc->shm, &s->obj, key, flags);
    if (r < 0)
        segment_free(&s->obj);
    return r;
}

long sys_shmget(struct task *t, const struct sysargs *a)
{
    key_t key = (key_t)a->arg[0];
    int flags = (int)a->arg[2];
    LOCKED(&kernel.tasklist_lock);
    struct ipc *ipc = t->process->container->ipc;
    sweep(ipc);
    struct ipc_object *o;
    int r = ipc_lookup(t, &ipc->shm, key, flags, &o);
    if (r < 0)
        return r;
    if (r == 0)
        return segment_make(t, ipc, key, a->arg[1], flags);
    return a->arg[1] > ((struct segment *)o)->size ? -EINVAL : o->id;
}

/* Attaching ------------------------------------------------------------------------------------------------
 */

static void shm_link_name(struct file *f, char *buf, size_t size)
{
    (void)f;
    snprintf(buf, size, "/SYSV (deleted)");
}

/* What the guest holds of a segment for the moment in which it maps it. */
static const struct file_ops shm_ops = {.name = "SYSV", .link_name = shm_link_name};

static int check_address(uint64_t *addr, int flags)
{
    if (!*addr)
        return flags & SHM_REMAP ? -EINVAL : 0;
    if (*addr & (PAGE - 1)) {
        if (!(flags & SHM_RND))
            return -EINVAL;
        *addr &= ~(PAGE - 1);
    }
    return *addr < GATE_LIMIT ? -EINVAL : 0;
}

/* [T] The segment's memory as a new descriptor of the keep; *size its length. */
static int attach_fd(struct task *t, int id, int flags, size_t *size)
{
    struct ipc *ipc = t->process->container->ipc;
    struct segment *s = (struct segment *)ipc_find(&ipc->shm, id);
    if (!s)
        return -EINVAL;
    mode_t want = flags & SHM_RDONLY ? 0444 : 0666;
    int r = ipc_allowed(t, &s->obj, flags & SHM_EXEC ? want | 0111 : want);
    if (r < 0)
        return r;
    s->lpid = t->process->pid;
    s->atime = wall_clock();
    *size = pages(s->size) * PAGE;
    r = fcntl(flags & SHM_RDONLY ? s->ro_fd : s->fd, F_DUPFD_CLOEXEC, 3);
    return r < 0 ? -errno : r;
}

/* Puts the descriptor into the guest. Its number, or -errno. */
static int lend(struct task *t, const struct sysargs *a, int hostfd, int flags)
{
    unsigned mode = flags & SHM_RDONLY ? O_RDONLY : O_RDWR;
    struct file *f = file_new(&shm_ops, mode, FILE_LANE | FILE_NOPOLL, hostfd, NULL);
    if (!f) {
        close(hostfd);
        return -ENOMEM;
    }
    return fd_return_donated(t, a, f);
}

long gate_shmat(struct task *t, const struct sysargs *a)
{
    uint64_t addr = a->arg[1];
    int flags = (int)a->arg[2];
    size_t size = 0;
    int hostfd = check_address(&addr, flags);
    if (hostfd == 0) {
        LOCKED(&kernel.tasklist_lock);
        hostfd = attach_fd(t, (int)a->arg[0], flags, &size);
    }
    if (hostfd < 0)
        return hostfd;
    int fd = lend(t, a, hostfd, flags);
    if (fd < 0)
        return fd;
    struct gate_op op = {.kind = GATE_OP_MAP, .fd = fd, .addr = addr, .len = size, .flags = MAP_SHARED};
    op.prot = PROT_READ | (flags & SHM_RDONLY ? 0U : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0U);
    if (addr)
        op.flags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    return copy_to_user(t, a->arg[3], &op, sizeof(op));
}

/* 1: the gate is to close the descriptor natively, too. */
long gate_shm_done(struct task *t, const struct sysargs *a)
{
    int fd = (int)a->arg[0];
    _cleanup_file_ struct file *f = fd_get(t, fd);
    if (!f || (f->ops != &shm_ops && !mailbox_is_lent(f) && !aio_is_lent(f)))
        return -EBADF;
    bool native = false;
    (void)fd_close(t, a, fd, &native);
    return native;
}

/* How much is mapped from addr on of the segment that begins there; 0: none does. */
static uint64_t attached_at(const char *maps, const struct segment *s, uint64_t addr)
{
    struct mapping m;
    uint64_t end = 0;
    for (const char *at = maps; next_mapping(&at, s, &m);) {
        if (m.start == addr && m.off == 0)
            end = m.end;
        else if (end && m.start == end && m.off == end - addr)
            end = m.end;
    }
    return end ? end - addr : 0;
}

/* The gate asks how much it is to unmap. */
long gate_shmdt(struct task *t, const struct sysargs *a)
{
    uint64_t addr = a->arg[0], len = 0;
    _cleanup_sb_ struct strbuf maps = {0};
    if (addr < GATE_LIMIT || (addr & (PAGE - 1)))
        return -EINVAL;
    if (host_proc_read(&maps, "%d/maps", t->process->host_pid) < 0 || !maps.s)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct ipc *ipc = t->process->container->ipc;
        for (unsigned i = 0; !len && i < ipc->shm.nslots; i++) {
            struct segment *s = (struct segment *)ipc->shm.slots[i];
            len = s ? attached_at(maps.s, s, addr) : 0;
            if (len) {
                s->lpid = t->process->pid;
                s->dtime = wall_clock();
            }
        }
    }
    if (!len)
        return -EINVAL;
    struct gate_op op = {.addr = addr, .len = len};
    return copy_to_user(t, a->arg[1], &op, sizeof(op));
}

/* Control --------------------------------------------------------------------------------------------------
 */

static long stat_segment(const struct segment *s, struct ipc_buf *buf)
{
    struct shmid_ds ds;
    memset(&ds, 0, sizeof(ds));
    ipc_fill_perm(&s->obj, &ds.shm_perm);
    if (s->dest)
        ds.shm_perm.mode |= SHM_DEST;
    if (s->locked)
        ds.shm_perm.mode |= SHM_LOCKED;
    ds.shm_segsz = s->size;
    ds.shm_atime = s->atime;
    ds.shm_dtime = s->dtime;
    ds.shm_ctime = s->ctime;
    ds.shm_cpid = s->cpid;
    ds.shm_lpid = s->lpid;
    ds.shm_nattch = count_attached(s);
    return ipc_buf_put(buf, &ds, sizeof(ds));
}

static long change_segment(struct task *t, struct segment *s, int cmd, const struct ipc_buf *buf)
{
    struct shmid_ds ds;
    if (!ipc_owned(t, &s->obj))
        return -EPERM;
    if (cmd == IPC_RMID) {
        s->dest = true;
        s->obj.key = IPC_PRIVATE; /* nobody finds it by its key any more */
        sweep(s->ipc);
        return 0;
    }
    memcpy(&ds, buf->data, sizeof(ds));
    ipc_set_perm(&s->obj, &ds.shm_perm);
    s->ctime = wall_clock();
    return 0;
}

static long info(const struct ipc *ipc, int cmd, struct ipc_buf *buf)
{
    if (cmd == IPC_INFO) {
        struct shminfo si = {.shmmax = procfs_limit(LIMIT_SHMMAX),
                             .shmmin = 1,
                             .shmmni = procfs_limit(LIMIT_SHMMNI),
                             .shmseg = procfs_limit(LIMIT_SHMMNI),
                             .shmall = procfs_limit(LIMIT_SHMALL)};
        (void)ipc_buf_put(buf, &si, sizeof(si));
    } else {
        struct shm_info si = {
            .used_ids = (int)ipc->shm.used, .shm_tot = ipc->shm_pages, .shm_rss = ipc->shm_pages};
        (void)ipc_buf_put(buf, &si, sizeof(si));
    }
    return ipc_last_slot(&ipc->shm);
}

static long stat_by_slot(struct task *t, const struct ipc *ipc, int slot, int cmd, struct ipc_buf *buf)
{
    struct ipc_object *o;
    int r = ipc_stat_slot(t, &ipc->shm, slot, cmd == SHM_STAT_ANY, &o);
    if (r < 0)
        return r;
    (void)stat_segment((const struct segment *)o, buf);
    return o->id;
}

/* [T] */
static long control(struct task *t, const struct sysargs *a, struct ipc_buf *buf)
{
    int id = (int)a->arg[0], cmd = (int)a->arg[1];
    struct ipc *ipc = t->process->container->ipc;
    sweep(ipc);
    if (cmd == IPC_INFO || cmd == SHM_INFO)
        return info(ipc, cmd, buf);
    if (cmd == SHM_STAT || cmd == SHM_STAT_ANY)
        return stat_by_slot(t, ipc, id, cmd, buf);
    struct segment *s = (struct segment *)ipc_find(&ipc->shm, id);
    int r;
    if (!s)
        return -EINVAL;
    switch (cmd) {
    case IPC_STAT:
        r = ipc_allowed(t, &s->obj, 0444);
        return r < 0 ? r : stat_segment(s, buf);
    case IPC_SET:
    case IPC_RMID:
        return change_segment(t, s, cmd, buf);
    case SHM_LOCK:
    case SHM_UNLOCK:
        if (!ipc_owned(t, &s->obj) && !capable(t, CAP_IPC_LOCK))
            return -EPERM;
        s->locked = cmd == SHM_LOCK;
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_shmctl(struct task *t, const struct sysargs *a)
{
    return ipc_control(t, a, a->arg[2], (int)a->arg[1] == IPC_SET ? sizeof(struct shmid_ds) : 0, control);
}

/* Only a guest that jumps into the gate gets here: the gate serves these. */
long sys_shmat(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return -EINVAL;
}

long sys_shmdt(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return -EINVAL;
}

void sysv_show_shm(struct task *t, struct strbuf *sb)
{
    sb_printf(sb, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  "
                  "cgid      atime "
                  "     dtime      ctime                   rss                  swap\n");
    LOCKED(&kernel.tasklist_lock);
    const struct ipc *ipc = t->process->container->ipc;
    for (unsigned i = 0; i < ipc->shm.nslots; i++) {
        const struct segment *s = (const struct segment *)ipc->shm.slots[i];
        if (!s)
            continue;
        sb_printf(sb, "%10d %10d  %4o %21lu %5d %5d  %5lu %5u %5u %5u %5u %10lld %10lld %10lld %21lu %21lu\n",
                  s->obj.key, s->obj.id, s->obj.mode | (s->dest ? SHM_DEST : 0U), (unsigned long)s->size,
                  s->cpid, s->lpid, count_attached(s), s->obj.uid, s->obj.gid, s->obj.cuid, s->obj.cgid,
                  (long long)s->atime, (long long)s->dtime, (long long)s->ctime,
                  (unsigned long)(pages(s->size) * PAGE), 0UL);
    }
}
