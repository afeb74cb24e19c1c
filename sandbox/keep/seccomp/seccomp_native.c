/* Guests' own filters and the calls that run without the keep: the gate of a thread whose filters have a say
 * in such calls is told to put a host filter on it that traps them (sandbox/gate/judge.c). */
#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/mman.h>

#include "sandbox/gate/judged.h"
#include "sandbox/keep/seccomp/bpf.h"
#include "sandbox/keep/mm/maps.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/seccomp/seccomp_internal.h"
#include "sandbox/keep/mm/uaccess.h"

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

/* Whether nobody can change what is at [from, from + n). The gate's image is sealed, its text was never
 * writable, and the host's filter takes no call natively, from whatever instruction, that maps, unmaps,
 * protects or moves anything below GATE_LIMIT; those that ring are refused from GATE_BASE on (mm.c). The keep
 * itself writes as the mapping allows. So what maps says once stays true until the next exec. */
static bool is_fixed(const char *maps, uaddr_t from, size_t n)
{
    struct mapping m;

    while (maps_next(&maps, &m))
        if (from >= m.start && from < m.end)
            return n <= m.end - from && m.start >= GATE_BASE && m.end <= GATE_LIMIT && !m.shared &&
                   m.prot == (PROT_READ | PROT_EXEC) && maps_gate_image(m.dev, m.ino);
    return false;
}

/* The call that the program at prog traps, doing nothing else; -1: it is none of the gate's. First where it
 * is, then what: no other thread or process can put another in its place before the host reads it. */
static int program_of(struct task *t, uaddr_t prog)
{
    _cleanup_sb_ struct strbuf maps = {0};
    struct sock_filter f[JUDGED_PROGRAM];
    struct sock_fprog p;

    if (host_proc_read(&maps, "%d/maps", t->host_tid) < 0 || !is_fixed(maps.s, prog, sizeof(p)) ||
        get_user(t, &p, prog) < 0 || p.len != JUDGED_PROGRAM ||
        !is_fixed(maps.s, (uaddr_t)(uintptr_t)p.filter, sizeof(f)) ||
        get_user(t, &f, (uaddr_t)(uintptr_t)p.filter) < 0)
        return -1;
    for (unsigned i = 0; i < JUDGED_CALLS; i++)
        if (memcmp(f, judged_filters[i], sizeof(f)) == 0)
            return (int)i;
    return -1;
}

long seccomp_natives_seen(struct task *t, const struct sysargs *a)
{
    int i = a->arg[0] == SECCOMP_SET_MODE_FILTER && a->arg[1] == 0 ? program_of(t, a->arg[2]) : -1;
    LOCKED(&kernel.tasklist_lock);
    if (i < 0 || !(t->judge_next >> i & 1))
        return -EPERM;
    t->judged |= UINT64_C(1) << i;
    t->judge_next &= ~(UINT64_C(1) << i);
    return SYS_CONTINUE;
}
