/* What a guest does without the keep, from patched call sites (sandbox/gate/patch.c): its ids, and transfers
 * on its lanes. The keep writes what the gate needs to know into struct gate_shared; it reads nothing back.
 */
#ifndef BAILEY_KEEP_FAST_H
#define BAILEY_KEEP_FAST_H

#include "sandbox/keep/kernel.h"

struct mm;
struct process;
struct gate_patch;
struct gate_slot;
struct user_copy;
struct pollfd;

/* t's gate says where its slot is (0: it has none; what is not a slot's address counts as none). For a new
 * thread, process or image, before it runs guest code. tid_at: where
 * the new thread wants its id, too (0: nowhere). */
void fast_attach(struct task *t, uaddr_t slot, uaddr_t tid_at);
/* The same; with it, n other pieces are written. 0 or -EFAULT. */
#define FAST_MORE_PARTS 3
int fast_attach_with(struct task *t, uaddr_t slot, const struct user_copy *more, unsigned n);
/* The slot with that number, as fast_attach wants it; 0: there is none. */
uaddr_t fast_slot_at(unsigned number);
/* [T] The first half of fast_attach: what is to be written where, from s; mask_there: but the mask. Returns
 * how many parts; 0: t has no slot. */
#define FAST_SLOT_PARTS 2
unsigned fast_take_slot(struct task *t, uaddr_t slot, bool mask_there, struct gate_slot *s,
                        struct user_copy *parts);
/* What t's slot says of itself (enum gate_valid), as things are. */
uint32_t fast_valid(const struct task *t);
/* [T] What the keep has to say is written once more, to a slot that t has: t's gate may not have had it. */
void fast_found(struct task *t);
/* t's ids changed, or whether it may use them without asking. */
void fast_ids_changed(struct task *t);
/* The actions of t's process changed, or with whom it shares them. No lock held. */
void fast_actions_changed(struct task *t);
/* A resource limit of p's changed. [T] */
void fast_limits_changed(struct process *p);
/* t has a new filter: where it looks at such calls, all of t's process are to reach the keep. */
void fast_filtered(struct task *t);

/* t's gate may act by itself at all. */
bool fast_is_possible(const struct task *t);
/* It may, as soon as t has a slot. */
bool fast_may_be(const struct task *t);
/* No other task uses t's memory. In a call of t's. */
bool fast_is_alone(const struct task *t);
/* Descriptor fd is a lane at its number in t's own table: the gate may use it. No lock but the table's. */
enum fast_lane { FAST_ANY, FAST_PLAIN /* it is FILE_PLAIN */, FAST_SOCKET /* a stream */ };
void fast_lane_set(struct task *t, unsigned fd, enum fast_lane what);
/* The gate believes of fd that it may use it, which may be out of date. */
bool fast_lane_is_set(struct task *t, unsigned fd);
/* t used a fresh file by the keep. */
void fast_used(struct task *t);
/* t's files are mostly used several times (so many times more) after they were opened. */
bool fast_opens_pay(struct task *t, unsigned times);
/* t opened a file. False: one to count the uses of, which is not to be a lane at once. may: it can be. */
bool fast_opened(struct task *t, bool may);
/* fd is about to be something else. Before the slot or the native descriptor changes; not needed where that
 * is closed by the only one who could use it. */
void fast_lane_clear(struct task *t, unsigned fd);
/* Both at once: fd is about to be another file, and that a lane, not FAST_PLAIN. */
void fast_lane_renew(struct task *t, unsigned fd, enum fast_lane what);
/* f is barred: no gate uses it any more. f is only compared with; a table's lock is taken for each task. No
 * lock held. */
void fast_bar(const struct file *f);
/* The child's memory is a copy of the parent's, its descriptors a copy or (CLONE_FILES) the same. */
void fast_forked(struct task *parent, struct mm *child, unsigned long flags);

/* t polled these n (struct pollfd), which took its course in the keep. True: its gate can do that by itself
 * the next time, since all are lanes (fast_poll.c). No lock held. */
bool fast_poll(struct task *t, const struct sysargs *a, const struct pollfd *fds, unsigned n);
/* A number of the gate's for poll(2) becomes a file's. fdtable's lock held. */
void fast_polls_off(struct task *t);

/* fast_signal.c: signals to oneself. a is one that may be delivered by t's gate. */
bool fast_sends_to_itself(const struct task *t, const struct sysargs *a);
/* No filter has a say in t's sending signals. */
bool fast_may_send(const struct task *t);
/* t's gate is told all of its process's actions / what has become of one. [T] */
void fast_actions_tell(struct task *t);
void fast_action_changed(struct task *t, int signo);

/* A call came to the keep and was answered by r: if a patched site would have made it by itself, and that
 * happens often, the gate is asked to patch the one at a->ip. */
void fast_missed(struct task *t, const struct sysargs *a, long r);
/* The same of a nanosleep, before it is answered. True: t has been kicked, so it is to be made again. */
bool fast_sleeps(struct task *t, const struct sysargs *a);
/* What t's gate is to patch now, once; p->ip 0: nothing. */
void fast_take_patch(struct task *t, struct gate_patch *p);

/* sites.c: a gate was asked to patch the site behind whose system call instruction is ip; the child's memory
 * is a copy of the parent's (tasklist_lock held); what was read of who's memory at that address shows what
 * its sites were before. */
void sites_note(struct mm *mm, uaddr_t ip);
void sites_copy(struct mm *to, const struct mm *from);
void sites_show_original(struct task *who, uaddr_t at, char *buf, size_t n);

#endif
