/* What the gate notes of a thread's call by its mailbox (mailbox.c), and where mailbox.S finds it. */
#ifndef BAILEY_GATE_MAILBOX_THREAD_H
#define BAILEY_GATE_MAILBOX_THREAD_H

#include "sandbox/gate/gate.h"
#include "sandbox/gate/mailbox.h"

enum phase {
    PHASE_BEGUN,  /* nothing has happened that could not be done again */
    PHASE_POSTED, /* it may be the keep's already */
    PHASE_DONE,   /* made, with `result` */
    PHASE_COPIED, /* and so is what it gives */
    PHASE_RING,   /* it is for the site's own instruction */
    PHASE_NATIVE, /* the keep has done its part of a close, the host has not yet */
    PHASE_POLLS,  /* PHASE_BEGUN, of a call that may be waiting (`waits`) */
    PHASE_SENDS,  /* a sendfile; `sent` says whether PHASE_BEGUN or nearly PHASE_DONE */
    PHASE_KEPT,   /* nearly PHASE_DONE: what `keeps` says is to be done */
    PHASE_TAKES,  /* a read of a signalfd; `sent` and `at` say whether PHASE_BEGUN or nearly PHASE_DONE */
    PHASE_JOINS,  /* PHASE_BEGUN, of a connect; `sent` may be an error that the host does not give twice */
};

struct mailbox_thread {
    uint64_t ax, di, si, dx, r10, r8, r9, cx, bx, bp, sp, r12, r13, r14, r15;
    struct gate_mailbox *page; /* NULL: none */
    uint64_t stack;
    uint64_t result, to;
    uint32_t phase;
    uint32_t gives;  /* a result of it that is no error comes with bytes for the guest */
    uint32_t missed; /* calls in a row that nobody took */
    uint32_t waits;  /* see PHASE_POLLS */
    uint32_t tells;  /* it is a close that the keep hears of later, */
    uint32_t told;   /* after so many others */
    int64_t sent;    /* what mailbox_host's call has given, for a sendfile or a token; 0: not made yet */
    uint64_t at;     /* where in the file the bytes are from; or the token */
    uint32_t keeps;  /* enum kept_op: `closing` is set for it, perhaps */
    uint32_t in;     /* the descriptor that a sendfile's bytes are from */
    uint32_t pad[14];
};

#define AT(field, n) (__builtin_offsetof(struct mailbox_thread, field) == (n))
_Static_assert(AT(ax, 0) && AT(di, 8) && AT(si, 16) && AT(dx, 24) && AT(r10, 32) && AT(r8, 40) &&
                   AT(r9, 48) && AT(cx, 56) && AT(bx, 64) && AT(bp, 72) && AT(sp, 80) && AT(r12, 88) &&
                   AT(r15, 112) && AT(page, 120) && AT(stack, 128) && AT(result, 136) && AT(to, 144) &&
                   AT(phase, 152) && AT(sent, 176) && PHASE_DONE == 2 && sizeof(struct mailbox_thread) == 256,
               "mailbox.S");

extern struct mailbox_thread mailbox_threads[MAILBOX_THREADS];

/* Signals find what was written before. */
INLINE void enter(struct mailbox_thread *t, enum phase phase)
{
    __atomic_store_n(&t->phase, phase, __ATOMIC_RELEASE);
}

/* The host's call nr(first argument of the thread's call, a, b, c, 0, 0); what it says is in thread->sent. */
void mailbox_host(struct mailbox_thread *t, const void *a, uint64_t b, uint64_t c, uint64_t nr);

#endif
