/* Tries to have the host read filters of its own making, from the gate's instructions: by itself, with a
 * filter of the guest's that makes the keep expect one, and from a thread that asks all the time while
 * another gets one. Then with the gate's signal held back, so that the keep goes on expecting one: the right
 * program in the wrong place, while a thread swaps it for another, and in the right place, while a thread and
 * a process try to change what is there. Ends with 42 where none was let through. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "sandbox/gate/abi.h"
#include "sandbox/gate/judged.h"
#include "tests/attacks/gate_call.h"
#include "tests/guest/filtered.h"

static struct sock_filter refuse_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL}};
static struct sock_fprog hostile = {.len = 1, .filter = refuse_all};

/* At gate_passed's instruction, which goes on at what the thread's slot says. */
static long call_passed(long nr, long a, long b, long c)
{
    static const unsigned char code[] = {0x0f, 0x05, 0x65, 0x48, 0x8b, 0x0c, 0x25, 0, 0, 0, 0, 0xff, 0xe1};
    const unsigned char *from = (const unsigned char *)GATE_TRACED_IP; /* which looks the same */
    const unsigned char *at = memmem(from, text_end - GATE_TRACED_IP, code, sizeof(code));
    long r = nr;
    if (!at)
        return -ENOEXEC;
    __asm__ volatile("lea 1f(%%rip), %%r11\n"
                     "mov %%r11, %%gs:0\n"
                     "jmp *%[at]\n"
                     "1:"
                     : "+a"(r)
                     : [at] "r"(at), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return r;
}

static int let_through(const char *when)
{
    static const long flags[] = {0, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_NEW_LISTENER, 1L << 32};
    for (int i = 0; i < nsites; i++) {
        long r = call_at(sites[i], SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0);
        for (int f = 0; f < 4 && r == -EPERM; f++)
            r = call_at(sites[i], SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[f], (long)&hostile);
        if (r != -EPERM) {
            printf("%s: site %lx: %ld\n", when, (unsigned long)sites[i], r);
            return 1;
        }
    }
    return 0;
}

static atomic_int asks, stop;

static void *ask(void *arg)
{
    long r = -EPERM;
    while (!stop && r == -EPERM) {
        r = call_at(sites[0], SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&hostile);
        asks++;
    }
    return r == -EPERM ? arg : &hostile;
}

static int install(unsigned nr, unsigned flags)
{
    const struct sock_filter f[] = {LOAD(nr), IF_CALL(nr, SECCOMP_RET_ERRNO | EDOM), RET(SECCOMP_RET_ALLOW)};

    return TRY(f, flags);
}

/* In a child. */
static int attack(void)
{
    static const unsigned native[] = {SYS_sched_yield, SYS_madvise, SYS_mremap, SYS_rseq, SYS_clock_gettime};
    pthread_t t;
    void *r;
    if (let_through("at once") || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return 1;
    if (pthread_create(&t, NULL, ask, NULL) != 0)
        return 2;
    for (int i = 0; i < 5; i++) {
        int before = asks;
        while (asks < before + 20)
            usleep(100);
        if (install(native[i], SECCOMP_FILTER_FLAG_TSYNC) != 0)
            return 3;
    }
    stop = 1;
    pthread_join(t, &r);
    if (r || let_through("later"))
        return 4;
    return sched_yield() == -1 && errno == EDOM ? 0 : 5;
}

/* The thread's native signal mask, by a native rt_sigreturn: the gate's signal waits. */
static void hold_signals(uint64_t mask)
{
    static _Thread_local ucontext_t uc;
    static _Thread_local volatile int back;
    back = 0;
    getcontext(&uc);
    if (back++)
        return;
    uc.uc_flags = 6;                           /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
    uc.uc_stack = (stack_t){.ss_flags = 0xff}; /* refused: the gate keeps its own */
    uc.uc_mcontext.gregs[REG_CSGSFS] = (greg_t)(0x33 | 0x2bUL << 48);
    uc.uc_mcontext.gregs[REG_EFL] = 0x202;
    uc.uc_mcontext.fpregs = NULL;
    memcpy(&uc.uc_sigmask, &mask, sizeof(mask));
    __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; jmp *%1" : : "D"(&uc), "S"(sites[0]) : "memory");
    __builtin_unreachable();
}

/* The gate's program for a call, where the gate has it. */
static const struct sock_fprog *gates_own(unsigned i)
{
    const uintptr_t last = text_end - sizeof(struct sock_fprog);
    for (uintptr_t at = TEXT; at <= last; at += 8) {
        const struct sock_fprog *p = (const struct sock_fprog *)at;
        uintptr_t f = (uintptr_t)p->filter;
        if (p->len == JUDGED_PROGRAM && f >= TEXT && f <= text_end - sizeof(judged_filters[0]) &&
            memcmp(p->filter, judged_filters[i], sizeof(judged_filters[0])) == 0)
            return p;
    }
    return NULL;
}

static atomic_int swaps, changed;
static struct sock_filter swapped[JUDGED_PROGRAM];
static struct sock_fprog swapped_prog = {.len = JUDGED_PROGRAM, .filter = swapped};

static void *swap(void *arg)
{
    for (; !stop; swaps++) {
        swapped[0] = refuse_all[0];
        swapped[0] = judged_filters[0][0];
    }
    return arg;
}

#define PAGE 4096
#define FIXED (MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS)
#define MOVE (MREMAP_MAYMOVE | MREMAP_FIXED)
#define RW (PROT_READ | PROT_WRITE)

/* From each of the gate's instructions, and from here: nothing makes its text another's. True: it did. */
static int change_text(uintptr_t page, char *own)
{
    const long at = (long)page, all = (long)text_end;
    const struct {
        long nr, a, b, c, d, e;
    } calls[] = {
        {SYS_mprotect, at, PAGE, RW, 0, 0},
        {SYS_mprotect, at - PAGE, 2 * PAGE, RW | PROT_EXEC, 0, 0},
        {SYS_munmap, at, PAGE, 0, 0, 0},
        {SYS_munmap, 0, all, 0, 0, 0},
        {SYS_munmap, PAGE, 1L << 46, 0, 0, 0},
        {SYS_mmap, at, PAGE, RW, FIXED, -1},
        {SYS_mmap, 0, all, RW, FIXED, -1},
        {SYS_mmap, at - PAGE, 2 * PAGE, RW, FIXED, -1},
        {SYS_mremap, (long)own, PAGE, PAGE, MOVE, at},
        {SYS_mremap, (long)own, PAGE, all, MOVE, 0},
        {SYS_mremap, at, PAGE, PAGE, MOVE, (long)own},
        {SYS_mremap, at, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0},
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (int s = 0; s <= nsites; s++) {
            long r = s < nsites ? call5_at(sites[s], calls[i].nr, calls[i].a, calls[i].b, calls[i].c,
                                           calls[i].d, calls[i].e)
                                : syscall(calls[i].nr, calls[i].a, calls[i].b, calls[i].c, calls[i].d,
                                          calls[i].e, 0L);
            if (r >= 0 || r < -4095) {
                printf("call %ld, row %zu, site %d: %lx\n", calls[i].nr, i, s, (unsigned long)r);
                return 1;
            }
        }
    }
    return 0;
}

static void *change(void *page)
{
    char *own = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (!stop && !changed)
        changed = change_text((uintptr_t)page, own);
    return NULL;
}

/* In a process of its own; until it is killed. */
static void write_text(pid_t pid, uintptr_t at)
{
    struct iovec l = {refuse_all, sizeof(refuse_all)}, r = {(void *)at, sizeof(refuse_all)};
    while (process_vm_writev(pid, &l, 1, &r, 1, 0) == -1 && errno == EFAULT)
        ;
    _exit(1);
}

/* The keep expects call i's. The gate's own is let through, once. */
static int expected(unsigned i)
{
    const struct sock_fprog *own = gates_own(i);
    if (!own)
        return 10;
    memcpy(swapped, judged_filters[i], sizeof(swapped));
    if (install(judged_calls[i], 0) != 0)
        return 11;
    for (int n = 0, before = swaps; n < 300 || swaps < before + 300; n++)
        if (call_at(sites[0], SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&swapped_prog) != -EPERM)
            return 12;
    struct sock_fprog half = {.len = JUDGED_PROGRAM, .filter = own->filter};
    if (call_at(sites[0], SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&half) != -EPERM)
        return 13;
    for (uintptr_t at = TEXT; at < text_end; at += 504) /* whatever else may look like one */
        if (at != (uintptr_t)own &&
            call_at(sites[0], SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)at) != -EPERM)
            return 14;
    if (changed)
        return 15;
    if (call_passed(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)own) != 0)
        return 16;
    return call_at(sites[0], SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)own) == -EPERM ? 0 : 17;
}

