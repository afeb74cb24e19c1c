/* To be born in a cgroup instead of being moved there. Moving another process makes the host wait for all of
 * its processors (a grace period of RCU: milliseconds); a thread that moves just itself does not wait, nor
 * does one that is made by clone3(2) with CLONE_INTO_CGROUP. So whoever makes a porter goes into the cgroups
 * of version 1 first, and out again.
 *
 * It is an attempt: cgroup_attach afterwards moves the process where it is not yet. */
#ifndef BAILEY_RUNTIME_CGROUP_BIRTH_H
#define BAILEY_RUNTIME_CGROUP_BIRTH_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "runtime/cgroup/cgroup.h"

struct cgroup_birth {
    unsigned n;
    int in[CGROUP_TREES_MAX], out[CGROUP_TREES_MAX]; /* the "tasks" files of the cgroups there, and of ours */
    int v2;                                          /* a directory, for cgroup_birth_fork; -1: none */
    cpu_set_t cpus;
};

/* Goes into cg's cgroups (NULL: none), as far as the way back is open, too. The caller has one thread. */
void cgroup_birth_enter(const struct cgroup *cg, struct cgroup_birth *b);

/* Goes out of them, and closes. */
int cgroup_birth_leave(struct cgroup_birth *b, struct err *e);

/* Like fork(2), with flags of clone(2), into the cgroup of version 2 that v2 is, if that can be. */
pid_t cgroup_birth_fork(unsigned long flags, int v2);

/* Is a process in cg's cgroup of t? text: its /proc/PID/cgroup. */
bool cgroup_is_in(const struct cgroup *cg, const struct cgroup_tree *t, const char *text);

#endif
