/* io_submit(2) and io_cancel(2): requests, each copied in once. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "sandbox/keep/events/aio.h"
#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/signal/signalfd.h"
#include "sandbox/keep/net/sock.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define POLL_DEFAULT (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
#define ADDRESS_END 0x7ffffffff000UL
#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

static void put_files(struct aio_request *r)
{
    if (r->file)
        file_put(r->file);
    if (r->notify)
        file_put(r->notify);
}

/* It is done, with this result. */
static int done(struct aio_context *c, struct aio_request *r, long result)
{
    r->event.res = result;
    {
        LOCKED(&kernel.tasklist_lock);
        aio_complete(c, &r->event);
    }
    if (r->notify)
        eventfd_signal(r->notify);
    put_files(r);
    return 0;
}

/* Transfers
 * ----------------------------------------------------------------------------------------------- */

static int check_transfer(struct task *t, struct file *f, const struct iocb *cb, bool write)
{
    unsigned mode = atomic_load(&f->flags) & O_ACCMODE;
    int r = cb->aio_flags & IOCB_FLAG_IOPRIO ? ioprio_check(t, cb->aio_reqprio) : 0;
    if (r < 0)
        return r;
    if (cb->aio_rw_flags & ~RWF_KNOWN)
        return -EOPNOTSUPP;
    if (mode != O_RDWR && mode != (write ? O_WRONLY : O_RDONLY))
        return -EBADF;
    if ((f->kind & FILE_DIR) || !((f->kind & FILE_LANE) || (write ? f->ops->write : f->ops->read)))
        return -EINVAL;
    return 0;
}

static int get_buffers(struct task *t, const struct iocb *cb, bool vector, struct uio *u)
{
    if (vector)
        return uio_init_vec(u, t, cb->aio_buf, cb->aio_nbytes);
    if (cb->aio_buf > ADDRESS_END || cb->aio_nbytes > ADDRESS_END - cb->aio_buf)
        return -EFAULT;
    uio_init_one(u, t, cb->aio_buf, cb->aio_nbytes);
    return 0;
}

static bool is_interrupted(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return signal_pending(t) || t->sleep_stopped || (atomic_load(&t->life) & (TASK_DYING | TASK_EXITED));
}

/* As the call of that kind, waiting where that would. */
static long transfer(struct task *t, struct file *f, const struct iocb *cb, bool write, struct uio *u)
{
    long n;
    if (sock_of(f) && cb->aio_offset)
        return -ESPIPE;
    if ((f->kind & FILE_LANE) && (atomic_load(&f->flags) & O_DIRECT))
        worker_about_to_block();
    do
        n = file_transfer(t, f, write, cb->aio_offset, cb->aio_rw_flags & ~RWF_HIPRI, u);
    while (is_restart(n) && !is_interrupted(t));
    return is_restart(n) ? -EINTR : n;
}

static int start_transfer(struct task *t, struct aio_context *c, struct aio_request *r, const struct iocb *cb)
{
    bool vector = cb->aio_lio_opcode == IOCB_CMD_PREADV || cb->aio_lio_opcode == IOCB_CMD_PWRITEV;
    bool write = cb->aio_lio_opcode == IOCB_CMD_PWRITE || cb->aio_lio_opcode == IOCB_CMD_PWRITEV;
    struct uio u;
    int64_t end;
    int err = check_transfer(t, r->file, cb, write);
    if (err == 0)
        err = get_buffers(t, cb, vector, &u);
    if (err < 0)
        return err;
    if (cb->aio_offset < 0 || __builtin_add_overflow(cb->aio_offset, (int64_t)u.resid, &end)) {
        uio_done(&u);
        return -EINVAL;
    }
    {
        LOCKED(&kernel.tasklist_lock);
        c->transfers++;
    }
    long n = transfer(t, r->file, cb, write, &u);
    uio_done(&u);
    {
        LOCKED(&kernel.tasklist_lock);
        c->transfers--;
    }
    if (n == -EOPNOTSUPP && cb->aio_rw_flags) /* not for this file: said at once, and no event */
        return -EOPNOTSUPP;
    return done(c, r, n);
}

