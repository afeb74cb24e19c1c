#include "sandbox/gate/kept.h"

#include <asm/unistd.h>

#define SEEK_SET 0
#define AT_EMPTY_PATH 0x1000
#define MAX_RW_COUNT 0x7ffff000UL

extern struct gate_shared gate_shared;

INLINE int is_granted(const struct gate_kept *k)
{
    return __atomic_load_n(&k->granted, __ATOMIC_SEQ_CST) != 0;
}

INLINE int is_path(const struct gate_kept *k, uint64_t at)
{
    const volatile char *p = (const volatile char *)at;
    const volatile char *own = k->path;
    uint32_t n = k->size;

    if (n == 0 || n > KEPT_PATH)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        if (p[i] != own[i])
            return 0;
    return 1;
}

INLINE int may_open(const struct gate_kept *k)
{
    return k->state == KEPT_DORMANT && k->exact && k->lowest < k->limit && k->lowest < GATE_HOME_FD;
}

INLINE enum kept_op wanted(const struct gate_later *l, uint64_t nr, const uint64_t *arg)
{
    const struct gate_kept *k = &l->kept;

    if (!is_granted(k))
        return KEPT_OP_NONE;
    switch (nr) {
    case __NR_close:
        return arg[0] == k->fd && k->state == KEPT_OPEN ? KEPT_OP_CLOSE : KEPT_OP_NONE;
    case __NR_open:
        return may_open(k) && (uint32_t)arg[1] == k->flags && is_path(k, arg[0]) ? KEPT_OP_OPEN
                                                                                 : KEPT_OP_NONE;
    case __NR_openat:
        return may_open(k) && (uint32_t)arg[2] == k->flags && is_path(k, arg[1]) ? KEPT_OP_OPEN
                                                                                 : KEPT_OP_NONE;
    default:
        return KEPT_OP_NONE;
    }
}

/* The host's answer is as of now. Who is ended before it has come can not tell what it was: the host says
 * some of it only once. */
INLINE int is_unchanged(struct gate_kept *k)
{
    struct {
        uint32_t events;
        uint64_t data;
    } __attribute__((packed)) event;

    __atomic_store_n(&k->asking, 1, __ATOMIC_SEQ_CST);
    if (sys4(__NR_epoll_wait, GATE_KEPT_FD, &event, 1, 0) != 0)
        return 0;
    __atomic_store_n(&k->asking, 0, __ATOMIC_SEQ_CST);
    return is_granted(k);
}

MAILBOX_TEXT int kept_stat(struct gate_later *l, uint64_t nr, const uint64_t *arg)
{
    struct gate_kept *k = &l->kept;
    unsigned at = nr == __NR_newfstatat;

    kept_drop(l);
    if ((nr != __NR_stat && !at) || !is_granted(k) || k->asking || (at && (uint32_t)arg[3]) ||
        k->state == KEPT_NONE || !is_path(k, arg[at]) || !is_unchanged(k) ||
        sys2(__NR_fstat, GATE_HOME_FD, arg[at + 1]) != 0)
        return 0;
    k->asked++;
    return 1;
}

/* Bit fd of a set. */
INLINE uint32_t bit_of(const uint64_t *set, uint32_t fd)
{
    return __atomic_load_n(&set[fd / 64], __ATOMIC_RELAXED) >> fd % 64 & 1;
}

INLINE void set_bit(uint64_t *set, uint32_t fd, uint32_t on)
{
    uint64_t others = ~(UINT64_C(1) << fd % 64);

    __atomic_store_n(&set[fd / 64], (set[fd / 64] & others) | (uint64_t)on << fd % 64, __ATOMIC_RELAXED);
}

/* The number that it is to have. */
INLINE void choose(struct gate_kept *k)
{
    k->fd = k->lowest;
    k->any = bit_of(gate_shared.lanes.any, k->fd);
    k->plain = bit_of(gate_shared.lanes.plain, k->fd);
}

/* Who ends it looks at `closing` behind that, and here it is the other way round. */
INLINE int may(struct gate_kept *k, enum kept_op op)
{
    return is_granted(k) && !k->asking && (op == KEPT_OP_CLOSE || is_unchanged(k));
}

