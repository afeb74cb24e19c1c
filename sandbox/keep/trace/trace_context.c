/* The registers of a thread in GATE_STOP, out of the context that its gate names, and into it. */
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/keep/syscall.h"
#include "sandbox/keep/trace/trace_internal.h"
#include "sandbox/keep/mm/uaccess.h"

#define USER_CS 0x33
#define USER_SS 0x2b
#define PATCH_WAITED 1 /* enum patch_state (sandbox/gate/gate.h) */
#define PATCH_EINTR 2

static const struct {
    unsigned char reg, greg;
} words[] = {
    {0, REG_R15},  {1, REG_R14},  {2, REG_R13},  {3, REG_R12},  {4, REG_RBP},  {5, REG_RBX},
    {6, REG_R11},  {7, REG_R10},  {8, REG_R9},   {9, REG_R8},   {10, REG_RAX}, {11, REG_RCX},
    {12, REG_RDX}, {13, REG_RSI}, {14, REG_RDI}, {16, REG_RIP}, {18, REG_EFL}, {19, REG_RSP},
};

static void move_words(struct stop *s, bool to_context)
{
    unsigned long long *r = (unsigned long long *)&s->regs;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (to_context)
            s->gregs[words[i].greg] = (greg_t)r[words[i].reg];
        else
            r[words[i].reg] = (unsigned long long)s->gregs[words[i].greg];
    }
}

void stop_put_registers(struct stop *s)
{
    move_words(s, true);
}

static bool at_call(struct task *t, uaddr_t ip)
{
    unsigned char text[2];

    if (copy_from_user(t, text, ip, sizeof(text)) < 0)
        return false;
    return memcmp(text, "\x0f\x05", 2) == 0 || memcmp(text, "\x89\xe1", 2) == 0; /* patch.c's CMP shape */
}

/* As Linux shows a call that was interrupted: behind its instruction, with the reason in rax. */
static void show_interrupted(struct stop *s, int nr, int reason, bool rewound)
{
    s->regs.orig_rax = (unsigned long long)nr;
    s->regs.rax = (unsigned long long)-(long long)reason;
    if (rewound)
        s->regs.rip += 2;
}

/* What the host or the keep has made of the call in which the thread was. */
static void find_interrupted(struct task *t, struct stop *s, unsigned in)
{
    const struct user_regs_struct *r = &s->regs;
    bool eintr = (long long)r->rax == -EINTR;
    bool futex = r->rax == SYS_futex, continued = t->continued && (int)r->rax == t->restart_nr;

    if (t->restart && eintr)
        show_interrupted(s, t->restart_nr, t->restart, false);
    else if (eintr && t->continued && t->again.nr && r->rip == t->ended_ip)
        show_interrupted(s, t->again.nr, t->again.whole ? ERESTARTNOHAND : ERESTART_RESTARTBLOCK, false);
    else if (in == PATCH_EINTR && eintr)
        show_interrupted(s, (int)s->nr, ERESTARTNOHAND, false);
    else if (r->rax < SYSCALL_MAX &&
             (in == PATCH_WAITED || futex || continued || (t->trace && t->trace->in_call)) &&
             at_call(t, r->rip))
        show_interrupted(s, (int)r->rax, continued && !futex ? ERESTARTNOHAND : ERESTARTSYS, true);
}

int stop_take_registers(struct task *t, struct stop *s, const struct sysargs *a)
{
    struct user_regs_struct *r = &s->regs;

    if (get_user(t, &s->gregs, s->context + offsetof(ucontext_t, uc_mcontext.gregs)) < 0 ||
        get_user(t, &s->fpstate, s->context + offsetof(ucontext_t, uc_mcontext.fpregs)) < 0)
        return -EFAULT;
    move_words(s, false);
    r->orig_rax = (unsigned long long)-1;
    r->cs = USER_CS;
    r->ss = USER_SS;
    r->fs_base = a->arg[4];
    r->gs_base = a->arg[5];
    if (t->trace && t->trace->forced_tf)
        r->eflags &= ~FLAG_TF;
    if (s->why == GATE_STOP_ENTER || s->why == GATE_STOP_EXIT)
        r->orig_rax = s->nr;
    if (s->why == GATE_STOP_ENTER)
        r->rax = (unsigned long long)-ENOSYS;
    else if (s->why == GATE_STOP_EXIT && t->restart && (long long)r->rax == -EINTR)
        r->rax = (unsigned long long)-(long long)t->restart;
    else if (s->why == GATE_STOP_SIGNAL)
        find_interrupted(t, s, a->arg[2] >> 8 & 3);
    return 0;
}

bool stop_was_interrupted(const struct user_regs_struct *r)
{
    return (long long)r->orig_rax >= 0 && is_restart((long)r->rax);
}

void stop_restart(struct user_regs_struct *r, bool handled, uint64_t sa_flags)
{
    if (!stop_was_interrupted(r))
        return;
    long long v = -(long long)r->rax;
    bool again = v == ERESTARTNOINTR || !handled || (v == ERESTARTSYS && (sa_flags & SA_RESTART));
    r->rax = !again                       ? (unsigned long long)-EINTR
             : v == ERESTART_RESTARTBLOCK ? SYS_restart_syscall
                                          : r->orig_rax;
    if (again)
        r->rip -= 2;
}
