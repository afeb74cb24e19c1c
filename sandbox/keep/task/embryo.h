/* Children between the keep's approval of their clone and their first word to it. tasklist_lock guards them.
 * For clone.c and unheard.c. */
#ifndef BAILEY_KEEP_EMBRYO_H
#define BAILEY_KEEP_EMBRYO_H

#include "sandbox/keep/task/task.h"
#include "sandbox/keep/time/timer.h"

struct embryo {
    struct ktimer timer; /* first: since its parent ended with the host's clone perhaps on its way */
    struct embryo *next, *prev;
    struct task *child, *parent; /* references */
    uint32_t secret;
    uaddr_t child_tid; /* CLONE_CHILD_SETTID: where the child's tid goes in its own memory; 0: nowhere */
    uint64_t call;     /* the last argument of its parent's call */
    /* unheard.c's: */
    bool unheard;   /* it need not attach, and nobody knows its host process yet */
    uint32_t valid; /* what its slot was told */
    bool over;      /* its parent has left the host's clone: what is not there now has died */
    unsigned looks; /* for it, in vain */
    unsigned vain;  /* of the keep's own, when it should have been there */
    int64_t looked; /* when, last: CLOCK_MONOTONIC, ns */
};

/* What its gate is told, and attaches with. */
static inline uint64_t embryo_token(const struct embryo *e)
{
    return (uint64_t)e->secret << 32 | (uint32_t)e->child->tid;
}

/* [T] The one of that token; with a parent, of that one's only. NULL: none. */
struct embryo *embryo_find(const struct task *parent, uint64_t token);
struct embryo *embryo_of(const struct task *child); /* [T] NULL: none */
/* [T] It is none any more: out of the list, its timer set no more. */
void embryo_remove(struct embryo *e);
/* Drops its references. With tasklist_lock only where they are not the last ones. */
void embryo_free(struct embryo *e);

#endif