MAILBOX_TEXT int kept_begin(struct gate_later *l, uint64_t nr, const uint64_t *arg, uint32_t *keeps)
{
    enum kept_op op = wanted(l, nr, arg);

    if (op == KEPT_OP_NONE)
        return 0;
    __atomic_store_n(keeps, op, __ATOMIC_RELEASE);
    __atomic_store_n(&l->closing, 1, __ATOMIC_SEQ_CST);
    if (!may(&l->kept, op)) {
        kept_over(l, keeps);
        return 0;
    }
    if (op == KEPT_OP_OPEN)
        choose(&l->kept);
    return 1;
}

/* What was a lane at its number may have left bits there. They are put back, since the keep knows of them. */
MAILBOX_TEXT int64_t kept_do(struct gate_later *l, enum kept_op op)
{
    struct gate_kept *k = &l->kept;
    uint32_t fd = k->fd % GATE_LANE_FDS;

    if (op == KEPT_OP_CLOSE) {
        set_bit(gate_shared.lanes.any, fd, k->any & 1);
        set_bit(gate_shared.lanes.plain, fd, k->plain & 1);
        if (fd < k->lowest) {
            k->lowest = fd;
            k->exact = 1;
        }
        k->closed++;
        __atomic_store_n(&k->state, KEPT_DORMANT, __ATOMIC_SEQ_CST);
        return 0;
    }
    sys3(__NR_lseek, GATE_HOME_FD, 0, SEEK_SET);
    set_bit(gate_shared.lanes.any, fd, 0);
    set_bit(gate_shared.lanes.plain, fd, 0);
    __atomic_fetch_and(&l->may[fd / 64], ~(UINT64_C(1) << fd % 64), __ATOMIC_SEQ_CST);
    k->lowest = fd + 1;
    k->exact = 0;
    k->opened++;
    __atomic_store_n(&k->state, KEPT_OPEN, __ATOMIC_SEQ_CST);
    return fd;
}

/* As preadv2 of one piece, at a position (-1: the file's own). */
INLINE int read_one(struct kept_call *c, const uint64_t *arg, uint64_t at)
{
    c->one.base = arg[1];
    c->one.len = arg[2];
    c->arg[1] = (uint64_t)&c->one;
    c->arg[2] = 1;
    c->arg[3] = at;
    return arg[2] - 1 < MAX_RW_COUNT;
}

INLINE int read_pieces(struct kept_call *c, const uint64_t *arg, uint64_t at)
{
    c->arg[1] = arg[1];
    c->arg[2] = arg[2];
    c->arg[3] = at;
    return 1;
}

INLINE int status_of(struct kept_call *c, uint64_t to)
{
    c->nr = __NR_fstat;
    c->arg[1] = to;
    c->arg[2] = c->arg[3] = 0;
    return 1;
}

MAILBOX_TEXT int kept_use(const struct gate_later *l, uint64_t nr, const uint64_t *arg, struct kept_call *c)
{
    if (!kept_is(l, arg[0]))
        return 0;
    c->nr = __NR_preadv2;
    c->arg[0] = GATE_HOME_FD;
    switch (nr) {
    case __NR_read:
        return read_one(c, arg, (uint64_t)-1);
    case __NR_pread64:
        return (int64_t)arg[3] >= 0 && read_one(c, arg, arg[3]);
    case __NR_readv:
        return read_pieces(c, arg, (uint64_t)-1);
    case __NR_preadv:
        return (int64_t)arg[3] >= 0 && read_pieces(c, arg, arg[3]);
    case __NR_lseek:
        c->nr = __NR_lseek;
        return read_pieces(c, arg, 0);
    case __NR_fstat:
        return status_of(c, arg[1]);
    case __NR_newfstatat:
        return (uint32_t)arg[3] == AT_EMPTY_PATH && arg[1] && !*(const volatile char *)arg[1] &&
               status_of(c, arg[2]);
    default:
        return 0;
    }
}

MAILBOX_TEXT void kept_drop(struct gate_later *l)
{
    struct gate_kept *k = &l->kept;

    if (k->state != KEPT_DORMANT || is_granted(k) || l->closing)
        return;
    sys1(NR_close, GATE_HOME_FD);
    __atomic_store_n(&k->state, KEPT_NONE, __ATOMIC_SEQ_CST);
}
