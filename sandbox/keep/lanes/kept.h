/* Files that a process opens, closes and opens again all the time, which its gate does by itself (struct
 * gate_kept). kept.c says why nobody can see the difference. */
#ifndef BAILEY_KEEP_KEPT_H
#define BAILEY_KEEP_KEPT_H

#include "sandbox/keep/fs/file.h"

struct fdtable;
struct kept;
struct mailbox;
struct mm;
struct process;

/* Before t's call a, and within its bracket: the table is as t's gate says that it is, and nothing is kept
 * that the call could show. False: that takes a doorbell. No lock held. */
bool kept_hear(struct task *t, const struct sysargs *a);
/* Behind it, before it is answered. No lock held. */
void kept_after(struct task *t, const struct sysargs *a);
/* t's call opens path with these flags (open(2)): for the kept_opened that follows, if any. */
void kept_opening(struct task *t, const char *path, unsigned flags);
/* That has been said so often that it is worth a doorbell, where this call has none. */
bool kept_is_due(struct task *t);
/* f has got number fd of t's table in the call a. True: it is kept, and to be no lane there. No lock held. */
bool kept_opened(struct task *t, const struct sysargs *a, int fd, struct file *f, bool cloexec);
/* A new file has got number fd of t's table, and comes with the answer, before kept_after. No lock held. */
void kept_installed(struct task *t, int fd);
/* Number fd of t's table is a file that is kept: what t's gate can use there without a lane. No lock held. */
bool kept_serves(struct task *t, int fd);
/* t's call a is about to wait. No lock held. */
void kept_waits(struct task *t);
/* This worker goes on without its call, which is parked. */
void kept_parked(void);
/* A number of t's that is GATE_KEPT_FD or GATE_HOME_FD becomes a file's. The table's lock held. */
void kept_off(struct task *t);
/* p's gate is to ask before it opens anything. [T], or in a call of p's. */
void kept_forbid(struct process *p);
/* Nothing is kept any more, and what was, is closed: for calls that show, or depend on, who has what open, or
 * where a path leads. No lock held. */
void kept_settle(void);
/* The first half of that: all gates are to ask. */
void kept_forbid_all(void);
/* What was not used for a while is closed. By the timers' thread. True: something is still kept. No lock
 * held.
 */
bool kept_tidy(void);
/* With its mailbox; NULL is fine. No lock held. */
void kept_free(struct kept *k);

/* kept_watch.c: watches all that decides where path leads t, as f was opened with flags. What happens from
 * now on makes epfd ready. False: that can not be told. kernel.kept_lock held, until that counts in
 * kernel.kepts. */
bool kept_watch(struct task *t, const char *path, unsigned flags, const struct file *f, int epfd);
/* Nothing is watched for anybody any more. */
void kept_unwatch(void);

#endif
