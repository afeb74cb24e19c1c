/* Calls by the thread's mailbox (mailbox.h). What is in .text.mailbox runs on the stack of the thread's area,
 * as a part of the guest's call: a signal, or a bad address of the guest's, may end it at any instruction
 * (mailbox_leave). */
#include "sandbox/gate/mailbox.h"

#include <asm/unistd.h>

#include "sandbox/gate/gate.h"
#include "sandbox/gate/kept.h"
#include "sandbox/gate/mailbox_thread.h"
#include "sandbox/gate/poll.h"
#include "sandbox/gate/shapes.h"
#include "sandbox/gate/signalfd.h"
#include "sandbox/gate/socket_calls.h"

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_SHARED 1
#define MADV_DONTFORK 10
#define FUTEX_WAIT 0
#define F_GETFL 3
#define F_SETFL 4
#define O_RDWR 2U
#define O_NONBLOCK 04000U
#define O_OTHERS 01062000U /* that F_SETFL changes: O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME */
#define EINTR 4
#define EBADF 9
#define EFAULT 14

/* How long the keep may take to see a call, and then to answer, until waiting costs more than the doorbell
 * and than sleeping. */
#define LOOKS_TAKEN 200
#define LOOKS_DONE 1000
#define MISSES 2 /* until it is believed that nobody looks */

struct mailbox_thread mailbox_threads[MAILBOX_THREADS] GATE_LATE;
static struct gate_later *later; /* NULL: none */
extern struct gate_shared gate_shared;
extern const char gate_mailbox_saved[], gate_mailbox_called[], gate_mailbox_stored[];
extern const char gate_mailbox_begin[], gate_mailbox_end[];
extern const char gate_mailbox_send[], gate_mailbox_sent[], gate_mailbox_noted[];
void mailbox_call(struct mailbox_thread *t);
void mailbox_native(struct mailbox_thread *t);
void mailbox_instead(struct mailbox_thread *t, const struct kept_call *c);

/* Volatile, so that the compiler makes no call of it: that would be outside of .text.mailbox. */
INLINE void copy(volatile char *dst, const volatile char *src, uint64_t n)
{
    for (; n >= 8; n -= 8, dst += 8, src += 8)
        *(volatile uint64_t *)dst = *(const volatile uint64_t *)src;
    while (n--)
        *dst++ = *src++;
}

/* The bytes that argument i leads to, from `used` on. Returns what is used then, or 0 where they do not fit.
 */
INLINE uint32_t put_part(struct gate_mailbox *m, struct mailbox_part *p, uint64_t addr, uint32_t size,
                         uint32_t used)
{
    const volatile char *src = (const volatile char *)addr;
    volatile char *dst = m->in + used;
    uint32_t n = 0, room = MAILBOX_IN - used;

    if (size) {
        if (size > room)
            return 0;
        copy(dst, src, n = size);
    } else {
        do {
            if (n == room)
                return 0;
        } while ((dst[n] = src[n]) && ++n);
        n++;
    }
    *p = (struct mailbox_part){addr, used, n};
    return (used + n + 7) & ~7U;
}

/* 0: they do not fit. */
INLINE int put_call(struct gate_mailbox *m, const struct mailbox_thread *t, const struct shape *s)
{
    const uint64_t *arg = &t->di;
    uint32_t used = 8;

    m->nr = (uint32_t)t->ax;
    for (int i = 0; i < 6; i++)
        m->arg[i] = arg[i];
    m->part[0].size = m->part[1].size = m->out_size = 0;
    if (s->string >= 0 && arg[s->string])
        used = put_part(m, &m->part[0], arg[s->string], 0, used);
    if (used && s->in >= 0 && arg[s->in])
        used = put_part(m, &m->part[1], arg[s->in], s->in_size, used);
    m->out_addr = s->out >= 0 ? arg[s->out] : 0;
    return used != 0;
}

