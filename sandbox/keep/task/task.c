/* Tasks: the tables by number, reference counts, and the bracket around a worker's call. */
#include "sandbox/keep/task/task.h"

#include <sched.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/task/deaths.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/platform/listener.h"

int tasks_init(void)
{
    if (kernel.tasks)
        return 0;
    struct task_table *tt = calloc(1, sizeof(*tt));
    if (!tt)
        return -ENOMEM;
    pthread_mutex_init(&tt->host_lock, NULL);
    pthread_mutex_init(&tt->dying_lock, NULL);
    int r = deaths_init();
    if (r < 0)
        return r;
    kernel.tasks = tt;
    return 0;
}

/* Reference counts -----------------------------------------------------------------------------------------
 */

struct task *task_get(struct task *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void task_put(struct task *t)
{
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    cred_put(t->cred);
    seccomp_put(t->seccomp);
    process_put(t->process);
    free(t);
}

struct task *task_new(struct process *p)
{
    struct task *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    atomic_init(&t->refs, 1);
    t->process = process_get(p);
    t->timer_slack = t->default_slack = 50000;
    t->login_uid = t->login_session = NOBODY_LOGGED_IN;
    return t;
}

/* Tables ---------------------------------------------------------------------------------------------------
 */

struct task *task_by_tid(const struct pid_ns *ns, pid_t tid)
{
    struct task *t = NULL;
    HASH_FIND(hh_tid, ns->tids, &tid, sizeof(tid), t);
    if (t)
        unheard_find(t->process);
    return t;
}

void task_link(struct task *t)
{
    struct process *p = t->process;
    DL_APPEND2(p->threads, t, thread_prev, thread_next);
    if (!p->leader)
        p->leader = t;
    p->nthreads++;
    HASH_ADD(hh_tid, p->container->pids->tids, tid, sizeof(t->tid), t);
    p->container->ntasks++;
}

void task_unlink(struct task *t)
{
    struct process *p = t->process;
    DL_DELETE2(p->threads, t, thread_prev, thread_next);
    HASH_DELETE(hh_tid, p->container->pids->tids, t);
    p->container->ntasks--;
    task_put(t);
}

struct task *task_by_host_tid(pid_t host_tid)
{
    struct task *t = NULL;
    LOCKED(&kernel.tasks->host_lock);
    HASH_FIND(hh_host, kernel.tasks->by_host, &host_tid, sizeof(host_tid), t);
    return t ? task_get(t) : NULL;
}

void task_forget_host(struct task *t)
{
    LOCKED(&kernel.tasks->host_lock);
    struct task *found = NULL;
    if (t->host_tid)
        HASH_FIND(hh_host, kernel.tasks->by_host, &t->host_tid, sizeof(t->host_tid), found);
    if (found == t)
        HASH_DELETE(hh_host, kernel.tasks->by_host, t);
}

bool task_host_is_known(const struct process *p, pid_t host_tid)
{
    const struct task *t = NULL;
    LOCKED(&kernel.tasks->host_lock);
    HASH_FIND(hh_host, kernel.tasks->by_host, &host_tid, sizeof(host_tid), t);
    return t && t->process == p && !t->exited;
}

void task_host_moved(struct task *t, pid_t host_tid)
{
    task_forget_host(t);
    LOCKED(&kernel.tasks->host_lock);
    struct task *old = NULL;
    HASH_FIND(hh_host, kernel.tasks->by_host, &host_tid, sizeof(host_tid), old);
    if (old) /* the host gave its number away again: the old thread is gone */
        HASH_DELETE(hh_host, kernel.tasks->by_host, old);
    t->host_tid = host_tid;
    HASH_ADD(hh_host, kernel.tasks->by_host, host_tid, sizeof(t->host_tid), t);
}

/* An embryo whose process was killed has got its host process: that ends, too. One that only its thread
 * group's execve ended the host has ended already. */
static void kill_late_comer(const struct process *p, pid_t host_tid)
{
    if (!p->group_exit)
        return;
    _cleanup_close_ int fd = p->pidfd < 0 ? (int)syscall(SYS_pidfd_open, host_tid, 0) : -1;
    (void)syscall(SYS_pidfd_send_signal, p->pidfd < 0 ? fd : p->pidfd, SIGKILL, NULL, 0);
}

void task_host_known(struct task *t, pid_t host_tid, int nr)
{
    struct process *p = t->process;
    if (p->leader == t && !p->host_pid) {
        quiet_process_begins(host_tid);
        p->host_pid = host_tid;
        deaths_attached(p);
    }
    if (p->group_exit || (atomic_load(&t->life) & TASK_DYING)) {
        kill_late_comer(p, host_tid);
        return;
    }
    task_host_moved(t, host_tid);
    quiet_heard(t, nr);
    if (t->nice_owed)
        task_tell_nice(t);
    signal_settle(t);
    if (t->judge_next || t->trace)
        signal_kick(t);
}

void task_set_host_tid(struct task *t, pid_t host_tid)
{
    LOCKED(&kernel.tasklist_lock);
    task_host_known(t, host_tid, GATE_ATTACH);
}

/* A number that no living group or session goes by either, though its process is gone. */
static bool pid_is_free(const struct pid_ns *ns, pid_t pid)
{
    if (task_by_tid(ns, pid) || process_by_pid(ns, pid))
        return false;
    if (!ns->wrapped)
        return true;
    for (const struct process *p = ns->processes; p; p = p->hh_pid.next)
        if (p->pgid == pid || p->sid == pid)
            return false;
    return true;
}

pid_t pid_alloc(struct pid_ns *ns)
{
    for (int tries = 0; tries < PID_MAX; tries++) {
        if (++ns->last_pid >= PID_MAX) {
            ns->last_pid = 300;
            ns->wrapped = true;
        }
        if (pid_is_free(ns, ns->last_pid))
            return ns->last_pid;
    }
    return -EAGAIN;
}

/* The bracket ----------------------------------------------------------------------------------------------
 */

/* The task whose call this worker runs. */
static _Thread_local struct task *current;
/* Who has been answered already, though that call goes on (a reference). */
static _Thread_local struct task *early;
/* Whose call this worker has answered, and has yet to leave. */
static _Thread_local const struct task *answered;

bool task_is_current(const struct task *t)
{
    return current == t;
}

#define YIELDS 32
#define NAP_NS 50000L
#define NAPS 20000 /* a second, for a call that is nearly over */

/* Another thread is at a call of t's that is nearly over: it needs no more than a CPU. */
static unsigned await_other(const struct task *t)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    unsigned life;

    for (unsigned i = 0; (life = atomic_load(&t->life)) & TASK_SERVED; i++) {
        if (i < YIELDS) {
            sched_yield();
            continue;
        }
        worker_about_to_block();
        (void)nanosleep(&nap, NULL);
    }
    return life;
}

