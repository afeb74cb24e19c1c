/* Signals and the processor's state: registers, flags, floating point and vectors across handlers; faults. */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/guest/check.h"

static volatile sig_atomic_t hits;
static siginfo_t fault;
static volatile greg_t fault_trapno, fault_err, fault_cr2;
static sigjmp_buf back;
static volatile int *volatile bad_place = (volatile int *)0x10;

/* Dirties every vector register and the x87 stack. */
static void clobber(void)
{
    __asm__ volatile(
        "pcmpeqb %%xmm0, %%xmm0\n movaps %%xmm0, %%xmm1\n movaps %%xmm0, %%xmm6\n movaps %%xmm0, %%xmm7\n"
        "movaps %%xmm0, %%xmm8\n movaps %%xmm0, %%xmm15\n fninit\n fldpi\n fldl2e\n fldz"
        :
        :
        : "xmm0", "xmm1", "xmm6", "xmm7", "xmm8", "xmm15");
}

static void on_alarm(int signo)
{
    (void)signo;
    hits++;
    clobber();
}

/* In between more handlers are to run. */
#define HANDLERS 30
static int first;

static bool wanted(void)
{
    return hits < first + HANDLERS;
}

__attribute__((target("avx"))) static bool spin_avx(void)
{
    uint64_t in[4] = {0x1111222233334444, 0x5555666677778888, 0x9999aaaabbbbcccc, 0xddddeeeeffff0000}, out[4];
    while (wanted()) {
        __asm__ volatile("vmovdqu %1, %%ymm9\n mov $20000, %%rcx\n 1: dec %%rcx\n jnz 1b\n vmovdqu %%ymm9, %0"
                         : "=m"(out)
                         : "m"(in)
                         : "rcx", "xmm9");
        if (memcmp(in, out, sizeof(in)) != 0)
            return false;
    }
    return true;
}

static bool spin_general(void)
{
    while (wanted()) {
        uint64_t bad;
        __asm__ volatile(
            "mov $0x123456789abcdef0, %%r8\n mov %%r8, %%r9\n mov %%r8, %%r12\n mov %%r8, %%r15\n"
            "mov %%r8, -64(%%rsp)\n" /* the red zone */
            "mov $20000, %%rcx\n 1: dec %%rcx\n jnz 1b\n"
            "mov %%r8, %0\n xor %%r9, %0\n mov %%r12, %%rcx\n xor %%r15, %%rcx\n or %%rcx, %0\n"
            "mov -64(%%rsp), %%rcx\n xor %%r8, %%rcx\n or %%rcx, %0"
            : "=&r"(bad)
            :
            : "rcx", "r8", "r9", "r12", "r15", "memory", "cc");
        if (bad)
            return false;
    }
    return true;
}

static bool spin_x87(void)
{
    while (wanted()) {
        double out = 0, in = 1.5;
        __asm__ volatile("fldl %1\n mov $20000, %%rcx\n 1: dec %%rcx\n jnz 1b\n fstpl %0"
                         : "=m"(out)
                         : "m"(in)
                         : "rcx");
        if (out < 1.4 || out > 1.6)
            return false;
    }
    return true;
}

static void test_preserved(void)
{
    signal(SIGALRM, on_alarm);
    alarms_begin(1);
    CHECK("general registers and the red zone", spin_general());
    first = hits;
    CHECK("the x87 stack", spin_x87());
    first = hits;
    CHECK("256-bit vectors", !__builtin_cpu_supports("avx") || spin_avx());
    (void)alarms_end(0);
}

static void change_registers(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    ucontext_t *uc = context;
    uc->uc_mcontext.gregs[REG_RBX] = 0x4242;
    uc->uc_mcontext.gregs[REG_RIP] += 2;
}

/* Runs a two-byte ud2, which the handler steps over. */
static void test_context(void)
{
    struct sigaction sa = {.sa_sigaction = change_registers, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &sa, NULL);
    uint64_t rbx;
    __asm__ volatile("xor %%ebx, %%ebx\n ud2\n mov %%rbx, %0" : "=r"(rbx) : : "rbx");
    CHECK("a handler changes registers and goes on elsewhere", rbx == 0x4242);
    signal(SIGILL, SIG_DFL);
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    fault = *info;
    fault_trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
    fault_err = uc->uc_mcontext.gregs[REG_ERR];
    fault_cr2 = uc->uc_mcontext.gregs[REG_CR2];
    siglongjmp(back, signo);
}

static void *map(size_t size, int prot)
{
    void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED);
    return p;
}

static void test_segv(void)
{
    volatile char *none = (volatile char *)bad_place, *ro = map(4096, PROT_READ),
                  *noexec = map(4096, PROT_READ | PROT_WRITE);
    if (sigsetjmp(back, 1) == 0)
        *none = 1;
    CHECK("SIGSEGV at an unmapped address", fault.si_signo == SIGSEGV && fault.si_code == SEGV_MAPERR);
    CHECK("its address", fault.si_addr == (void *)bad_place && fault_cr2 == 0x10);
    CHECK("trap 14, a user's write", fault_trapno == 14 && fault_err == 6);
    if (sigsetjmp(back, 1) == 0)
        ro[5] = 1;
    CHECK("a write to what is read-only", fault.si_code == SEGV_ACCERR && fault.si_addr == (void *)&ro[5]);
    if (sigsetjmp(back, 1) == 0)
        ((void (*)(void))(uintptr_t)noexec)();
    CHECK("a jump to data", fault.si_code == SEGV_ACCERR && fault.si_addr == (void *)noexec);
    if (sigsetjmp(back, 1) == 0)
        *(volatile char *)0xdead000000000000 = 1;
    CHECK("a non-canonical address", fault.si_code == SI_KERNEL && fault.si_addr == NULL);
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("hlt");
    CHECK("a privileged instruction",
          fault.si_signo == SIGSEGV && fault.si_code == SI_KERNEL && fault_trapno == 13);
}

