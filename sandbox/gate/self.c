/* Signals that a program sends to itself: from a patched site to a handler that may run at once, they need
 * nobody else. fast.S finds that out and raises the host's SIGTRAP (gate_self_called), so that a context is
 * there to build the frame from; whatever is not so simple goes back to the site's own instruction, and so to
 * the keep.
 *
 * The keep has told the actions (sandbox/keep/lanes/fast_signal.c) of a process whose memory is its own. With
 * other threads on it the signal may be for one of them, and the action be changing: then the keep is asked.
 */
#include "sandbox/gate/gate.h"

#define NR_kill 62
#define SI_USER 0
#define SI_TKILL (-6)
#define SA_NODEFER 0x40000000UL
#define UNBLOCKABLE 0x40100UL /* SIGKILL, SIGSTOP */

extern struct gate_shared gate_shared;

struct sent_info {
    int32_t signo, err, code, pad, pid;
    uint32_t uid;
};

/* As the keep would answer. */
static struct gate_signal handled(const struct native_sigcontext *r, const struct gate_slot *slot,
                                  uint32_t signo)
{
    const struct gate_action *a = &gate_shared.actions[signo - 1];
    struct gate_signal s;
    struct sent_info i = {
        .signo = (int32_t)signo,
        .code = r->ax == NR_kill ? SI_USER : SI_TKILL,
        .pid = slot->pid,
        .uid = slot->uid,
    };

    memset(&s, 0, sizeof(s));
    s.deliver = 1;
    s.signo = signo;
    s.handler = a->handler;
    s.flags = a->flags;
    s.restorer = a->restorer;
    s.old_mask = slot->blocked;
    memcpy(s.info, &i, sizeof(i));
    return s;
}

static void enter(struct native_ucontext *uc, struct gate_slot *slot, uint32_t signo)
{
    struct gate_signal s = handled(&uc->mc, slot, signo);
    uint64_t mask = slot->blocked | gate_shared.actions[signo - 1].mask;

    if (!(s.flags & SA_NODEFER))
        mask |= 1UL << (signo - 1);
    __atomic_exchange_n(&slot->blocked, mask & ~UNBLOCKABLE, __ATOMIC_SEQ_CST);
    slot->answered++;
    uc->mc.ax = 0;
    uc->mc.ip = uc->mc.cx;
    uc->mc.err = uc->mc.trapno = 0;
    (void)patch_translate(uc);
    gate_build_frame(uc, &s);
}

int self_trapped(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;
    uint32_t signo = (uint32_t)(r->ax == NR_tgkill ? r->dx : r->si);

    if (r->ip != (uint64_t)gate_self_called)
        return 0;
    struct gate_slot *slot = patch_slot();
    if (slot && area_is_only() && signo - 1 < GATE_ACTIONS && gate_shared.actions[signo - 1].handler)
        enter(uc, slot, signo);
    else
        r->ip = r->cx - 2; /* not the site, which would come here again */
    return 1;
}
