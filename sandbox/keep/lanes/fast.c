#include "sandbox/keep/lanes/fast.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/mm/maps.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/trace/trace.h"

#define LANES_AT (GATE_SHARED + offsetof(struct gate_shared, lanes))
#define WORDS (GATE_LANE_FDS / 64)
#define SLOTS_AT (GATE_SHARED + offsetof(struct gate_shared, slots))
#define IDS_AT offsetof(struct gate_slot, valid)
#define IDS_SIZE (offsetof(struct gate_slot, answered) - IDS_AT)
#define MASK_AT offsetof(struct gate_slot, blocked)
#define MASK_SIZE (offsetof(struct gate_slot, r8) - MASK_AT)

/* Patching costs about as much as this many calls do. */
#define SITE_CALLS 24
#define SITES 64 /* of a process, by a hash of their address */
#define SITE_WAYS 4

struct fast_site {
    uaddr_t ip;
    unsigned calls;
};

static const int lane_calls[] = {
    SYS_read,    SYS_write,      SYS_pread64,     SYS_pwrite64,  SYS_readv,   SYS_writev, SYS_preadv,
    SYS_pwritev, SYS_sendto,     SYS_recvfrom,    SYS_sendmsg,   SYS_recvmsg, SYS_fstat,  SYS_newfstatat,
    SYS_lseek,   SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_poll,    SYS_ppoll,  SYS_sendfile};
static const int id_calls[] = {SYS_getpid,          SYS_gettid,   SYS_getuid,       SYS_geteuid,
                               SYS_getgid,          SYS_getegid,  SYS_rt_sigaction, SYS_rt_sigprocmask,
                               SYS_set_robust_list, SYS_nanosleep};

/* Ids
 * ------------------------------------------------------------ */

/* One answer for all of them: a filter that looks at one is rare, and then speed does not matter. */
bool fast_may_be(const struct task *t)
{
    for (size_t i = 0; i < ARRAY_SIZE(lane_calls); i++)
        if (!seccomp_always_allows(t, lane_calls[i]))
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(id_calls); i++)
        if (!seccomp_always_allows(t, id_calls[i]))
            return false;
    return !kernel.strace && !kernel.lanes_off;
}

/* What struct gate_given says is true, and nobody has a say in the calls that it answers. */
static bool may_be_given(const struct task *t)
{
    static const int calls[] = {SYS_arch_prctl, SYS_set_tid_address, SYS_prlimit64, SYS_getrandom};

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (!seccomp_always_allows(t, calls[i]))
            return false;
    return t->process->mm->given_at && !t->process->limits_changed && fast_may_be(t);
}

bool fast_is_possible(const struct task *t)
{
    return t->slot && fast_may_be(t);
}

/* The gate answers for actions only of processes that do not share them with others. */
static uint64_t untouched_actions(const struct process *p)
{
    static const struct ksigaction none;
    uint64_t set = 0;

    if (atomic_load(&p->sighand->refs) > 1)
        return 0;
    for (int signo = 1; signo <= KSIG_MAX; signo++)
        if (memcmp(&p->sighand->action[signo - 1], &none, sizeof(none)) == 0)
            set |= UINT64_C(1) << signo % 64;
    return set & ~(UINT64_C(1) << SIGKILL | UINT64_C(1) << SIGSTOP);
}

/* While it is traced, all that a thread calls is to be seen. */
uint32_t fast_valid(const struct task *t)
{
    if (t->trace || !fast_may_be(t))
        return 0;
    return GATE_VALID_IDS | (mailbox_may_be_used(t) ? GATE_VALID_MAILBOX : 0) |
           (may_be_given(t) ? GATE_VALID_GIVEN : 0) | (fast_may_send(t) ? GATE_VALID_SELF : 0);
}

static struct gate_slot slot_of(const struct task *t)
{
    return (struct gate_slot){
        .valid = fast_valid(t),
        .pid = t->process->pid,
        .tid = t->tid,
        .uid = t->cred->uid,
        .euid = t->cred->euid,
        .gid = t->cred->gid,
        .egid = t->cred->egid,
        .untouched = untouched_actions(t->process),
    };
}

/* Where a write here fails, the guest took its gate's memory away, and has itself to blame. */
void fast_ids_changed(struct task *t)
{
    if (!t->slot)
        return;
    struct gate_slot s = slot_of(t);

    (void)copy_to_user(t, t->slot + IDS_AT, &s.valid, IDS_SIZE);
}