INLINE uint32_t look(struct gate_mailbox *m)
{
    return __atomic_load_n(&m->state, __ATOMIC_ACQUIRE);
}

INLINE int change(struct gate_mailbox *m, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&m->state, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

INLINE void relax(void)
{
    __asm__ volatile("pause");
}

/* A call that was taken is waited for to its end. */
INLINE void await_done(struct gate_mailbox *m)
{
    for (uint32_t i = 0; look(m) == MAILBOX_TAKEN && i < LOOKS_DONE; i++)
        relax();
    while (look(m) != MAILBOX_DONE)
        if (look(m) == MAILBOX_SLEEPING || change(m, MAILBOX_TAKEN, MAILBOX_SLEEPING))
            sys4(NR_futex, &m->state, FUTEX_WAIT, MAILBOX_SLEEPING, 0);
}

/* What the keep says of a call that it has done. */
INLINE void take_result(struct mailbox_thread *t)
{
    int64_t r = t->page->result;

    t->result = (uint64_t)r;
    enter(t, r == MAILBOX_RING ? PHASE_RING : r == MAILBOX_NATIVE ? PHASE_NATIVE : PHASE_DONE);
}

/* Without the doorbell. */
INLINE void post(struct mailbox_thread *t)
{
    struct gate_mailbox *m = t->page;

    enter(t, PHASE_POSTED);
    __atomic_store_n(&m->state, MAILBOX_POSTED, __ATOMIC_RELEASE);
    for (uint32_t i = 0; look(m) == MAILBOX_POSTED && i < LOOKS_TAKEN; i++)
        relax();
    if (change(m, MAILBOX_POSTED, MAILBOX_FREE)) {
        if (++t->missed >= MISSES)
            m->served = 0;
        enter(t, PHASE_RING);
        return;
    }
    t->missed = 0;
    await_done(m);
    take_result(t);
    if (t->phase == PHASE_NATIVE)
        mailbox_native(t);
}

/* What the call gives besides its result. The last error is -4095. */
INLINE void give(struct mailbox_thread *t)
{
    struct gate_mailbox *m = t->page;
    uint32_t n = m->out_size;

    if (t->result < (uint64_t)-4095 && n <= MAILBOX_OUT)
        copy((volatile char *)m->out_addr, m->out, n);
    enter(t, PHASE_COPIED);
}

MAILBOX_TEXT static void poll_call(struct mailbox_thread *t)
{
    t->waits = 0;
    enter(t, PHASE_POLLS);
    uint32_t changes = __atomic_load_n(&later->changes, __ATOMIC_ACQUIRE); /* there, as its page is */
    int64_t r = poll_lanes((unsigned)(t - mailbox_threads), t->ax == __NR_ppoll, &t->di, changes, &t->waits);

    t->result = r == MAILBOX_RING ? t->ax : (uint64_t)r;
    t->to = r == MAILBOX_RING ? t->cx - 2 : t->cx;
    t->gives = 0;
    enter(t, r == MAILBOX_RING ? PHASE_RING : PHASE_DONE);
}

INLINE int may_tell_later(const struct gate_later *l, uint64_t fd)
{
    return __atomic_load_n(&l->may[fd / 64], __ATOMIC_SEQ_CST) >> (fd % 64) & 1;
}

/* The host's close of such a descriptor is over, with t->result: that is noted. Twice does no harm. What the
 * host does not know is the keep's to answer. */
INLINE void tell(struct mailbox_thread *t)
{
    struct gate_later *l = later;

    if (t->result == 0) {
        if (is_lane(l->sends, t->di)) /* what polls for it is to look again */
            __atomic_fetch_add(&l->changes, 1, __ATOMIC_SEQ_CST);
        l->fd[t->told % LATER_MOST] = (int32_t)t->di;
        __atomic_store_n(&l->told, t->told + 1, __ATOMIC_RELEASE);
        kept_closed(l, t->di);
    } else {
        enter(t, PHASE_RING);
    }
    __atomic_store_n(&l->closing, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&t->tells, 0, __ATOMIC_RELEASE);
}

/* A call on the file that is kept. 0: it is none, or not to be made so. */
INLINE int kept_call(struct mailbox_thread *t)
{
    struct gate_later *l = later;

    if (!l || l->kept.state == KEPT_NONE)
        return 0;
    t->gives = 0;
    if (kept_stat(l, t->ax, &t->di)) {
        t->result = 0;
        enter(t, PHASE_DONE);
        return 1;
    }
    struct kept_call c;
    if (kept_use(l, t->ax, &t->di, &c)) {
        gate_shared.slots[t - mailbox_threads].transfers++;
        mailbox_instead(t, &c);
        if (t->result == (uint64_t)-EBADF)
            enter(t, PHASE_RING);
        return 1;
    }
    if (!kept_begin(l, t->ax, &t->di, &t->keeps))
        return 0;
    enter(t, PHASE_KEPT);
    t->result = (uint64_t)kept_do(l, t->keeps);
    enter(t, PHASE_DONE);
    kept_over(l, &t->keeps);
    return 1;
}

/* A close that the keep need not hear of at once. 0: it does. Who takes the right away looks at `closing`
 * behind it, and here it is the other way round. */
INLINE int close_call(struct mailbox_thread *t)
{
    struct gate_later *l = later;

    if (t->ax != __NR_close || !l || t->di >= GATE_LANE_FDS || !may_tell_later(l, t->di))
        return 0;
    t->told = l->told;
    __atomic_store_n(&t->tells, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&l->closing, 1, __ATOMIC_SEQ_CST);
    if (t->told - l->heard >= LATER_MOST || !may_tell_later(l, t->di)) {
        __atomic_store_n(&l->closing, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&t->tells, 0, __ATOMIC_RELEASE);
        return 0;
    }
    t->gives = 0;
    mailbox_native(t);
    tell(t);
    return 1;
}

INLINE int is_fresh(const struct gate_later *l, uint64_t fd)
{
    uint32_t fresh = __atomic_load_n(&l->fresh, __ATOMIC_SEQ_CST);

    return fresh && fresh == (uint32_t)fd + 1;
}

/* F_GETFL and F_SETFL of a fresh socket. 0: it is the keep's to answer. Who takes the right away reads
 * `nonblock` behind it, and here it is the other way round: either it is heard of, or told by the doorbell.
 */
INLINE int flags_call(struct mailbox_thread *t)
{
    struct gate_later *l = later;
    uint32_t cmd = (uint32_t)t->si, flags = (uint32_t)t->dx;

    if (t->ax != __NR_fcntl || !l || !is_fresh(l, t->di))
        return 0;
    if (cmd == F_GETFL) {
        t->result = O_RDWR | (__atomic_load_n(&l->nonblock, __ATOMIC_RELAXED) ? O_NONBLOCK : 0);
    } else if (cmd == F_SETFL && !(flags & O_OTHERS)) {
        __atomic_store_n(&l->nonblock, (flags & O_NONBLOCK) != 0, __ATOMIC_SEQ_CST);
        if (!is_fresh(l, t->di))
            return 0;
        t->result = 0;
    } else {
        return 0;
    }
    gate_shared.slots[t - mailbox_threads].answered++;
    t->gives = 0;
    enter(t, PHASE_DONE);
    return 1;
}

/* A read of a signalfd, by its token. 0: it is the keep's to answer. */
INLINE int signalfd_call(struct mailbox_thread *t)
{
    if (!later || !signalfd_is(later, t->ax, &t->di))
        return 0;
    t->sent = 0;
    t->at = 0;
    t->gives = 0;
    enter(t, PHASE_TAKES);
    const uint64_t one[2] = {(uint64_t)&t->at, sizeof(t->at)}; /* struct iovec */
    mailbox_host(t, one, 1, (uint64_t)-1, __NR_preadv2);
    if (!signalfd_has(t->sent, t->at)) {
        enter(t, PHASE_RING);
        return 1;
    }
    copy((volatile char *)t->si, later->signal[t->at % 2], SIGNALFD_INFO);
    gate_shared.slots[t - mailbox_threads].transfers++;
    t->result = SIGNALFD_INFO;
    enter(t, PHASE_DONE);
    return 1;
}

/* For the guest, what mailbox_call has found. */
INLINE void leave(struct mailbox_thread *t)
{
    if (t->phase == PHASE_RING)
        t->result = t->ax;
    t->to = t->phase == PHASE_RING ? t->cx - 2 : t->cx;
}

MAILBOX_TEXT void mailbox_call(struct mailbox_thread *t)
{
    if (t->ax == __NR_poll || t->ax == __NR_ppoll) {
        poll_call(t);
        return;
    }
    if (t->ax == __NR_sendfile)
        socket_sendfile(t, later);
    if (t->ax == __NR_sendfile || kept_call(t) || close_call(t) || flags_call(t) || signalfd_call(t) ||
        socket_connect(t, later)) {
        leave(t);
        return;
    }
    const struct shape *s = shape_of(t->ax);
    struct gate_mailbox *m = t->page;
    int served = m->served != 0;

    m->state = MAILBOX_FREE;
    t->gives = s->out >= 0;
    /* Of the others the gate may make some natively (lanes), and the doorbell costs them no copy. */
    if (s == &shapes[SHAPE_NONE] || (!served && s->string < 0) || !put_call(m, t, s))
        enter(t, PHASE_RING);
    else if (!served || (post(t), t->phase == PHASE_RING && s->string >= 0))
        mailbox_native(t);
    if (t->phase == PHASE_DONE && t->gives)
        give(t);
    leave(t);
}

/* Setting up -----------------------------------------------------------------------------------------------
 */

static unsigned index_of(const struct gate_slot *slot)
{
    return (unsigned)(slot - gate_shared.slots);
}

void mailbox_init(const struct gate_area *a)
{
    mailbox_threads[index_of(a->slot)].stack = area_top(a) & ~15UL;
}

void mailbox_own(const struct gate_area *a)
{
    unsigned i = a->slot ? index_of(a->slot) : MAILBOX_THREADS;

    if (i >= MAILBOX_THREADS)
        return;
    uint64_t stack = area_top(a) & ~15UL;
    if (mailbox_threads[i].stack != stack) /* a fork's child has it from its parent */
        mailbox_threads[i].stack = stack;
}

void mailbox_map(int fd)
{
    long p = sys6(NR_mmap, 0, MAILBOX_PAGES * MAILBOX_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    gate_give_back(fd);
    if (p < 0 && p > -4096)
        return;
    sys3(__NR_madvise, p, MAILBOX_PAGES * MAILBOX_PAGE, MADV_DONTFORK);
    __atomic_store_n(&later, (struct gate_later *)(p + MAILBOX_THREADS * MAILBOX_PAGE), __ATOMIC_RELEASE);
    for (unsigned i = 0; i < MAILBOX_THREADS; i++)
        __atomic_store_n(&mailbox_threads[i].page, (struct gate_mailbox *)(p + i * MAILBOX_PAGE),
                         __ATOMIC_RELEASE);
}

void mailbox_drop(void)
{
    if (later)
        kept_drop(later);
}

void mailbox_after_fork(void)
{
    poll_after_fork();
    if (!later) /* which is set before the pages are */
        return;
    later = NULL;
    for (unsigned i = 0; i < MAILBOX_THREADS; i++)
        if (mailbox_threads[i].page) /* else the page of it is to stay shared */
            mailbox_threads[i].page = NULL;
}

/* In the middle --------------------------------------------------------------------------------------------
 */

static void finish_posted(struct mailbox_thread *t)
{
    struct gate_mailbox *m = t->page;

    if (look(m) == MAILBOX_FREE || change(m, MAILBOX_POSTED, MAILBOX_FREE)) {
        t->phase = PHASE_RING;
        return;
    }
    await_done(m);
    take_result(t);
}

/* The same for a read of a signalfd: who has the token has the signal. */
static void finish_taken(struct mailbox_thread *t)
{
    if (!signalfd_has(t->sent, t->at))
        return;
    int good = guest_can_write(t->si, SIGNALFD_INFO);

    if (good)
        copy((volatile char *)t->si, later->signal[t->at % 2], SIGNALFD_INFO);
    t->result = good ? SIGNALFD_INFO : (uint64_t)-EFAULT;
    t->phase = PHASE_DONE;
}

/* How far the call has come, and the rest of it where it can not be begun again. */
static void finish(struct mailbox_thread *t, const struct native_sigcontext *r)
{
    if (r->ip >= (uint64_t)gate_mailbox_called && r->ip < (uint64_t)gate_mailbox_stored) {
        t->result = r->ax;
        t->phase = PHASE_DONE;
    }
    if (r->ip >= (uint64_t)gate_mailbox_sent && r->ip < (uint64_t)gate_mailbox_noted)
        t->sent = (int64_t)r->ax;
    if (t->phase == PHASE_SENDS)
        socket_sent(t);
    if (t->phase == PHASE_TAKES)
        finish_taken(t);
    if (t->phase == PHASE_JOINS)
        socket_refused(t, later);
    if (t->phase == PHASE_KEPT) {
        t->result = (uint64_t)kept_do(later, t->keeps);
        t->phase = PHASE_DONE;
    }
    if (t->keeps)
        kept_over(later, &t->keeps);
    if (t->tells && t->phase == PHASE_DONE) {
        tell(t);
    } else if (t->tells) {
        later->closing = 0;
        t->tells = 0;
    }
    if (t->phase == PHASE_POSTED)
        finish_posted(t);
    if (t->phase == PHASE_NATIVE) {
        t->result = (uint64_t)sys1(NR_close, t->di);
        t->phase = PHASE_DONE;
    }
    if (t->phase == PHASE_POLLS && t->waits) {
        t->result = (uint64_t)-EINTR;
        t->gives = 0;
        t->phase = PHASE_DONE;
    }
    int done =
        t->phase == PHASE_COPIED || (t->phase == PHASE_DONE && (!t->gives || t->result >= (uint64_t)-4095));
    if (!done)
        t->result = t->ax;
    t->to = done ? t->cx : t->cx - 2;
}

int mailbox_leave(struct native_sigcontext *r)
{
    if (r->ip < (uint64_t)gate_mailbox_begin || r->ip >= (uint64_t)gate_mailbox_end)
        return 0;
    if (r->ip < (uint64_t)gate_mailbox_saved) {
        r->ip = r->cx - 2;
        return 1;
    }
    struct mailbox_thread *t = &mailbox_threads[index_of((const struct gate_slot *)gs_base())];
    int waited = t->phase == PHASE_POLLS && t->waits;
    /* The host's call leaves its return address in rcx. */
    int sending = r->ip == (uint64_t)gate_mailbox_send && r->cx == (uint64_t)gate_mailbox_sent;

    finish(t, r);
    waited |= t->phase == PHASE_DONE && t->ax == __NR_sendfile && t->result == (uint64_t)-EINTR;
    if (waited)
        ((struct gate_slot *)gs_base())->nr = (uint32_t)t->ax;
    r->ax = t->result;
    r->ip = t->to;
    r->di = t->di, r->si = t->si, r->dx = t->dx, r->r10 = t->r10, r->r8 = t->r8, r->r9 = t->r9, r->cx = t->cx;
    r->bx = t->bx, r->bp = t->bp, r->sp = t->sp;
    r->r12 = t->r12, r->r13 = t->r13, r->r14 = t->r14, r->r15 = t->r15;
    return waited ? 2 : sending ? 3 : 1;
}
