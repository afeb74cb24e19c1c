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
static const uint16_t judged_calls[] = {
#include "seccomp-profiles/gate.def"
    __NR_exit,
    __NR_brk,
    __NR_sigaltstack,
    __NR_rt_sigreturn,
};

#define JUDGED_CALLS (sizeof(judged_calls) / sizeof(judged_calls[0]))
#define JUDGED_NATIVE (JUDGED_CALLS - 4) /* how many of them, the first ones, are native */
_Static_assert(JUDGED_CALLS <= 64, "a bit each");

/* The filter that traps one call from guest code. What it says of others depends on their number alone. */
#define JUDGED_PROGRAM 11
#define JUDGED_IP offsetof(struct seccomp_data, instruction_pointer)
#define JUDGED_FILTER(call)                                                                                  \
    {                                                                                                        \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),                             \
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 7),                                    \
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),                           \
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 5),                                               \
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, JUDGED_IP + 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 4), \
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, JUDGED_IP),                                                   \
            BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, GATE_BASE, 0, 2),                                            \
            BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, GATE_LIMIT, 1, 0),                                           \
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),                                                    \
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | GATE_TRAP_JUDGED),                                  \
    }

/* One for each, in the order of judged_calls. */
#define GUEST(call, condition, reason) JUDGED_FILTER(__NR_##call),
static const struct sock_filter judged_filters[JUDGED_CALLS][JUDGED_PROGRAM] = {
#include "seccomp-profiles/gate.def"
    JUDGED_FILTER(__NR_exit),
    JUDGED_FILTER(__NR_brk),
    JUDGED_FILTER(__NR_sigaltstack),
    JUDGED_FILTER(__NR_rt_sigreturn),
};

#endif
