#include "sandbox/keep/seccomp/bpf.h"

#include <linux/audit.h>
#include <stddef.h>
#include <string.h>

static bool valid_alu(const struct sock_filter *f)
{
    unsigned op = BPF_OP(f->code);
    bool immediate = BPF_SRC(f->code) == BPF_K;
    switch (op) {
    case BPF_ADD:
    case BPF_SUB:
    case BPF_MUL:
    case BPF_AND:
    case BPF_OR:
    case BPF_XOR:
        return true;
    case BPF_NEG:
        return immediate;
    case BPF_DIV:
        return !immediate || f->k != 0;
    case BPF_LSH:
    case BPF_RSH:
        return !immediate || f->k < 32;
    default:
        return false;
    }
}

/* left: how many instructions follow. */
static bool valid_jump(const struct sock_filter *f, unsigned left)
{
    switch (f->code) {
    case BPF_JMP | BPF_JA:
        return f->k < left;
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_X:
        return f->jt < left && f->jf < left;
    default:
        return false;
    }
}

static bool valid_other(const struct sock_filter *f)
{
    switch (f->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return f->k < sizeof(struct seccomp_data) && !(f->k & 3);
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return f->k < BPF_MEMWORDS;
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
        return true;
    default:
        return false;
    }
}

bool bpf_valid(const struct sock_filter *insns, unsigned len)
{
    if (len < 1 || len > BPF_MAXINSNS)
        return false;
    for (unsigned i = 0; i < len; i++) {
        const struct sock_filter *f = &insns[i];
        bool ok;
        switch (BPF_CLASS(f->code)) {
        case BPF_ALU:
            ok = !(f->code & ~0xffU) && valid_alu(f);
            break;
        case BPF_JMP:
            ok = valid_jump(f, len - i - 1);
            break;
        default:
            ok = valid_other(f);
        }
        if (!ok)
            return false;
    }
    return BPF_CLASS(insns[len - 1].code) == BPF_RET;
}

struct machine {
    uint32_t a, x, mem[BPF_MEMWORDS];
};

static uint32_t alu(unsigned op, uint32_t a, uint32_t v)
{
    switch (op) {
    case BPF_ADD:
        return a + v;
    case BPF_SUB:
        return a - v;
    case BPF_MUL:
        return a * v;
    case BPF_DIV:
        return v ? a / v : 0;
    case BPF_AND:
        return a & v;
    case BPF_OR:
        return a | v;
    case BPF_XOR:
        return a ^ v;
    case BPF_LSH:
        return a << (v & 31);
    case BPF_RSH:
        return a >> (v & 31);
    default:
        return -a; /* BPF_NEG */
    }
}

static bool jump_taken(unsigned op, uint32_t a, uint32_t v)
{
    switch (op) {
    case BPF_JEQ:
        return a == v;
    case BPF_JGT:
        return a > v;
    case BPF_JGE:
        return a >= v;
    default:
        return a & v; /* BPF_JSET */
    }
}

static uint32_t load(const struct machine *m, const struct sock_filter *f, const struct seccomp_data *data)
{
    uint32_t v;
    switch (BPF_MODE(f->code)) {
    case BPF_ABS:
        memcpy(&v, (const char *)data + f->k, sizeof(v));
        return v;
    case BPF_MEM:
        return m->mem[f->k];
    case BPF_LEN:
        return sizeof(*data);
    default:
        return f->k; /* BPF_IMM */
    }
}

uint32_t bpf_run(const struct sock_filter *insns, const struct seccomp_data *data)
{
    struct machine m = {0};
    for (const struct sock_filter *f = insns;; f++) {
        uint32_t v = BPF_SRC(f->code) == BPF_X ? m.x : f->k;
        switch (BPF_CLASS(f->code)) {
        case BPF_LD:
            m.a = load(&m, f, data);
            break;
        case BPF_LDX:
            m.x = load(&m, f, data);
            break;
        case BPF_ST:
            m.mem[f->k] = m.a;
            break;
        case BPF_STX:
            m.mem[f->k] = m.x;
            break;
        case BPF_ALU:
            m.a = alu(BPF_OP(f->code), m.a, v);
            break;
        case BPF_JMP:
            if (BPF_OP(f->code) == BPF_JA)
                f += f->k;
            else
                f += jump_taken(BPF_OP(f->code), m.a, v) ? f->jt : f->jf;
            break;
        case BPF_RET:
            return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
        default: /* BPF_MISC */
            if (BPF_MISCOP(f->code) == BPF_TAX)
                m.x = m.a;
            else
                m.a = m.x;
        }
    }
}

unsigned bpf_start(const struct sock_filter *insns, unsigned len, int nr)
{
    uint32_t a = 0;
    for (unsigned pc = 0; pc < len; pc++) {
        const struct sock_filter *f = &insns[pc];
        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (f->k != offsetof(struct seccomp_data, nr) && f->k != offsetof(struct seccomp_data, arch))
                return pc;
            a = f->k == offsetof(struct seccomp_data, nr) ? (uint32_t)nr : AUDIT_ARCH_X86_64;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= f->k;
            break;
        case BPF_JMP | BPF_JA:
            pc += f->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += jump_taken(BPF_OP(f->code), a, f->k) ? f->jt : f->jf;
            break;
        case BPF_RET | BPF_K:
            return pc;
        default:
            return 0;
        }
    }
    return 0;
}

bool bpf_always_allows(const struct sock_filter *insns, unsigned len, int nr)
{
    const struct sock_filter *f = &insns[bpf_start(insns, len, nr)];
    return f->code == (BPF_RET | BPF_K) && f->k == SECCOMP_RET_ALLOW;
}
