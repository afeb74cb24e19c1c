#include "sandbox/keep/container/confine.h"

#include <errno.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOPRIO_WHO_PROCESS 1

int confine_apply(const struct keep_confine *c, const char **what)
{
    *what = "process.scheduler";
    if (c->sched.size && syscall(SYS_sched_setattr, 0, &c->sched, 0) < 0)
        return -errno;
    *what = "process.ioPriority";
    if (c->ioprio && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, c->ioprio) < 0)
        return -errno;
    *what = "linux.memoryPolicy";
    const unsigned long nodes = c->mempolicy_nodes;
    if (c->mempolicy >= 0 && syscall(SYS_set_mempolicy, c->mempolicy, nodes ? &nodes : NULL,
                                     nodes ? 8 * sizeof(nodes) + 1 : 0) < 0)
        return -errno;
    *what = "linux.personality";
    if (c->personality >= 0 && personality((unsigned long)c->personality) < 0)
        return -errno;
    return 0;
}
