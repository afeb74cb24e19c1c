/* Contexts of asynchronous I/O and their events. The rules are those of io_setup(2) and its kin, and of
 * Linux's fs/aio.c where these say nothing. */
#include "sandbox/keep/events/aio.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

#define PAGE 4096UL
#define RING_MAGIC 0xa10a10a1U
#define RING_EVENTS_MAX (0x10000000U / sizeof(struct io_event))
/* Whatever fs.aio-max-nr says: rings are memory of the keep's as well. */
#define CONTEXTS_MAX 1024
#define BYTES_MAX ((size_t)128 << 20)

struct aio_ring {
    uint32_t id, nr;
    uint32_t head; /* the guest's, or ours for it */
    uint32_t tail; /* for the guest to see */
    uint32_t magic, compat_features, incompat_features, header_length;
    struct io_event events[];
};

/* Life
 * ---------------------------------------------------------------------------------------------------- */

void aio_put(struct aio_context *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    {
        LOCKED(&kernel.tasklist_lock);
        kernel.aio->contexts--;
        kernel.aio->bytes -= c->size;
        atomic_fetch_sub(&kernel.aio_nr, c->counted);
    }
    (void)munmap(c->ring, c->size);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->reading);
    free(c);
}

static void ring_release(struct file *f)
{
    aio_put(f->priv);
}

static void ring_link_name(struct file *f, char *buf, size_t size)
{
    (void)f;
    (void)snprintf(buf, size, "/[aio] (deleted)");
}

/* What the guest holds for the moment in which it maps the ring. */
static const struct file_ops ring_ops = {
    .name = "[aio]", .link_name = ring_link_name, .release = ring_release};

bool aio_is_lent(const struct file *f)
{
    return f->ops == &ring_ops;
}

/* [T] The sandbox can have one more. */
static int admit(struct aio_context *c, unsigned events)
{
    struct aio_state *s = kernel.aio;
    if (!s) {
        s = kernel.aio = calloc(1, sizeof(*s));
        if (!s)
            return -ENOMEM;
        s->watched = -1;
    }
    if (s->contexts >= CONTEXTS_MAX || c->size > BYTES_MAX - s->bytes ||
        atomic_load(&kernel.aio_nr) + events > procfs_limit(LIMIT_AIO))
        return -EAGAIN;
    s->contexts++;
    s->bytes += c->size;
    c->counted = events;
    atomic_fetch_add(&kernel.aio_nr, events);
    return 0;
}

/* The ring's memory, which neither end can make shorter under the other. The descriptor, or -errno. */
static int ring_memory(struct aio_context *c)
{
    _cleanup_close_ int fd = memfd_create("[aio]", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)c->size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return -EAGAIN;
    void *p = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -EAGAIN;
    c->ring = p;
    *c->ring = (struct aio_ring){
        .nr = c->nr, .magic = RING_MAGIC, .compat_features = 1, .header_length = sizeof(struct aio_ring)};
    return steal_fd(&fd);
}

/* A context that can take so many requests at a time; *fd its ring's memory. NULL: *err. */
static struct aio_context *context_new(unsigned want, unsigned cpus, int *fd, int *err)
{
    unsigned places = (want > cpus * 4 ? want : cpus * 4) * 2;
    *err = -EINVAL;
    if (places > RING_EVENTS_MAX)
        return NULL;
    struct aio_context *c = calloc(1, sizeof(*c));
    *err = -ENOMEM;
    if (!c)
        return NULL;
    c->size = sizeof(struct aio_ring) + (places + 2) * sizeof(struct io_event);
    c->size = (c->size + PAGE - 1) & ~(PAGE - 1);
    c->nr = (unsigned)((c->size - sizeof(struct aio_ring)) / sizeof(struct io_event));
    {
        LOCKED(&kernel.tasklist_lock);
        *err = want == 0 ? -EINVAL : admit(c, want);
    }
    if (*err < 0) {
        free(c);
        return NULL;
    }
    atomic_init(&c->refs, 1);
    pthread_cond_init(&c->changed, NULL);
    pthread_mutex_init(&c->reading, NULL);
    c->ring = MAP_FAILED;
    *fd = ring_memory(c);
    if (*fd >= 0)
        return c;
    *err = *fd;
    aio_put(c);
    return NULL;
}

