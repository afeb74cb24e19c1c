/* The hostile gate: jumps to its instructions, its calls with any arguments, garbage in what it shares with
 * the keep. */
#ifndef BAILEY_TESTS_STORM_GATE_H
#define BAILEY_TESTS_STORM_GATE_H

#include <setjmp.h>
#include <sys/resource.h>

#include "sandbox/gate/mailbox.h"
#include "tests/attacks/gate_call.h"
#include "tests/attacks/storm_calls.h"

/* The writable pages of this process's gate, and its mailboxes. */
static struct shared {
    char *at;
    size_t size;
} shared[8];
static int nshared;
static volatile char *boxes;

/* Where on_signal (storm.c) goes after a fault, if caught. */
static __thread sigjmp_buf back;
static __thread volatile int caught;

static inline int peek(uintptr_t at, void *to, size_t n)
{
    sigjmp_buf outer;
    volatile int ok = 0, before = caught;
    memcpy(outer, back, sizeof(outer));
    caught = 1;
    if (sigsetjmp(back, 1) == 0) {
        memcpy(to, (const void *)at, n);
        ok = 1;
    }
    memcpy(back, outer, sizeof(outer));
    caught = before;
    return ok;
}

/* Pointers in the gate's pages to pages that follow each other, 256 bytes apart: those of the threads. */
static inline void find_boxes(const uint64_t page[512])
{
    for (unsigned i = 0; i + 32 < 512 && !boxes; i++)
        if (page[i] > GATE_LIMIT && page[i] % 4096 == 0 && page[i + 32] == page[i] + 4096)
            boxes = (volatile char *)page[i];
}

static inline void find_shared(void)
{
    uint64_t page[512];
    nshared = 0;
    boxes = NULL;
    for (uintptr_t at = GATE_BASE; at < GATE_LIMIT; at += 4096) {
        if (!peek(at, page, sizeof(page)))
            continue;
        find_boxes(page);
        if (at < GATE_BASE + TEXT_MAX)
            continue;
        if (nshared && shared[nshared - 1].at + shared[nshared - 1].size == (char *)at)
            shared[nshared - 1].size += 4096;
        else if (nshared < 8)
            shared[nshared++] = (struct shared){(char *)at, 4096};
    }
}

/* From the gate's instruction: what it may do natively, what it says to the keep, and anything else. */
static inline void jump(void)
{
    long a[6], nr = any_call(a);
    static const short native[] = {SYS_preadv2, SYS_pwritev2,   SYS_sendto,    SYS_recvfrom, SYS_fstat,
                                   SYS_lseek,   SYS_epoll_wait, SYS_epoll_ctl, SYS_close,    SYS_rt_sigaction,
                                   SYS_mmap,    SYS_munmap,     SYS_mprotect};
    if (once_in(3)) {
        nr = native[below(once_in(4) ? 13 : 8)];
        for (int i = 0; i < 6; i++)
            a[i] = argument("fplux"[i < 5 ? i : 4]);
        if (nr >= SYS_mmap && nr <= SYS_munmap)
            a[0] = (long)wild;
    } else if (once_in(2)) {
        nr = once_in(8) ? GATE_JUDGE_BASE + below(470)
                        : GATE_CALL_BASE + below(GATE_CALL_END - GATE_CALL_BASE + 1);
        for (int i = 0; i < 6; i++)
            a[i] = argument("dpfgxuil"[below(8)]);
    }
    if (nr != SYS_rt_sigreturn && nsites)
        (void)call5_at(sites[below(nsites)], nr, a[0], a[1], a[2], a[3], a[4]);
}

/* A call posted as a gate would, with any number and any bounds. */
static inline void forge(void)
{
    volatile struct gate_mailbox *m = (volatile struct gate_mailbox *)(boxes + below(5) * MAILBOX_PAGE);
    long a[6];
    m->nr = (uint32_t)any_call(a);
    for (int i = 0; i < 6; i++)
        m->arg[i] = (uint64_t)a[i];
    m->out_addr = (uint64_t)a[below(6)];
    for (int i = 0; i < 2; i++) {
        m->part[i].addr = (uint64_t)a[i + below(2)];
        m->part[i].off = (uint32_t)any_size();
        m->part[i].size = (uint32_t)any_size();
    }
    m->served = (uint32_t)below(2);
    m->state = (uint32_t)(once_in(4) ? below(6) : MAILBOX_POSTED);
}

/* Closes, kept files and tokens that never were. */
static inline void tell(void)
{
    volatile struct gate_later *l = (volatile struct gate_later *)(boxes + MAILBOX_THREADS * MAILBOX_PAGE);
    l->fd[below(LATER_MOST)] = any_fd();
    l->may[below(GATE_LANE_FDS / 64)] = rnd();
    l->closing = (uint32_t)below(2);
    l->told += (uint32_t)(once_in(20) ? any_size() : below(4));
    l->fresh = (uint32_t)any_fd();
    l->nonblock = (uint32_t)rnd();
    l->kept.state = (uint32_t)below(4);
    l->kept.fd = (uint32_t)any_fd();
    l->kept.granted = (uint32_t)below(2);
    l->kept.asking = (uint32_t)below(2);
    l->kept.lowest = (uint32_t)any_fd();
    l->kept.opened += (uint32_t)below(3);
    l->signalfd = (uint32_t)any_fd();
    l->signal[below(2)][below(SIGNALFD_INFO)] = (char)rnd();
}

static inline void garbage(void)
{
    volatile uint64_t *at;
    if (boxes && once_in(3))
        at = (volatile uint64_t *)(boxes + (below(MAILBOX_PAGES * MAILBOX_PAGE) & ~7L));
    else if (nshared)
        at = (volatile uint64_t *)(shared[nshared - 1].at + (below((long)shared[nshared - 1].size) & ~7L));
    else
        return;
    *at = once_in(2) ? rnd() : (uint64_t)any_fd();
}

/* The lanes' bits, the ids and the masks that the keep has written. */
static inline void lie(void)
{
    volatile struct gate_shared *s = (volatile struct gate_shared *)GATE_SHARED;
    volatile struct gate_slot *slot = &s->slots[below(8)];
    s->lanes.any[below(2)] = once_in(2) ? ~0UL : rnd();
    s->lanes.plain[below(2)] = rnd();
    s->polls = rnd();
    slot->blocked = rnd();
    slot->marks = once_in(2) ? 0 : rnd();
    slot->valid = (uint32_t)below(16);
    slot->untouched = rnd();
    slot->robust = (uint64_t)any_pointer(64);
    s->actions[below(8)].handler = rnd();
}

static inline void hostile(void)
{
    switch (below(12)) {
    case 0:
        if (boxes)
            forge();
        return;
    case 1:
        if (boxes)
            tell();
        return;
    case 2:
        if (once_in(4))
            garbage();
        return;
    case 3:
        if (once_in(6))
            lie();
        return;
    case 4:
        if (once_in(8))
            find_shared();
        if (once_in(400))
            munmap((void *)(boxes ? (char *)boxes + below(MAILBOX_PAGES) * 4096 : wild), 4096);
        if (once_in(400) && boxes)
            madvise((void *)boxes, MAILBOX_PAGES * MAILBOX_PAGE, MADV_DOFORK);
        return;
    default:
        jump();
    }
}

#endif
