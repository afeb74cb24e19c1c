#include "sandbox/gate/kept.h"

#include <asm/unistd.h>

#define SEEK_SET 0

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

INLINE int is_free(const struct gate_kept *k)
{
    return k->state == KEPT_DORMANT && k->exact && k->lowest == k->fd;
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
        return is_free(k) && (uint32_t)arg[1] == k->flags && is_path(k, arg[0]) ? KEPT_OP_OPEN : KEPT_OP_NONE;
    case __NR_openat:
        return is_free(k) && (uint32_t)arg[2] == k->flags && is_path(k, arg[1]) ? KEPT_OP_OPEN : KEPT_OP_NONE;
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
        sys2(__NR_fstat, k->fd, arg[at + 1]) != 0)
        return 0;
    k->asked++;
    return 1;
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
    if (may(&l->kept, op))
        return 1;
    kept_over(l, keeps);
    return 0;
}

/* The bits of lane fd, which the keep has given it. */
INLINE void set_lane(uint32_t fd, int on)
{
    uint64_t bit = UINT64_C(1) << fd % 64, *any = &gate_shared.lanes.any[fd / 64],
             *plain = &gate_shared.lanes.plain[fd / 64];

    __atomic_store_n(any, on ? *any | bit : *any & ~bit, __ATOMIC_RELAXED);
    __atomic_store_n(plain, on ? *plain | bit : *plain & ~bit, __ATOMIC_RELAXED);
}

MAILBOX_TEXT int64_t kept_do(struct gate_later *l, enum kept_op op)
{
    struct gate_kept *k = &l->kept;
    uint32_t fd = k->fd % GATE_LANE_FDS;

    if (op == KEPT_OP_CLOSE) {
        set_lane(fd, 0);
        __atomic_fetch_and(&l->may[fd / 64], ~(UINT64_C(1) << fd % 64), __ATOMIC_SEQ_CST);
        if (fd < k->lowest) {
            k->lowest = fd;
            k->exact = 1;
        }
        k->closed++;
        __atomic_store_n(&k->state, KEPT_DORMANT, __ATOMIC_SEQ_CST);
        return 0;
    }
    sys3(__NR_lseek, fd, 0, SEEK_SET);
    k->lowest = fd + 1;
    k->exact = 0;
    k->opened++;
    __atomic_store_n(&k->state, KEPT_OPEN, __ATOMIC_SEQ_CST);
    set_lane(fd, 1);
    return fd;
}

MAILBOX_TEXT void kept_drop(struct gate_later *l)
{
    struct gate_kept *k = &l->kept;

    if (k->state != KEPT_DORMANT || is_granted(k) || l->closing)
        return;
    sys1(NR_close, k->fd);
    __atomic_store_n(&k->state, KEPT_NONE, __ATOMIC_SEQ_CST);
}
