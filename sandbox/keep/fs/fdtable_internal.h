/* What fdtable.c and lanes.c share: a table's inside.
 *
 * Beside its file, a slot knows what the guest's native descriptor table holds at the same number: nothing
 * that matters (LANE_NONE), the file's own host descriptor (LANE_HERE), or perhaps something old
 * (LANE_STALE), or what one of several threads is about to close (LANE_CLOSING), so that nothing new may lie
 * there before. A number is only ever used natively after lane_donate found LANE_HERE, or made it so, under
 * the table's lock. */
#ifndef BAILEY_KEEP_FDTABLE_INTERNAL_H
#define BAILEY_KEEP_FDTABLE_INTERNAL_H

#include "sandbox/keep/fs/fdtable.h"

#define LEFT_PAYS_MOST 64

enum lane_state { LANE_NONE, LANE_HERE, LANE_STALE, LANE_CLOSING };

struct slot {
    struct file *file;
    bool cloexec;
    uint8_t lane; /* enum lane_state; meaningful in empty slots too */
    uint8_t uses; /* transfers that the keep made itself; see lane_ready */
};

struct fdtable {
    atomic_int refs;
    pthread_mutex_t lock;
    struct slot *slots;
    unsigned size;
    unsigned first_free;  /* no free slot is below it */
    atomic_bool locks;    /* see fdtable_note_locks */
    atomic_bool strange;  /* see fdtable_is_strange */
    atomic_bool tokens;   /* see fdtable_has_tokens */
    struct mailbox *left; /* a reference: of whom sockets may be left to (lanes_left.c); NULL: nobody */
    int left_pays;        /* how often such were closed, and not fetched */
};

/* lanes_left.c. Lock held. The socket f, at fd of t's own table and a lane there, may be left to the guest;
 * users: how many references to it t's call knows of. Then it is, as soon as the guest has it: the keep's
 * descriptor, to be closed by left_over, is returned: only then may the guest close it natively, as the
 * connection is to end there. -1: it is none for that. */
int left_begin(struct task *t, struct fdtable *ft, unsigned fd, struct file *f, int users);
void left_over(struct fdtable *ft, unsigned fd, int hostfd);
/* The guest did not get it. */
void left_undo(struct file *f, int hostfd);
/* The file that is at fd is the keep's, too, from now on. False: the guest has it no more. */
bool left_fetch(struct fdtable *ft, unsigned fd);
void left_fetch_all(struct fdtable *ft);
/* ft is no more. */
void left_forget(struct fdtable *ft);

static inline bool sole_owner(struct fdtable *ft)
{
    return atomic_load(&ft->refs) == 1;
}

#endif
