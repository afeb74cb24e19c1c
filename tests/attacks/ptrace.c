/* The hostile tracer: what ptrace(2) gives a guest over another must not give it more than guests have. It
 * writes to its tracee's gate, starts tracees in the middle of the gate, makes calls into others while they
 * are under way, and has the gate's own calls made by tracees and by itself. `ptrace pod` tries to trace what
 * is not its container's. Ends with 42 where nothing worked. */
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "sandbox/gate/abi.h"
#include "tests/attacks/gate_call.h"
#include "tests/guest/filtered.h"

#define STUCK_MS 20 /* what a tracee is given before it is killed; whether that is enough does not matter */

static int failures;

static void must_not(const char *what, long r)
{
    if (r == 0)
        return;
    failures++;
    printf("BAD: %s: %ld, errno %d\n", what, r, errno);
}

static uint64_t seed = 1;

static uint64_t any(void)
{
    uint64_t x = seed += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* Traced, stopped, and once it goes on in then(). */
static pid_t tracee(void (*then)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        then();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    return pid;
}

static void ends(pid_t pid)
{
    kill(pid, SIGKILL);
    for (int status = 0; waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);)
        ;
}

/* Its next stop, or its end; -1: it does something else for long. */
static int stop_of(pid_t pid)
{
    int status;

    for (int ms = 0; ms < STUCK_MS * 10; ms++) {
        if (waitpid(pid, &status, WNOHANG | __WALL) == pid)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return -1;
}

static void idle(void)
{
    for (;;)
        getppid();
}

/* The gate's memory -----------------------------------------------------------------------------------------
 */

static uint64_t sum(const unsigned char *p, size_t n)
{
    uint64_t s = 0;

    for (size_t i = 0; i < n; i++)
        s = s * 31 + p[i];
    return s;
}

static void poke_one(pid_t pid, int mem, uint64_t at)
{
    uint64_t word = any();
    struct iovec from = {&word, sizeof(word)}, to = {(void *)(uintptr_t)at, sizeof(word)};

    must_not("POKETEXT of the gate", ptrace(PTRACE_POKETEXT, pid, at, word) == 0);
    must_not("POKEDATA of the gate", ptrace(PTRACE_POKEDATA, pid, at, word) == 0);
    must_not("a write by /proc/PID/mem to the gate", pwrite(mem, &word, sizeof(word), (off_t)at) > 0);
    if (at >= TEXT && at < text_end)
        must_not("process_vm_writev to the gate's text", process_vm_writev(pid, &from, 1, &to, 1, 0) > 0);
}

static void gate_memory(void)
{
    pid_t pid = tracee(idle);
    char name[64];
    uint64_t own = sum((const unsigned char *)TEXT, text_end - TEXT), its = 0;

    snprintf(name, sizeof(name), "/proc/%d/mem", (int)pid);
    int mem = open(name, O_RDWR);
    for (uint64_t at = GATE_BASE; at < GATE_LIMIT; at += 4096)
        poke_one(pid, mem, at + any() % 4088);
    for (int i = 1; i < 8; i++) {
        poke_one(pid, mem, GATE_BASE - (uint64_t)i);
        poke_one(pid, mem, GATE_LIMIT - (uint64_t)i);
    }
    static unsigned char copy[TEXT_MAX];
    struct iovec to = {copy, text_end - TEXT}, from = {(void *)TEXT, text_end - TEXT};
    if (process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)(text_end - TEXT))
        its = sum(copy, text_end - TEXT);
    must_not("the gate's text has changed", its != 0 && its != own);
    close(mem);
    ends(pid);
}

/* Registers -------------------------------------------------------------------------------------------------
 */

static const uint64_t numbers[] = {
    SYS_read,
    SYS_write,
    SYS_open,
    SYS_mmap,
    SYS_mprotect,
    SYS_ioctl,
    SYS_sendmsg,
    SYS_clone,
    SYS_fork,
    SYS_vfork,
    SYS_execve,
    SYS_exit,
    SYS_rt_sigreturn,
    SYS_ptrace,
    SYS_prctl,
    SYS_mount,
    SYS_seccomp,
    SYS_execveat,
    SYS_unshare,
    SYS_io_uring_setup,
    SYS_setns,
    SYS_pidfd_getfd,
    SYS_process_vm_writev,
    SYS_sigaltstack,
    SYS_arch_prctl,
    SYS_futex,
    SYS_brk,
    SYS_shmat,
    0x40000000,
    0x4000003b,
};

static uint64_t a_number(void)
{
    uint64_t x = any();

    if (x % 3 == 0)
        return GATE_CALL_BASE + any() % (GATE_CALL_END - GATE_CALL_BASE + 2);
    if (x % 3 == 1)
        return any() % 470;
    return numbers[any() % (sizeof(numbers) / sizeof(*numbers))];
}

