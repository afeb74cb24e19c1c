/* Guests' own filters and the calls that run without the keep: the gate of a thread whose filters have a say
 * in such calls is told to put a host filter on it that traps them (sandbox/gate/judge.c). */
#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#include "sandbox/gate/judged.h"
#include "sandbox/keep/bpf.h"
#include "sandbox/keep/seccomp_internal.h"
#include "sandbox/keep/uaccess.h"

/* What the container's profile has a say in rings, or is asked for, already. */
static bool profile_allows(const struct seccomp_filter *f, int nr)
{
    for (; f; f = f->prev)
        if (f->is_profile && !bpf_always_allows(f->insns, f->len, nr))
            return false;
    return true;
}

void seccomp_see_natives(struct task *t)
{
    for (unsigned i = 0; i < JUDGED_CALLS; i++) {
        uint64_t bit = UINT64_C(1) << i;
        int nr = judged_calls[i];
        if (!(t->judged & bit) && !seccomp_always_allows(t, nr) && profile_allows(t->seccomp, nr))
            t->judge_next |= bit;
    }
    if (t->judge_next)
        signal_kick(t);
}

/* Whether the program at prog is the one that traps these calls and does nothing else. Other threads of the
 * guest can still change it before the host reads it; what they then have is a filter of their own making on
 * one of their threads, which takes away calls from it alone. */
static bool is_program(struct task *t, uaddr_t prog, uint64_t calls)
{
    struct sock_filter want[JUDGED_PROGRAM], got[JUDGED_PROGRAM];
    struct {
        uint16_t len;
        uint64_t filter;
    } p;
    unsigned n = judged_program(calls, want);

    return get_user(t, &p, prog) == 0 && p.len == n &&
           copy_from_user(t, got, p.filter, n * sizeof(*got)) == 0 &&
           memcmp(got, want, n * sizeof(*got)) == 0;
}

long seccomp_natives_seen(struct task *t, const struct sysargs *a)
{
    uint64_t calls;
    {
        LOCKED(&kernel.tasklist_lock);
        calls = t->judge_next;
    }
    if (!calls || a->arg[0] != SECCOMP_SET_MODE_FILTER || a->arg[1] != 0 || !is_program(t, a->arg[2], calls))
        return -EPERM;
    LOCKED(&kernel.tasklist_lock);
    t->judged |= calls;
    t->judge_next &= ~calls;
    return SYS_CONTINUE;
}
