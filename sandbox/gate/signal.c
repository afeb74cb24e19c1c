/* Guest signal frames: built on delivery, taken apart by rt_sigreturn, exactly as the kernel lays them out.
 */
#include "sandbox/gate/gate.h"

#define SA_ONSTACK 0x08000000UL
#define SA_RESTART 0x10000000UL
#define SIGTRAP 5
#define SS_ONSTACK 1
#define SS_DISABLE 2
#define SS_AUTODISARM ((int32_t)(1U << 31))
#define EINTR 4
#define EPERM 1
#define EFAULT 14
#define EINVAL 22
#define ENOMEM 12
#define MINSIGSTKSZ 2048
#define RED_ZONE 128
#define FUTEX_WAIT 0
#define FUTEX_WAIT_BITSET 9
#define FUTEX_PRIVATE 128UL
#define FUTEX_CLOCK_REALTIME 256UL

static int on_altstack(const struct gate_area *a, uint64_t sp)
{
    return !(a->alt.flags & SS_DISABLE) && sp > a->alt.sp && sp - a->alt.sp <= a->alt.size;
}

static int at_syscall(const struct native_ucontext *uc, uint64_t nr)
{
    return uc->mc.ax == nr && patch_is_syscall(uc->mc.ip);
}

/* A native wait with a time-out was ended: the host makes none of those again, but there is nothing to
 * deliver. Not where the EINTR is of another call: the keep's, or one from which a handler has just returned.
 */
static void wait_on(struct native_ucontext *uc, const struct gate_signal *s, uint64_t ip)
{
    struct gate_area *a = area_current();
    uint64_t op = uc->mc.si & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
    int others = a->returned_ip == ip || s->at == ip;

    a->returned_ip = 0;
    if (others || !uc->mc.r10 || !patch_is_syscall(uc->mc.ip - 2))
        return;
    if (op == FUTEX_WAIT) { /* which may be woken for nothing; how much of its time is left nobody knows */
        uc->mc.ax = 0;
    } else if (op == FUTEX_WAIT_BITSET) { /* until a time */
        uc->mc.ip -= 2;
        uc->mc.ax = NR_futex;
    }
}

/* ip: the context's, before it was brought out of the gate. */
static void apply_restart(struct native_ucontext *uc, const struct gate_signal *s, uint64_t ip)
{
    int eintr = uc->mc.ax == (uint64_t)-EINTR;

    if (s->restart == GATE_RESTART_AGAIN && eintr && (!s->at || s->at == ip)) {
        uc->mc.ip -= 2;
        uc->mc.ax = s->nr;
    } else if (s->restart == GATE_RESTART_EINTR && at_syscall(uc, s->nr)) {
        uc->mc.ip += 2;
        uc->mc.ax = (uint64_t)-EINTR;
    } else if (s->restart == GATE_RESTART_NONE && s->deliver && !(s->flags & SA_RESTART) &&
               at_syscall(uc, NR_futex)) {
        /* A native wait, rewound by the host; a futex call may always be interrupted. */
        uc->mc.ip += 2;
        uc->mc.ax = (uint64_t)-EINTR;
    } else if (eintr && !s->deliver && s->restart != GATE_RESTART_EINTR) {
        wait_on(uc, s, ip);
    }
}

static void build_frame(struct gate_area *a, struct native_ucontext *uc, const struct gate_signal *s)
{
    uint64_t sp = uc->mc.sp - RED_ZONE;
    uint64_t fpsize = uc->mc.fpstate ? fpstate_size(uc->mc.fpstate) : 0;

    if ((s->flags & SA_ONSTACK) && !(a->alt.flags & SS_DISABLE) && !on_altstack(a, uc->mc.sp))
        sp = a->alt.sp + a->alt.size;
    uint64_t fp = (sp - fpsize) & ~63UL;
    struct native_rt_sigframe *f = (struct native_rt_sigframe *)(((fp - sizeof(*f)) & ~15UL) - 8);

    if (fpsize)
        memcpy((void *)fp, (const void *)uc->mc.fpstate, fpsize);
    f->pretcode = s->restorer;
    f->uc = *uc;
    f->uc.link = 0;
    f->uc.stack = a->alt;
    if (on_altstack(a, uc->mc.sp))
        f->uc.stack.flags |= SS_ONSTACK;
    f->uc.mc.fpstate = fpsize ? fp : 0;
    f->uc.mc.oldmask = s->old_mask;
    f->uc.sigmask = s->old_mask;
    memcpy(&f->info, s->info, sizeof(f->info));
    if (a->alt.flags & SS_AUTODISARM)
        a->alt = (struct native_stack){.flags = SS_DISABLE};

    uc->mc.di = s->signo;
    uc->mc.si = (uint64_t)&f->info;
    uc->mc.dx = (uint64_t)&f->uc;
    uc->mc.ax = 0;
    uc->mc.sp = (uint64_t)f;
    uc->mc.ip = s->handler;
    uc->mc.flags &= ~(uint64_t)(FLAGS_DF | FLAGS_TF | FLAGS_RF);
    uc->mc.fpstate = 0; /* the handler starts with a clean extended state */
}

