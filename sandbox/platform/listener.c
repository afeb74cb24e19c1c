/* Leader and followers: one worker of a listener waits in RECV; it serves what it received and then waits
 * again. Before it may block it hands the place to a follower. More than one waiter would be woken for every
 * call. */
#include "sandbox/platform/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "common/log.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/time/timer.h"

#define WORKER_STACK (160 * 1024)
#define MAX_IDLE 4
#define SLOW_NS 100000L /* for a guest's thread to take a descriptor: is slow, */
#define SLOW_TURNS 64   /* and so may be as many that follow */
#define TURNS 32        /* calls in a row by one thread, until it counts as the only one */
#define WATCH_NS 10000000L

/* Linux 6.6; the headers of Debian 12 are older. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

struct worker {
    struct listener *listener;
    struct container *container; /* to enter first (a reference), where its maker is in another; or NULL */
    atomic_bool leads;
    atomic_uint turn; /* odd: in a call */
};

static _Thread_local struct worker *self;

static int spawn_worker(struct listener *l, struct container *c, bool leads);

/* l->lock held: someone else takes over RECV. True: one who is idle, and is to be woken. */
static bool hand_over(struct listener *l)
{
    l->has_leader = false;
    l->leader = NULL;
    if (l->idle_workers > 0)
        return true;
    l->has_leader = spawn_worker(l, NULL, true) == 0;
    return false;
}

static bool has_resumed(struct listener *l)
{
    return __atomic_load_n(&l->resumed, __ATOMIC_ACQUIRE) != NULL;
}

/* l->lock held: somebody goes on with what is there. c: as spawn_worker has it. True: as of hand_over. */
static bool take_up_resumed(struct listener *l, struct container *c)
{
    if (l->idle_workers == 0)
        (void)spawn_worker(l, c, false);
    return l->idle_workers > 0;
}

void listener_resume(struct parked *p)
{
    struct listener *l = p->a.listener;

    LOCKED(&l->lock);
    DL_APPEND(l->resumed, p);
    if ((!self || self->listener != l) && take_up_resumed(l, p->task->process->container))
        pthread_cond_signal(&l->idle);
}

static struct parked *next_resumed(struct listener *l)
{
    if (!has_resumed(l))
        return NULL;
    LOCKED(&l->lock);
    struct parked *p = l->resumed;
    if (p)
        DL_DELETE(l->resumed, p);
    return p;
}

/* True: an idle worker is to be woken. */
static bool pass_on(struct worker *w)
{
    LOCKED(&w->listener->lock);
    if (atomic_exchange(&w->leads, false))
        return hand_over(w->listener); /* who gets it looks at the others first */
    return w->listener->resumed && take_up_resumed(w->listener, NULL);
}

void worker_about_to_block(void)
{
    struct worker *w = self;

    if (!w || (!atomic_load(&w->leads) && !has_resumed(w->listener)))
        return;
    if (pass_on(w)) /* without the lock, which is what who is woken takes first */
        pthread_cond_signal(&w->listener->idle);
}

/* Around an ioctl that waits until the guest's thread has had a CPU (and, where that answers its call, until
 * this worker gets it back). Where that takes long, because others want the CPUs, another takes over RECV if
 * somebody is waiting to be heard; else that would cost more than it saves. Where only one thread calls,
 * nobody can be waiting. Not where a program begins: who is waiting then is whom its exec has let go on, to
 * wait for it most likely. */
static int64_t before_addfd(struct listener *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    if (!self || !atomic_load(&self->leads) || !atomic_load_explicit(&l->turns, memory_order_relaxed))
        return 0;
    if (atomic_load_explicit(&l->slow, memory_order_relaxed) && poll(&p, 1, 0) == 1 && (p.revents & POLLIN))
        worker_about_to_block();
    return mono_now();
}

/* begun: what before_addfd gave. */
static void after_addfd(struct listener *l, int64_t begun)
{
    unsigned slow = atomic_load_explicit(&l->slow, memory_order_relaxed);

    if (!begun)
        return;
    if (mono_now() - begun > SLOW_NS)
        atomic_store_explicit(&l->slow, SLOW_TURNS, memory_order_relaxed);
    else if (slow)
        atomic_store_explicit(&l->slow, slow - 1, memory_order_relaxed);
}

static void note_caller(struct listener *l, unsigned tid)
{
    unsigned turns = atomic_load_explicit(&l->turns, memory_order_relaxed);

    if (atomic_load_explicit(&l->caller, memory_order_relaxed) != tid) {
        atomic_store_explicit(&l->caller, tid, memory_order_relaxed);
        atomic_store_explicit(&l->turns, TURNS, memory_order_relaxed);
    } else if (turns) {
        atomic_store_explicit(&l->turns, turns - 1, memory_order_relaxed);
    }
}

/* True: this worker leads (again), or there may be a call to go on with. False: it is one too many and ends.
 */
