/* process_vm_readv, process_vm_writev: by way of the keep's own access to both processes. */
#include <time.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/foreign.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/task/pidfd.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define NAP_NS 200000
#define NAPS 5000

/* The live task that pid names, with a reference, if t may look into it, and its memory. -EAGAIN: it has just
 * been made, and has not attached yet, or its rights are about to change. */
static struct task *find_target(struct task *t, pid_t pid, struct foreign *f, int *err)
{
    LOCKED(&kernel.tasklist_lock);
    struct task *other = task_by_tid(t->process->container->pids, pid);
    *err = -ESRCH;
    if (!other || other->exited)
        return NULL;
    *err = -EPERM;
    if (!may_look_into(t, other))
        return NULL;
    *err = -EAGAIN;
    quiet_call(other);
    if (atomic_load(&other->life) & (TASK_DYING | TASK_EXITED))
        *err = -ESRCH;
    if (!other->host_tid)
        return NULL;
    *err = foreign_begin(f, other->process, f->writes);
    return *err ? NULL : task_get(other);
}

static struct task *target(struct task *t, pid_t pid, struct foreign *f, int *err)
{
    struct task *other = find_target(t, pid, f, err);
    for (int i = 0; !other && *err == -EAGAIN && i < NAPS; i++) {
        worker_about_to_block();
        (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
        other = find_target(t, pid, f, err);
    }
    if (*err == -EAGAIN)
        *err = -ESRCH;
    return other;
}

/* The n bytes at buf were read from where u stood. */
static void show_original(struct uio u, char *buf, size_t n)
{
    for (; n > 0 && u.i < u.count; u.i++, u.off = 0) {
        size_t part = u.iov[u.i].iov_len - u.off;
        if (part > n)
            part = n;
        sites_show_original(u.task, (uaddr_t)(uintptr_t)u.iov[u.i].iov_base + u.off, buf, part);
        buf += part;
        n -= part;
    }
}

/* From, or to, the memory f. */
static ssize_t move(struct uio *from, struct uio *to, const struct foreign *f)
{
    _cleanup_iobuf_ struct iobuf b;
    size_t total = from->resid < to->resid ? from->resid : to->resid;
    ssize_t done = 0;
    if (iobuf_init(&b, total) < 0)
        return -ENOMEM;
    while ((size_t)done < total) {
        size_t left = total - (size_t)done, want = left < b.size ? left : b.size;
        const struct uio at = *from;
        ssize_t n = uio_get(from, b.p, want);
        if (n > 0 && !f->writes) {
            show_original(at, b.p, (size_t)n);
            if (!foreign_same(f))
                return done ? done : -ESRCH;
        }
        ssize_t w = n > 0 ? uio_put(to, b.p, (size_t)n) : n;
        if (w < 0)
            return done ? done : w;
        done += w;
        if (w < (ssize_t)want)
            break;
    }
    return done;
}

static long process_vm(struct task *t, const struct sysargs *a, bool write)
{
    struct uio local, remote;
    int err;
    if (a->arg[5])
        return -EINVAL;
    int r = uio_init_vec(&local, t, a->arg[1], a->arg[2]);
    if (r < 0)
        return r;
    r = uio_init_vec(&remote, t, a->arg[3], a->arg[4]);
    if (r < 0) {
        uio_done(&local);
        return r;
    }
    ssize_t n = 0;
    _cleanup_foreign_ struct foreign f = {.writes = write};
    struct task *other = local.resid && remote.resid ? target(t, (pid_t)a->arg[0], &f, &err) : NULL;
    if (other) {
        remote.task = other; /* the vector was t's, what it points to is the other's */
        n = write ? move(&local, &remote, &f) : move(&remote, &local, &f);
        task_put(other);
    } else if (local.resid && remote.resid) {
        n = err;
    }
    uio_done(&local);
    uio_done(&remote);
    return n;
}

long sys_process_vm_readv(struct task *t, const struct sysargs *a)
{
    return process_vm(t, a, false);
}

long sys_process_vm_writev(struct task *t, const struct sysargs *a)
{
    return process_vm(t, a, true);
}
