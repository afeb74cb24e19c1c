#include "sandbox/keep/task/quiet.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/counters.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/time/timer.h"
#include "sandbox/platform/listener.h"

#define FIRST_PAUSE_NS (10 * 1000000LL)
#define CALLS 8
#define PASSED_OVER 8 /* at first; each time twice as often, as to call one means to list all threads */
#define PASSED_OVER_MOST 64
#define NAP_NS 200000
#define NAPS 50000

static struct quiet *quiet_of(const struct task *t)
{
    struct quiet *q = t->process->quiet;
    return q && q->task == t ? q : NULL;
}

static void call_again(struct ktimer *kt);

bool quiet_begin(const struct task *parent, struct task *t, uaddr_t word, bool leaves)
{
    struct quiet *q = calloc(1, sizeof(*q));
    if (!q)
        return false;
    q->timer.fire = call_again;
    q->task = t;
    q->word = word;
    q->leaves = leaves;
    if (leaves)
        atomic_fetch_add(&kernel.leavers, 1);
    t->lender = parent->host_tid;
    t->process->quiet = q;
    DL_PREPEND(kernel.quiets, q); /* the newest is the next to be heard, most likely */
    return true;
}

static void lose_right(struct quiet *q)
{
    if (q->leaves)
        atomic_fetch_sub(&kernel.leavers, 1);
    q->leaves = false;
}

void quiet_over(struct task *t)
{
    struct quiet *q = quiet_of(t);
    if (!q)
        return;
    lose_right(q);
    ktimer_cancel(&q->timer);
    DL_DELETE(kernel.quiets, q);
    t->process->quiet = NULL;
    free(q);
}

/* Leaving
 * ---------------------------------------------------------------------------------------------------------
 */

#define LOOKS 4
#define WORD_TO_LEFT (offsetof(struct gate_clone, left) - offsetof(struct gate_clone, quiet))

static bool has_left(const struct quiet *q)
{
    uint64_t left;

    return get_user(q->task, &left, q->word + WORD_TO_LEFT) == 0 && left;
}

/* It ends as one that was killed while nobody served it; its area and its slot may be another's already. */
static void left(struct quiet *q)
{
    struct task *t = q->task;

    quiet_over(t);
    t->lender = 0;
    t->slot = t->signal_buf = 0;
    t->mask_in_slot = false;
    t->robust_list = 0;
    counters_posted(SYS_exit, 1);
    unsigned life = atomic_fetch_or(&t->life, TASK_DYING);
    if (life & TASK_BUSY)
        task_interrupt(t);
    else if (!(life & (TASK_DYING | TASK_EXITED)))
        task_bury_later(t);
}

/* True: it had left already, and there is no q any more. */
static bool take_right(struct quiet *q, uint64_t word)
{
    bool had = q->leaves;

    lose_right(q);
    (void)put_user(q->task, word, uint64_t, q->word); /* before the look: gate_leave */
    if (!had || !has_left(q))
        return false;
    left(q);
    return true;
}

void quiet_stay(struct process *p)
{
    if (p->quiet && p->quiet->leaves)
        (void)take_right(p->quiet, GATE_QUIET);
}

static void look(struct quiet *q)
{
    if (!q->leaves)
        return;
    if (has_left(q))
        left(q);
    else if (++q->looks == LOOKS)
        (void)take_right(q, GATE_QUIET);
}

void quiet_hear(void)
{
    struct quiet *q, *tmp;

    if (!atomic_load(&kernel.leavers))
        return;
    {
        LOCKED(&kernel.tasklist_lock);
        DL_FOREACH_SAFE(kernel.quiets, q, tmp)
        {
            look(q);
        }
    }
    tasks_bury();
}

void quiet_area_given(struct process *p, uaddr_t at)
{
    if (!atomic_load(&kernel.leavers))
        return;
    {
        LOCKED(&kernel.tasklist_lock);
        if (p->quiet && p->quiet->leaves && quiet_has_area(p, at))
            left(p->quiet);
    }
    quiet_hear();
    tasks_bury();
}

void quiet_heard(struct task *t, int nr)
{
    const struct quiet *q = quiet_of(t);
    uaddr_t word = q && q->leaves && nr != SYS_exit ? q->word : 0;

    quiet_over(t);
    if (word)
        (void)put_user(t, GATE_QUIET, uint64_t, word);
}

bool quiet_has_area(const struct process *p, uaddr_t at)
{
    return p->quiet && ((p->quiet->word ^ at) & ~(GATE_AREA_SIZE - 1)) == 0;
}

/* Calling
 * ---------------------------------------------------------------------------------------------------------
 */

static bool was_kicked(const struct quiet *q, pid_t host_tid)
{
    for (unsigned i = 0; i < q->nkicked && i < QUIET_KICKED; i++)
        if (q->kicked[i] == host_tid)
            return true;
    return false;
}

/* Threads on their way out, and those that are about to attach, are nobody's, too: a kick changes nothing for
 * them. */
static void kick_unknown(struct quiet *q)
{
    const struct process *p = q->task->process;
    char name[32];
    (void)snprintf(name, sizeof(name), "%d/task", (int)p->host_pid);
    vfs_assume_self();
    int fd = openat(kernel.procfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *e; (e = readdir(dir));) {
        pid_t tid = (pid_t)atoi(e->d_name);
        if (tid <= 0 || task_host_is_known(p, tid) || was_kicked(q, tid))
            continue;
        if (syscall(SYS_tgkill, p->host_pid, tid, GATE_KICK_SIGNAL) == 0)
            q->kicked[q->nkicked++ % QUIET_KICKED] = tid;
    }
    (void)closedir(dir);
}

