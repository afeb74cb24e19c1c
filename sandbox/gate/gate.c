/* Start of a guest image, and the dispatch of calls that need registers. */
#include "sandbox/gate/gate.h"

#define SA_SIGINFO 4UL
#define SA_RESTORER 0x04000000UL
#define SA_ONSTACK 0x08000000UL
#define SA_NODEFER 0x40000000UL
#define SA_RESTART 0x10000000UL
#define SIGCHLD 17
#define ENOSYS 38
#define AT_HWCAP2 26
#define AT_SYSINFO_EHDR 33
#define AT_FDCWD (-100)
#define AT_EMPTY_PATH 0x1000
#define MAP_FIXED_NOREPLACE 0x100000
#define PAGE 4096UL
#define CLONE_VM_VFORK 0x4100UL
#define SYS_USER_DISPATCH 2 /* si_code */

struct native_sigaction {
    void (*handler)(int, struct native_siginfo *, struct native_ucontext *);
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

static struct gate_exec exec_buf;
struct gate_given *const gate_given = &exec_buf.given;
static uint64_t brk_start, brk_now, brk_mapped;
static int brk_lock;

void *memcpy(void *dst, const void *src, size_t n)
{
    void *d = dst;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *d = dst;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return dst;
}

/* Faults come through at all times: the host would end the process, and the keep not hear by what signal. */
#define BUT_FAULTS ~(1UL << (SIGBUS - 1) | 1UL << (SIGSEGV - 1))

static void handle(int sig, void (*fn)(int, struct native_siginfo *, struct native_ucontext *))
{
    struct native_sigaction sa = {
        .handler = fn,
        .flags = SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART | (is_fault(sig) ? SA_NODEFER : 0),
        .restorer = gate_restorer,
        .mask = BUT_FAULTS,
    };

    sys4(NR_rt_sigaction, sig, &sa, 0, 8);
}

static void install_handlers(void)
{
    /* SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV SIGPIPE SIGXCPU SIGXFSZ */
    static const unsigned char faults[] = {4, 5, 7, 8, 11, 13, 24, 25};

    handle(31, gate_on_sigsys);
    handle(GATE_KICK_SIGNAL, gate_on_kick);
    for (unsigned i = 0; i < sizeof(faults); i++)
        handle(faults[i], gate_on_fault);
}

/* The kernel lets the stack grow by touch only, and the keep's writes from outside do not count as one. */
static void grow_stack(uint64_t sp, long bytes)
{
    for (uint64_t p = sp; p > sp - (uint64_t)bytes; p -= PAGE)
        *(volatile char *)(p - 1) = 0;
}

static int run_op(const struct gate_op *op)
{
    switch (op->kind) {
    case GATE_OP_MAP:
        return sys6(NR_mmap, op->addr, op->len, op->prot, op->flags, (uint64_t)(long)op->fd, op->off) ==
               (long)op->addr;
    case GATE_OP_ZERO:
        memset((void *)op->addr, 0, op->len);
        return 1;
    case GATE_OP_CLOSE:
        sys1(NR_close, op->fd);
        return 1;
    case GATE_OP_PROTECT:
        return sys3(NR_mprotect, op->addr, op->len, op->prot) == 0;
    default:
        return 0;
    }
}

_Noreturn void gate_start(uint64_t *native_sp)
{
    if (native_sp[0] && *(const char *)native_sp[1] == 's') /* "standin" */
        standin_main();
    struct gate_area *area = area_init();
    uint64_t *p = native_sp + 1 + native_sp[0] + 1;
    uint64_t vdso = 0;
    long need;

    while (*p++)
        ;
    for (; p[0]; p += 2) {
        if (p[0] == AT_SYSINFO_EHDR)
            vdso = p[1];
        else if (p[0] == AT_HWCAP2)
            patch_init(p[1]);
    }
    install_handlers();
    mailbox_init(area);
    uint64_t slot = patch_own_slot();
    while ((need = sys5(GATE_EXEC_DONE, &exec_buf, native_sp, vdso, slot, native_sp[1])) > 0)
        grow_stack((uint64_t)native_sp, need);
    int ok = need == 0 && exec_buf.nops <= GATE_EXEC_OPS;
    for (unsigned i = 0; ok && i < exec_buf.nops; i++)
        ok = run_op(&exec_buf.ops[i]);
    if (!ok)
        sys1(NR_exit_group, 127);
    brk_start = brk_now = brk_mapped = exec_buf.brk;

    struct native_ucontext uc;
    memset(&uc, 0, sizeof(uc));
    uc.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    uc.stack = area_native_stack(area);
    uc.mc.ip = exec_buf.entry;
    uc.mc.sp = exec_buf.sp;
    uc.mc.flags = 0x202;
    uc.mc.cs = 0x33;
    uc.mc.ss = 0x2b;
    gate_resume(&uc);
}

void gate_brk_reset_after_fork(void)
{
    if (brk_lock)
        brk_lock = 0;
}

/* brk(2) on the guest's own memory, which the host's brk (the gate's own) can not serve. */
void gate_brk(struct native_ucontext *uc)
{
    uint64_t want = uc->mc.di;
    uint64_t end = (want + PAGE - 1) & ~(PAGE - 1);

    gate_lock(&brk_lock);
    if (want >= brk_start && end >= want) {
        long r = 0;
        if (end > brk_mapped)
            r = sys6(NR_mmap, brk_mapped, end - brk_mapped, 3, 0x22 | MAP_FIXED_NOREPLACE, (uint64_t)-1, 0);
        else if (end < brk_mapped)
            r = sys2(NR_munmap, end, brk_mapped - end);
        if (r == 0 || r == (long)brk_mapped) {
            brk_mapped = end;
            brk_now = want;
        }
    }
    uc->mc.ax = brk_now;
    gate_unlock(&brk_lock);
}

void gate_execve(struct native_ucontext *uc, long dirfd, uint64_t path, uint64_t argv, uint64_t envp,
                 uint64_t flags)
{
    static const char *const native_argv[] = {GATE_TITLE_TEXT, NULL};
    const uint64_t call = uc->mc.ip | (uc->mc.ax == NR_execve ? GATE_EXEC_PLAIN : 0);
    const struct gate_exec_here e = {{(uint64_t)dirfd, path, argv, envp, flags, call},
                                     area_mask(area_current())};
    long r = sys6(NR_execveat, GATE_IMAGE_FD, (uint64_t) "", (uint64_t)native_argv,
                  (uint64_t)(native_argv + 1), AT_EMPTY_PATH | GATE_EXEC_HERE, (uint64_t)&e);
    int asked = r < 0 && r >= -GATE_ERRNO_MAX;

    if (r == GATE_EXEC_LEND) {
        r = sys6(GATE_EXEC, dirfd, path, argv, envp, flags, call);
        asked = r >= 0;
        if (asked)
            r = sys5(NR_execveat, r, "", native_argv, native_argv + 1, AT_EMPTY_PATH);
    } else if (r < GATE_EXEC_REFUSED && r >= GATE_EXEC_REFUSED - GATE_ERRNO_MAX) {
        r -= GATE_EXEC_REFUSED;
    }
    if (asked)
        sys0(GATE_EXEC_ABORT);
    gate_result(uc, r);
}

/* Calls that map or unmap. */
static void map_dispatch(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;

    switch (r->ax) {
    case NR_brk:
        gate_brk(uc);
        break;
    case NR_mmap:
        loader_map(uc);
        break;
    case NR_shmat:
        gate_shmat(uc, r->di, r->si, r->dx);
        break;
    case NR_shmdt:
        gate_shmdt(uc, r->di);
        break;
    case NR_io_setup:
        gate_io_setup(uc, r->di, r->si);
        break;
    case NR_io_destroy:
        gate_io_destroy(uc, r->di);
        break;
    default:
        r->ax = (uint64_t)-ENOSYS;
    }
}

void gate_dispatch(struct native_ucontext *uc)
{
    struct native_sigcontext *r = &uc->mc;

    switch (r->ax) {
    case NR_clone:
        gate_clone(uc, &(struct guest_clone){(uint32_t)r->di, r->si, r->dx, r->r10, r->r8});
        break;
    case NR_fork:
    case NR_vfork:
        gate_clone(uc, &(struct guest_clone){.flags = SIGCHLD | (r->ax == NR_vfork ? CLONE_VM_VFORK : 0)});
        break;
    case NR_execve:
        gate_execve(uc, AT_FDCWD, r->di, r->si, r->dx, 0);
        break;
    case NR_execveat:
        gate_execve(uc, (int)r->di, r->si, r->dx, r->r10, r->r8);
        break;
    case NR_rt_sigreturn:
        gate_sigreturn(uc);
        break;
    case NR_sigaltstack:
        gate_sigaltstack(uc);
        break;
    case NR_read:
    case NR_pread64:
    case NR_fstat:
    case NR_newfstatat:
        loader_call(uc);
        break;
    case NR_futex:
        gate_futex(uc);
        break;
    case NR_rt_sigprocmask:
    case NR_set_robust_list:
        gate_mask_call(uc);
        break;
    case NR_exit:
        gate_exit((int)r->di);
    case NR_arch_prctl:
    case NR_set_tid_address:
    case NR_prlimit64:
    case NR_getrandom:
        given_call(uc);
        break;
    default:
        map_dispatch(uc);
    }
}

void gate_on_sigsys(int sig, struct native_siginfo *si, struct native_ucontext *uc)
{
    (void)sig;
    patch_show_site(&uc->mc);
    if (si->code == SYS_USER_DISPATCH)
        trace_call(uc, si);
    else if (si->err != GATE_TRAP_JUDGED || !judge_trapped(uc))
        gate_dispatch(uc);
}