static void test_other_faults(void)
{
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("xor %%ecx, %%ecx\n xor %%edx, %%edx\n mov $1, %%eax\n div %%ecx"
                         :
                         :
                         : "rax", "rcx", "rdx");
    CHECK("a division by zero",
          fault.si_signo == SIGFPE && fault.si_code == FPE_INTDIV && fault.si_addr != NULL);
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("ud2");
    CHECK("an invalid instruction", fault.si_signo == SIGILL && fault.si_code == ILL_ILLOPN);
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("int3");
    CHECK("a breakpoint", fault.si_signo == SIGTRAP && fault.si_code == SI_KERNEL && fault_trapno == 3);
    FILE *f = tmpfile();
    MUST(f);
    volatile char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
    MUST(m != MAP_FAILED);
    if (sigsetjmp(back, 1) == 0)
        m[4096] = 1;
    CHECK("past the end of a mapped file",
          fault.si_signo == SIGBUS && fault.si_code == BUS_ADRERR && fault.si_addr == (void *)&m[4096]);
    fclose(f);
}

static void overflow_stack(int n)
{
    volatile char big[4096];
    big[0] = (char)n;
    if (n > 0)
        overflow_stack(n - 1);
    big[1] = big[0];
}

static void test_stack_overflow(void)
{
    static char alt[65536];
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)};
    sigaltstack(&ss, NULL);
    fault.si_signo = 0;
    if (sigsetjmp(back, 1) == 0)
        overflow_stack(100000);
    CHECK("stack overflow is handled on the alternate stack", fault.si_signo == SIGSEGV);
    if (sigsetjmp(back, 1) == 0)
        overflow_stack(100000);
    CHECK("twice", fault.si_signo == SIGSEGV);
}

static void die_blocked(void)
{
    sigset_t s;
    sigfillset(&s);
    sigprocmask(SIG_SETMASK, &s, NULL);
    *bad_place = 1;
}

static void die_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    *bad_place = 1;
}

static void die_no_stack(void)
{
    stack_t ss = {.ss_flags = SS_DISABLE};
    sigaltstack(&ss, NULL);
    overflow_stack(100000);
}

static void no_frame_to_return_to(void)
{
    signal(SIGSEGV, SIG_DFL);
    __asm__ volatile("mov $4096, %%esp\n mov $15, %%eax\n syscall" ::: "memory");
}

/* From one and the same instruction, with the stack that it is to have at that moment. */
static __attribute__((noinline)) long signal_self(pid_t pid, int signo, const void *sp)
{
    long r;
    __asm__ volatile("mov %%rsp, %%rbx\n mov %3, %%rsp\n mov $62, %%eax\n syscall\n mov %%rbx, %%rsp"
                     : "=a"(r)
                     : "D"(pid), "S"(signo), "r"(sp)
                     : "rbx", "rcx", "r11", "memory");
    return r;
}

static volatile sig_atomic_t heard;

static void hear(int signo)
{
    heard += signo == SIGUSR1;
}

static void signal_without_room(void)
{
    signal(SIGSEGV, SIG_DFL);
    (void)signal_self(getpid(), SIGUSR1, (const void *)4096);
}

#define HOT 200

/* A handler's frame has no place, in a process that has only just begun. */
static void test_deaths_at_hot_sites(void)
{
    static char stack[65536];
    signal(SIGUSR1, hear);
    for (int i = 0; i < HOT; i++)
        (void)signal_self(getpid(), SIGUSR1, stack + sizeof(stack) - 16);
    CHECK("heard", heard == HOT);
    int died = 0;
    for (int i = 0; i < 20; i++) {
        int st = in_child(signal_without_room);
        died += WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV;
    }
    CHECK("a signal to oneself without room kills", died == 20);
    signal(SIGUSR1, SIG_DFL);
}

#define DEATHS 60 /* which signal it was comes to be known a moment later */

static void test_deaths(void)
{
    int st = in_child(die_blocked);
    CHECK("a blocked fault kills", WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
    st = in_child(die_ignored);
    CHECK("an ignored fault kills", WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
    st = in_child(no_frame_to_return_to);
    CHECK("a return from no handler kills", WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
    int died = 0;
    for (int i = 0; i < DEATHS; i++) {
        st = in_child(die_no_stack);
        died += WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV;
    }
    CHECK("no room for the frame kills", died == DEATHS);
    test_deaths_at_hot_sites();
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    test_preserved();
    test_context();
    for (int *s = (int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, 0}; *s; s++)
        sigaction(*s, &sa, NULL);
    test_segv();
    test_other_faults();
    test_stack_overflow();
    test_deaths();
    return check_done();
}