void gate_build_frame(struct native_ucontext *uc, const struct gate_signal *s)
{
    build_frame(area_current(), uc, s);
}

void gate_apply_signal(struct native_ucontext *uc, long deliver, const struct gate_signal *s)
{
    if (deliver == GATE_SIGNAL_END)
        gate_exit(0);
    if (deliver < 0)
        return;
    if (s->judge)
        judge_install(s->judge);
    if (s->mailbox_fd)
        mailbox_map((int)s->mailbox_fd);
    if (s->patch.ip)
        patch_site(&s->patch);
    uint64_t ip = uc->mc.ip;
    enum patch_state in = patch_translate(uc);
    mailbox_drop();
    if (deliver == GATE_SIGNAL_STOP) {
        trace_signal(uc, in);
        return;
    }
    if (in == PATCH_WAITED && s->deliver && !(s->flags & SA_RESTART)) {
        uc->mc.ip += 2;
        uc->mc.ax = (uint64_t)-EINTR;
    } else if (in == PATCH_EINTR && !s->deliver) {
        uc->mc.ip -= 2;
        uc->mc.ax = patch_number();
    }
    apply_restart(uc, s, ip);
    if (s->deliver)
        build_frame(area_current(), uc, s);
}

/* What the keep has said together with the answer to the call from which the thread comes. */
static int take_pushed(struct native_ucontext *uc, struct gate_signal *s)
{
    if (!s->pushed)
        return 0;
    s->pushed = 0;
    gate_apply_signal(uc, s->deliver, s);
    return 1;
}

void gate_on_kick(int sig, struct native_siginfo *si, struct native_ucontext *uc)
{
    struct gate_signal *s = &area_current()->sig;

    (void)sig;
    (void)si;
    mailbox_drop(); /* before all else: somebody waits for it */
    if (!take_pushed(uc, s))
        gate_apply_signal(uc, sys1(GATE_SIGNAL, s), s);
}

/* In a handler of the gate's: those run in the thread's area, as do only parts of a call (patch_faulted). */
static int in_handler(const struct native_ucontext *uc)
{
    return uc->mc.sp - (uint64_t)area_current() < GATE_AREA_SIZE;
}

void gate_on_fault(int sig, struct native_siginfo *si, struct native_ucontext *uc)
{
    struct gate_signal *s = &area_current()->sig;

    if ((sig == SIGTRAP && (self_trapped(uc) || trace_returned(uc) || patch_trapped(uc))) ||
        (is_fault(sig) && patch_faulted(uc)))
        return;
    if (is_fault(sig) && in_handler(uc))
        sys1(GATE_DIES, sig);
    (void)take_pushed(uc, s); /* this native signal came before the kick, with a lower number */
    gate_apply_signal(uc, sys4(GATE_FAULT, s, si, uc->mc.err, uc->mc.trapno), s);
}

void gate_sigreturn(struct native_ucontext *uc)
{
    const struct native_ucontext *g = (const struct native_ucontext *)uc->mc.sp;
    struct gate_area *a = area_current();
    uint16_t cs = uc->mc.cs, ss = uc->mc.ss;
    uint64_t mask = g->sigmask;

    uc->mc = g->mc;
    uc->mc.cs = cs;
    uc->mc.ss = ss;
    a->returned_ip = uc->mc.ip;
    uc->flags = (uc->flags & ~(uint64_t)UC_FP_XSTATE) | (g->flags & UC_FP_XSTATE);
    a->alt = g->stack;
    a->alt.flags &= SS_DISABLE | SS_AUTODISARM;
    mask_set(mask);
}

void gate_sigaltstack(struct native_ucontext *uc)
{
    const struct native_stack *new_ss = (const struct native_stack *)uc->mc.di;
    struct native_stack *old_ss = (struct native_stack *)uc->mc.si;
    struct gate_area *a = area_current();
    struct native_stack old = a->alt;
    int on = on_altstack(a, uc->mc.sp) && !(a->alt.flags & SS_AUTODISARM);
    long r = 0;

    if (on)
        old.flags |= SS_ONSTACK;
    if (new_ss && !guest_can_read(uc->mc.di, sizeof(*new_ss))) {
        r = -EFAULT;
    } else if (new_ss) {
        struct native_stack n = *new_ss;
        int mode = n.flags & ~SS_AUTODISARM;

        if (on)
            r = -EPERM;
        else if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
            r = -EINVAL;
        else if (mode == SS_DISABLE)
            a->alt = (struct native_stack){.flags = SS_DISABLE};
        else if (n.size < MINSIGSTKSZ)
            r = -ENOMEM;
        else
            a->alt = (struct native_stack){.sp = n.sp, .flags = n.flags & SS_AUTODISARM, .size = n.size};
    }
    if (r == 0 && old_ss && !guest_can_write(uc->mc.si, sizeof(*old_ss)))
        r = -EFAULT;
    else if (r == 0 && old_ss)
        *old_ss = old;
    uc->mc.ax = (uint64_t)r;
}