static bool is_slot(uaddr_t slot)
{
    return slot >= SLOTS_AT && slot < SLOTS_AT + GATE_SLOTS * sizeof(struct gate_slot) &&
           (slot - SLOTS_AT) % sizeof(struct gate_slot) == 0;
}

uaddr_t fast_slot_at(unsigned number)
{
    return number < GATE_SLOTS ? SLOTS_AT + number * sizeof(struct gate_slot) : 0;
}

unsigned fast_take_slot(struct task *t, uaddr_t slot, bool mask_there, struct gate_slot *s,
                        struct user_copy *parts)
{
    t->slot = is_slot(slot) ? slot : 0;
    t->signal_buf = 0;
    mailbox_attach(t);
    *s = slot_of(t);
    sigmask_attach(t, t->slot && fast_may_be(t), s);
    if (!t->slot)
        return 0;
    parts[0] = (struct user_copy){t->slot + IDS_AT, &s->valid, IDS_SIZE};
    size_t skip = mask_there ? sizeof(s->blocked) : 0;
    parts[1] = (struct user_copy){t->slot + MASK_AT + skip, (char *)&s->blocked + skip, MASK_SIZE - skip};
    return FAST_SLOT_PARTS;
}

int fast_attach_with(struct task *t, uaddr_t slot, const struct user_copy *more, unsigned n)
{
    static const struct gate_lanes none;
    struct mm *mm = t->process->mm;
    struct user_copy parts[FAST_SLOT_PARTS + FAST_MORE_PARTS];

    if (mm->lanes_unset) {
        mm->lanes_unset = false;
        (void)copy_to_user(t, LANES_AT, &none, sizeof(none));
    }
    memcpy(parts, more, n * sizeof(*more));
    LOCKED(&kernel.tasklist_lock);
    struct gate_slot s;
    n += fast_take_slot(t, slot, false, &s, parts + n);
    int r = n ? copy_all_to_user(t, parts, n) : 0;
    if (mm->actions_unset)
        fast_actions_tell(t);
    return r;
}

void fast_attach(struct task *t, uaddr_t slot, uaddr_t tid_at)
{
    const int32_t tid = t->tid;
    const struct user_copy id = {tid_at, &tid, sizeof(tid)};

    (void)fast_attach_with(t, slot, &id, tid_at != 0);
}

/* Lanes
 * ------------------------------------------------------------ */

/* mm->lanes_lock held. All three words at once: the keep alone writes what lies between them. */
static void write_words(struct task *t, const struct mm *mm, unsigned fd)
{
    const uint64_t *from = &mm->lanes.any[fd / 64], *to = &mm->lanes.plain[fd / 64] + 1;

    (void)copy_to_user(t, LANES_AT + fd / 64 * 8, from, (size_t)(to - from) * sizeof(*from));
}

/* mm->lanes_lock held: fd's bits, each where it belongs in a word, or 0. */
static bool lane_bits_are(const struct mm *mm, unsigned fd, uint64_t any, uint64_t socket, uint64_t plain)
{
    const struct gate_lanes *l = &mm->lanes;
    uint64_t bit = 1UL << (fd % 64);

    return (l->any[fd / 64] & bit) == any && (l->sockets[fd / 64] & bit) == socket &&
           (l->plain[fd / 64] & bit) == plain;
}

/* As lane_bits_are. */
static void set_lane_bits(struct mm *mm, unsigned fd, uint64_t any, uint64_t socket, uint64_t plain)
{
    struct gate_lanes *l = &mm->lanes;
    uint64_t others = ~(1UL << (fd % 64));

    l->any[fd / 64] = (l->any[fd / 64] & others) | any;
    l->sockets[fd / 64] = (l->sockets[fd / 64] & others) | socket;
    l->plain[fd / 64] = (l->plain[fd / 64] & others) | plain;
}

/* Of those that use its memory: nobody else is within the gate, or comes in, while t is in the keep. Without
 * tasklist_lock, which comes before a table's lock that is held here: who is alone makes the next thread
 * itself. */
bool fast_is_alone(const struct task *t)
{
    return __atomic_load_n(&t->process->nthreads, __ATOMIC_RELAXED) == 1 &&
           atomic_load(&t->process->mm->refs) == 1;
}

