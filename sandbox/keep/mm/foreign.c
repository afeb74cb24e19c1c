#include "sandbox/keep/mm/foreign.h"

#include <errno.h>
#include <time.h>

#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define NAP_NS 200000
#define NAPS 25000 /* who writes is in a host call that may wait for a disk */

int foreign_begin(struct foreign *f, struct process *p, bool writes)
{
    if (!p->mm || p->state != PROCESS_ALIVE)
        return -ESRCH;
    if (writes && p->shut)
        return -EAGAIN;
    *f = (struct foreign){.process = process_get(p), .mm = mm_get(p->mm), .writes = writes};
    if (writes)
        p->writers++;
    return 0;
}

bool foreign_same(const struct foreign *f)
{
    LOCKED(&kernel.tasklist_lock);
    return f->process->mm == f->mm;
}

void foreign_end(struct foreign *f)
{
    if (!f->process)
        return;
    if (f->writes) {
        LOCKED(&kernel.tasklist_lock);
        f->process->writers--;
    }
    mm_put(f->mm);
    process_put(f->process);
    *f = (struct foreign){.process = NULL};
}

static bool nobody_writes(struct process *p)
{
    LOCKED(&kernel.tasklist_lock);
    p->shut = true;
    return p->writers == 0;
}

int foreign_shut(struct process *p)
{
    for (int i = 0; !nobody_writes(p); i++) {
        if (i == NAPS) {
            LOCKED(&kernel.tasklist_lock);
            foreign_open(p);
            return -EAGAIN;
        }
        worker_about_to_block();
        (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    return 0;
}

void foreign_open(struct process *p)
{
    p->shut = false;
}