static uint64_t a_value(const struct user_regs_struct *r)
{
    const uint64_t values[] = {
        0, 1, any(), any() % 4096, r->rsp, r->rip, GATE_BASE + any() % (GATE_LIMIT - GATE_BASE), ~0UL};

    return values[any() % 8];
}

static void fill(struct user_regs_struct *r)
{
    r->rax = a_number();
    r->rdi = a_value(r);
    r->rsi = a_value(r);
    r->rdx = a_value(r);
    r->r10 = a_value(r);
    r->r8 = a_value(r);
    r->r9 = a_value(r);
    r->rcx = a_value(r);
    r->r11 = a_value(r);
    if (any() % 4 == 0)
        r->rsp = a_value(r);
}

/* The program goes on somewhere within the gate, with anything in its registers. */
static void enter_anywhere(uint64_t at, int request)
{
    struct user_regs_struct r;
    pid_t pid = tracee(idle);

    if (ptrace(PTRACE_GETREGS, pid, 0, &r) == 0) {
        fill(&r);
        r.rip = at;
        ptrace(PTRACE_SETREGS, pid, 0, &r);
    }
    for (int i = 0; i < 4; i++) {
        ptrace(request, pid, 0, 0);
        int status = stop_of(pid);
        if (!WIFSTOPPED(status) || status == -1)
            break;
    }
    ends(pid);
}

static void entries(void)
{
    static const int how[] = {PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP};

    for (int i = 0; i < nsites; i++)
        for (int k = 0; k < 12; k++)
            enter_anywhere(sites[i], how[k % 3]);
    for (int k = 0; k < 12; k++) {
        enter_anywhere(GATE_TRACED_IP - 2, how[k % 3]);
        enter_anywhere(GATE_TRACED_IP, how[k % 3]);
        enter_anywhere(GATE_RING_IP - 2, how[k % 3]);
    }
    for (int i = 0; i < 300; i++)
        enter_anywhere(TEXT + any() % (text_end - TEXT), how[i % 3]);
}

/* Calls -----------------------------------------------------------------------------------------------------
 */

/* At the entry of a call that is made from the program: it becomes another. Its result; -1: there was none.
 */
static long changed(pid_t pid, uint64_t nr, const uint64_t args[6])
{
    struct user_regs_struct r;

    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    if (stop_of(pid) >> 8 != (SIGTRAP | 0x80) || ptrace(PTRACE_GETREGS, pid, 0, &r) < 0)
        return -1;
    r.orig_rax = nr;
    r.rdi = args[0];
    r.rsi = args[1];
    r.rdx = args[2];
    r.r10 = args[3];
    r.r8 = args[4];
    r.r9 = args[5];
    ptrace(PTRACE_SETREGS, pid, 0, &r);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    int status = stop_of(pid);
    if (!WIFSTOPPED(status) || status == -1 || ptrace(PTRACE_GETREGS, pid, 0, &r) < 0)
        return -1;
    return (long)r.rax;
}

/* The filter's word counts for what a call has become. */
static void filtered(void)
{
    const struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getuid, SECCOMP_RET_ERRNO | EXFULL),
                                    IF_CALL(SYS_sigaltstack, SECCOMP_RET_ERRNO | EXFULL),
                                    RET(SECCOMP_RET_ALLOW)};

    INSTALL(f, 0);
    raise(SIGUSR1);
    idle();
}

static void judged(void)
{
    static const uint64_t none[6];
    pid_t pid = tracee(filtered);

    ptrace(PTRACE_CONT, pid, 0, 0);
    must_not("the filter is not there", stop_of(pid) >> 8 != SIGUSR1);
    long r = changed(pid, SYS_getuid, none); /* the end of the call that raised the signal comes first */
    for (int i = 0; i < 20; i++) {
        r = changed(pid, SYS_getuid, none);
        must_not("a call became one that the filter refuses", r != -EXFULL);
        r = changed(pid, SYS_sigaltstack, none);
        must_not("a call became one that the gate makes and the filter refuses", r != -EXFULL);
        r = changed(pid, SYS_getgid, none);
        must_not("what the filter allows fails", r != 0);
    }
    ends(pid);
}

/* At gate_traced's instruction, which goes on at what the thread's slot says. */
static long call_traced(long nr)
{
    long r = nr;

    __asm__ volatile("lea 1f(%%rip), %%r11\n"
                     "mov %%r11, %%gs:0\n"
                     "jmp *%[at]\n"
                     "1:"
                     : "+a"(r)
                     : [at] "r"(GATE_TRACED_IP - 2), "D"(0L), "S"(0L), "d"(0L)
                     : "rcx", "r11", "memory");
    return r;
}