void fast_lane_set(struct task *t, unsigned fd, enum fast_lane what)
{
    struct mm *mm = t->process->mm;
    uint64_t bit = 1UL << (fd % 64), socket = what == FAST_SOCKET ? bit : 0;

    /* With another process on the same memory, whose descriptors are others, the bits could only be wrong. */
    if (fd >= GATE_LANE_FDS || !fast_may_be(t) || atomic_load(&mm->refs) > 1)
        return;
    LOCKED(&mm->lanes_lock);
    uint64_t plain = mm->lanes.plain[fd / 64] & bit;
    if (what == FAST_PLAIN && fast_is_alone(t))
        plain = bit;
    if (mm->lanes_off || lane_bits_are(mm, fd, bit, socket, plain))
        return;
    set_lane_bits(mm, fd, bit, socket, plain);
    write_words(t, mm, fd);
}

bool fast_lane_is_set(struct task *t, unsigned fd)
{
    struct mm *mm = t->process->mm;

    LOCKED(&mm->lanes_lock);
    return fd < GATE_LANE_FDS && (mm->lanes.any[fd / 64] >> (fd % 64) & 1);
}

void fast_lane_clear(struct task *t, unsigned fd)
{
    struct mm *mm = t->process->mm;
    uint64_t bit = 1UL << (fd % 64);

    if (fd >= GATE_LANE_FDS || !mm) /* before the first image */
        return;
    LOCKED(&mm->lanes_lock);
    if (!((mm->lanes.any[fd / 64] | mm->lanes.plain[fd / 64]) & bit))
        return;
    set_lane_bits(mm, fd, 0, 0, 0);
    write_words(t, mm, fd);
}

void fast_lane_renew(struct task *t, unsigned fd, enum fast_lane what)
{
    struct mm *mm = t->process->mm;
    uint64_t bit = 1UL << (fd % 64);

    if (fd >= GATE_LANE_FDS)
        return;
    LOCKED(&mm->lanes_lock);
    uint64_t any = fast_may_be(t) && atomic_load(&mm->refs) == 1 && !mm->lanes_off ? bit : 0;
    uint64_t socket = what == FAST_SOCKET ? any : 0;
    if (lane_bits_are(mm, fd, any, socket, 0))
        return;
    set_lane_bits(mm, fd, any, socket, 0);
    write_words(t, mm, fd);
}

struct barred {
    struct task *task;
    const struct file *file;
};

static void bar_slot(int fd, struct file *f, bool cloexec, void *arg)
{
    const struct barred *b = arg;

    (void)cloexec;
    if (f == b->file)
        fast_lane_clear(b->task, (unsigned)fd);
}

static void bar_task(struct task *t, const struct file *f)
{
    struct barred b = {t, f};
    struct mm *mm = t->process->mm;

    if (!task_memory_tid(t) && mm && atomic_load(&mm->refs) == 1) {
        /* On its way through a fork: its memory can not be reached, and says what its parent's did. */
        LOCKED(&mm->lanes_lock);
        memset(&mm->lanes, 0, sizeof(mm->lanes));
        mm->lanes_unset = true;
        return;
    }
    fd_for_each(t->fdt, bar_slot, &b);
}

void fast_bar(const struct file *f)
{
    struct container *c;
    struct process *p, *tmp;
    struct task *t;

    kept_settle(); /* whose bits gates change */
    LOCKED(&kernel.tasklist_lock);
    unheard_find_all();
    DL_FOREACH(kernel.container, c)
    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    DL_FOREACH2(p->threads, t, thread_next)
    {
        if (t->fdt && (t == p->threads || t->fdt != p->threads->fdt))
            bar_task(t, f);
    }
}

static void lanes_off(struct task *t)
{
    struct mm *mm = t->process->mm;

    later_forbid_all(t);
    LOCKED(&mm->lanes_lock);
    mm->lanes_off = true;
    memset(&mm->lanes, 0, sizeof(mm->lanes));
    (void)copy_to_user(t, LANES_AT, &mm->lanes, sizeof(mm->lanes));
}

/* What a lane costs at open is what a use or two by the keep do. Some are always opened without, to count by.
 */
#define OPENS_FEW 16
#define OPENS_MANY 64
#define OPENS_COUNTED 16
#define USES_PAY 2

void fast_used(struct task *t)
{
    struct mm *mm = t->process->mm;

    LOCKED(&mm->lanes_lock);
    mm->uses++;
}