static bool become_leader(struct worker *w)
{
    struct listener *l = w->listener;

    if (atomic_load(&w->leads))
        return true;
    LOCKED(&l->lock);
    if (l->has_leader && l->idle_workers >= MAX_IDLE && !l->resumed)
        return false;
    l->idle_workers++;
    while (l->has_leader && !l->dead && !l->resumed)
        pthread_cond_wait(&l->idle, &l->lock);
    l->idle_workers--;
    if (l->dead)
        return false;
    if (!l->has_leader) {
        l->has_leader = true;
        l->leader = w;
        atomic_store(&w->leads, true);
    }
    return true;
}

/* A leader that does not come back -------------------------------------------------------------------------
 */

static int start_thread(void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    int r = -pthread_create(&thread, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    if (r < 0)
        log_error("cannot start a worker of the keep: %s", strerror(-r));
    return r;
}

/* Where the leader is, as far as one can see. */
struct sight {
    const struct worker *leader;
    unsigned turn;
};

/* l->lock held. */
static struct sight look(const struct listener *l)
{
    return (struct sight){l->leader, l->leader ? atomic_load(&l->leader->turn) : 0};
}

static bool is_same(const struct sight *a, const struct sight *b)
{
    return a->leader == b->leader && a->turn == b->turn;
}

static bool somebody_waits(const struct listener *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* l->lock held. One that is in the same call as a while ago is replaced, if somebody waits. */
static void judge(struct listener *l, const struct sight *before, const struct sight *now)
{
    if (!is_same(before, now) || now->turn % 2 == 0 || !somebody_waits(l))
        return;
    if (atomic_exchange(&l->leader->leads, false) && hand_over(l))
        pthread_cond_signal(&l->idle);
}

/* l->lock held. Nothing has happened for a while: no more looking, until there is a call. That looks at
 * `watched` when its turn has begun, and here it is the other way round. */
static void rest(struct listener *l, const struct sight *before)
{
    struct sight now = look(l);

    if (!is_same(before, &now) || now.turn % 2)
        return;
    atomic_store(&l->watched, false);
    now = look(l);
    if (!is_same(before, &now))
        atomic_store(&l->watched, true);
}

static void *watch_main(void *arg)
{
    struct listener *l = arg;
    struct timespec until;

    pthread_mutex_lock(&l->lock);
    while (!l->dead) {
        struct sight before = look(l);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WATCH_NS;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (!atomic_load(&l->watched))
            (void)pthread_cond_wait(&l->watch, &l->lock);
        else if (pthread_cond_timedwait(&l->watch, &l->lock, &until) == ETIMEDOUT) {
            struct sight now = look(l);
            judge(l, &before, &now);
            rest(l, &before);
        }
    }
    pthread_mutex_unlock(&l->lock);
    listener_release(l);
    return NULL;
}

/* From now on. Its maker is a worker, whose root directory it shares, and so does whom it starts. */
static void watch(struct listener *l)
{
    LOCKED(&l->lock);
    if (!l->has_watcher) {
        l->has_watcher = true;
        l->refs++;
        if (start_thread(watch_main, l) < 0)
            l->refs--;
    }
    atomic_store(&l->watched, true);
    pthread_cond_signal(&l->watch);
}

static bool others_may_wait(const struct task *t)
{
    return __atomic_load_n(&t->process->container->ntasks, __ATOMIC_RELAXED) > 1;
}

/* The calls
 * -------------------------------------------------------------------------------------------------- */

static struct task *task_of(struct listener *l, const struct seccomp_notif *n)
{
    struct task *t = task_by_host_tid((pid_t)n->pid);

    if (t)
        return t;
    if (l->first) {
        /* The porter's child executes its gate. */
        t = steal_ptr(&l->first);
        task_set_host_tid(t, (pid_t)n->pid);
        t->process->host_pid = (pid_t)n->pid;
        rlimits_tell_host(t->process);
        return t;
    }
    return NULL;
}

static void serve(struct listener *l, const struct seccomp_notif *n)
{
    struct sysargs a = {
        .nr = n->data.nr,
        .ip = n->data.instruction_pointer,
        .id = n->id,
        .listener = l,
    };

    for (int i = 0; i < 6; i++)
        a.arg[i] = n->data.args[i];
    note_caller(l, n->pid);
    struct task *t = task_of(l, n);
    if (t) {
        if (!atomic_load(&l->watched) && others_may_wait(t))
            watch(l);
        syscall_dispatch(t, &a);
        task_put(t);
    } else {
        syscall_dispatch_unattached((pid_t)n->pid, &a);
    }
}

/* RECV failed: because a call was taken back, or because there is nobody left to call (Linux 6.11 tells;
 * before, the worker stays in RECV to the end of the keep). */
static bool nobody_left(struct listener *l)
{
    struct pollfd p = {.fd = l->fd};

    if (errno == EINTR || (errno == ENOENT && (poll(&p, 1, 0) != 1 || !(p.revents & POLLHUP))))
        return false;
    LOCKED(&l->lock);
    l->dead = true;
    pthread_cond_broadcast(&l->idle);
    pthread_cond_signal(&l->watch);
    return true;
}

struct listener *listener_get(struct listener *l)
{
    LOCKED(&l->lock);
    l->refs++;
    return l;
}

void listener_release(struct listener *l)
{
    pthread_mutex_lock(&l->lock);
    bool last = --l->refs == 0;
    pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    (void)close(l->fd);
    if (l->first)
        task_put(l->first);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->idle);
    pthread_cond_destroy(&l->watch);
    free(l);
}

/* In the wrong tree nothing may be served: rather end the sandbox. */
static void enter(struct worker *w)
{
    struct container *c = steal_ptr(&w->container);

    if (!c)
        return;
    if (container_enter(c) < 0) {
        log_error("cannot enter the tree of container %s: %s", c->id, strerror(errno));
        abort();
    }
    container_put(c);
}

/* Who leads: w, if it does from its start; or no longer w. */
static void note_leader(struct worker *w, bool starts)
{
    struct listener *l = w->listener;

    LOCKED(&l->lock);
    if (starts && atomic_load(&w->leads))
        l->leader = w;
    else if (!starts && l->leader == w)
        l->leader = NULL;
}

/* One call: `resumed`, or the next that comes. False: none will come any more. */
static bool serve_next(struct worker *w, struct parked *resumed)
{
    struct seccomp_notif n = {0};

    if (!resumed && ioctl(w->listener->fd, SECCOMP_IOCTL_NOTIF_RECV, &n) != 0)
        return !nobody_left(w->listener);
    atomic_fetch_add(&w->turn, 1);
    if (resumed)
        parked_go_on(resumed);
    else
        serve(w->listener, &n);
    atomic_fetch_add_explicit(&w->turn, 1, memory_order_release);
    return true;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct parked *resumed;

    enter(w);
    self = w;
    note_leader(w, true);
    while ((resumed = next_resumed(w->listener)) || become_leader(w))
        if ((resumed || atomic_load(&w->leads)) && !serve_next(w, resumed))
            break;
    self = NULL;
    note_leader(w, false);
    listener_release(w->listener);
    free(w);
    return NULL;
}

/* l->lock held, or nobody else has l yet. A worker's child shares its root directory. */
static int spawn_worker(struct listener *l, struct container *c, bool leads)
{
    struct worker *w = calloc(1, sizeof(*w));

    if (!w)
        return -ENOMEM;
    w->listener = l;
    w->container = c ? container_get(c) : NULL;
    atomic_init(&w->leads, leads);
    l->refs++;
    int r = start_thread(worker_main, w);
    if (r < 0) {
        l->refs--;
        if (w->container)
            container_put(w->container);
        free(w);
    }
    return r;
}

static void watch_init(struct listener *l)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->watch, &attr);
    pthread_condattr_destroy(&attr);
}

