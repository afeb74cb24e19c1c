/* New processes that the keep has not heard of.
 *
 * The child of a fork by a process with one thread, and memory of its own, need not attach. What it would be
 * told is in its memory when the host has copied that (struct gate_born), and its first call, whatever that
 * is, tells the keep which host process it is: the memory of who calls holds the token. That is as secret as
 * it is where children attach with it.
 *
 * Until then all is as with one that has yet to attach, except that it may be at work. So whoever wants more
 * than the keep has, signals first of all, has it looked for (unheard_find): it is one of the guests that the
 * host lists and nobody goes by. The keep looks by itself when the child has lived for a moment (deaths.h).
 *
 * The host lists a child before that runs, and its parent's gate takes the token out of its own memory behind
 * the clone. So a look that begins when the token is not there (any more, or the memory is gone) finds the
 * child, or that has died: killed before its first call. One that was killed by the keep while its clone was
 * on its way is looked for, too, and ends as soon as it is found.
 *
 * Found before its gate has begun, it attaches all the same, since the two write the same words: the keep
 * takes the token out of the child's memory before it writes others, and the gate looks for it when it has
 * written.
 *
 * tasklist_lock guards all of this. */
#ifndef BAILEY_KEEP_UNHEARD_H
#define BAILEY_KEEP_UNHEARD_H

#include <stddef.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/task/task.h"

struct embryo;

#define UNHEARD_BORN_AT (GATE_SHARED + offsetof(struct gate_shared, born))

/* e, of t's call with these flags, need not attach: what its memory is to say, at UNHEARD_BORN_AT. False: it
 * is to. Takes the lock. */
bool unheard_prepare(struct task *t, struct embryo *e, unsigned long flags, struct gate_born *born);
/* [T] Its clone is approved. Nothing where it is to attach. */
void unheard_begin(struct embryo *e);
/* [T] Its host process is known, or it has none. Nothing where it was to attach. */
void unheard_over(struct embryo *e);
/* [T] e's child has ended for the keep, but may yet come: e stays until that is known. False: it does not. */
bool unheard_killed(struct embryo *e);

/* [T] p's host process is looked for, and known then if it is there. Cheap where it was known. */
void unheard_look(struct process *p);
static inline void unheard_find(struct process *p)
{
    if (p->unheard)
        unheard_look(p);
}
/* [T] The same for all. Cheap where there are none. */
void unheard_find_all(void);
/* [T] The same for p by the keep itself, now and again, until it is known or has died. */
void unheard_await(struct process *p);

/* The task of a host process, not known, that makes call nr: from now on it is. A reference; NULL: it is none
 * of these. No lock held. */
struct task *unheard_heard(pid_t host_pid, int nr);
/* GATE_ATTACH by one that was found before its gate had begun. */
long gate_found(struct task *t, const struct sysargs *a);

#endif