bool fast_opens_pay(struct task *t, unsigned times)
{
    struct mm *mm = t->process->mm;

    LOCKED(&mm->lanes_lock);
    return mm->opens >= OPENS_FEW && mm->uses >= times * USES_PAY * mm->opens;
}

bool fast_opened(struct task *t, bool may)
{
    struct mm *mm = t->process->mm;

    LOCKED(&mm->lanes_lock);
    bool pays = may && mm->opens >= OPENS_FEW && mm->uses >= USES_PAY * mm->opens;
    if (++mm->all_opens % OPENS_COUNTED && pays)
        return true;
    if (++mm->opens > OPENS_MANY) {
        mm->opens /= 2;
        mm->uses /= 2;
    }
    return false;
}

/* Another thread is about to be made: no bit may be set any more for what only this one could not meet in
 * between. A dead descriptor has a position and a status, too; a number that is not the program's may be the
 * gate's for a moment. */
static void lanes_settle(struct task *t)
{
    struct mm *mm = t->process->mm;
    struct gate_lanes now = {0};

    if (!fast_is_alone(t))
        return;
    for (unsigned i = 0; i < WORDS; i++)
        for (uint64_t left = mm->lanes.any[i]; left; left &= left - 1)
            if (lane_is(t, (int)(i * 64) + __builtin_ctzl(left)))
                now.any[i] |= left & -left;
    memcpy(now.sockets, mm->lanes.sockets, sizeof(now.sockets));
    LOCKED(&mm->lanes_lock);
    if (memcmp(&mm->lanes, &now, sizeof(now)) == 0)
        return;
    mm->lanes = now;
    (void)copy_to_user(t, LANES_AT, &mm->lanes, sizeof(mm->lanes));
}

/* [T] */
static void slots_changed(const struct process *p)
{
    struct task *o;

    DL_FOREACH2(p->threads, o, thread_next)
    {
        if (!o->exited && task_memory_tid(o))
            fast_ids_changed(o);
    }
}

void fast_actions_changed(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    slots_changed(t->process);
}

void fast_limits_changed(struct process *p)
{
    bool told = !p->limits_changed;

    p->limits_changed = true;
    kept_forbid(p);
    if (told)
        slots_changed(p);
}

void fast_filtered(struct task *t)
{
    fdtable_fetch_left(t->fdt); /* connect is not one of those calls */
    if (!fast_may_be(t))
        lanes_off(t);
    fast_actions_changed(t);
}

void fast_forked(struct task *parent, struct mm *child, unsigned long flags)
{
    if (flags & CLONE_VM)
        later_forbid_all(parent);
    if ((flags & CLONE_VM) && !(flags & CLONE_VFORK))
        lanes_settle(parent);
    if (flags & CLONE_VM)
        return;
    child->actions_told = parent->process->mm->actions_told;
    child->actions_unset = child->actions_told && parent->process->nthreads > 1;
    /* Two memories over one table: neither would hear of what the other does. */
    if (flags & CLONE_FILES) {
        lanes_off(parent);
        child->lanes_off = true;
    }
    /* With other threads at work, the host's copies of memory and descriptors are of different moments. */
    if (!fdtable_shared(parent->fdt) && !fdtable_has_tokens(parent->fdt))
        return;
    memset(&child->lanes, 0, sizeof(child->lanes));
    child->lanes_unset = true;
}

/* Sites
 * ------------------------------------------------------------ */

/* The entry of ip, or that of the least busy of those with the same hash: two that take turns are both to get
 * hot.
 */
static struct fast_site *site_of(struct fast_site *sites, uaddr_t ip)
{
    struct fast_site *way = &sites[(ip ^ ip >> 6 ^ ip >> 12) % (SITES / SITE_WAYS) * SITE_WAYS], *least = way;

    for (size_t i = 0; i < SITE_WAYS; i++) {
        if (way[i].ip == ip)
            return &way[i];
        if (way[i].calls < least->calls)
            least = &way[i];
    }
    *least = (struct fast_site){.ip = ip};
    return least;
}

/* True once, when the site has been seen often enough. */
static bool is_hot(struct mm *mm, uaddr_t ip)
{
    LOCKED(&mm->lanes_lock);
    if (!mm->sites && !(mm->sites = calloc(SITES, sizeof(*mm->sites))))
        return false;
    return ++site_of(mm->sites, ip)->calls == SITE_CALLS;
}