bool task_enter(struct task *t)
{
    unsigned life = atomic_load(&t->life);

    do {
        if (life & TASK_SERVED)
            life = await_other(t);
        if (life & (TASK_DYING | TASK_EXITED))
            return false;
    } while (!atomic_compare_exchange_weak(&t->life, &life, life + TASK_BUSY_ONE));
    current = t;
    return true;
}

/* True: t is to end. */
static bool is_left(struct task *t, unsigned busy)
{
    unsigned life = atomic_fetch_sub(&t->life, busy) - busy;
    return (life & TASK_DYING) && !(life & (TASK_EXITED | TASK_BUSY));
}

static void leave(struct task *t, unsigned busy)
{
    if (answered == t) {
        answered = NULL;
        busy += TASK_LEAVING_ONE;
    }
    if (is_left(t, busy))
        task_exit(t, t->exit_status);
}

void task_leave(struct task *t)
{
    current = NULL;
    if (early)
        task_answer_over();
    leave(t, TASK_BUSY_ONE);
    tasks_bury();
}

void task_answers(struct task *t)
{
    if (answered)
        return;
    atomic_fetch_add(&t->life, TASK_LEAVING_ONE);
    answered = t;
}

void task_answer_early(struct task *t)
{
    if (early != t) /* it may be claimed */
        early = task_get(t);
    atomic_fetch_or(&t->life, TASK_SERVED);
}

