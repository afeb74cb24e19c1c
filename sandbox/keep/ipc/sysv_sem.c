/* Semaphore sets (semop(2), semctl(2)). */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sem.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/strbuf.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

#define SEM_PER_SET 32000
#define SEM_TOTAL 256000 /* of a container */
#define SEM_OPS 500
#define SEM_VALUE 32767

struct semaphore {
    int value;
    pid_t pid; /* the last to change it */
    unsigned ncnt, zcnt;
};

struct sem_set {
    struct ipc_object obj;
    struct ipc *ipc;
    pthread_cond_t changed;
    time_t otime, ctime;
    unsigned n;
    struct semaphore sem[];
};

/* What a process is to give back to one set at its end. */
struct sem_undo {
    struct sem_undo *next;
    int id;
    unsigned n;
    short adjust[];
};

static void set_free(struct ipc_object *o)
{
    struct sem_set *s = (struct sem_set *)o;
    s->ipc->nsems -= s->n;
    pthread_cond_destroy(&s->changed);
    free(s);
}

static time_t wall_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

static struct sem_set *set_find(struct task *t, int id)
{
    return (struct sem_set *)ipc_find(&t->process->container->ipc->sem, id);
}

static long set_make(struct task *t, struct ipc *ipc, key_t key, unsigned n, int flags)
{
    if (n == 0 || n > SEM_PER_SET || n > procfs_limit(LIMIT_SEMMSL))
        return -EINVAL;
    if (ipc->nsems + n > SEM_TOTAL || ipc->nsems + n > procfs_limit(LIMIT_SEMMNS) ||
        ipc->sem.used >= procfs_limit(LIMIT_SEMMNI))
        return -ENOSPC;
    struct sem_set *s = calloc(1, sizeof(*s) + n * sizeof(s->sem[0]));
    if (!s)
        return -ENOMEM;
    s->obj.free = set_free;
    s->ipc = ipc;
    s->n = n;
    s->ctime = wall_clock();
    pthread_cond_init(&s->changed, NULL);
    ipc->nsems += n;
    int id = ipc_add(t, &ipc->sem, &s->obj, key, flags);
    if (id < 0)
        set_free(&s->obj);
    return id;
}

long sys_semget(struct task *t, const struct sysargs *a)
{
    int n = (int)a->arg[1], flags = (int)a->arg[2];
    if (n < 0 || n > SEM_PER_SET)
        return -EINVAL;
    LOCKED(&kernel.tasklist_lock);
    struct ipc *ipc = t->process->container->ipc;
    struct ipc_object *o;
    int r = ipc_lookup(t, &ipc->sem, (key_t)a->arg[0], flags, &o);
    if (r < 0)
        return r;
    if (r == 0)
        return set_make(t, ipc, (key_t)a->arg[0], (unsigned)n, flags);
    return (unsigned)n > ((struct sem_set *)o)->n ? -EINVAL : o->id;
}

/* Operations -----------------------------------------------------------------------------------------------
 */

static struct sem_undo *undo_find(const struct process *p, int id)
{
    struct sem_undo *u = p->sem_undo;
    while (u && u->id != id)
        u = u->next;
    return u;
}

/* Drops what p owes to sets that are gone. */
static void undo_prune(struct process *p)
{
    for (struct sem_undo **link = &p->sem_undo; *link;) {
        struct sem_undo *u = *link;
        if (ipc_find(&p->container->ipc->sem, u->id)) {
            link = &u->next;
            continue;
        }
        *link = u->next;
        free(u);
    }
}

static struct sem_undo *undo_make(struct process *p, const struct sem_set *s)
{
    struct sem_undo *u = undo_find(p, s->obj.id);
    if (u)
        return u;
    undo_prune(p);
    u = calloc(1, sizeof(*u) + s->n * sizeof(u->adjust[0]));
    if (!u)
        return NULL;
    u->id = s->obj.id;
    u->n = s->n;
    u->next = p->sem_undo;
    p->sem_undo = u;
    return u;
}

