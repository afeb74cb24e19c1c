/* Message queues (msgsnd(2), msgctl(2)). */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/msg.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/strbuf.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

#define MSG_SIZE_MAX (1UL << 20) /* whatever the settings say */
#define MSG_TOTAL_MAX (64 << 20) /* bytes of memory that a container's messages take */
#define MSG_COPY_ 040000         /* by its place in the queue, where it stays */

struct message {
    struct message *next, *prev; /* utlist */
    long type;
    size_t size;
    char data[];
};

struct msg_queue {
    struct ipc_object obj;
    struct ipc *ipc;
    pthread_cond_t changed;
    struct message *messages;
    size_t bytes, limit;
    unsigned long count;
    pid_t lspid, lrpid;
    time_t stime, rtime, ctime;
};

static time_t wall_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

static void unlink_message(struct msg_queue *q, struct message *m)
{
    DL_DELETE(q->messages, m);
    q->bytes -= m->size;
    q->ipc->msg_bytes -= sizeof(*m) + m->size;
    q->count--;
}

static void queue_free(struct ipc_object *o)
{
    struct msg_queue *q = (struct msg_queue *)o;
    while (q->messages) {
        struct message *m = q->messages;
        unlink_message(q, m);
        free(m);
    }
    pthread_cond_destroy(&q->changed);
    free(q);
}

static struct msg_queue *queue_find(struct task *t, int id)
{
    return (struct msg_queue *)ipc_find(&t->process->container->ipc->msg, id);
}

long sys_msgget(struct task *t, const struct sysargs *a)
{
    key_t key = (key_t)a->arg[0];
    int flags = (int)a->arg[1];
    LOCKED(&kernel.tasklist_lock);
    struct ipc *ipc = t->process->container->ipc;
    struct ipc_object *o;
    int r = ipc_lookup(t, &ipc->msg, key, flags, &o);
    if (r != 0)
        return r < 0 ? r : o->id;
    if (ipc->msg.used >= procfs_limit(LIMIT_MSGMNI))
        return -ENOSPC;
    struct msg_queue *q = calloc(1, sizeof(*q));
    if (!q)
        return -ENOMEM;
    q->obj.free = queue_free;
    q->ipc = ipc;
    q->limit = procfs_limit(LIMIT_MSGMNB);
    q->ctime = wall_clock();
    pthread_cond_init(&q->changed, NULL);
    r = ipc_add(t, &ipc->msg, &q->obj, key, flags);
    if (r < 0)
        queue_free(&q->obj);
    return r;
}

/* Waits for a change; 0, or what the call is to end with. */
static int queue_wait(struct task *t, struct msg_queue *q)
{
    q->obj.refs++;
    int r = task_wait(t, &q->changed, NULL);
    bool removed = q->obj.removed;
    ipc_put(&q->obj);
    return removed ? -EIDRM : r < 0 ? -EINTR : 0;
}

static long send_message(struct task *t, struct msg_queue *q, struct message *m, int flags)
{
    for (;;) {
        int r = ipc_allowed(t, &q->obj, 0222);
        if (r < 0)
            return r;
        /* So many empty ones fit as if each took a byte. */
        if (q->bytes + m->size <= q->limit && q->count + 1 <= q->limit)
            break;
        r = flags & IPC_NOWAIT ? -EAGAIN : queue_wait(t, q);
        if (r < 0)
            return r;
    }
    if (q->ipc->msg_bytes + sizeof(*m) + m->size > MSG_TOTAL_MAX)
        return -ENOMEM;
    DL_APPEND(q->messages, m);
    q->bytes += m->size;
    q->ipc->msg_bytes += sizeof(*m) + m->size;
    q->count++;
    q->lspid = t->process->pid;
    q->stime = wall_clock();
    pthread_cond_broadcast(&q->changed);
    return 0;
}

static uint64_t message_max(void)
{
    unsigned long limit = procfs_limit(LIMIT_MSGMAX);
    return limit < MSG_SIZE_MAX ? limit : MSG_SIZE_MAX;
}