static int start_sync(struct task *t, struct aio_context *c, struct aio_request *r, const struct iocb *cb)
{
    if (cb->aio_buf || cb->aio_offset || cb->aio_nbytes || cb->aio_rw_flags || !r->file->ops->fsync)
        return -EINVAL;
    return done(c, r, file_fsync(t, r->file, cb->aio_lio_opcode == IOCB_CMD_FDSYNC));
}

static int start_poll(struct task *t, struct aio_context *c, struct aio_request *r, const struct iocb *cb)
{
    struct file *f = r->file;
    short events = (short)cb->aio_buf;
    if (cb->aio_buf > UINT16_MAX || cb->aio_offset || cb->aio_nbytes || cb->aio_rw_flags)
        return -EINVAL;
    if (f->hostfd < 0 || (f->kind & FILE_NOPOLL)) /* ready by nature, or never */
        return events & POLL_DEFAULT ? done(c, r, events & POLL_DEFAULT) : -EINVAL;
    signalfd_rebind(f, t);
    struct pollfd now = {.fd = f->hostfd, .events = events};
    if (poll(&now, 1, 0) == 1)
        return done(c, r, (uint16_t)now.revents);
    return aio_poll_start(c, r, events);
}

/* Submission
 * ---------------------------------------------------------------------------------------------- */

static int get_files(struct task *t, struct aio_request *r, const struct iocb *cb)
{
    r->file = fd_get(t, (int)cb->aio_fildes);
    if (!r->file)
        return -EBADF;
    if (!(cb->aio_flags & IOCB_FLAG_RESFD))
        return 0;
    r->notify = fd_get(t, (int)cb->aio_resfd);
    if (!r->notify)
        return -EBADF;
    return file_is_eventfd(r->notify) ? 0 : -EINVAL;
}

/* r's files are taken over where it succeeds. */
static int start(struct task *t, struct aio_context *c, struct aio_request *r, const struct iocb *cb)
{
    switch (cb->aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        return start_transfer(t, c, r, cb);
    case IOCB_CMD_FSYNC:
    case IOCB_CMD_FDSYNC:
        return start_sync(t, c, r, cb);
    case IOCB_CMD_POLL:
        return start_poll(t, c, r, cb);
    default: /* IOCB_CMD_NOOP, too */
        return -EINVAL;
    }
}

static int submit_one(struct task *t, struct aio_context *c, uaddr_t at)
{
    struct iocb cb;
    if (get_user(t, &cb, at) < 0)
        return -EFAULT;
    if (cb.aio_reserved2 || (int64_t)cb.aio_nbytes < 0)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        int err = aio_reserve(c);
        if (err < 0)
            return err;
    }
    struct aio_request r = {.event = {.data = cb.aio_data, .obj = at}};
    int err = get_files(t, &r, &cb);
    if (err == 0) /* the key by which io_cancel knows it */
        err = put_user(t, 0, uint32_t, at + offsetof(struct iocb, aio_key));
    if (err == 0)
        err = start(t, c, &r, &cb);
    if (err == 0)
        return 0;
    put_files(&r);
    LOCKED(&kernel.tasklist_lock);
    c->flight--;
    pthread_cond_broadcast(&c->changed);
    return err;
}

long sys_io_submit(struct task *t, const struct sysargs *a)
{
    long n = (long)a->arg[1], i;
    _cleanup_aio_ struct aio_context *c = n >= 0 && a->arg[0] ? aio_find(t, a->arg[0]) : NULL;
    if (!c)
        return -EINVAL;
    if (n > (long)c->nr)
        n = c->nr;
    for (i = 0; i < n; i++) {
        uint64_t at;
        int err = get_user(t, &at, a->arg[2] + (uaddr_t)i * sizeof(at));
        if (err == 0)
            err = submit_one(t, c, at);
        if (err < 0)
            return i ? i : err;
    }
    return i;
}

long sys_io_cancel(struct task *t, const struct sysargs *a)
{
    uint32_t key;
    struct aio_poll *p;
    if (get_user(t, &key, a->arg[1] + offsetof(struct iocb, aio_key)) < 0)
        return -EFAULT;
    _cleanup_aio_ struct aio_context *c = key == 0 && a->arg[0] ? aio_find(t, a->arg[0]) : NULL;
    if (!c)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        p = aio_poll_cancel(c, a->arg[1]);
    }
    if (!p)
        return -EINVAL;
    aio_poll_end(p);
    return -EINPROGRESS;
}