/* The host's list may miss one when others end meanwhile, and its queue of signals may be full. */
static void call_again(struct ktimer *kt)
{
    struct quiet *q = (struct quiet *)kt; /* its first member */
    kick_unknown(q);
    q->pause *= 2;
    if (++q->calls < CALLS)
        ktimer_set(&q->timer, mono_now() + q->pause);
}

void quiet_call(struct task *t)
{
    struct quiet *q = quiet_of(t);
    if (!q || q->pause)
        return;
    q->pause = FIRST_PAUSE_NS;
    if (take_right(q, GATE_NOT_QUIET)) /* before the look: gate_child */
        return;
    kick_unknown(q);
    ktimer_set(&q->timer, mono_now() + q->pause);
}

void quiet_passed_over(struct process *p)
{
    unsigned patience = p->quiet_patience ? p->quiet_patience : PASSED_OVER;

    if (!p->quiet || ++p->quiet->passed_over != patience)
        return;
    p->quiet_patience = patience < PASSED_OVER_MOST ? patience * 2 : patience;
    quiet_call(p->quiet->task);
}

/* Another thread of p's that surely lives on the host, other than t. */
static pid_t other_host_tid(const struct process *p, const struct task *t)
{
    for (const struct task *o = p->threads; o; o = o->thread_next)
        if (o != t && o->host_tid && !o->exited)
            return o->host_tid;
    return 0;
}

void quiet_thread_ended(struct task *t)
{
    struct quiet *q = t->process->quiet;
    if (!q)
        return;
    if (q->task == t) {
        quiet_over(t);
        t->lender = 0;
        return;
    }
    if (q->task->lender != t->host_tid)
        return;
    /* Before the last one goes by whom its word can be written. */
    pid_t lender = other_host_tid(t->process, t);
    struct task *quiet = q->task;
    if (!lender)
        quiet_call(quiet);
    quiet->lender = lender;
}

/* Hearing
 * ---------------------------------------------------------------------------------------------------------
 */

/* The host's word for it: a thread of the process that goes by that number now. Should that be another than p
 * by now, its first thread has attached before it could make a second one: see quiet_process_begins. */
static bool is_thread_of(const struct process *p, pid_t host_tid)
{
    return host_tid != p->host_pid && syscall(SYS_tgkill, p->host_pid, host_tid, 0) == 0;
}

void quiet_process_begins(pid_t host_pid)
{
    struct quiet *q, *tmp;
    DL_FOREACH_SAFE(kernel.quiets, q, tmp)
    {
        if (q->task->process->host_pid != host_pid)
            continue;
        q->task->lender = 0;
        quiet_over(q->task);
    }
}

struct task *quiet_find(pid_t host_tid)
{
    struct quiet *q;
    DL_FOREACH(kernel.quiets, q)
    if (is_thread_of(q->task->process, host_tid))
        return q->task;
    return NULL;
}

/* Waiting
 * ---------------------------------------------------------------------------------------------------------
 */

/* Calls it, where that helps. True: it is to be waited for. */
static bool is_to_come(struct task *t)
{
    const struct process *p = t->process;

    LOCKED(&kernel.tasklist_lock);
    if (t->host_tid || t->exited || p->group_exit || p->stopped || p->container->frozen ||
        (atomic_load(&t->life) & (TASK_DYING | TASK_EXITED)))
        return false;
    quiet_call(t);
    return true;
}

void quiet_await(struct task *t)
{
    for (int i = 0; i < NAPS && is_to_come(t); i++) {
        worker_about_to_block();
        (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
}

/* References: the thread of that number, or the quiet one of its process. */
static struct task *find_thread(const struct task *t, pid_t pid, bool beside)
{
    LOCKED(&kernel.tasklist_lock);
    struct task *o = task_by_tid(t->process->container->pids, pid);
    if (o && beside)
        o = o->process->quiet ? o->process->quiet->task : NULL;
    return o ? task_get(o) : NULL;
}

static void await_and_put(struct task *o)
{
    if (!o)
        return;
    quiet_await(o);
    task_put(o);
}

void quiet_await_pid(const struct task *t, pid_t pid)
{
    await_and_put(find_thread(t, pid, false));
}

void quiet_await_clock(const struct task *t, clockid_t clock)
{
    pid_t pid = ~(clock >> 3);

    if (clock < 0 && (clock & 4) && pid)
        quiet_await_pid(t, pid);
}

void quiet_await_beside(const struct task *t, pid_t pid)
{
    await_and_put(find_thread(t, pid, true));
}

static struct task *find_any(const struct container *c)
{
    struct quiet *q;

    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH(kernel.quiets, q)
    if (q->task->process->container == c && !q->task->process->stopped && !q->task->process->group_exit)
        return task_get(q->task);
    return NULL;
}

void quiet_await_all(const struct container *c)
{
    struct task *o, *last = NULL;

    /* One that does not come in all that time is not waited for again. */
    while ((o = find_any(c)) && o != last) {
        quiet_await(o);
        task_put(o);
        last = o;
    }
    if (o)
        task_put(o);
}