/* It is to be so with its next call, too. Its own count, if the gate does not keep it. */
static void again_hot(struct mm *mm, uaddr_t ip)
{
    LOCKED(&mm->lanes_lock);
    for (size_t i = 0; mm->sites && i < SITES; i++)
        if (mm->sites[i].ip == ip)
            mm->sites[i].calls = SITE_CALLS - 1;
}

static bool is_one_of(int nr, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (calls[i] == nr)
            return true;
    return false;
}

/* The gate tried a number that is no lane any more, and would again. */
static void drop_old_bit(struct task *t, const struct sysargs *a)
{
    const struct mm *mm = t->process->mm;
    uint64_t fd = a->arg[0];

    if (fd < GATE_LANE_FDS && mm && (mm->lanes.any[fd / 64] >> (fd % 64) & 1) && !lane_is(t, (int)fd))
        fast_lane_clear(t, (unsigned)fd);
}

/* Where the call was made, if it is time to patch that; else 0. Sites that trap are counted by the gate. */
static uaddr_t hot_site(struct task *t, const struct sysargs *a)
{
    if (a->ip >= GATE_LIMIT)
        return is_hot(t->process->mm, a->ip) ? a->ip : 0;
    bool passed_on = a->nr == SYS_rt_sigprocmask || a->nr == SYS_set_robust_list;
    return passed_on && from_gate(a) && a->arg[4] == GATE_HOT ? a->arg[5] : 0;
}

/* If t makes this call often from the same place. True: t is kicked for it. */
static bool ask_for_patch(struct task *t, const struct sysargs *a, bool self, bool mailed)
{
    uaddr_t site = fast_is_possible(t) ? hot_site(t, a) : 0;

    if (!site)
        return false;
    LOCKED(&kernel.tasklist_lock);
    if (t->patch_ip) { /* its gate has yet to ask for another */
        again_hot(t->process->mm, site);
        return false;
    }
    if (self)
        fast_actions_tell(t);
    t->patch_ip = site;
    t->patch_nr = (uint32_t)a->nr;
    t->wants_mailbox |= mailed;
    signal_kick(t);
    return true;
}

/* The way into the gate's own code for it. */
static bool needs_mailbox(int nr)
{
    return nr == SYS_poll || nr == SYS_ppoll || nr == SYS_sendfile || nr == SYS_connect;
}

void fast_missed(struct task *t, const struct sysargs *a, long r)
{
    bool moves = a->nr == SYS_connect || is_one_of(a->nr, lane_calls, ARRAY_SIZE(lane_calls));
    bool self = fast_sends_to_itself(t, a);
    bool missed = t->used_lane ? moves : r >= 0 && (self || is_one_of(a->nr, id_calls, ARRAY_SIZE(id_calls)));
    /* A mailbox is not worth its memory for what lanes are better for. */
    bool mailed =
        !missed && mailbox_takes(a->nr) && (!moves || a->nr == SYS_newfstatat || t->process->mm->mailbox);

    if (!t->used_lane && moves)
        drop_old_bit(t, a);
    t->used_lane = false;
    if (missed || mailed)
        (void)ask_for_patch(t, a, self, mailed || needs_mailbox(a->nr));
}

bool fast_sleeps(struct task *t, const struct sysargs *a)
{
    return a->arg[1] == 0 && ask_for_patch(t, a, false, false);
}

/* The mapping of p->ip. False: none, or one that others would see changed. */
static bool find_mapping(pid_t host_pid, struct gate_patch *p)
{
    struct mapping m;
    if (!host_mapping_at(host_pid, p->ip - 1, &m))
        return false;
    p->start = m.start;
    p->end = m.end;
    p->prot = (uint32_t)m.prot;
    return !m.shared && (m.prot & PROT_READ) && (m.prot & PROT_EXEC);
}

/* What a tracer has read or written stays as it is. */
static bool is_debugged(const struct process *p)
{
    LOCKED(&kernel.tasklist_lock);
    return trace_has_tracee(p);
}

void fast_take_patch(struct task *t, struct gate_patch *p)
{
    p->ip = t->patch_ip;
    p->nr = t->patch_nr;
    t->patch_ip = 0;
    if (!p->ip)
        return;
    if (is_debugged(t->process) || !find_mapping(t->process->host_pid, p))
        *p = (struct gate_patch){0};
    else
        sites_note(t->process->mm, p->ip);
}