long sys_msgsnd(struct task *t, const struct sysargs *a)
{
    int64_t type;
    if (get_user(t, &type, a->arg[1]) < 0)
        return -EFAULT;
    if (a->arg[2] > message_max() || (int)a->arg[0] < 0 || type < 1)
        return -EINVAL;
    _cleanup_free_ struct message *m = malloc(sizeof(*m) + a->arg[2]);
    if (!m)
        return -ENOMEM;
    m->type = type;
    m->size = a->arg[2];
    if (copy_from_user(t, m->data, a->arg[1] + sizeof(type), m->size) < 0)
        return -EFAULT;
    LOCKED(&kernel.tasklist_lock);
    struct msg_queue *q = queue_find(t, (int)a->arg[0]);
    if (!q)
        return -EINVAL;
    long r = send_message(t, q, m, (int)a->arg[3]);
    if (r == 0)
        (void)steal_ptr(&m);
    return r;
}

static struct message *pick(const struct msg_queue *q, long type, int flags)
{
    struct message *m, *best = NULL;
    DL_FOREACH(q->messages, m)
    {
        if (type == 0)
            return m;
        if (type > 0 && (m->type == type) != ((flags & MSG_EXCEPT) != 0))
            return m;
        if (type < 0 && m->type <= -type && (!best || m->type < best->type))
            best = m;
    }
    return best;
}

/* Takes a message out of the queue: it is the caller's. */
static long receive_message(struct task *t, struct msg_queue *q, size_t size, long type, int flags,
                            struct message **ret)
{
    for (;;) {
        int r = ipc_allowed(t, &q->obj, 0444);
        if (r < 0)
            return r;
        struct message *m = pick(q, type, flags);
        if (m && m->size > size && !(flags & MSG_NOERROR))
            return -E2BIG;
        if (m) {
            unlink_message(q, m);
            q->lrpid = t->process->pid;
            q->rtime = wall_clock();
            pthread_cond_broadcast(&q->changed);
            *ret = m;
            return 0;
        }
        r = flags & IPC_NOWAIT ? -ENOMSG : queue_wait(t, q);
        if (r < 0)
            return r;
    }
}

/* A copy of the message at that place, which a buffer of `size` bytes is to hold. */
static long copy_message(struct task *t, const struct msg_queue *q, size_t size, long place, int flags,
                         struct message **ret)
{
    const struct message *m;
    long at = 0;

    int r = ipc_allowed(t, &q->obj, 0444);
    if (r < 0)
        return r;
    for (m = q->messages; m && at != place; at++)
        m = m->next;
    if (!m)
        return -ENOMSG;
    if (m->size > size)
        return flags & MSG_NOERROR ? -EINVAL : -E2BIG;
    *ret = malloc(sizeof(*m) + m->size);
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, m, sizeof(*m) + m->size);
    return 0;
}

long sys_msgrcv(struct task *t, const struct sysargs *a)
{
    size_t size = a->arg[2];
    long type = (long)a->arg[3];
    int flags = (int)a->arg[4];
    if ((int)a->arg[0] < 0 || (long)size < 0)
        return -EINVAL;
    bool copies = flags & MSG_COPY_;
    if (copies && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT)))
        return -EINVAL;
    if (type == INT64_MIN)
        type = -INT64_MAX;
    _cleanup_free_ struct message *m = NULL;
    {
        LOCKED(&kernel.tasklist_lock);
        struct msg_queue *q = queue_find(t, (int)a->arg[0]);
        long r = !q       ? -EINVAL
                 : copies ? copy_message(t, q, size, type, flags, &m)
                          : receive_message(t, q, size, type, flags, &m);
        if (r < 0)
            return r;
    }
    int64_t got = m->type;
    size_t n = m->size < size ? m->size : size;
    if (copy_to_user(t, a->arg[1], &got, sizeof(got)) < 0 ||
        copy_to_user(t, a->arg[1] + sizeof(got), m->data, n) < 0)
        return -EFAULT;
    return (long)n;
}

/* Control --------------------------------------------------------------------------------------------------
 */

static long stat_queue(const struct msg_queue *q, struct ipc_buf *buf)
{
    struct msqid_ds ds;
    memset(&ds, 0, sizeof(ds));
    ipc_fill_perm(&q->obj, &ds.msg_perm);
    ds.msg_stime = q->stime;
    ds.msg_rtime = q->rtime;
    ds.msg_ctime = q->ctime;
    ds.__msg_cbytes = q->bytes;
    ds.msg_qnum = q->count;
    ds.msg_qbytes = q->limit;
    ds.msg_lspid = q->lspid;
    ds.msg_lrpid = q->lrpid;
    return ipc_buf_put(buf, &ds, sizeof(ds));
}