/* Does all n operations, or none. 0; 1: *stuck has to wait; -errno. */
static int try_ops(struct sem_set *s, const struct sembuf *ops, unsigned n, struct sem_undo *u, pid_t pid,
                   unsigned *stuck)
{
    unsigned i;
    int r = 0;
    for (i = 0; i < n; i++) {
        struct semaphore *sem = &s->sem[ops[i].sem_num];
        int adjust = u ? u->adjust[ops[i].sem_num] - ops[i].sem_op : 0;
        int value = sem->value + ops[i].sem_op;
        if (ops[i].sem_op == 0 ? sem->value != 0 : value < 0) {
            r = ops[i].sem_flg & IPC_NOWAIT ? -EAGAIN : 1;
            break;
        }
        if (value > SEM_VALUE || ((ops[i].sem_flg & SEM_UNDO) && (adjust < SHRT_MIN || adjust > SHRT_MAX))) {
            r = -ERANGE;
            break;
        }
        sem->value = value;
        if (ops[i].sem_flg & SEM_UNDO)
            u->adjust[ops[i].sem_num] = (short)adjust;
    }
    *stuck = i;
    for (unsigned j = 0; r == 0 && j < n; j++)
        s->sem[ops[j].sem_num].pid = pid;
    while (r != 0 && i-- > 0) {
        s->sem[ops[i].sem_num].value -= ops[i].sem_op;
        if (ops[i].sem_flg & SEM_UNDO)
            u->adjust[ops[i].sem_num] = (short)(u->adjust[ops[i].sem_num] + ops[i].sem_op);
    }
    return r;
}

static long run_ops(struct task *t, struct sem_set *s, const struct sembuf *ops, unsigned n,
                    struct sem_undo *u, const struct timespec *deadline)
{
    for (;;) {
        unsigned stuck;
        int r = try_ops(s, ops, n, u, t->process->pid, &stuck);
        if (r <= 0) {
            if (r == 0) {
                s->otime = wall_clock();
                pthread_cond_broadcast(&s->changed);
            }
            return r;
        }
        struct semaphore *sem = &s->sem[ops[stuck].sem_num];
        unsigned *count = ops[stuck].sem_op ? &sem->ncnt : &sem->zcnt;
        ++*count;
        r = task_wait(t, &s->changed, deadline);
        --*count;
        if (s->obj.removed)
            return -EIDRM;
        if (r < 0)
            return r == -ETIMEDOUT ? -EAGAIN : -EINTR;
    }
}

static long check_ops(struct task *t, const struct sem_set *s, const struct sembuf *ops, unsigned n,
                      bool *undo)
{
    bool alters = false;
    for (unsigned i = 0; i < n; i++) {
        if (ops[i].sem_num >= s->n)
            return -EFBIG;
        alters |= ops[i].sem_op != 0;
        *undo |= (ops[i].sem_flg & SEM_UNDO) != 0;
    }
    return ipc_allowed(t, &s->obj, alters ? 0222 : 0444);
}

static long do_semop(struct task *t, const struct sysargs *a, const struct timespec *deadline)
{
    uint64_t n = (unsigned)a->arg[2];
    if (n < 1)
        return -EINVAL;
    if (n > SEM_OPS || n > procfs_limit(LIMIT_SEMOPM))
        return -E2BIG;
    struct sembuf ops[SEM_OPS];
    if (copy_from_user(t, ops, a->arg[1], n * sizeof(ops[0])) < 0)
        return -EFAULT;
    LOCKED(&kernel.tasklist_lock);
    struct sem_set *s = set_find(t, (int)a->arg[0]);
    if (!s)
        return -EINVAL;
    bool undo = false;
    long r = check_ops(t, s, ops, (unsigned)n, &undo);
    if (r < 0)
        return r;
    struct sem_undo *u = undo ? undo_make(t->process, s) : NULL;
    if (undo && !u)
        return -ENOMEM;
    s->obj.refs++;
    r = run_ops(t, s, ops, (unsigned)n, u, deadline);
    ipc_put(&s->obj);
    return r;
}

long sys_semop(struct task *t, const struct sysargs *a)
{
    return do_semop(t, a, NULL);
}

long sys_semtimedop(struct task *t, const struct sysargs *a)
{
    if (!a->arg[3])
        return do_semop(t, a, NULL);
    struct timespec rel, now;
    if (get_user(t, &rel, a->arg[3]) < 0)
        return -EFAULT;
    if (rel.tv_sec < 0 || rel.tv_nsec < 0 || rel.tv_nsec >= 1000000000)
        return -EINVAL;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (rel.tv_sec > INT32_MAX) /* longer than anything runs */
        rel.tv_sec = INT32_MAX;
    now.tv_sec += rel.tv_sec + (now.tv_nsec + rel.tv_nsec) / 1000000000;
    now.tv_nsec = (now.tv_nsec + rel.tv_nsec) % 1000000000;
    return do_semop(t, a, &now);
}