/* [T] */
static struct aio_context *find(struct mm *mm, uaddr_t id)
{
    struct aio_context *c;
    DL_FOREACH(mm->aio, c)
    if (c->id == id)
        return c;
    return NULL;
}

struct aio_context *aio_find(struct task *t, uaddr_t id)
{
    LOCKED(&kernel.tasklist_lock);
    struct aio_context *c = find(t->process->mm, id);
    if (c)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

/* [T] Nobody finds it any more, and who waits for its events goes on. */
static void kill_context(struct mm *mm, struct aio_context *c)
{
    DL_DELETE(mm->aio, c);
    c->dead = true;
    atomic_fetch_sub(&kernel.aio_nr, c->counted);
    c->counted = 0;
    pthread_cond_broadcast(&c->changed);
}

static void cancel_polls(struct aio_context *c)
{
    struct aio_poll *p;
    do {
        {
            LOCKED(&kernel.tasklist_lock);
            p = aio_poll_cancel_any(c);
        }
        if (p)
            aio_poll_end(p);
    } while (p);
}

void aio_mm_ended(struct mm *mm)
{
    while (mm->aio) {
        struct aio_context *c = mm->aio;
        {
            LOCKED(&kernel.tasklist_lock);
            kill_context(mm, c);
        }
        cancel_polls(c);
        aio_put(c);
    }
}

/* io_setup, io_destroy
 * ---------------------------------------------------------------------------------- */

long gate_aio_setup(struct task *t, const struct sysargs *a)
{
    uint64_t id;
    int hostfd, err;
    if (get_user(t, &id, a->arg[1]) < 0)
        return -EFAULT;
    if (id || (unsigned)a->arg[0] == 0)
        return -EINVAL;
    struct aio_context *c =
        context_new((unsigned)a->arg[0], procfs_cpus(t->process->container, NULL), &hostfd, &err);
    if (!c)
        return err;
    size_t size = c->size;
    struct file *f = file_new(&ring_ops, O_RDWR, FILE_LANE | FILE_NOPOLL, hostfd, c);
    if (!f) {
        (void)close(hostfd);
        aio_put(c);
        return -ENOMEM;
    }
    int fd = fd_return_donated(t, a, f);
    if (fd < 0)
        return fd;
    struct gate_op op = {
        .kind = GATE_OP_MAP, .fd = fd, .len = size, .prot = PROT_READ | PROT_WRITE, .flags = MAP_SHARED};
    return copy_to_user(t, a->arg[2], &op, sizeof(op));
}

/* [T] The ring has its place. An address that is said twice would be nobody's but the guest's own trouble. */
static int settle(struct mm *mm, struct aio_context *c, uaddr_t at)
{
    if (c->id || at < GATE_LIMIT || (at & (PAGE - 1)) || find(mm, at))
        return -EINVAL;
    c->id = at;
    atomic_fetch_add(&c->refs, 1);
    DL_APPEND(mm->aio, c);
    return 0;
}

/* [T] */
static struct aio_context *take_out(struct mm *mm, uaddr_t id)
{
    struct aio_context *c = id ? find(mm, id) : NULL;
    if (c)
        kill_context(mm, c);
    return c;
}

/* What others are transferring for the context is over when this returns, unless it is interrupted. The
 * address space's reference; NULL: there is none. */
static struct aio_context *destroy(struct task *t, uaddr_t id)
{
    struct aio_context *c;
    {
        LOCKED(&kernel.tasklist_lock);
        c = take_out(t->process->mm, id);
    }
    if (!c)
        return NULL;
    cancel_polls(c);
    LOCKED(&kernel.tasklist_lock);
    while (c->transfers && task_wait(t, &c->changed, NULL) == 0)
        ;
    return c;
}

long gate_aio_done(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f = fd_get(t, (int)a->arg[0]);
    uaddr_t at = a->arg[1];
    struct mm *mm = t->process->mm;
    if (!f || !aio_is_lent(f))
        return -EBADF;
    if (at > (uaddr_t)-PAGE)
        return (long)at;
    struct aio_context *c = f->priv;
    {
        LOCKED(&kernel.tasklist_lock);
        int r = settle(mm, c, at);
        if (r < 0)
            return r;
    }
    if (put_user(t, at, uint64_t, a->arg[2]) == 0)
        return 0;
    _cleanup_aio_ struct aio_context *gone = destroy(t, at);
    (void)gone;
    return -EFAULT;
}

long gate_aio_destroy(struct task *t, const struct sysargs *a)
{
    _cleanup_aio_ struct aio_context *c = destroy(t, a->arg[0]);
    if (!c)
        return -EINVAL;
    struct gate_op op = {.addr = a->arg[0], .len = c->size};
    return copy_to_user(t, a->arg[1], &op, sizeof(op));
}

/* Only a guest that jumps into the gate gets here: the gate serves these. */
long sys_io_setup(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return -EINVAL;
}

long sys_io_destroy(struct task *t, const struct sysargs *a)
{
    (void)t, (void)a;
    return -EINVAL;
}

/* Events
 * -------------------------------------------------------------------------------------------------- */

/* [T] How many there are, from *head on, which is the guest's to have changed. */
static unsigned waiting(const struct aio_context *c, unsigned *head)
{
    *head = __atomic_load_n(&c->ring->head, __ATOMIC_RELAXED) % c->nr;
    return (c->tail + c->nr - *head) % c->nr;
}

int aio_reserve(struct aio_context *c)
{
    unsigned head;
    if (c->dead)
        return -EINVAL;
    if (waiting(c, &head) + c->flight + 1 >= c->nr)
        return -EAGAIN;
    c->flight++;
    return 0;
}

void aio_complete(struct aio_context *c, const struct io_event *e)
{
    c->ring->events[c->tail] = *e;
    c->tail = (c->tail + 1) % c->nr;
    __atomic_store_n(&c->ring->tail, c->tail, __ATOMIC_RELEASE);
    c->flight--;
    pthread_cond_broadcast(&c->changed);
}

#define EVENTS_AT_ONCE 64

/* The next events, at most `most`. How many; *head is the place of the first. */
static unsigned peek(const struct aio_context *c, struct io_event e[EVENTS_AT_ONCE], long most,
                     unsigned *head)
{
    LOCKED(&kernel.tasklist_lock);
    unsigned n = waiting(c, head);
    if (n > EVENTS_AT_ONCE)
        n = EVENTS_AT_ONCE;
    if (n > most)
        n = (unsigned)most;
    for (unsigned i = 0; i < n; i++)
        e[i] = c->ring->events[(*head + i) % c->nr];
    return n;
}

/* As many events as there are, at most `most`, to the guest. How many; -EFAULT where the first ones cannot go
 * there, and then they stay. */
static long take_events(struct task *t, struct aio_context *c, uaddr_t to, long most)
{
    struct io_event e[EVENTS_AT_ONCE];
    long done = 0;
    unsigned head, n;

    LOCKED(&c->reading);
    do {
        n = peek(c, e, most - done, &head);
        if (n && copy_to_user(t, to + (uaddr_t)done * sizeof(e[0]), e, n * sizeof(e[0])) < 0)
            return done ? done : -EFAULT;
        if (n)
            __atomic_store_n(&c->ring->head, (head + n) % c->nr, __ATOMIC_RELEASE);
        done += n;
    } while (n == EVENTS_AT_ONCE && done < most);
    return done;
}

/* Until there may be an event more. 0, -ETIMEDOUT, -ERESTARTSYS, -EINVAL: the context is dead. */
static int wait_event(struct task *t, struct aio_context *c, const struct timespec *deadline)
{
    unsigned head;
    LOCKED(&kernel.tasklist_lock);
    while (!waiting(c, &head)) {
        if (c->dead)
            return -EINVAL;
        int r = task_wait(t, &c->changed, deadline);
        if (r < 0)
            return waiting(c, &head) && r == -ETIMEDOUT ? 0 : r;
    }
    return 0;
}

#define NS 1000000000L
#define SECONDS_MAX (1L << 34)

struct query {
    uaddr_t id, to;
    long min, most;
    bool timed, look_only;
    struct timespec deadline;
};

static int get_timeout(struct task *t, uaddr_t at, struct query *q)
{
    struct timespec ts, rel;
    if (!at)
        return 0;
    if (get_user(t, &ts, at) < 0)
        return -EFAULT;
    /* Whatever the two say together, as Linux takes it; the limits are beyond what anybody waits. */
    long sec = ts.tv_sec < -SECONDS_MAX ? -SECONDS_MAX : ts.tv_sec > SECONDS_MAX ? SECONDS_MAX : ts.tv_sec;
    rel = (struct timespec){sec + ts.tv_nsec / NS, ts.tv_nsec % NS};
    if (rel.tv_nsec < 0)
        rel = (struct timespec){rel.tv_sec - 1, rel.tv_nsec + NS};
    q->timed = rel.tv_sec >= 0; /* a time before now never comes, there */
    q->look_only = rel.tv_sec == 0 && rel.tv_nsec == 0;
    if (q->timed && !q->look_only)
        deadline_from(&q->deadline, &rel);
    return 0;
}

/* How many events went to the guest, or why none did. */
static long get_events(struct task *t, const struct query *q)
{
    _cleanup_aio_ struct aio_context *c = q->id ? aio_find(t, q->id) : NULL;
    if (!c || q->min < 0 || q->min > q->most)
        return -EINVAL;
    for (long done = 0;;) {
        long n = take_events(t, c, q->to + (uaddr_t)done * sizeof(struct io_event), q->most - done);
        if (n < 0)
            return done ? done : n;
        done += n;
        if (done >= q->min || q->look_only)
            return done;
        int r = wait_event(t, c, q->timed ? &q->deadline : NULL);
        if (r == -ETIMEDOUT)
            return done;
        if (r < 0)
            return done ? done : r;
    }
}

long sys_io_getevents(struct task *t, const struct sysargs *a)
{
    struct query q = {.id = a->arg[0], .min = (long)a->arg[1], .most = (long)a->arg[2], .to = a->arg[3]};
    int r = get_timeout(t, a->arg[4], &q);
    if (r < 0)
        return r;
    long n = get_events(t, &q);
    return n == -ERESTARTSYS ? -EINTR : n;
}

long sys_io_pgetevents(struct task *t, const struct sysargs *a)
{
    struct query q = {.id = a->arg[0], .min = (long)a->arg[1], .most = (long)a->arg[2], .to = a->arg[3]};
    struct {
        uaddr_t mask;
        uint64_t size;
    } sig = {0};
    sigset64 set;
    int r = get_timeout(t, a->arg[4], &q);
    if (r < 0)
        return r;
    if (a->arg[5] && get_user(t, &sig, a->arg[5]) < 0)
        return -EFAULT;
    if (sig.mask && sig.size != sizeof(set))
        return -EINVAL;
    if (sig.mask && get_user(t, &set, sig.mask) < 0)
        return -EFAULT;
    if (sig.mask)
        set_temporary_mask(t, set);
    long n = get_events(t, &q);
    if (n == -ERESTARTSYS)
        return -ERESTARTNOHAND; /* the mask stays until the signal's frame is built */
    if (sig.mask)
        restore_temporary_mask(t);
    return n;
}