static long change_queue(struct task *t, struct msg_queue *q, int cmd, const struct ipc_buf *buf)
{
    struct msqid_ds ds;
    if (!ipc_owned(t, &q->obj))
        return -EPERM;
    if (cmd == IPC_RMID) {
        pthread_cond_broadcast(&q->changed);
        ipc_remove(&q->ipc->msg, &q->obj);
        return 0;
    }
    memcpy(&ds, buf->data, sizeof(ds));
    if (ds.msg_qbytes > procfs_limit(LIMIT_MSGMNB))
        return capable(t, CAP_SYS_RESOURCE) ? -EINVAL : -EPERM;
    ipc_set_perm(&q->obj, &ds.msg_perm);
    q->limit = ds.msg_qbytes;
    q->ctime = wall_clock();
    pthread_cond_broadcast(&q->changed);
    return 0;
}

static long info(const struct ipc *ipc, int cmd, struct ipc_buf *buf)
{
    int queue_max = (int)procfs_limit(LIMIT_MSGMNB), queues = (int)procfs_limit(LIMIT_MSGMNI);
    struct msginfo mi = {.msgmax = (int)procfs_limit(LIMIT_MSGMAX),
                         .msgmnb = queue_max,
                         .msgmni = queues,
                         .msgssz = 16,
                         .msgseg = 0xffff};
    int msgs = 0;
    for (unsigned i = 0; i < ipc->msg.nslots; i++) {
        const struct msg_queue *q = (const struct msg_queue *)ipc->msg.slots[i];
        if (!q)
            continue;
        mi.msgmap += (int)q->count;
        msgs += (int)q->bytes;
    }
    mi.msgpool = cmd == MSG_INFO ? (int)ipc->msg.used : (int)((long)queues * queue_max / 1024);
    mi.msgtql = cmd == MSG_INFO ? msgs : queue_max;
    if (cmd == IPC_INFO)
        mi.msgmap = queue_max;
    (void)ipc_buf_put(buf, &mi, sizeof(mi));
    return ipc_last_slot(&ipc->msg);
}

static long stat_by_slot(struct task *t, const struct ipc *ipc, int slot, int cmd, struct ipc_buf *buf)
{
    struct ipc_object *o;
    int r = ipc_stat_slot(t, &ipc->msg, slot, cmd == MSG_STAT_ANY, &o);
    if (r < 0)
        return r;
    (void)stat_queue((const struct msg_queue *)o, buf);
    return o->id;
}

/* [T] */
static long control(struct task *t, const struct sysargs *a, struct ipc_buf *buf)
{
    int id = (int)a->arg[0], cmd = (int)a->arg[1];
    struct ipc *ipc = t->process->container->ipc;
    if (cmd == IPC_INFO || cmd == MSG_INFO)
        return info(ipc, cmd, buf);
    if (cmd == MSG_STAT || cmd == MSG_STAT_ANY)
        return stat_by_slot(t, ipc, id, cmd, buf);
    struct msg_queue *q = queue_find(t, id);
    if (!q || (cmd != IPC_STAT && cmd != IPC_SET && cmd != IPC_RMID))
        return -EINVAL;
    if (cmd != IPC_STAT)
        return change_queue(t, q, cmd, buf);
    int r = ipc_allowed(t, &q->obj, 0444);
    return r < 0 ? r : stat_queue(q, buf);
}

long sys_msgctl(struct task *t, const struct sysargs *a)
{
    return ipc_control(t, a, a->arg[2], (int)a->arg[1] == IPC_SET ? sizeof(struct msqid_ds) : 0, control);
}

void sysv_show_msg(struct task *t, struct strbuf *sb)
{
    sb_printf(sb,
              "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      "
              "stime      rtime      ctime\n");
    LOCKED(&kernel.tasklist_lock);
    const struct ipc *ipc = t->process->container->ipc;
    for (unsigned i = 0; i < ipc->msg.nslots; i++) {
        const struct msg_queue *q = (const struct msg_queue *)ipc->msg.slots[i];
        if (q)
            sb_printf(sb, "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u %10lld %10lld %10lld\n",
                      q->obj.key, q->obj.id, q->obj.mode, (unsigned long)q->bytes, q->count, q->lspid,
                      q->lrpid, q->obj.uid, q->obj.gid, q->obj.cuid, q->obj.cgid, (long long)q->stime,
                      (long long)q->rtime, (long long)q->ctime);
    }
}
