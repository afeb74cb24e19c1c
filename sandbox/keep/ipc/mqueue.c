/* POSIX message queues (mq_overview(7)): named, in the container's ipc state. */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/ipc/mqueue.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

#define HARD_MAXMSG 65536
#define HARD_MSGSIZE (16 << 20)
#define PRIO_MAX_ 32768

struct mq_message {
    struct mq_message *next, *prev; /* utlist: by priority, then age */
    unsigned prio;
    size_t size;
    char data[];
};

/* All of it under kernel.tasklist_lock. */
struct mqueue {
    struct mqueue *next, *prev; /* utlist, as long as it lives */
    struct ipc *ipc;
    unsigned refs; /* the name's, and the open files' */
    bool named;
    char name[NAME_MAX + 1];
    uid_t uid;
    gid_t gid;
    mode_t mode;
    long maxmsg, msgsize, count;
    size_t bytes;
    struct mq_message *messages;
    pthread_cond_t changed;
    unsigned receivers;     /* that wait */
    int ready_fd;           /* an eventfd: readable with messages, writable with room */
    struct process *notify; /* who asked to be told of the next message; not counted: its end clears it */
    int notify_how, notify_signo;
    uint64_t notify_value;
};

/* The three states of the queue as counts of an eventfd. */
static void update_ready(const struct mqueue *q)
{
    eventfd_t old;
    eventfd_t now = q->count == 0 ? 0 : q->count < q->maxmsg ? 1 : UINT64_MAX - 1;
    (void)eventfd_read(q->ready_fd, &old);
    if (now)
        (void)eventfd_write(q->ready_fd, now);
}

static void queue_put(struct mqueue *q)
{
    if (--q->refs)
        return;
    while (q->messages) {
        struct mq_message *m = q->messages;
        DL_DELETE(q->messages, m);
        free(m);
    }
    struct ipc *ipc = q->ipc;
    DL_DELETE(ipc->mqueues, q);
    close(q->ready_fd);
    pthread_cond_destroy(&q->changed);
    free(q);
    ipc_free_if_unused(ipc);
}

void mqueue_ipc_ends(struct ipc *ipc)
{
    struct mqueue *q, *tmp;
    DL_FOREACH_SAFE(ipc->mqueues, q, tmp)
    if (q->named) {
        q->named = false;
        queue_put(q);
    }
}

static struct mqueue *queue_by_name(const struct ipc *ipc, const char *name)
{
    struct mqueue *q;
    DL_FOREACH(ipc->mqueues, q)
    {
        if (q->named && strcmp(q->name, name) == 0)
            return q;
    }
    return NULL;
}

/* The open file -------------------------------------------------------------------------------------------
 */

/* [T] */
static int status_text(const struct mqueue *q, char *buf, size_t size)
{
    return snprintf(buf, size, "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
                    (unsigned long)q->bytes, q->notify ? q->notify_how : 0,
                    q->notify && q->notify_how == SIGEV_SIGNAL ? q->notify_signo : 0,
                    q->notify ? q->notify->pid : 0);
}

bool mqueue_info(const struct ipc *ipc, const char *name, unsigned index, struct mqueue_info *ret)
{
    LOCKED(&kernel.tasklist_lock);
    struct mqueue *q = ipc->mqueues;
    for (; q; q = q->next) {
        if (q->named && (name ? strcmp(q->name, name) == 0 : index-- == 0))
            break;
    }
    if (!q)
        return false;
    memcpy(ret->name, q->name, sizeof(ret->name));
    ret->uid = q->uid;
    ret->gid = q->gid;
    ret->mode = q->mode;
    (void)status_text(q, ret->text, sizeof(ret->text));
    return true;
}

static ssize_t mq_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)t;
    char text[128];
    int n;
    {
        LOCKED(&kernel.tasklist_lock);
        n = status_text(f->priv, text, sizeof(text));
    }
    off_t at = pos ? *pos : 0;
    if (at < 0 || at >= n)
        return 0;
    size_t left = (size_t)(n - at);
    ssize_t put = uio_put(u, text + at, left < u->resid ? left : u->resid);
    if (put > 0 && pos)
        *pos += put;
    return put;
}

static void mq_link_name(struct file *f, char *buf, size_t size)
{
    const struct mqueue *q = f->priv;
    snprintf(buf, size, "/%s", q->name);
}

static void mq_release(struct file *f)
{
    LOCKED(&kernel.tasklist_lock);
    queue_put(f->priv);
}

static const struct file_ops mq_ops = {
    .name = "mqueue", .read = mq_read, .link_name = mq_link_name, .release = mq_release};