struct listener *listener_new(int fd, struct container *c, struct task *first)
{
    struct listener *l = calloc(1, sizeof(*l));

    if (!l) {
        (void)close(fd);
        return NULL;
    }
    l->fd = fd;
    l->first = task_get(first);
    l->refs = 1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->idle, NULL);
    watch_init(l);
    /* Best effort: an older kernel wakes us a little later. */
    (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    l->has_leader = true;
    if (spawn_worker(l, c, true) == 0)
        return l;
    listener_release(l);
    return NULL;
}

static int respond(const struct sysargs *a, struct seccomp_notif_resp *resp)
{
    resp->id = a->id;
    return ioctl(a->listener->fd, SECCOMP_IOCTL_NOTIF_SEND, resp) == 0 ? 0 : -errno;
}

int notif_answer(const struct sysargs *a, long result)
{
    struct seccomp_notif_resp resp = {0};

    /* Like the kernel: the last 4095 values are errors, everything else is a result. */
    if (result < 0 && result >= -4095)
        resp.error = (int)result;
    else
        resp.val = result;
    return respond(a, &resp);
}

int notif_continue(const struct sysargs *a)
{
    struct seccomp_notif_resp resp = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

    return respond(a, &resp);
}

bool notif_is_pending(const struct sysargs *a)
{
    return ioctl(a->listener->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &a->id) == 0;
}

static int addfd(const struct sysargs *a, int fd, int at, unsigned flags)
{
    struct seccomp_notif_addfd add = {
        .id = a->id,
        .srcfd = (__u32)fd,
        .newfd = at >= 0 ? (__u32)at : 0,
        .flags = flags | (at >= 0 ? SECCOMP_ADDFD_FLAG_SETFD : 0),
        .newfd_flags = fd == kernel.gate_fd && at == GATE_IMAGE_FD ? 0 : O_CLOEXEC,
    };

    if (!a->listener) /* by a mailbox: no notification is there to be answered */
        return -ENOENT;
    int64_t begun = a->nr == GATE_EXEC_DONE ? 0 : before_addfd(a->listener);
    int r = ioctl(a->listener->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

    r = r < 0 ? -errno : r;
    after_addfd(a->listener, begun);
    return r;
}

int notif_addfd(const struct sysargs *a, int fd, int at)
{
    return addfd(a, fd, at, 0);
}

int notif_answer_fd(const struct sysargs *a, int fd, int at)
{
    int r = addfd(a, fd, at, SECCOMP_ADDFD_FLAG_SEND);

    return r < 0 ? r : 0;
}
