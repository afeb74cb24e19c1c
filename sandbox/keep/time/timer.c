/* The keep's one timer queue and its thread; interval timers (setitimer, alarm). POSIX timers are in
 * posix_timer.c. All [T]: the queue, the timers and what they signal share tasklist_lock. */
#include <limits.h>
#include <sys/time.h>

#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/thread.h"
#include "sandbox/keep/time/timer.h"

struct timer_queue {
    struct ktimer *head; /* sorted */
    pthread_cond_t changed;
};

int64_t mono_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts_ns(&ts);
}

struct timespec *deadline_since(struct timespec *d, int64_t begin, const struct timespec *rel)
{
    const int64_t far = INT64_MAX / NSEC_PER_SEC / 2;
    int64_t sec = rel->tv_sec > far ? far : rel->tv_sec;
    *d = ns_ts(begin + sec * NSEC_PER_SEC + rel->tv_nsec);
    return d;
}

struct timespec *deadline_from(struct timespec *d, const struct timespec *rel)
{
    return deadline_since(d, mono_now(), rel);
}

struct timespec deadline_left(const struct timespec *d)
{
    int64_t left = ts_ns(d) - mono_now();
    return ns_ts(left > 0 ? left : 0);
}

static void fire_due(struct timer_queue *tq)
{
    int64_t now = mono_now();
    while (tq->head && tq->head->expires <= now) {
        struct ktimer *kt = tq->head;
        ktimer_cancel(kt);
        kt->fire(kt);
    }
}

static void *timer_thread(void *arg)
{
    struct timer_queue *tq = arg;
    for (;;) {
        {
            LOCKED(&kernel.tasklist_lock);
            if (!tq->head) {
                pthread_cond_wait(&tq->changed, &kernel.tasklist_lock);
            } else if (tq->head->expires > mono_now()) {
                struct timespec at = ns_ts(tq->head->expires);
                pthread_cond_clockwait(&tq->changed, &kernel.tasklist_lock, CLOCK_MONOTONIC, &at);
            }
            fire_due(tq);
        }
        tasks_bury();
        later_tidy();
    }
    return NULL;
}

/* The thread is made at the first use: most containers never set a timer. */
static struct timer_queue *queue(void)
{
    if (kernel.timers)
        return kernel.timers;
    struct timer_queue *tq = calloc(1, sizeof(*tq));
    if (!tq)
        return NULL;
    pthread_cond_init(&tq->changed, NULL);
    if (thread_start("timers", timer_thread, tq) < 0) {
        free(tq);
        return NULL;
    }
    kernel.timers = tq;
    return tq;
}

static int by_expiry(const struct ktimer *a, const struct ktimer *b)
{
    return (a->expires > b->expires) - (a->expires < b->expires);
}

void ktimer_set(struct ktimer *kt, int64_t expires)
{
    struct timer_queue *tq = queue();
    ktimer_cancel(kt);
    if (!tq)
        return;
    kt->expires = expires;
    kt->queued = true;
    DL_INSERT_INORDER(tq->head, kt, by_expiry);
    if (tq->head == kt)
        pthread_cond_signal(&tq->changed);
}

void ktimer_cancel(struct ktimer *kt)
{
    if (!kt->queued)
        return;
    DL_DELETE(kernel.timers->head, kt);
    kt->queued = false;
}

/* Interval timers
 * ------------------------------------------------------------------------------------------------ */

static int64_t itimer_now(const struct itimer *it)
{
    if (it->which == ITIMER_REAL)
        return mono_now();
    struct timespec ut, st;
    process_cputime(it->process, &ut, &st);
    return ts_ns(&ut) + (it->which == ITIMER_PROF ? ts_ns(&st) : 0);
}

/* CPU clocks are sampled: a process cannot use up what is left sooner than with all its threads running. */
static int64_t wall_for(const struct itimer *it, int64_t left)
{
    if (it->which == ITIMER_REAL)
        return left;
    int64_t wall = left / (it->process->nthreads ? it->process->nthreads : 1);
    return wall < 1000000 ? 1000000 : wall;
}

