/* x86-64: system calls, and the layouts of the kernel's signal frame (asm/sigcontext.h, asm/ucontext.h). */
#ifndef BAILEY_GATE_X86_64_FRAME_H
#define BAILEY_GATE_X86_64_FRAME_H

#include <stdint.h>

#define NR_read 0
#define NR_close 3
#define NR_fstat 5
#define NR_mmap 9
#define NR_mprotect 10
#define NR_munmap 11
#define NR_brk 12
#define NR_rt_sigaction 13
#define NR_rt_sigprocmask 14
#define NR_rt_sigreturn 15
#define NR_pread64 17
#define NR_sched_yield 24
#define NR_mremap 25
#define NR_msync 26
#define NR_madvise 28
#define NR_shmat 30
#define NR_sendto 44
#define NR_recvmsg 47
#define NR_nanosleep 35
#define NR_clone 56
#define NR_fork 57
#define NR_vfork 58
#define NR_execve 59
#define NR_exit 60
#define NR_shmdt 67
#define NR_fcntl 72
#define NR_sigaltstack 131
#define NR_prctl 157
#define NR_gettid 186
#define NR_arch_prctl 158
#define NR_futex 202
#define NR_io_setup 206
#define NR_io_destroy 207
#define NR_io_getevents 208
#define NR_io_submit 209
#define NR_io_cancel 210
#define NR_set_tid_address 218
#define NR_clock_gettime 228
#define NR_exit_group 231
#define NR_tgkill 234
#define NR_newfstatat 262
#define NR_set_robust_list 273
#define NR_dup3 292
#define NR_prlimit64 302
#define NR_seccomp 317
#define NR_getrandom 318
#define NR_execveat 322
#define NR_membarrier 324
#define NR_preadv2 327
#define NR_io_pgetevents 333
#define NR_rseq 334
#define NR_close_range 436

struct native_stack {
    uint64_t sp;
    int32_t flags;
    int32_t pad;
    uint64_t size;
};

struct native_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};

struct native_ucontext {
    uint64_t flags, link;
    struct native_stack stack;
    struct native_sigcontext mc;
    uint64_t sigmask;
};

struct native_siginfo {
    int32_t signo, err, code, pad;
    uint8_t rest[112];
};

struct native_rt_sigframe {
    uint64_t pretcode;
    struct native_ucontext uc;
    struct native_siginfo info;
};

#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

#define FLAGS_DF 0x400
#define FLAGS_TF 0x100
#define FLAGS_RF 0x10000

/* Bytes of the extended state behind uc->mc.fpstate (its software-reserved words say so). */
static inline uint64_t fpstate_size(uint64_t fp)
{
    const uint32_t *sw = (const uint32_t *)(fp + 464);

    return sw[0] == 0x46505853 ? sw[1] : 512;
}

static inline long sys6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
#define sys0(nr) sys6(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a) sys6(nr, (uint64_t)(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b) sys6(nr, (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c) sys6(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)
#define sys4(nr, a, b, c, d) sys6(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)
#define sys5(nr, a, b, c, d, e)                                                                              \
    sys6(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), 0)

static inline uint64_t gs_base(void)
{
    uint64_t v;

    __asm__ volatile("rdgsbase %0" : "=r"(v));
    return v;
}

static inline void set_gs_base(uint64_t v)
{
    __asm__ volatile("wrgsbase %0" : : "r"(v));
}

static inline uint64_t fs_base(void)
{
    uint64_t v;

    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}

static inline void set_fs_base(uint64_t v)
{
    __asm__ volatile("wrfsbase %0" : : "r"(v));
}

static inline unsigned fs_selector(void)
{
    unsigned v;

    __asm__ volatile("mov %%fs, %0" : "=r"(v));
    return v;
}

/* fast.S: where patched sites jump to, with the call in the registers and, in rcx, the address behind the
 * system call instruction that it stands for. The labels tell how far it has come (patch_translate). */
extern const char gate_fast[], gate_fast_done[], gate_fast_saved[], gate_fast_call[], gate_fast_called[],
    gate_fast_out[], gate_fast_end[], gate_self_called[];

/* mask.S, on the way through a call that sets the mask, in their order. */
extern const char gate_mask_begin[], gate_mask[], gate_robust[], gate_mask_committed[], gate_mask_written[],
    gate_mask_settle[], gate_mask_ring[], gate_mask_ringing[], gate_mask_rung[], gate_mask_end[];

/* entry.S */
extern const char gate_passed[], gate_passed_end[];
extern const char gate_traced[], gate_traced_called[], gate_traced_end[];
long gate_ring(uint64_t nr, const uint64_t args[6]);
void gate_restorer(void);
_Noreturn void gate_resume(struct native_ucontext *uc); /* rt_sigreturn to that context */
/* Ends the thread; the keep clears *in_use (NULL: nothing). */
_Noreturn void gate_exit_thread(int code, const uint32_t *in_use, uint64_t robust);
/* entry.S */
struct gate_clone;
void gate_leave(int code, struct gate_clone *c, uint64_t robust, uint32_t *in_use);
extern const char gate_leave_end[];
/* As the host's CLONE_CHILD_SETTID: a bad address is nobody's business (leave_faulted). */
void gate_put_id(int32_t id, int32_t *to);
extern const char gate_put_id_end[];
/* A native clone with these arguments, whose child, on its own stack, calls gate_child(uc, c). */
long gate_native_clone_vm(const uint64_t arg[6], struct native_ucontext *uc, struct gate_clone *c);
_Noreturn void gate_child(struct native_ucontext *uc, const struct gate_clone *c);
_Noreturn void gate_start(uint64_t *native_sp);

#endif
