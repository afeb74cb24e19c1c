/* The calls that run natively from guest code, or that the gate makes without asking: what a guest's own
 * filter (seccomp(2)) does not see by itself. Where one has a say in such a call, the gate puts a host filter
 * on the thread, which traps it, and asks (judge.c). The keep names them by a bit each, in this order. */
#ifndef BAILEY_GATE_JUDGED_H
#define BAILEY_GATE_JUDGED_H

#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/gate/abi.h"

#define GUEST(call, condition, reason) __NR_##call,
#define GATE(call, reason)
#define LANE(call, condition, reason)
#define LANE_FOR(call, native)
#define TRAP(call, reason)
static const uint16_t judged_calls[] = {
#include "seccomp-profiles/gate.def"
    __NR_exit,
    __NR_brk,
    __NR_sigaltstack,
    __NR_rt_sigreturn,
};
#undef GUEST
#undef GATE
#undef LANE
#undef LANE_FOR
#undef TRAP

#define JUDGED_CALLS (sizeof(judged_calls) / sizeof(judged_calls[0]))
#define JUDGED_NATIVE (JUDGED_CALLS - 4) /* how many of them, the first ones, are native */
#define JUDGED_PROGRAM (JUDGED_CALLS + 11)
_Static_assert(JUDGED_CALLS <= 64, "a bit each");

/* The filter that traps these calls from guest code. Returns its length. */
static inline unsigned judged_program(uint64_t calls, struct sock_filter p[JUDGED_PROGRAM])
{
    const unsigned ip = offsetof(struct seccomp_data, instruction_pointer);
    unsigned n = 0;

    p[n++] = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch)};
    p[n++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 0, 5, AUDIT_ARCH_X86_64};
    p[n++] = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, ip + 4};
    p[n++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0};
    p[n++] = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, ip};
    p[n++] = (struct sock_filter){BPF_JMP | BPF_JGE | BPF_K, 0, 2, GATE_BASE};
    p[n++] = (struct sock_filter){BPF_JMP | BPF_JGE | BPF_K, 1, 0, GATE_LIMIT};
    p[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    p[n++] = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)};
    unsigned left = 0;
    for (uint64_t rest = calls; rest; rest &= rest - 1)
        left++;
    for (unsigned i = 0; i < JUDGED_CALLS; i++)
        if (calls >> i & 1)
            p[n++] =
                (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, (unsigned char)left--, 0, judged_calls[i]};
    p[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    p[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRAP | GATE_TRAP_JUDGED};
    return n;
}

#endif
