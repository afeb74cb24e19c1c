/* What kept.c, kept_grant.c and kept_settle.c share. */
#ifndef BAILEY_KEEP_KEPT_INTERNAL_H
#define BAILEY_KEEP_KEPT_INTERNAL_H

#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/mailbox.h"

#define ROW_MIN 16U
#define ROW_MAX 4096U

struct kept {
    /* In calls of the process's own: */
    char path[KEPT_PATH]; /* that was opened last */
    unsigned flags;
    bool pending, due;
    unsigned row, wanted; /* times so far, and until it is kept */
    int epfd, mountfd;    /* -1: none yet */
    bool lent, off;
    atomic_bool left; /* nothing is kept, but what was is still native, with a number of the table's */
    /* later_lock: */
    struct file *_Atomic file; /* that is kept (a reference); NULL: none */
    atomic_bool granted;
    bool open, cloexec;   /* as of the table, */
    int fd;               /* at this number */
    bool gone;            /* it is no more, as the gate says */
    uint32_t begun, uses; /* of it when it was granted; when that was looked at last */
    unsigned idle;        /* looks that found no more */
    bool slow;            /* its gate was waited for in vain */
    uint32_t counted[3];
};

static inline struct kept *kept_of(struct mailbox *b)
{
    return b ? atomic_load(&b->kept) : NULL;
}

static inline uint32_t kept_load(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static inline void kept_store(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static inline uint32_t kept_uses(const struct gate_kept *g)
{
    return kept_load(&g->opened) + kept_load(&g->closed) + kept_load(&g->asked);
}

static inline void kept_put(struct file *f)
{
    if (f)
        file_put(f);
}

struct mailbox *kept_box(const struct task *t); /* of t's process; NULL: none */

/* All with b->later_lock held. The table of t's process as its gate says it is, all notes of closes having
 * been heard. */
void kept_sync(struct task *t, struct mailbox *b);
/* fd is no lane of t's, nor was it one when the file came to be there. */
void kept_clear_bits(struct task *t, struct gate_kept *g, unsigned fd);
/* Nothing is kept. Returns the file, the caller's to put, without the lock. */
struct file *kept_forget(struct mailbox *b);
/* The same; what is native of it is taken away by t's call a. */
struct file *kept_end(struct task *t, const struct sysargs *a, struct mailbox *b);
/* What has been left is taken away by t's call a, which has a notification. */
void kept_take_left(struct task *t, const struct sysargs *a, struct kept *k);
/* The lowest free number of t's, for its gate. */
void kept_publish(struct task *t, struct mailbox *b);
/* The row has to be longer, the next time. */
void kept_want_more(struct kept *k);

#endif