/* In a child. */
static int attack_held(void)
{
    pthread_t a, b;
    int r = 0, status;
    pid_t self = getpid();
    alarm(400); /* a filter that was let through may keep it from ending */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return 1;
    const struct sock_fprog *own = gates_own(0);
    if (!own)
        return 2;
    uintptr_t page = (uintptr_t)own & ~(uintptr_t)(PAGE - 1);
    pid_t writer = fork();
    if (writer == 0)
        write_text(self, (uintptr_t)own);
    if (pthread_create(&a, NULL, swap, NULL) != 0 || pthread_create(&b, NULL, change, (void *)page) != 0)
        return 3;
    hold_signals(1UL << 63);
    for (unsigned i = 0; i < JUDGED_NATIVE && !r; i++)
        if (judged_calls[i] == SYS_sched_yield || judged_calls[i] == SYS_madvise ||
            judged_calls[i] == SYS_rseq || judged_calls[i] == SYS_clock_gettime)
            r = expected(i);
    hold_signals(0);
    if (waitpid(writer, &status, WNOHANG) != 0)
        r = r ? r : 4;
    kill(writer, SIGKILL);
    waitpid(writer, &status, 0);
    stop = 1;
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    if (r || changed)
        return r ? r : 5;
    return sched_yield() == -1 && errno == EDOM ? 0 : 6;
}

static int status_of(int (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn());
    waitpid(pid, &status, 0);
    return status;
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (find_sites() == 0)
        return 1;
    int status = status_of(attack), held = status_of(attack_held);
    printf("%d sites, %x, %x\n", nsites, (unsigned)status, (unsigned)held);
    return status == 0 && held == 0 ? 42 : 1;
}
