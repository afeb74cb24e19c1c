/* Mailboxes without doorbells: while a thread makes one call by its mailbox after another, a thread of the
 * keep looks at its page all the time, on another CPU, so that neither has to be woken. That pays only while
 * there is an idle CPU: whoever finds that it was not running itself goes away for a while, the longer the
 * more often that happens. */
#include <sched.h>
#include <string.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/counters.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/thread.h"

#define CLIENTS MAILBOX_THREADS
#define USEC 1000LL
#define BUSY_GAP (120 * USEC)    /* between two calls: closer ones come in a row */
#define BUSY_CALLS 4             /* in a row, until somebody looks */
#define CREDIT (250 * USEC)      /* a client may let be waited for it that long at first, */
#define CREDIT_CALL (60 * USEC)  /* by each call so much longer, */
#define CREDIT_MAX (2000 * USEC) /* but not longer than that in all */
#define LOST (100 * USEC)        /* between two looks: somebody else had the CPU */
#define BACKOFF_MIN (1000 * USEC)
#define BACKOFF_IDLE (4000 * USEC)
#define BACKOFF_MAX (256000 * USEC)
#define RESTS 8   /* calls by the doorbell of a client that was not seen in time, until it is one again */
#define WORTH 100 /* calls that pay for a beginning */
#define LOOKS 64  /* between two questions for the time */

struct client {
    struct task *task;   /* a reference; NULL: none */
    struct mailbox *box; /* a reference */
    struct gate_mailbox *page;
    unsigned index;
    int cpu;      /* that it asked on */
    int64_t last; /* when it called last */
    int64_t credit;
};

struct mailbox_server {
    atomic_int refs; /* the container's, the thread's */
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct client waiting[CLIENTS]; /* for the thread to take over; lock */
    atomic_uint nwaiting;
    bool stop;                  /* lock */
    _Atomic int64_t not_before; /* it has backed off until then */
    /* The thread's: */
    int64_t backoff;
    unsigned served; /* calls, since it began to look */
    cpu_set_t cpus;  /* that it may run on */
};

static _Thread_local bool must_not_wait;

bool mailbox_must_not_wait(void)
{
    return must_not_wait;
}

static int64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void client_clear(struct client *c)
{
    if (!c->task)
        return;
    __atomic_store_n(&c->page->served, 0, __ATOMIC_RELAXED);
    mailbox_put(c->box);
    task_put(c->task);
    c->task = NULL;
}

static void server_put(struct mailbox_server *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < CLIENTS; i++)
        client_clear(&s->waiting[i]);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->work);
    free(s);
}

void mailbox_server_release(struct mailbox_server *s)
{
    if (!s)
        return;
    {
        LOCKED(&s->lock);
        s->stop = true;
        pthread_cond_signal(&s->work);
    }
    server_put(s);
}

/* One call -------------------------------------------------------------------------------------------------
 */

/* What the gate is to be told. */
static long verdict(long r, int nr)
{
    if (r == SYS_CONTINUE && nr == SYS_close)
        return MAILBOX_NATIVE;
    return is_restart(r) || r == SYS_CONTINUE || r == SYS_CONTINUE_BLOCKING || r == SYS_NOANSWER
               ? MAILBOX_RING
               : r;
}

/* In t's bracket. Another program has let go of it: who still has its memory speaks for nobody. */
static bool is_own(const struct client *c)
{
    const struct task *t = c->task;

    return t->process->mm->mailbox == c->box && atomic_load(&c->box->owner[c->index]) == t;
}

static long run(const struct client *c, const struct sysargs *a)
{
    struct task *t = c->task;
    struct timespec start = {0};

    if (!mailbox_takes(a->nr) || !syscall_table[a->nr].fn || t->process->container->frozen || t->ended_by ||
        (t->seccomp_mode && !seccomp_always_allows(t, a->nr)) || kernel.strace)
        return MAILBOX_RING;
    if (!task_enter_idle(t))
        return MAILBOX_RING;
    if (!is_own(c)) {
        task_leave_idle(t);
        return MAILBOX_RING;
    }
    if (counters_timed())
        clock_gettime(CLOCK_MONOTONIC, &start);
    later_hear(t);
    quiet_hear();
    if (!kept_hear(t, a)) {
        task_leave_idle(t);
        return MAILBOX_RING;
    }
    mailbox_begin(t, c->page);
    long r = syscall_table[a->nr].fn(t, a);
    kept_after(t, a);
    mailbox_end();
    t->used_lane = false;
    counters_count(a->nr, r, &start);
    task_leave_idle(t);
    return verdict(r, a->nr);
}

