/* The memory of a process as another one reaches it (process_vm_writev(2), /proc/PID/mem). The host knows it
 * by the process's number, which stays what it is when the process executes a program with rights that the
 * other has not: so what was read counts only if the process still has the memory that it had when the right
 * to it was looked at, and such an execve waits for who is writing.
 *
 *   foreign_begin, look at the rights, read, foreign_same, use what was read; or write; foreign_end */
#ifndef BAILEY_KEEP_FOREIGN_H
#define BAILEY_KEEP_FOREIGN_H

#include "sandbox/keep/kernel.h"

struct mm;

struct foreign {
    struct process *process; /* a reference */
    struct mm *mm;           /* that it had at the beginning; a reference */
    bool writes;
};

/* [T] 0; -ESRCH: it has no memory (any more); -EAGAIN, to write: it is executing such a program just now. */
int foreign_begin(struct foreign *f, struct process *p, bool writes);
/* The memory is what it was. tasklist_lock not held. */
bool foreign_same(const struct foreign *f);
/* tasklist_lock not held. f may be zeros. */
void foreign_end(struct foreign *f);

#define _cleanup_foreign_ _cleanup_(foreign_end)

/* p is about to execute a program with rights of its own: nobody writes to it until foreign_open(), which the
 * end of the execve is. May wait. 0 or -EAGAIN. tasklist_lock not held. */
int foreign_shut(struct process *p);
void foreign_open(struct process *p); /* [T] */

#endif