/* Makes good what p owes, bounded by what a semaphore can hold. */
static void undo_apply(struct process *p, const struct sem_undo *u)
{
    struct sem_set *s = (struct sem_set *)ipc_find(&p->container->ipc->sem, u->id);
    if (!s)
        return;
    for (unsigned i = 0; i < s->n && i < u->n; i++) {
        if (!u->adjust[i])
            continue;
        int v = s->sem[i].value + u->adjust[i];
        s->sem[i].value = v < 0 ? 0 : v > SEM_VALUE ? SEM_VALUE : v;
        s->sem[i].pid = p->pid;
    }
    s->otime = wall_clock();
    pthread_cond_broadcast(&s->changed);
}

void sysv_process_exit(struct process *p)
{
    while (p->sem_undo) {
        struct sem_undo *u = p->sem_undo;
        p->sem_undo = u->next;
        undo_apply(p, u);
        free(u);
    }
    mqueue_process_exit(p);
}

/* Control --------------------------------------------------------------------------------------------------
 */

/* SETVAL and SETALL: nobody owes anything for that semaphore any more. */
static void undo_forget(const struct sem_set *s, unsigned i)
{
    const struct container *c;

    DL_FOREACH(kernel.container, c)
    for (struct process *p = c->ipc == s->ipc ? c->pids->processes : NULL; p; p = p->hh_pid.next) {
        struct sem_undo *u = p->container == c ? undo_find(p, s->obj.id) : NULL;
        if (u)
            u->adjust[i] = 0;
    }
}

static void set_value(struct task *t, struct sem_set *s, unsigned i, int value)
{
    undo_forget(s, i);
    s->sem[i].value = value;
    s->sem[i].pid = t->process->pid;
}

static long one_value(struct task *t, struct sem_set *s, int i, int cmd, uint64_t arg)
{
    if (i < 0 || (unsigned)i >= s->n)
        return -EINVAL;
    const struct semaphore *sem = &s->sem[i];
    int value = (int)arg;
    switch (cmd) {
    case GETVAL:
        return sem->value;
    case GETPID:
        return sem->pid;
    case GETNCNT:
        return sem->ncnt;
    case GETZCNT:
        return sem->zcnt;
    default:
        if (value < 0 || value > SEM_VALUE)
            return -ERANGE;
        set_value(t, s, (unsigned)i, value);
        s->ctime = wall_clock();
        pthread_cond_broadcast(&s->changed);
        return 0;
    }
}

/* SETALL and GETALL, with the guest's memory touched while no lock is held. */
static long all_values(struct task *t, int id, int cmd, uaddr_t arg)
{
    _cleanup_free_ unsigned short *v = calloc(SEM_PER_SET, sizeof(*v));
    if (!v)
        return -ENOMEM;
    unsigned n;
    {
        LOCKED(&kernel.tasklist_lock);
        const struct sem_set *s = set_find(t, id);
        long r = s ? ipc_allowed(t, &s->obj, cmd == SETALL ? 0222 : 0444) : -EINVAL;
        if (r < 0)
            return r;
        n = s->n;
        for (unsigned i = 0; i < n; i++)
            v[i] = (unsigned short)s->sem[i].value;
    }
    if (cmd == GETALL)
        return copy_to_user(t, arg, v, n * sizeof(*v));
    if (copy_from_user(t, v, arg, n * sizeof(*v)) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < n; i++) {
        if (v[i] > SEM_VALUE)
            return -ERANGE;
    }
    LOCKED(&kernel.tasklist_lock);
    struct sem_set *s = set_find(t, id);
    if (!s)
        return -EIDRM;
    for (unsigned i = 0; i < n; i++)
        set_value(t, s, i, v[i]);
    s->ctime = wall_clock();
    pthread_cond_broadcast(&s->changed);
    return 0;
}

