/* objects: sandbox/platform/gate_filter.o */
/* The guests' filter, run call by call through a small interpreter of classic BPF: what goes natively, what
 * traps into the gate, what is refused, and that everything else rings the doorbell. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <asm/prctl.h>
#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "sandbox/gate/abi.h"
#include "sandbox/platform/gate_filter.h"

#define NOTIFY SECCOMP_RET_USER_NOTIF
#define ALLOW SECCOMP_RET_ALLOW
#define TRAP SECCOMP_RET_TRAP
#define REFUSE (SECCOMP_RET_ERRNO | ENOSYS)
#define GUEST_IP 0x401000UL
#define GATE_IP (GATE_BASE + 0x100)
#define LOADER_IP (((uint64_t)GATE_LOADERS << 32) + 0x12345000)
#define LOADER_LAST (((uint64_t)GATE_LOADERS_END << 32) - 2)

static uint32_t jump(const struct sock_filter *f, uint32_t a)
{
    switch (BPF_OP(f->code)) {
    case BPF_JEQ:
        return a == f->k ? f->jt : f->jf;
    case BPF_JGE:
        return a >= f->k ? f->jt : f->jf;
    case BPF_JGT:
        return a > f->k ? f->jt : f->jf;
    case BPF_JSET:
        return a & f->k ? f->jt : f->jf;
    default:
        assert_int_equal(BPF_OP(f->code), BPF_JA);
        return f->k;
    }
}

static uint32_t run_with(const struct seccomp_data *d, bool all_calls, const struct call_set *judged)
{
    struct sock_filter prog[GATE_FILTER_MAX];
    unsigned n = gate_filter_build(prog, all_calls, judged);
    uint32_t a = 0;

    assert_true(n > 0 && n <= GATE_FILTER_MAX);
    for (unsigned pc = 0; pc < n; pc++) {
        const struct sock_filter *f = &prog[pc];
        switch (BPF_CLASS(f->code)) {
        case BPF_LD:
            assert_true(f->k % 4 == 0 && f->k < sizeof(*d));
            memcpy(&a, (const char *)d + f->k, 4);
            break;
        case BPF_ALU:
            assert_int_equal(BPF_OP(f->code), BPF_AND);
            a &= f->k;
            break;
        case BPF_JMP:
            pc += jump(f, a);
            break;
        default:
            assert_int_equal(BPF_CLASS(f->code), BPF_RET);
            return f->k;
        }
    }
    fail_msg("the program runs off its end");
    return 0;
}

static uint32_t run(const struct seccomp_data *d, bool all_calls)
{
    return run_with(d, all_calls, NULL);
}

struct row {
    uint64_t ip;
    int nr;
    uint64_t arg[6];
    uint32_t want;
};

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
static const struct row rows[] = {
    /* memory: above the gate natively, near it by the keep's leave only */
    {GUEST_IP, __NR_mmap, {0, 4096, 3, ANON, ~0UL, 0}, ALLOW},
    {GUEST_IP, __NR_mmap, {GATE_LIMIT, 4096, 3, ANON | MAP_FIXED, ~0UL, 0}, ALLOW},
    {GUEST_IP, __NR_mmap, {0x7f0000000000, 4096, 3, ANON | MAP_FIXED, ~0UL, 0}, ALLOW},
    {GUEST_IP, __NR_mmap, {0x7f0000001000, 4096, 3, ANON | MAP_FIXED, ~0UL, 0}, ALLOW},
    {GUEST_IP, __NR_mmap, {GATE_LIMIT - 4096, 4096, 3, ANON | MAP_FIXED, ~0UL, 0}, NOTIFY},
    {GUEST_IP, __NR_mmap, {GATE_BASE, 4096, 3, ANON | MAP_FIXED, ~0UL, 0}, NOTIFY},
    {GUEST_IP, __NR_mmap, {0x1000, 0x10000000, 3, ANON | MAP_FIXED, ~0UL, 0}, NOTIFY},
    {GUEST_IP, __NR_mmap, {0, GATE_LIMIT, 3, ANON | MAP_FIXED, ~0UL, 0}, NOTIFY},
    {GUEST_IP, __NR_mmap, {0, 4096, 3, MAP_PRIVATE, 3, 0}, NOTIFY},
    {GUEST_IP, __NR_mmap, {0x7f0000000000, 4096, 3, MAP_PRIVATE | MAP_FIXED, 3, 0}, TRAP},
    {GUEST_IP, __NR_mmap, {GATE_BASE, 4096, 3, MAP_SHARED | MAP_FIXED | MAP_HUGETLB, 3, 0}, TRAP},
    {GUEST_IP, __NR_mmap, {0x7f0000000000, 4096, 3, MAP_PRIVATE | MAP_FIXED_NOREPLACE, 3, 0}, NOTIFY},
    {GUEST_IP, __NR_mmap, {0, 4096, 3, ANON | MAP_HUGETLB, ~0UL, 0}, NOTIFY},
    {GUEST_IP, __NR_mmap, {0, 4096, 3, ANON | MAP_LOCKED, ~0UL, 0}, NOTIFY},
    {GUEST_IP, __NR_munmap, {GATE_LIMIT, 4096}, ALLOW},
    {GUEST_IP, __NR_munmap, {0x7f0000000000, 4096}, ALLOW},
    {GUEST_IP, __NR_munmap, {0, 1UL << 46}, NOTIFY},
    {GUEST_IP, __NR_munmap, {GATE_BASE, 4096}, NOTIFY},
    {GUEST_IP, __NR_mprotect, {GATE_LIMIT - 1, 4096, 7}, NOTIFY},
    {GUEST_IP, __NR_mprotect, {GATE_LIMIT, 4096, 7}, ALLOW},
    {GUEST_IP, __NR_mremap, {GATE_LIMIT, 4096, 8192, MREMAP_MAYMOVE, 0}, NOTIFY},
    {GUEST_IP, __NR_mremap, {GATE_LIMIT, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, GATE_BASE}, NOTIFY},
    {GUEST_IP, __NR_mremap, {GATE_BASE, 4096, 4096, MREMAP_MAYMOVE, 0}, NOTIFY},
    {GUEST_IP, __NR_mremap, {GATE_LIMIT, 4096, GATE_LIMIT, MREMAP_MAYMOVE | MREMAP_FIXED, 0}, NOTIFY},
    {GUEST_IP, __NR_madvise, {GATE_LIMIT, 4096, MADV_DONTNEED}, ALLOW},
    {GUEST_IP, __NR_madvise, {GATE_LIMIT, 4096, MADV_MERGEABLE}, NOTIFY},
    {GUEST_IP, __NR_madvise, {GATE_LIMIT, 4096, 100 /* MADV_HWPOISON */}, NOTIFY},
    {GUEST_IP, __NR_madvise, {GATE_BASE, 4096, MADV_DONTNEED}, NOTIFY},
    /* a loader's way with libraries */
    {LOADER_IP, __NR_read, {3, 0x1000, 832}, TRAP},
    {LOADER_LAST, __NR_read, {3, 0x1000, 960}, TRAP},
    {LOADER_LAST + 2, __NR_read, {3, 0x1000, 832}, NOTIFY},
    {LOADER_IP - (1UL << 32), __NR_read, {3, 0x1000, 832}, NOTIFY},
    {LOADER_IP, __NR_read, {3, 0x1000, 833}, NOTIFY},
    {GUEST_IP, __NR_read, {3, 0x1000, 832}, NOTIFY},
    {LOADER_IP, __NR_pread64, {3, 0x1000, 784, 64}, TRAP},
    {GUEST_IP, __NR_pread64, {3, 0x1000, 784, 64}, NOTIFY},
    {LOADER_IP, __NR_fstat, {3, 0x1000}, TRAP},
    {LOADER_IP, __NR_newfstatat, {3, 0x1000, 0x2000, 0x1000}, TRAP},
    {LOADER_IP, __NR_newfstatat, {3, 0x1000, 0x2000, 0}, NOTIFY},
    {GUEST_IP, __NR_newfstatat, {3, 0x1000, 0x2000, 0x1000}, NOTIFY},
    {LOADER_IP, __NR_mmap, {0, 4096, 1, MAP_PRIVATE, 3, 0}, TRAP},
    {LOADER_LAST + 2, __NR_mmap, {0, 4096, 1, MAP_PRIVATE, 3, 0}, NOTIFY},
    {LOADER_IP, __NR_mmap, {0x7f0000000000, 4096, 5, MAP_PRIVATE | MAP_FIXED, 3, 0}, TRAP},
    {LOADER_IP, __NR_mmap, {0, 4096, 3, ANON, ~0UL, 0}, ALLOW},
    {LOADER_IP, __NR_mmap, {GATE_BASE, 4096, 3, ANON | MAP_FIXED, ~0UL, 0}, NOTIFY},
    {LOADER_IP, __NR_openat, {0}, NOTIFY},
    {LOADER_IP, __NR_preadv2, {3, 0x1000, 1, ~0UL, 0, 0}, NOTIFY},
    /* waits and clocks */
    {GUEST_IP, __NR_futex, {0x1000, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1}, ALLOW},
    {GUEST_IP, __NR_futex, {0x1000, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1}, ALLOW},
    {GUEST_IP, __NR_futex, {0x1000, FUTEX_LOCK_PI, 1}, TRAP},
    {GUEST_IP, __NR_futex, {0x1000, FUTEX_WAIT_REQUEUE_PI, 1}, NOTIFY},
    {GUEST_IP, __NR_clock_gettime, {0, 0x1000}, ALLOW},
    {GUEST_IP, __NR_clock_gettime, {11, 0x1000}, ALLOW},
    {GUEST_IP, __NR_clock_gettime, {10, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_clock_gettime, {(uint32_t)-6, 0x1000}, NOTIFY},
    /* what programs ask as they begin */
    {GUEST_IP, __NR_arch_prctl, {ARCH_SET_FS, 0x1000}, TRAP},
    {GUEST_IP, __NR_arch_prctl, {ARCH_GET_FS, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_set_tid_address, {0x1000}, TRAP},
    {GUEST_IP, __NR_prlimit64, {0, 3, 0, 0x1000}, TRAP},
    {GUEST_IP, __NR_prlimit64, {0, 3, 0x1000, 0}, NOTIFY},
    {GUEST_IP, __NR_prlimit64, {0, 3, 1UL << 32, 0}, NOTIFY},
    {GUEST_IP, __NR_prlimit64, {1, 3, 0, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_getrandom, {0x1000, 8, 1}, TRAP},
    {GUEST_IP, __NR_getrandom, {0x1000, GATE_RANDOM, 0}, TRAP},
    {GUEST_IP, __NR_getrandom, {0x1000, GATE_RANDOM + 1, 0}, NOTIFY},
    {GUEST_IP, __NR_getrandom, {0x1000, 1UL << 32, 0}, NOTIFY},
    {GATE_IP, __NR_arch_prctl, {ARCH_SET_FS, 0x1000}, NOTIFY},
    {GATE_IP, __NR_getrandom, {0x1000, 8, 1}, NOTIFY},
    {GATE_RING_IP, __NR_prlimit64, {0, 3, 0, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_arch_prctl, {0x3001 /* ARCH_CET_STATUS */, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_sched_yield, {0}, ALLOW},
    {GUEST_IP, __NR_rseq, {0}, ALLOW},
    /* lanes: by the gate alone, and to no address */
    {GATE_IP, __NR_preadv2, {3, 0x1000, 1, ~0UL, 0, 0}, ALLOW},
    {GATE_IP, __NR_preadv2, {3, 0x1000, 1, 5, 0, 1UL << 32}, ALLOW}, /* an int */
    {GATE_IP, __NR_preadv2, {3, 0x1000, 1, ~0UL, 0, 1 /* RWF_HIPRI */}, NOTIFY},
    {GUEST_IP, __NR_preadv2, {3, 0x1000, 1, ~0UL, 0, 0}, NOTIFY},
    {GATE_IP, __NR_pwritev2, {3, 0x1000, 1, 0, 0, 0}, ALLOW},
    {GATE_IP, __NR_pwritev2, {3, 0x1000, 1, 0, 0, 0x20 /* RWF_NOAPPEND */}, NOTIFY},
    {GUEST_IP, __NR_pwritev2, {3, 0x1000, 1, 0, 0, 0}, NOTIFY},
    {GATE_IP, __NR_read, {3, 0x1000, 10}, NOTIFY},
    {GATE_IP, __NR_pwrite64, {3, 0x1000, 10, 0}, NOTIFY},
    {GUEST_IP, __NR_pwrite64, {3, 0x1000, 10, 0}, NOTIFY},
    {GATE_IP, __NR_writev, {3, 0x1000, 1}, NOTIFY},
    {GATE_IP, __NR_sendto, {3, 0x1000, 10, 0, 0, 0}, ALLOW},
    {GATE_IP, __NR_sendto, {3, 0x1000, 10, 0, 0x2000, 16}, NOTIFY},
    {GATE_IP, __NR_recvfrom, {3, 0x1000, 10, 0, 0x100000000, 0}, NOTIFY},
    {GATE_IP, __NR_sendto, {3, 0x1000, 10, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0}, ALLOW},
    {GATE_IP, __NR_sendto, {3, 0x1000, 10, MSG_OOB, 0, 0}, NOTIFY},
    {GATE_IP, __NR_sendto, {3, 0x1000, 10, MSG_ZEROCOPY | MSG_NOSIGNAL, 0, 0}, NOTIFY},
    {GATE_IP, __NR_sendto, {3, 0x1000, 10, MSG_FASTOPEN, 0, 0}, NOTIFY},
    {GATE_IP, __NR_recvfrom, {3, 0x1000, 10, MSG_PEEK | MSG_WAITALL, 0, 0}, ALLOW},
    {GATE_IP, __NR_recvfrom, {3, 0x1000, 10, MSG_OOB, 0, 0}, NOTIFY},
    {GATE_IP, __NR_recvfrom, {3, 0x1000, 10, MSG_ERRQUEUE, 0, 0}, NOTIFY},
    {GATE_IP, __NR_sendmmsg, {3, 0x1000, 1, 0}, NOTIFY},
    {GATE_IP, __NR_recvmmsg, {3, 0x1000, 1, 0}, NOTIFY},
    {GATE_IP, __NR_io_uring_setup, {8, 0x1000}, NOTIFY},
    {GATE_IP, __NR_splice, {3, 0, 4, 0, 10}, NOTIFY},
    {GATE_IP, __NR_sendmsg, {3, 0x1000, 0}, NOTIFY},
    {GATE_IP, __NR_recvmsg, {3, 0x1000, 0}, NOTIFY},
    {GATE_IP, __NR_fstat, {3, 0x1000}, ALLOW},
    {GUEST_IP, __NR_fstat, {3, 0x1000}, NOTIFY},
    {GATE_IP, __NR_newfstatat, {3, 0x1000, 0x2000, 0x1000}, NOTIFY},
    {GATE_IP, __NR_lseek, {3, 0, 1}, ALLOW},
    {GUEST_IP, __NR_lseek, {3, 0, 1}, NOTIFY},
    {GATE_IP, __NR_epoll_wait, {3, 0x1000, 1, ~0UL}, ALLOW},
    {GATE_IP, __NR_epoll_ctl, {3, 1, 4, 0x1000}, ALLOW},
    {GUEST_IP, __NR_epoll_ctl, {3, 1, 4, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_clone3, {0x1000, 88}, REFUSE},
    /* what needs registers */
    {GUEST_IP, __NR_clone, {17}, TRAP},
    {GUEST_IP, __NR_vfork, {0}, TRAP},
    {GUEST_IP, __NR_execve, {0}, TRAP},
    {GUEST_IP, __NR_execveat, {0}, TRAP},
    {GUEST_IP, __NR_rt_sigreturn, {0}, TRAP},
    {GUEST_IP, __NR_brk, {0}, TRAP},
    {GUEST_IP, __NR_rt_sigprocmask, {0}, TRAP},
    {GUEST_IP, __NR_set_robust_list, {0}, TRAP},
    {GUEST_IP, __NR_exit, {0}, TRAP},
    {GUEST_IP, __NR_exit, {0, GATE_LEAVE}, TRAP},
    /* the gate's end of a thread: by the keep's leave only, which shows in how it is made */
    {GATE_IP, __NR_exit, {0}, NOTIFY},
    {GATE_IP, __NR_exit, {0, 0x7f0000000008}, NOTIFY},
    {GATE_IP, __NR_exit, {0, GATE_LEAVE}, ALLOW},
    {GATE_RING_IP, __NR_exit, {0, GATE_LEAVE}, NOTIFY},
    {GATE_TRACED_IP, __NR_exit, {0, GATE_LEAVE}, NOTIFY},
    {GUEST_IP, __NR_io_setup, {8, 0x1000}, TRAP},
    {GUEST_IP, __NR_io_destroy, {0x1000}, TRAP},
    {GATE_IP, __NR_io_setup, {8, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_io_submit, {0x1000, 1, 0x1000}, NOTIFY},
    {GUEST_IP, __NR_exit_group, {0}, NOTIFY},
    /* the gate's own, from the gate's place only */
    {GATE_IP, __NR_rt_sigreturn, {0}, ALLOW},
    {GATE_IP, __NR_rt_sigaction, {0}, ALLOW},
    {GATE_IP, __NR_mmap, {0, 4096, 3, MAP_PRIVATE, 3, 0}, ALLOW},
    /* ... which can not be changed from there either */
    {GATE_IP, __NR_mmap, {GATE_LIMIT, 4096, 3, MAP_PRIVATE | MAP_FIXED, 3, 0}, ALLOW},
    {GATE_IP, __NR_mmap, {0x7f0000000000, 4096, 3, MAP_PRIVATE | MAP_FIXED, 3, 0}, ALLOW},
    {GATE_IP, __NR_mmap, {GATE_BASE, 4096, 3, MAP_PRIVATE | MAP_FIXED, 3, 0}, NOTIFY},
    {GATE_IP, __NR_mmap, {GATE_BASE, 4096, 3, MAP_PRIVATE, 3, 0}, NOTIFY},
    {GATE_IP, __NR_mmap, {0, GATE_LIMIT, 3, ANON | MAP_FIXED, ~0UL, 0}, NOTIFY},
    {GATE_IP, __NR_mmap, {0x1000, GATE_LIMIT, 3, ANON | MAP_FIXED, ~0UL, 0}, NOTIFY},
    {GATE_IP, __NR_munmap, {GATE_LIMIT, 4096}, ALLOW},
    {GATE_IP, __NR_munmap, {GATE_BASE, 4096}, NOTIFY},
    {GATE_IP, __NR_munmap, {0, 1UL << 46}, NOTIFY},
    {GATE_IP, __NR_mprotect, {GATE_LIMIT, 4096, 3}, ALLOW},
    {GATE_IP, __NR_mprotect, {GATE_LIMIT - 1, 4096, 3}, NOTIFY},
    {GATE_IP, __NR_mprotect, {0, GATE_LIMIT, 3}, NOTIFY},
    {GATE_IP, __NR_mremap, {GATE_LIMIT, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, GATE_BASE}, NOTIFY},
    {GATE_IP, __NR_mremap, {GATE_LIMIT, 4096, GATE_LIMIT, MREMAP_MAYMOVE | MREMAP_FIXED, 0}, NOTIFY},
    {GATE_IP, __NR_mremap, {GATE_BASE, 4096, 4096, MREMAP_MAYMOVE, 0}, NOTIFY},
    {GATE_IP, __NR_madvise, {GATE_BASE, 4096, MADV_DONTNEED}, NOTIFY},
    {GATE_IP, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, 0, GATE_BASE}, NOTIFY},
    {GATE_IP, __NR_close, {3}, ALLOW},
    {GUEST_IP, __NR_rt_sigaction, {0}, NOTIFY},
    {GUEST_IP, __NR_close, {3}, NOTIFY},
    {GATE_LIMIT, __NR_close, {3}, NOTIFY},
    {GATE_BASE - 1, __NR_close, {3}, NOTIFY},
    {GATE_BASE + (1UL << 32), __NR_close, {3}, NOTIFY},
    {GATE_IP, __NR_clone, {17}, NOTIFY},
    {GATE_IP, __NR_execveat, {0}, NOTIFY},
    {GATE_IP, __NR_execve, {0}, NOTIFY},
    {GATE_IP, __NR_rt_sigprocmask, {0}, NOTIFY},
    {GATE_IP, __NR_set_robust_list, {0}, NOTIFY},
    {GATE_IP, __NR_exit_group, {0}, NOTIFY},
    {GATE_IP, __NR_openat, {0}, NOTIFY},
    {GATE_IP, __NR_ptrace, {0}, NOTIFY},
    {GATE_IP, __NR_process_vm_writev, {0}, NOTIFY},
    {GATE_IP, __NR_socket, {2, 1, 0}, NOTIFY},
    {GATE_IP, GATE_EXEC, {0}, NOTIFY},
    /* from there, all that was trapped rings */
    {GATE_RING_IP, __NR_mmap, {0, 4096, 3, ANON, ~0UL, 0}, NOTIFY},
    {GATE_RING_IP, __NR_sched_yield, {0}, NOTIFY},
    {GATE_RING_IP, __NR_close, {3}, NOTIFY},
    {GATE_RING_IP, __NR_brk, {0}, NOTIFY},
    {GATE_TRACED_IP, __NR_mmap, {0, 4096, 3, ANON, ~0UL, 0}, NOTIFY},
    {GATE_TRACED_IP, __NR_futex, {0}, NOTIFY},
    {GATE_TRACED_IP, __NR_rt_sigreturn, {0}, NOTIFY},
    {GATE_TRACED_IP, __NR_preadv2, {0}, NOTIFY},
    /* all that is not there */
    {GUEST_IP, __NR_read, {0}, NOTIFY},
    {GUEST_IP, __NR_io_uring_setup, {0}, NOTIFY},
    {GUEST_IP, GATE_EXEC, {0}, NOTIFY},
    {GUEST_IP, 1023, {0}, NOTIFY},
    {GUEST_IP, __NR_read | 0x40000000, {0}, REFUSE},
    {GATE_IP, __NR_mmap | 0x40000000, {0}, REFUSE},
    {GUEST_IP, -1, {0}, REFUSE},
};

static struct seccomp_data data_of(const struct row *r)
{
    struct seccomp_data d = {.nr = r->nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = r->ip};

    for (int i = 0; i < 6; i++)
        d.args[i] = r->arg[i];
    return d;
}

static void answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct seccomp_data d = data_of(&rows[i]);
        uint32_t got = run(&d, false);
        if (got != rows[i].want)
            fail_msg("row %zu: call %d at %#lx: %#x, not %#x", i, rows[i].nr, rows[i].ip, got, rows[i].want);
    }
}

static void other_architectures_are_refused(void **state)
{
    (void)state;
    for (int nr = 0; nr < 512; nr++) {
        struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_I386, .instruction_pointer = GATE_IP};
        assert_int_equal(run(&d, false), REFUSE);
    }
}

/* The promise of the design: at most 20 calls natively, whatever the place. */
static void few_calls_are_native(void **state)
{
    int native = 0;

    (void)state;
    for (int nr = 0; nr < 1024; nr++) {
        bool any = false;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
            any |= rows[i].nr == nr && rows[i].want == ALLOW;
        struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = GATE_IP};
        any |= run(&d, false) == ALLOW;
        d.instruction_pointer = GUEST_IP;
        any |= run(&d, false) == ALLOW;
        native += any;
    }
    assert_in_range(native, 1, 20);
}

static bool is_guests(uint64_t ip)
{
    return ip == GUEST_IP || gate_is_loader(ip);
}

static void nothing_is_native_when_all_is_watched(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct seccomp_data d = data_of(&rows[i]);
        if (is_guests(rows[i].ip))
            assert_int_not_equal(run(&d, true), ALLOW);
    }
}