/* Makes calls that its filter wants its tracer to see, at the gate's instruction without a word before. */
static void unseen(void)
{
    const struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getuid, SECCOMP_RET_TRACE),
                                    IF_CALL(SYS_getppid, SECCOMP_RET_TRACE), RET(SECCOMP_RET_ALLOW)};

    INSTALL(f, 0);
    if (syscall(SYS_getppid) <= 0)
        _exit(2);
    if (call_traced(SYS_getuid) != -ENOSYS || call_traced(SYS_getppid) != -ENOSYS)
        _exit(3);
    _exit(syscall(SYS_getuid) == 0 ? 0 : 4);
}

static void shown(void)
{
    int status, events = 0;
    pid_t pid = tracee(unseen);

    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
    do
        ptrace(PTRACE_CONT, pid, 0, 0);
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) && ++events < 9);
    must_not("a call passed that the tracer has not seen", status != 0 || events != 2);
    ends(pid);
}

/* What only gates may ask the keep for is no call of a program's. */
static void gates_own(void)
{
    for (uint64_t nr = GATE_CALL_BASE; nr < GATE_CALL_END; nr++)
        for (int i = 0; i < 3; i++) {
            pid_t pid = tracee(idle);
            uint64_t args[6] = {any(), any() % 64, TEXT, any() % 8, 0, 0};
            long r = changed(pid, nr, args);
            must_not("a call became one of the gate's", r != -ENOSYS && r != -1);
            ends(pid);
        }
}

static void anything(void)
{
    for (int i = 0; i < 400; i++) {
        struct user_regs_struct r;
        pid_t pid = tracee(idle);

        for (int k = 0; k < 4 && ptrace(PTRACE_GETREGS, pid, 0, &r) == 0; k++) {
            fill(&r);
            const uint64_t args[6] = {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9};
            changed(pid, r.rax, args);
        }
        ends(pid);
    }
}

/* Stops of its own ------------------------------------------------------------------------------------------
 */

static void stands(void)
{
    static unsigned char own[8192] __attribute__((aligned(64)));
    const long where[] = {(long)own, (long)own + 4096, 0, 8, (long)GATE_BASE, (long)TEXT + 64, -4096};

    alarm(2);
    for (int i = 0; i < 60; i++) {
        for (size_t k = 0; k < sizeof(own) / 8; k++)
            ((uint64_t *)own)[k] = any() % 2 ? (uint64_t)where[any() % 7] : any();
        call5_at(sites[any() % (unsigned)nsites], GATE_STOP, where[any() % 7], where[any() % 7],
                 (long)(any() % 8 | (any() % 4) << 8), (long)(any() % 400), (long)any());
    }
}

/* A program that calls for a stop as its gate would, with any context: traced or not, it is its own affair.
 */
static void own_stops(void)
{
    for (int i = 0; i < 30; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            stands();
            _exit(0);
        }
        stop_of(pid);
        ends(pid);

        struct user_fpregs_struct f;
        pid = tracee(stands);
        for (int k = 0; k < 40; k++) {
            ptrace(k % 2 ? PTRACE_CONT : PTRACE_SYSCALL, pid, 0, 0);
            int status = stop_of(pid);
            if (status == -1 || !WIFSTOPPED(status))
                break;
            memset(&f, (int)any(), sizeof(f));
            ptrace(PTRACE_SETFPREGS, pid, 0, &f);
        }
        ends(pid);
    }
}

/* Others ----------------------------------------------------------------------------------------------------
 */

static long trace_somehow(pid_t pid)
{
    int status;

    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0)
        return 1;
    if (ptrace(PTRACE_ATTACH, pid, 0, 0) < 0)
        return 0;
    waitpid(pid, &status, __WALL);
    return 1;
}

/* With every capability there is: the other containers' processes, whose numbers it sees. */
static int pod(void)
{
    int seen = 0;

    for (pid_t pid = 1; pid < 200; pid++) {
        if (pid == getpid() || kill(pid, 0) < 0)
            continue;
        seen++;
        must_not("a neighbour was traced", trace_somehow(pid));
    }
    printf("%d neighbours\n", seen);
    return failures || !seen ? 1 : 42;
}

static void await_go(void)
{
    while (access("/test/go", F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1 && strcmp(argv[1], "pod") == 0)
        return pod();
    await_go();
    if (find_sites() == 0)
        return 1;
    gate_memory();
    judged();
    shown();
    gates_own();
    entries();
    anything();
    own_stops();
    kill(-1, SIGKILL); /* what was forked in the middle of it */
    printf("%s\n", failures ? "something worked" : "survived");
    return failures ? 1 : 42;
}