static void itimer_fire(struct ktimer *kt)
{
    static const int signo[] = {SIGALRM, SIGVTALRM, SIGPROF};
    struct itimer *it = (struct itimer *)kt; /* its first member */
    int64_t now = itimer_now(it);
    if (now >= it->target) {
        send_kernel_signal(it->process, signo[it->which]);
        if (!it->interval) {
            it->target = 0;
            return;
        }
        it->target += ((now - it->target) / it->interval + 1) * it->interval;
    }
    ktimer_set(kt, mono_now() + wall_for(it, it->target - now));
}

void itimers_init(struct process *p)
{
    for (int i = 0; i < 3; i++) {
        p->itimer[i].timer.fire = itimer_fire;
        p->itimer[i].process = p;
        p->itimer[i].which = i;
    }
}

void itimers_cancel(struct process *p)
{
    for (int i = 0; i < 3; i++)
        ktimer_cancel(&p->itimer[i].timer);
}

static struct timeval ns_tv(int64_t ns)
{
    return (struct timeval){.tv_sec = ns / NSEC_PER_SEC, .tv_usec = ns % NSEC_PER_SEC / 1000};
}

static void itimer_read(const struct itimer *it, struct itimerval *v)
{
    *v = (struct itimerval){.it_interval = ns_tv(it->interval)};
    if (!it->target)
        return;
    int64_t left = it->target - itimer_now(it);
    v->it_value = ns_tv(left < 1000 ? 1000 : left); /* still to come: never shown as 0 */
}

static void itimer_arm(struct itimer *it, int64_t value, int64_t interval)
{
    ktimer_cancel(&it->timer);
    it->interval = interval;
    it->target = 0;
    if (!value)
        return;
    it->target = itimer_now(it) + value;
    ktimer_set(&it->timer, mono_now() + wall_for(it, value));
}

#define ITIMER_MAX_SEC (INT64_MAX / NSEC_PER_SEC / 4)

static int tv_to_ns(const struct timeval *tv, int64_t *ns)
{
    if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
        return -EINVAL;
    int64_t sec = tv->tv_sec > ITIMER_MAX_SEC ? ITIMER_MAX_SEC : tv->tv_sec;
    *ns = sec * NSEC_PER_SEC + tv->tv_usec * 1000;
    return 0;
}

long sys_setitimer(struct task *t, const struct sysargs *a)
{
    struct itimerval v = {0}, old;
    int64_t value, interval;
    unsigned which = (unsigned)a->arg[0];
    if (a->arg[1] && get_user(t, &v, a->arg[1]) < 0)
        return -EFAULT;
    if (which > ITIMER_PROF)
        return -EINVAL;
    if (tv_to_ns(&v.it_value, &value) < 0 || tv_to_ns(&v.it_interval, &interval) < 0)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        struct itimer *it = &t->process->itimer[which];
        itimer_read(it, &old);
        itimer_arm(it, value, interval);
    }
    return a->arg[2] ? copy_to_user(t, a->arg[2], &old, sizeof(old)) : 0;
}

long sys_getitimer(struct task *t, const struct sysargs *a)
{
    struct itimerval v;
    unsigned which = (unsigned)a->arg[0];
    if (which > ITIMER_PROF)
        return -EINVAL;
    {
        LOCKED(&kernel.tasklist_lock);
        itimer_read(&t->process->itimer[which], &v);
    }
    return copy_to_user(t, a->arg[1], &v, sizeof(v));
}

long sys_alarm(struct task *t, const struct sysargs *a)
{
    LOCKED(&kernel.tasklist_lock);
    struct itimer *it = &t->process->itimer[ITIMER_REAL];
    struct itimerval old;
    itimer_read(it, &old);
    itimer_arm(it, (int64_t)(unsigned)a->arg[0] * NSEC_PER_SEC, 0);
    long secs = old.it_value.tv_sec;
    if (old.it_value.tv_usec >= 500000 || (!secs && old.it_value.tv_usec))
        secs++;
    return secs;
}