/* The native call is made for the guest's. */
static bool is_made_for(int native, int nr)
{
    static const int reads[] = {__NR_read, __NR_pread64, __NR_readv, __NR_preadv},
                     writes[] = {__NR_write, __NR_pwrite64, __NR_writev, __NR_pwritev};

    for (size_t i = 0; i < ARRAY_SIZE(reads); i++)
        if ((native == __NR_preadv2 && nr == reads[i]) || (native == __NR_pwritev2 && nr == writes[i]))
            return true;
    if (native == __NR_epoll_wait)
        return nr == __NR_epoll_wait || nr == __NR_poll || nr == __NR_ppoll;
    if (nr == __NR_sendfile)
        return native == __NR_preadv2 || native == __NR_sendto;
    if (native == __NR_sendto)
        return nr == __NR_sendto || nr == __NR_sendmsg || nr == __NR_write;
    if (native == __NR_recvfrom)
        return nr == __NR_recvfrom || nr == __NR_recvmsg || nr == __NR_read;
    if (native == __NR_fstat)
        return nr == __NR_fstat || nr == __NR_newfstatat;
    return native == nr && (nr == __NR_lseek || nr == __NR_epoll_ctl || nr == __NR_exit);
}

static bool is_trapped_anyhow(int nr)
{
    return nr != __NR_arch_prctl && nr != __NR_set_tid_address && nr != __NR_prlimit64 &&
           nr != __NR_getrandom && nr != __NR_mmap && nr != __NR_read && nr != __NR_pread64 &&
           nr != __NR_fstat && nr != __NR_newfstatat;
}

/* Whatever the profile has a say in is asked of the keep; the others stay as they are. The gate's own calls
 * are not the guest's, but for those on lanes, which it makes for the guest. */
static void judged_calls_ring(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct seccomp_data d = data_of(&rows[i]);
        uint32_t want = rows[i].want;
        for (int nr = 0; nr < CALL_SET_MAX; nr++) {
            struct call_set judged = {0};
            call_set_add(&judged, nr);
            uint32_t got = run_with(&d, false, &judged);
            bool asked = is_guests(rows[i].ip) ? rows[i].nr == nr : is_made_for(rows[i].nr, nr);
            if (!asked)
                assert_int_equal(got, want);
            else
                assert_int_equal(got,
                                 want == TRAP && is_trapped_anyhow(nr) ? TRAP | GATE_TRAP_JUDGED : NOTIFY);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(other_architectures_are_refused),
        cmocka_unit_test(few_calls_are_native),
        cmocka_unit_test(nothing_is_native_when_all_is_watched),
        cmocka_unit_test(judged_calls_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