static long stat_set(const struct sem_set *s, struct ipc_buf *buf)
{
    struct semid_ds ds;
    memset(&ds, 0, sizeof(ds));
    ipc_fill_perm(&s->obj, &ds.sem_perm);
    ds.sem_otime = s->otime;
    ds.sem_ctime = s->ctime;
    ds.sem_nsems = s->n;
    return ipc_buf_put(buf, &ds, sizeof(ds));
}

static long change_set(struct task *t, struct sem_set *s, int cmd, const struct ipc_buf *buf)
{
    struct semid_ds ds;
    if (!ipc_owned(t, &s->obj))
        return -EPERM;
    if (cmd == IPC_RMID) {
        pthread_cond_broadcast(&s->changed);
        ipc_remove(&s->ipc->sem, &s->obj);
        return 0;
    }
    memcpy(&ds, buf->data, sizeof(ds));
    ipc_set_perm(&s->obj, &ds.sem_perm);
    s->ctime = wall_clock();
    return 0;
}

static long info(const struct ipc *ipc, int cmd, struct ipc_buf *buf)
{
    struct seminfo si = {.semmap = SEM_TOTAL,
                         .semmni = (int)procfs_limit(LIMIT_SEMMNI),
                         .semmns = (int)procfs_limit(LIMIT_SEMMNS),
                         .semmnu = SEM_TOTAL,
                         .semmsl = (int)procfs_limit(LIMIT_SEMMSL),
                         .semopm = (int)procfs_limit(LIMIT_SEMOPM),
                         .semume = SEM_OPS,
                         .semvmx = SEM_VALUE,
                         .semusz = 20,
                         .semaem = SEM_VALUE};
    if (cmd == SEM_INFO) {
        si.semusz = (int)ipc->sem.used;
        si.semaem = (int)ipc->nsems;
    }
    (void)ipc_buf_put(buf, &si, sizeof(si));
    return ipc_last_slot(&ipc->sem);
}

static long stat_by_slot(struct task *t, const struct ipc *ipc, int slot, int cmd, struct ipc_buf *buf)
{
    struct ipc_object *o;
    int r = ipc_stat_slot(t, &ipc->sem, slot, cmd == SEM_STAT_ANY, &o);
    if (r < 0)
        return r;
    (void)stat_set((const struct sem_set *)o, buf);
    return o->id;
}

/* [T] */
static long control(struct task *t, const struct sysargs *a, struct ipc_buf *buf)
{
    int id = (int)a->arg[0], i = (int)a->arg[1], cmd = (int)a->arg[2];
    struct ipc *ipc = t->process->container->ipc;
    if (cmd == IPC_INFO || cmd == SEM_INFO)
        return info(ipc, cmd, buf);
    if (cmd == SEM_STAT || cmd == SEM_STAT_ANY)
        return stat_by_slot(t, ipc, id, cmd, buf);
    struct sem_set *s = set_find(t, id);
    if (!s)
        return -EINVAL;
    if (cmd == IPC_SET || cmd == IPC_RMID)
        return change_set(t, s, cmd, buf);
    long r = ipc_allowed(t, &s->obj, cmd == SETVAL ? 0222 : 0444);
    if (r < 0)
        return r;
    switch (cmd) {
    case IPC_STAT:
        return stat_set(s, buf);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
        return one_value(t, s, i, cmd, a->arg[3]);
    default:
        return -EINVAL;
    }
}

long sys_semctl(struct task *t, const struct sysargs *a)
{
    int cmd = (int)a->arg[2];
    if (cmd == GETALL || cmd == SETALL)
        return all_values(t, (int)a->arg[0], cmd, a->arg[3]);
    return ipc_control(t, a, a->arg[3], cmd == IPC_SET ? sizeof(struct semid_ds) : 0, control);
}

void sysv_show_sem(struct task *t, struct strbuf *sb)
{
    sb_printf(sb, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    LOCKED(&kernel.tasklist_lock);
    const struct ipc *ipc = t->process->container->ipc;
    for (unsigned i = 0; i < ipc->sem.nslots; i++) {
        const struct sem_set *s = (const struct sem_set *)ipc->sem.slots[i];
        if (s)
            sb_printf(sb, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lld %10lld\n", s->obj.key, s->obj.id,
                      s->obj.mode, s->n, s->obj.uid, s->obj.gid, s->obj.cuid, s->obj.cgid,
                      (long long)s->otime, (long long)s->ctime);
    }
}
