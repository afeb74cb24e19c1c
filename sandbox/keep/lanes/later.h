/* Calls that the keep hears of later: a process with one thread may close a plain lane natively and tell
 * with its next call, or leave it to the keep to look (struct gate_later); the same for the O_NONBLOCK of
 * a socket that it has just made. later.c says why nobody can see that. */
#ifndef BAILEY_KEEP_LATER_H
#define BAILEY_KEEP_LATER_H

#include "sandbox/keep/fs/file.h"

struct fdtable;
struct mailbox;
struct mm;

/* f has become a lane at its number fd of t's own table, in a call of t's: t may close it so from now on,
 * unless somebody would notice. The table's lock held. */
void later_allow(struct task *t, unsigned fd, const struct file *f);
/* The same for a socket that is left to the guest (lanes_left.c): it may be, and it is, to b's process. */
bool later_may_leave(struct task *t, unsigned fd);
void later_leave(struct mailbox *b, unsigned fd);
/* b's process may ask natively how the connect of its socket fd went. It has, and it went well. */
void later_joins(struct mailbox *b, unsigned fd);
bool later_joined(const struct mailbox *b, unsigned fd);
/* The error that t's gate has had from the host for its socket fd, and that is to be connect(2)'s, once; 0:
 * none. */
int later_refusal(struct task *t, unsigned fd);
/* t's number fd is about to be something else. */
void later_forbid(struct task *t, unsigned fd);
/* The same for what the process that has b has at fd. */
void later_forbid_in(struct mailbox *b, unsigned fd);
/* The same for all of t's: other threads or processes come to use its memory, or its files' locks matter. */
void later_forbid_all(struct task *t);
/* f, at its number fd of t's table, is a stream socket and a lane: t's gate may send files to it. */
void later_sends(struct task *t, unsigned fd, const struct file *f);
/* What can be polled at a number of t's table is, or is about to be, something else: what gates still watch
 * there counts no more (sandbox/gate/poll.c). The table's lock held. */
void later_changes(struct task *t);
/* f, about to be installed for t, may be fresh: a socket that nobody knows, so that its O_NONBLOCK may be t's
 * gate's until it is used. Otherwise it is one like all others now. No lock held. */
bool later_may_be_fresh(struct task *t, struct file *f);
/* f has become the file of number fd of t's own table, in a call of t's that later_may_be_fresh allowed: its
 * host socket is O_NONBLOCK, and does not follow the guest's flag before that was heard of. No lock held. */
void later_fresh(struct task *t, unsigned fd, struct file *f);
/* The files that b's process has closed since, out of its table ft: LATER_MOST at most, for later_put once no
 * lock is held. [T], or in a call of the process's. */
unsigned later_take(struct mailbox *b, struct fdtable *ft, struct file **files);
void later_put(struct file **files, unsigned n);
/* Before a call of t's, and within its bracket: what its gate has closed, is, and so is O_NONBLOCK what it
 * has set. No lock held. */
void later_hear(struct task *t);
/* Nobody may close so what is open now, and what was closed, is: for calls that show, or depend on, who has
 * what open. No lock held. */
void later_settle(void);
/* A guest has let somebody execute a file: who has it open for writing is to be seen. No lock held. */
void later_executable(void);
/* Behind a call: sees to it that what it has allowed does not last. No lock held. */
void later_arm(void);
/* The time is over; by the timers' thread, if `later_due`. No lock held. */
void later_tidy(void);

#endif