/* The queue behind fd, with the file's reference in *file; NULL: EBADF. */
static struct mqueue *queue_of_fd(struct task *t, int fd, struct file **file)
{
    struct file *f = fd_get(t, fd);
    if (f && f->ops != &mq_ops) {
        file_put(f);
        f = NULL;
    }
    *file = f;
    return f ? f->priv : NULL;
}

/* Opening --------------------------------------------------------------------------------------------------
 */

static int check_attr(struct task *t, const struct mq_attr *attr)
{
    bool resource = capable(t, CAP_SYS_RESOURCE);
    long maxmsg = resource ? HARD_MAXMSG : (long)procfs_limit(LIMIT_MQ_MSG),
         msgsize = resource ? HARD_MSGSIZE : (long)procfs_limit(LIMIT_MQ_MSGSIZE);
    maxmsg = maxmsg > HARD_MAXMSG ? HARD_MAXMSG : maxmsg;
    msgsize = msgsize > HARD_MSGSIZE ? HARD_MSGSIZE : msgsize;
    if (attr->mq_maxmsg <= 0 || attr->mq_msgsize <= 0 || attr->mq_maxmsg > maxmsg ||
        attr->mq_msgsize > msgsize)
        return -EINVAL;
    uint64_t bytes = (uint64_t)attr->mq_maxmsg * ((uint64_t)attr->mq_msgsize + sizeof(struct mq_message));
    return bytes > t->process->rlim[RLIMIT_MSGQUEUE].rlim_cur ? -EMFILE : 0;
}

static int queue_make(struct task *t, struct ipc *ipc, const char *name, mode_t mode,
                      const struct mq_attr *attr, struct mqueue **ret)
{
    int r = check_attr(t, attr), n = 0;
    struct mqueue *q;
    DL_COUNT(ipc->mqueues, q, n);
    if (r < 0)
        return r;
    if ((unsigned long)n >= procfs_limit(LIMIT_MQ_QUEUES) && !capable(t, CAP_SYS_RESOURCE))
        return -ENOSPC;
    q = calloc(1, sizeof(*q));
    int fd = q ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (fd < 0) {
        free(q);
        return -ENOMEM;
    }
    snprintf(q->name, sizeof(q->name), "%s", name);
    q->ipc = ipc;
    q->refs = 1;
    q->named = true;
    q->ready_fd = fd;
    q->uid = t->cred->fsuid;
    q->gid = t->cred->fsgid;
    q->mode = mode & 0777;
    q->maxmsg = attr->mq_maxmsg;
    q->msgsize = attr->mq_msgsize;
    pthread_cond_init(&q->changed, NULL);
    DL_APPEND(ipc->mqueues, q);
    *ret = q;
    return 0;
}

