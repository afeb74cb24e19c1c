/* Record locks (fcntl(2)) and flock(2). Record locks are the keep's own: one list per (st_dev, st_ino), all
 * under tasklist_lock. The owner of a POSIX lock is the descriptor table (as in Linux), of an OFD lock the
 * file. */
#ifndef BAILEY_KEEP_LOCKS_H
#define BAILEY_KEEP_LOCKS_H

#include "sandbox/keep/kernel.h"

struct fdtable;

/* F_GETLK, F_SETLK, F_SETLKW and the F_OFD_* three; arg is the guest's struct flock. May block.
 * 0, -errno or -ERESTARTSYS. tasklist_lock not held. */
long file_lock_fcntl(struct task *t, struct file *f, int cmd, uaddr_t arg);

/* A descriptor of f in table owner is being closed: its POSIX locks on that file go. Cheap where there are
 * none. To be called for every close of a descriptor: close, dup2, exec, exit. tasklist_lock not held. */
void file_locks_closed(struct fdtable *owner, struct file *f);

#endif
