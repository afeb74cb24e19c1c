/* The keep's side of mailboxes (sandbox/gate/mailbox.h): memory shared with a process, through which the
 * gates of its first threads hand over what their calls' pointers lead to. */
#ifndef BAILEY_KEEP_MAILBOX_H
#define BAILEY_KEEP_MAILBOX_H

#include "sandbox/gate/mailbox.h"
#include "sandbox/keep/kernel.h"

/* As the host shows the memory. */
#define MAILBOX_NAME "bailey-mailbox"

struct mm;
struct mailbox_server;

/* Of one address space. */
struct mailbox {
    atomic_int refs;
    struct gate_mailbox *_Atomic page[MAILBOX_THREADS]; /* constant */
    struct task *_Atomic owner[MAILBOX_THREADS]; /* who is served by the server; not counted, only compared */
    /* later.c: */
    struct gate_later *later;   /* constant */
    pthread_mutex_t later_lock; /* tasklist_lock > this > a table's lock: who hears */
    _Atomic uint32_t heard;     /* of later->told */
    atomic_bool allowed;        /* counted in kernel.laters */
    uint64_t later_round;       /* tasklist_lock */
    int64_t looked;             /* tasklist_lock: until when its gate was waited for in vain */
    atomic_uint fresh;          /* later->fresh; set in the process's own calls, else later_lock */
    struct kept *_Atomic kept;  /* kept.h; NULL: none yet. Set once */
    uint64_t kept_round;        /* tasklist_lock */
    _Atomic int64_t rung; /* when one of its threads last rang with a call that could have gone without, */
    atomic_uint calls;    /* and how many did in a row */
};

/* NULL gives NULL. */
struct mailbox *mailbox_get(struct mailbox *b);
void mailbox_put(struct mailbox *b);
/* Its process has no right of later.c any more. */
void mailbox_later_over(struct mailbox *b);
/* Makes t's process its mailboxes, if it has none, and lends t's gate (whose call a is) a descriptor of them,
 * to be given back by GATE_SHM_DONE. Returns its number; 0: there are some already, or there can be none. */
uint32_t mailbox_lend(struct task *t, const struct sysargs *a);
/* f is such a descriptor. */
bool mailbox_is_lent(const struct file *f);
/* t has its slot from now on: what its mailbox says is of another thread. */
void mailbox_attach(struct task *t);
/* True for calls that can go by a mailbox. */
bool mailbox_takes(int nr);
/* All of them are beyond the reach of t's filters. */
bool mailbox_may_be_used(const struct task *t);
/* t's page, or NULL. In a call of t's. */
struct gate_mailbox *mailbox_page(const struct task *t);
/* The same of b, which is, or was a moment ago, its process's: another thread may execute a program. */
struct gate_mailbox *mailbox_page_in(const struct mailbox *b, const struct task *t);

/* [T] A living process whose mailbox is wanted: its first thread. NULL: none. `wanted` marks what it says yes
 * to, so that a round has each process once. */
struct task *mailbox_find(bool (*wanted)(struct mailbox *b, uint64_t round), uint64_t round);

/* Around t's call a, which came by the doorbell from its gate, or by the page: uaccess.h finds there what the
 * page holds. mailbox_end says how much it left for the gate, before the call is answered. A worker serves
 * one call at a time. */
void mailbox_begin(struct task *t, struct gate_mailbox *page);
void mailbox_end(void);
/* For uaccess.c: the page's copy of n bytes at src in t's memory, as far as it has them (else NULL, and *n is
 * unchanged); it may change at any time. Where t's memory at dst is to get n bytes: the place in the page, or
 * NULL. */
const volatile char *mailbox_source(const struct task *t, uaddr_t src, size_t *n);
volatile char *mailbox_target(const struct task *t, uaddr_t dst, size_t n);

/* mailbox_server.c: t has made a call by its mailbox and the doorbell. If it makes many, a thread of its
 * container's looks at its page for a while. */
void mailbox_rung(struct task *t);
/* The calling thread is such a one, which may not wait for anything: its call is begun anew by the doorbell.
 */
bool mailbox_must_not_wait(void);
void mailbox_server_release(struct mailbox_server *s); /* NULL is fine */

#endif