void task_answer_over(void)
{
    struct task *t = steal_ptr(&early);

    atomic_fetch_and(&t->life, ~(unsigned)TASK_SERVED);
    task_put(t);
}

bool task_enter_idle(struct task *t)
{
    unsigned life = atomic_load(&t->life);

    do {
        unsigned busy = (life & TASK_BUSY) / TASK_BUSY_ONE,
                 leaving = (life & TASK_LEAVING) / TASK_LEAVING_ONE;
        if ((life & ~(TASK_BUSY | TASK_LEAVING)) || busy != leaving)
            return false;
    } while (!atomic_compare_exchange_weak(&t->life, &life, (life + TASK_BUSY_ONE) | TASK_SERVED));
    current = t;
    return true;
}

bool task_claim(struct task *t)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    unsigned idle = 0;

    for (unsigned i = 0; !atomic_compare_exchange_strong(&t->life, &idle, TASK_BUSY_ONE | TASK_SERVED); i++) {
        if ((idle & (TASK_DYING | TASK_EXITED | TASK_PARKED)) || i == NAPS)
            return false;
        worker_about_to_block();
        (void)nanosleep(&nap, NULL);
        idle = 0;
    }
    early = task_get(t);
    return true;
}

void task_leave_idle(struct task *t)
{
    current = NULL;
    leave(t, TASK_BUSY_ONE | TASK_SERVED);
    tasks_bury();
}

void task_release(struct task *t)
{
    current = NULL;
    atomic_fetch_or(&t->life, TASK_PARKED);
    atomic_fetch_sub(&t->life, TASK_BUSY_ONE);
}

struct task *task_adopt(struct task *t)
{
    struct task *outer = current;
    atomic_fetch_add(&t->life, TASK_BUSY_ONE);
    atomic_fetch_and(&t->life, ~(unsigned)TASK_PARKED);
    current = t;
    return outer;
}

void task_give_back(struct task *t, struct task *outer)
{
    current = outer;
    leave(t, TASK_BUSY_ONE);
}

void task_hand_over(struct task *outer)
{
    current = outer;
}

void task_take_over(struct task *t)
{
    current = t;
}

void task_hold(struct task *t)
{
    atomic_fetch_add(&t->life, TASK_BUSY_ONE);
}

bool task_let_go(struct task *t)
{
    return is_left(t, TASK_BUSY_ONE);
}

void task_bury_later(struct task *t)
{
    LOCKED(&kernel.tasks->dying_lock);
    t->bury_next = kernel.tasks->dying;
    __atomic_store_n(&kernel.tasks->dying, task_get(t), __ATOMIC_RELEASE);
}

static struct task *next_dying(void)
{
    LOCKED(&kernel.tasks->dying_lock);
    struct task *t = kernel.tasks->dying;
    if (t)
        __atomic_store_n(&kernel.tasks->dying, t->bury_next, __ATOMIC_RELEASE);
    return t;
}

static void bury(void)
{
    /* An unlocked look first: nearly every call ends here, and whoever killed looks after itself. */
    while (__atomic_load_n(&kernel.tasks->dying, __ATOMIC_ACQUIRE)) {
        struct task *t = next_dying();
        if (!t)
            return;
        task_exit(t, t->exit_status);
        task_put(t);
    }
}

void tasks_bury(void)
{
    bury();
    parked_settle();
}