static int queue_allowed(struct task *t, const struct mqueue *q, int flags)
{
    static const mode_t wants[] = {[O_RDONLY] = 0444, [O_WRONLY] = 0222, [O_RDWR] = 0666};
    if ((flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    struct ipc_object as = {.uid = q->uid, .cuid = q->uid, .gid = q->gid, .cgid = q->gid, .mode = q->mode};
    if (capable(t, CAP_DAC_OVERRIDE))
        return 0;
    return ipc_allowed(t, &as, wants[flags & O_ACCMODE]);
}

static int check_name(const char *name)
{
    if (!*name)
        return -EINVAL;
    return strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? -EACCES : 0;
}

/* The queue to open, with a reference. */
static int queue_open(struct task *t, const char *name, int flags, mode_t mode, const struct mq_attr *attr,
                      struct mqueue **ret)
{
    LOCKED(&kernel.tasklist_lock);
    struct ipc *ipc = t->process->container->ipc;
    struct mqueue *q = queue_by_name(ipc, name);
    int r = 0;
    if (!q)
        r = flags & O_CREAT ? queue_make(t, ipc, name, mode, attr, &q) : -ENOENT;
    else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        r = -EEXIST;
    else
        r = queue_allowed(t, q, flags);
    if (r < 0)
        return r;
    q->refs++;
    *ret = q;
    return 0;
}

static long usual(enum keep_limit def, enum keep_limit max)
{
    unsigned long d = procfs_limit(def), m = procfs_limit(max);
    return (long)(d < m ? d : m);
}

long sys_mq_open(struct task *t, const struct sysargs *a)
{
    char name[NAME_MAX + 1];
    struct mq_attr attr = {.mq_maxmsg = usual(LIMIT_MQ_MSG_DEFAULT, LIMIT_MQ_MSG),
                           .mq_msgsize = usual(LIMIT_MQ_MSGSIZE_DEFAULT, LIMIT_MQ_MSGSIZE)};
    int flags = (int)a->arg[1];
    long r = strncpy_from_user(t, name, a->arg[0], NAME_MAX + 1);
    if (r >= 0)
        r = check_name(name);
    if (r < 0)
        return r;
    if ((flags & O_CREAT) && a->arg[3] && get_user(t, &attr, a->arg[3]) < 0)
        return -EFAULT;
    struct mqueue *q;
    r = queue_open(t, name, flags, (mode_t)a->arg[2] & ~t->fs->umask, &attr, &q);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = fcntl(q->ready_fd, F_DUPFD_CLOEXEC, 3);
    struct file *f =
        fd < 0 ? NULL : file_new(&mq_ops, (unsigned)flags & (O_ACCMODE | O_NONBLOCK), FILE_SEEKABLE, fd, q);
    if (!f) {
        LOCKED(&kernel.tasklist_lock);
        queue_put(q);
        return -ENOMEM;
    }
    (void)steal_fd(&fd);
    return fd_return(t, f, true);
}

long sys_mq_unlink(struct task *t, const struct sysargs *a)
{
    char name[NAME_MAX + 1];
    long r = strncpy_from_user(t, name, a->arg[0], NAME_MAX + 1);
    if (r >= 0)
        r = check_name(name);
    if (r < 0)
        return r;
    LOCKED(&kernel.tasklist_lock);
    struct ipc *ipc = t->process->container->ipc;
    struct mqueue *q = queue_by_name(ipc, name);
    if (!q)
        return -ENOENT;
    if (t->cred->fsuid != q->uid && !capable(t, CAP_FOWNER)) /* the directory is sticky */
        return -EPERM;
    q->named = false;
    queue_put(q);
    return 0;
}

/* Messages -------------------------------------------------------------------------------------------------
 */

/* The absolute CLOCK_REALTIME time-out at p as one of CLOCK_MONOTONIC. 0; 1: there is none; -errno. */
static int get_deadline(struct task *t, uaddr_t p, struct timespec *ret)
{
    struct timespec abs, real, mono;
    if (!p)
        return 1;
    if (get_user(t, &abs, p) < 0)
        return -EFAULT;
    if (abs.tv_sec < 0 || abs.tv_nsec < 0 || abs.tv_nsec >= 1000000000)
        return -EINVAL;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    int64_t secs = abs.tv_sec - real.tv_sec;
    int64_t ns = abs.tv_nsec - real.tv_nsec + mono.tv_nsec;
    if (secs > INT32_MAX)
        secs = INT32_MAX;
    if (secs < -mono.tv_sec)
        secs = -mono.tv_sec;
    secs += mono.tv_sec + (ns < 0 ? -1 : ns / 1000000000);
    ret->tv_sec = secs < 0 ? 0 : secs;
    ret->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
    return 0;
}

static void notify_fire(struct task *sender, struct mqueue *q)
{
    struct process *p = q->notify;
    if (!p || q->receivers)
        return;
    q->notify = NULL;
    if (q->notify_how != SIGEV_SIGNAL)
        return;
    siginfo_t info = {.si_signo = q->notify_signo, .si_code = SI_MESGQ};
    info.si_pid = sender->process->pid;
    info.si_uid = sender->cred->uid;
    info.si_value.sival_ptr = (void *)(uintptr_t)q->notify_value;
    (void)send_signal_process(p, &info, false);
}

static void insert(struct mqueue *q, struct mq_message *m)
{
    struct mq_message *at;
    DL_FOREACH(q->messages, at)
    {
        if (at->prio < m->prio)
            break;
    }
    if (at)
        DL_PREPEND_ELEM(q->messages, at, m);
    else
        DL_APPEND(q->messages, m);
}

static long send_message(struct task *t, struct file *f, struct mq_message *m,
                         const struct timespec *deadline)
{
    struct mqueue *q = f->priv;
    LOCKED(&kernel.tasklist_lock);
    while (q->count >= q->maxmsg) {
        if (file_nonblock(f))
            return -EAGAIN;
        int r = task_wait(t, &q->changed, deadline);
        if (r < 0)
            return r;
    }
    insert(q, m);
    q->bytes += m->size;
    if (q->count++ == 0)
        notify_fire(t, q);
    update_ready(q);
    pthread_cond_broadcast(&q->changed);
    return 0;
}

long sys_mq_timedsend(struct task *t, const struct sysargs *a)
{
    struct timespec deadline;
    size_t len = a->arg[2];
    if (a->arg[3] >= PRIO_MAX_)
        return -EINVAL;
    int timed = get_deadline(t, a->arg[4], &deadline);
    if (timed < 0)
        return timed;
    _cleanup_file_ struct file *f = NULL;
    const struct mqueue *q = queue_of_fd(t, (int)a->arg[0], &f);
    if (!q || (atomic_load(&f->flags) & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (len > (size_t)q->msgsize)
        return -EMSGSIZE;
    _cleanup_free_ struct mq_message *m = malloc(sizeof(*m) + len);
    if (!m)
        return -ENOMEM;
    m->prio = (unsigned)a->arg[3];
    m->size = len;
    if (copy_from_user(t, m->data, a->arg[1], len) < 0)
        return -EFAULT;
    long r = send_message(t, f, m, timed ? NULL : &deadline);
    if (r == 0)
        (void)steal_ptr(&m);
    return r;
}

static long receive_message(struct task *t, struct file *f, const struct timespec *deadline,
                            struct mq_message **ret)
{
    struct mqueue *q = f->priv;
    LOCKED(&kernel.tasklist_lock);
    while (!q->messages) {
        if (file_nonblock(f))
            return -EAGAIN;
        q->receivers++;
        int r = task_wait(t, &q->changed, deadline);
        q->receivers--;
        if (r < 0)
            return r;
    }
    struct mq_message *m = q->messages;
    DL_DELETE(q->messages, m);
    q->count--;
    q->bytes -= m->size;
    update_ready(q);
    pthread_cond_broadcast(&q->changed);
    *ret = m;
    return 0;
}

long sys_mq_timedreceive(struct task *t, const struct sysargs *a)
{
    struct timespec deadline;
    int timed = get_deadline(t, a->arg[4], &deadline);
    if (timed < 0)
        return timed;
    _cleanup_file_ struct file *f = NULL;
    const struct mqueue *q = queue_of_fd(t, (int)a->arg[0], &f);
    if (!q || (atomic_load(&f->flags) & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    if (a->arg[2] < (size_t)q->msgsize)
        return -EMSGSIZE;
    _cleanup_free_ struct mq_message *m = NULL;
    long r = receive_message(t, f, timed ? NULL : &deadline, &m);
    if (r < 0)
        return r;
    if ((a->arg[3] && put_user(t, m->prio, unsigned, a->arg[3]) < 0) ||
        copy_to_user(t, a->arg[1], m->data, m->size) < 0)
        return -EFAULT;
    return (long)m->size;
}

/* Notification and attributes ------------------------------------------------------------------------------
 */

long sys_mq_notify(struct task *t, const struct sysargs *a)
{
    struct sigevent ev = {.sigev_notify = SIGEV_NONE};
    if (a->arg[1] && get_user(t, &ev, a->arg[1]) < 0)
        return -EFAULT;
    if (ev.sigev_notify != SIGEV_NONE && ev.sigev_notify != SIGEV_SIGNAL)
        return -EINVAL; /* SIGEV_THREAD wants a netlink socket */
    if (ev.sigev_notify == SIGEV_SIGNAL && (ev.sigev_signo < 1 || ev.sigev_signo > KSIG_MAX))
        return -EINVAL;
    _cleanup_file_ struct file *f = NULL;
    struct mqueue *q = queue_of_fd(t, (int)a->arg[0], &f);
    if (!q)
        return -EBADF;
    LOCKED(&kernel.tasklist_lock);
    if (!a->arg[1]) {
        if (q->notify == t->process)
            q->notify = NULL;
        return 0;
    }
    if (q->notify)
        return -EBUSY;
    q->notify = t->process;
    q->notify_how = ev.sigev_notify;
    q->notify_signo = ev.sigev_signo;
    q->notify_value = (uint64_t)(uintptr_t)ev.sigev_value.sival_ptr;
    return 0;
}

void mqueue_process_exit(struct process *p)
{
    struct ipc *ipc = p->container->ipc;
    struct mqueue *q;
    DL_FOREACH(ipc->mqueues, q)
    {
        if (q->notify == p)
            q->notify = NULL;
    }
}

long sys_mq_getsetattr(struct task *t, const struct sysargs *a)
{
    struct mq_attr new, old = {0};
    if (a->arg[1] && get_user(t, &new, a->arg[1]) < 0)
        return -EFAULT;
    if (a->arg[1] && (new.mq_flags & ~O_NONBLOCK))
        return -EINVAL;
    _cleanup_file_ struct file *f = NULL;
    struct mqueue *q = queue_of_fd(t, (int)a->arg[0], &f);
    if (!q)
        return -EBADF;
    {
        LOCKED(&kernel.tasklist_lock);
        old.mq_flags = atomic_load(&f->flags) & O_NONBLOCK;
        old.mq_maxmsg = q->maxmsg;
        old.mq_msgsize = q->msgsize;
        old.mq_curmsgs = q->count;
        if (a->arg[1] && (new.mq_flags &O_NONBLOCK))
            atomic_fetch_or(&f->flags, O_NONBLOCK);
        else if (a->arg[1])
            atomic_fetch_and(&f->flags, ~(unsigned)O_NONBLOCK);
    }
    return a->arg[2] ? copy_to_user(t, a->arg[2], &old, sizeof(old)) : 0;
}