static void wake(struct gate_mailbox *page)
{
    (void)syscall(SYS_futex, &page->state, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* True: there was a call. */
static bool serve(struct client *c)
{
    struct gate_mailbox *page = c->page;
    volatile struct gate_mailbox *m = page;
    uint32_t posted = MAILBOX_POSTED;
    struct sysargs a = {.ip = GATE_BASE};

    if (__atomic_load_n(&page->state, __ATOMIC_RELAXED) != MAILBOX_POSTED ||
        !__atomic_compare_exchange_n(&page->state, &posted, MAILBOX_TAKEN, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false;
    a.nr = (int)m->nr;
    for (unsigned i = 0; i < 6; i++)
        a.arg[i] = m->arg[i];
    m->result = run(c, &a);
    if (__atomic_exchange_n(&page->state, MAILBOX_DONE, __ATOMIC_ACQ_REL) == MAILBOX_SLEEPING)
        wake(page);
    return true;
}

/* Looking --------------------------------------------------------------------------------------------------
 */

/* Not where the caller runs: the two would take turns. */
static void keep_off(struct mailbox_server *s, int cpu)
{
    cpu_set_t others = s->cpus;

    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getcpu() != cpu)
        return;
    CPU_CLR(cpu, &others);
    (void)sched_setaffinity(0, sizeof(others), &others);
}

/* What waits comes behind the n that are looked at, where there is room. Returns how many there are now. */
static unsigned take_over(struct mailbox_server *s, struct client mine[CLIENTS], unsigned n)
{
    LOCKED(&s->lock);
    for (; n < CLIENTS && s->nwaiting; n++) {
        struct client *c = &mine[n];
        *c = s->waiting[--s->nwaiting];
        s->waiting[s->nwaiting].task = NULL;
        keep_off(s, c->cpu);
        c->last = now();
        c->credit = CREDIT;
        __atomic_store_n(&c->page->served, 1, __ATOMIC_RELAXED);
    }
    return n;
}

/* In the way of others: away for the longer the more often that happens. For nothing: not at once again. */
static void back_off(struct mailbox_server *s, int64_t at, bool in_the_way)
{
    int64_t max = in_the_way ? BACKOFF_MAX : BACKOFF_IDLE;

    s->backoff = s->backoff && s->served < WORTH ? s->backoff * 2 : BACKOFF_MIN;
    if (s->backoff > max)
        s->backoff = max;
    atomic_store(&s->not_before, at + s->backoff);
}

/* What waiting costs is an idle CPU's, but that is not for nothing either. */
static bool earn(struct client *c)
{
    int64_t at = now();

    c->credit += CREDIT_CALL - (at - c->last);
    if (c->credit > CREDIT_MAX)
        c->credit = CREDIT_MAX;
    c->last = at;
    return true;
}

static bool has_left(const struct client *c, int64_t at)
{
    return at - c->last > c->credit || (atomic_load(&c->task->life) & (TASK_DYING | TASK_EXITED));
}

/* Some looks at n of them. False: the CPU was somebody else's meanwhile. */
static bool look(struct mailbox_server *s, struct client mine[CLIENTS], unsigned n, int64_t *at)
{
    int64_t idle_since = *at;

    for (unsigned k = 0; k < LOOKS; k++) {
        bool any = false;
        for (unsigned i = 0; i < n; i++)
            any |= serve(&mine[i]) && earn(&mine[i]);
        s->served += any;
        if (any)
            idle_since = 0;
        else
            __builtin_ia32_pause();
    }
    *at = now();
    return !idle_since || *at - idle_since <= LOST;
}

/* Its gate found that nobody looked. */
static bool has_missed(const struct client *c)
{
    return !__atomic_load_n(&c->page->served, __ATOMIC_RELAXED);
}

/* Of the n, those that go on to be looked at come first. Returns how many. *fine: false where all that are
 * gone now missed something. */
static unsigned settle(struct client mine[CLIENTS], unsigned n, int64_t at, bool *fine)
{
    unsigned left = 0, missed = 0;

    for (unsigned i = 0; i < n; i++) {
        bool miss = has_missed(&mine[i]);
        if (miss)
            atomic_store_explicit(&mine[i].task->mailbox_rests, RESTS, memory_order_relaxed);
        missed += miss;
        if (!*fine || miss || has_left(&mine[i], at))
            client_clear(&mine[i]);
        else
            mine[left++] = mine[i];
    }
    *fine &= left || !missed;
    return left;
}

/* Until they all have left. */
static void look_after(struct mailbox_server *s, struct client mine[CLIENTS])
{
    unsigned n = take_over(s, mine, 0);
    int64_t at = now();
    bool fine = true;

    s->served = 0;
    while (n) {
        fine = look(s, mine, n, &at);
        n = settle(mine, n, at, &fine);
        if (fine && atomic_load_explicit(&s->nwaiting, memory_order_relaxed))
            n = take_over(s, mine, n);
    }
    if (!fine || s->served < WORTH)
        back_off(s, at, !fine);
    else
        s->backoff = 0;
}

static void *server_main(void *arg)
{
    struct mailbox_server *s = arg;
    struct client mine[CLIENTS];

    must_not_wait = true;
    for (;;) {
        {
            LOCKED(&s->lock);
            while (!s->stop && !s->nwaiting)
                pthread_cond_wait(&s->work, &s->lock);
            if (s->stop)
                break;
        }
        look_after(s, mine);
    }
    server_put(s);
    return NULL;
}

/* Asking for it --------------------------------------------------------------------------------------------
 */

/* Its first thread is started by a worker of the container's, whose root directory it shares. Where that can
 * not be, or there is but one CPU, it is one that nobody is admitted to: that is not asked again at each
 * call.
 */
static struct mailbox_server *server_new(void)
{
    struct mailbox_server *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    atomic_init(&s->refs, 2);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    if (sched_getaffinity(0, sizeof(s->cpus), &s->cpus) == 0 && CPU_COUNT(&s->cpus) > 1 &&
        thread_start("mailboxes", server_main, s) == 0)
        return s;
    s->refs = 1;
    s->not_before = INT64_MAX;
    return s;
}

static struct mailbox_server *server_of(struct container *c)
{
    struct mailbox_server *s = atomic_load(&c->mailbox_server);

    if (s)
        return s;
    LOCKED(&kernel.tasklist_lock);
    s = atomic_load(&c->mailbox_server);
    if (!s && !c->ended) {
        s = server_new();
        atomic_store(&c->mailbox_server, s);
    }
    return s;
}

static void admit(struct task *t, struct mailbox *b, struct gate_mailbox *page, int64_t at)
{
    struct mailbox_server *s = server_of(t->process->container);
    unsigned index = (unsigned)(((char *)page - (char *)b->page[0]) / MAILBOX_PAGE);

    if (!s || at < atomic_load(&s->not_before))
        return;
    LOCKED(&s->lock);
    if (s->stop || s->nwaiting == CLIENTS)
        return;
    for (unsigned i = 0; i < s->nwaiting; i++)
        if (s->waiting[i].page == page)
            return;
    atomic_fetch_add(&b->refs, 1);
    atomic_store(&b->owner[index], t);
    s->waiting[s->nwaiting] =
        (struct client){.task = task_get(t), .box = b, .page = page, .index = index, .cpu = sched_getcpu()};
    s->nwaiting++;
    pthread_cond_signal(&s->work);
}

void mailbox_rung(struct task *t)
{
    struct mailbox *b = t->process->mm->mailbox;
    struct gate_mailbox *page = mailbox_page_in(b, t);

    if (!page)
        return;
    int64_t at = now();
    bool in_a_row = at - atomic_exchange_explicit(&b->rung, at, memory_order_relaxed) < BUSY_GAP;
    unsigned calls = in_a_row ? atomic_load_explicit(&b->calls, memory_order_relaxed) + 1 : 0;
    atomic_store_explicit(&b->calls, calls, memory_order_relaxed);
    if (atomic_load_explicit(&t->mailbox_rests, memory_order_relaxed)) {
        atomic_fetch_sub_explicit(&t->mailbox_rests, 1, memory_order_relaxed);
        return;
    }
    if (calls < BUSY_CALLS || __atomic_load_n(&page->served, __ATOMIC_RELAXED))
        return;
    admit(t, b, page, at);
}
