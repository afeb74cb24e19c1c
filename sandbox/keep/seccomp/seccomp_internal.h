/* Shared by the files of seccomp. */
#ifndef BAILEY_KEEP_SECCOMP_INTERNAL_H
#define BAILEY_KEEP_SECCOMP_INTERNAL_H

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/clone.h"
#include "sandbox/keep/task/task.h"

#define CACHE_WORDS (SYSCALL_MAX / 64)

/* A chain is immutable; each task holds its newest link. */
struct seccomp_filter {
    atomic_int refs;
    struct seccomp_filter *prev;       /* older; a reference */
    unsigned len, chain_len;           /* instructions */
    unsigned count;                    /* filters, with those below */
    bool log;                          /* SECCOMP_FILTER_FLAG_LOG */
    bool killable;                     /* only its end interrupts a task that waits for the agent */
    int standin_fd;                    /* where a profile's SECCOMP_RET_USER_NOTIF goes; -1: nowhere */
    struct seccomp_notifier *notifier; /* [T] where a guest's own goes (a reference); NULL: nowhere */
    unsigned users;                    /* [T] tasks whose newest it is, and filters in use right above it */
    bool is_profile;                   /* the container's, not the guest's own */
    /* By number: whether it is known that the whole chain allows the call with any arguments, and that it
     * does. */
    atomic_ulong known[CACHE_WORDS], allowed[CACHE_WORDS];
    atomic_ushort start[SYSCALL_MAX]; /* by number: bpf_start + 1; 0: not yet known */
    atomic_ulong said[CACHE_WORDS];   /* what the runtime's log has had already */
    struct sock_filter insns[];
};

/* [T] t's newest filter is f from now on (a new reference) instead of what it had. NULL: none. */
void seccomp_use(struct task *t, struct seccomp_filter *f);

/* The end of t's call by result, an error or a value: SYS_EXACT. */
long seccomp_answer(struct task *t, const struct sysargs *a, long result);

/* seccomp_native.c: t has a new filter. Its gate is told to trap what the chain has a say in and would not
 * see. [T] */
void seccomp_see_natives(struct task *t);
/* Its gate does so: SYS_CONTINUE, if that is what it is about to do, with a program in the gate's text (which
 * nothing changes: whatever other threads do, it is what the host reads) that is due. Else -EPERM. */
long seccomp_natives_seen(struct task *t, const struct sysargs *a);

/* Puts a call to the agent. 1: it is to be made; 0: *result is what it returns; -errno, -ERESTARTSYS. */
int seccomp_standin(struct task *t, const struct seccomp_filter *f, const struct sysargs *a,
                    const struct seccomp_data *d, long *result);

/* A question of the gate's own, or a call that it makes for its guest. */
static inline bool seccomp_asked_by_gate(const struct sysargs *a)
{
    return a->nr >= GATE_CALL_BASE || clone_for_guest(a);
}

#endif
