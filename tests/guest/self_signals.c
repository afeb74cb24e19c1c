/* Signals that a program sends to itself, so often from one place that a runtime may deliver them in the
 * program's own process: what handlers see, actions that change, masks, threads, children, filters, tracers.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <pthread.h>
#include <setjmp.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "tests/guest/filtered.h"
#include "tests/guest/siginfo.h"

#define OFTEN 100

enum how { KILL, TKILL, TGKILL, WAYS };

static const char *const names[WAYS] = {"kill", "tkill", "tgkill"};

static volatile sig_atomic_t hits, others, alarms, depth, deepest;
siginfo_t last; /* not static: a compiler that sees no call of the handlers would know its value */
sigset_t during;
static void *volatile stack;

__attribute__((noinline)) static long by_kill(pid_t pid, int signo)
{
    long r;
    __asm__ volatile("mov $62, %%eax\n\tsyscall"
                     : "=&a"(r)
                     : "D"((long)pid), "S"((long)signo)
                     : "rcx", "r11", "memory");
    return r;
}

__attribute__((noinline)) static long by_tkill(pid_t tid, int signo)
{
    long r;
    __asm__ volatile("mov $200, %%eax\n\tsyscall"
                     : "=&a"(r)
                     : "D"((long)tid), "S"((long)signo)
                     : "rcx", "r11", "memory");
    return r;
}

__attribute__((noinline)) static long by_tgkill(pid_t pid, pid_t tid, int signo)
{
    long r;
    __asm__ volatile("mov $234, %%eax\n\tsyscall"
                     : "=&a"(r)
                     : "D"((long)pid), "S"((long)tid), "d"((long)signo)
                     : "rcx", "r11", "memory");
    return r;
}

static long send_self(enum how how, int signo)
{
    pid_t tid = (pid_t)syscall(SYS_gettid);
    return how == KILL    ? by_kill(getpid(), signo)
           : how == TKILL ? by_tkill(tid, signo)
                          : by_tgkill(getpid(), tid, signo);
}

static void note(int signo, siginfo_t *info, void *context)
{
    char here;
    (void)context;
    hits++;
    last = *info;
    stack = &here;
    last.si_signo = signo == info->si_signo ? signo : -1;
    sigprocmask(SIG_BLOCK, NULL, &during);
}

static void other(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info, (void)context;
    others++;
}

static void on_alarm(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info, (void)context;
    alarms++;
}

static void set(int signo, void (*fn)(int, siginfo_t *, void *), int flags)
{
    handle_info(signo, fn, flags, SIGUSR2);
}

/* From now on all three are as fast as they get. */
static void warm(void)
{
    set(SIGUSR1, other, 0);
    for (int i = 0; i < OFTEN; i++)
        for (int how = 0; how < WAYS; how++)
            MUST(send_self((enum how)how, SIGUSR1) == 0);
}

static void test_info(void)
{
    int signos[] = {SIGUSR1, SIGRTMIN + 3, SIGSEGV, SIGTRAP};
    warm();
    for (int how = 0; how < WAYS; how++) {
        long wrong = 0;
        for (int i = 0; i < 4 * OFTEN; i++) {
            int signo = signos[i % 4];
            set(signo, note, 0);
            hits = 0;
            wrong += send_self((enum how)how, signo) != 0 || hits != 1 || last.si_signo != signo;
            wrong += last.si_code != (how == KILL ? SI_USER : SI_TKILL) || last.si_errno != 0;
            wrong += last.si_pid != getpid() || last.si_uid != getuid();
            wrong += !sigismember(&during, signo) || !sigismember(&during, SIGUSR2) ||
                     sigismember(&during, SIGHUP);
            sigprocmask(SIG_BLOCK, NULL, &during);
            wrong += sigismember(&during, signo) || sigismember(&during, SIGUSR2);
        }
        CHECK(names[how], wrong == 0);
        CHECK("no signal", send_self((enum how)how, 0) == 0 && send_self((enum how)how, 65) == -EINVAL &&
                               send_self((enum how)how, -1) == -EINVAL);
    }
    hits = 0;
    set(SIGTRAP, note, 0);
    __asm__ volatile("int3");
    CHECK("a breakpoint of the program's", hits == 1 && last.si_code == SI_KERNEL);
    CHECK("others are not there",
          by_kill(0x3ffff, SIGUSR1) == -ESRCH && by_tgkill(getpid(), 0x3ffff, SIGUSR1) == -ESRCH);
}

static void test_actions(void)
{
    long wrong = 0;
    warm();
    for (int i = 0; i < OFTEN; i++) {
        hits = others = 0;
        set(SIGUSR1, i % 2 ? note : other, 0);
        send_self((enum how)(i % WAYS), SIGUSR1);
        wrong += hits != i % 2 || others != !(i % 2);
        signal(SIGUSR1, SIG_IGN);
        send_self((enum how)(i % WAYS), SIGUSR1);
        signal(SIGCHLD, SIG_DFL);
        send_self((enum how)(i % WAYS), SIGCHLD);
        wrong += hits != i % 2 || others != !(i % 2);
    }
    CHECK("actions change", wrong == 0);
    set(SIGUSR1, note, SA_RESETHAND);
    hits = 0;
    struct sigaction now;
    CHECK("for one time", send_self(KILL, SIGUSR1) == 0 && hits == 1 && sigaction(SIGUSR1, NULL, &now) == 0 &&
                              now.sa_handler == SIG_DFL);
    pid_t pid = fork();
    if (pid == 0) {
        send_self(TGKILL, SIGUSR1);
        _exit(0);
    }
    int status;
    CHECK("the default then",
          waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    warm();
    for (int i = 0; i < 20; i++) {
        pid = fork();
        if (pid == 0) {
            hits = 0;
            set(SIGCONT, note, 0);
            send_self(KILL, SIGSTOP);
            _exit(hits == 1 ? 3 : 4);
        }
        wrong += waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status) || kill(pid, SIGCONT) != 0;
        wrong += waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 3;
    }
    CHECK("stopped, and on with the handler", wrong == 0);
}

static void nest(int signo, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    if (++depth > deepest)
        deepest = depth;
    if (hits++ < 3)
        send_self((enum how)(hits % WAYS), signo);
    depth--;
}

static sigjmp_buf out;

static void jump(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info, (void)context;
    siglongjmp(out, 1);
}

static void test_masks(void)
{
    warm();
    set(SIGUSR1, nest, 0);
    hits = deepest = 0;
    send_self(KILL, SIGUSR1);
    CHECK("one after the other", hits == 4 && deepest == 1);
    set(SIGUSR1, nest, SA_NODEFER);
    hits = deepest = 0;
    send_self(KILL, SIGUSR1);
    CHECK("one within the other", hits == 4 && deepest == 4);
    set(SIGUSR1, note, 0);
    set(SIGRTMIN, note, 0);
    block(SIG_BLOCK, SIGUSR1);
    block(SIG_BLOCK, SIGRTMIN);
    hits = 0;
    for (int how = 0; how < WAYS; how++)
        for (int i = 0; i < 2; i++)
            MUST(send_self((enum how)how, SIGUSR1) == 0 && send_self((enum how)how, SIGRTMIN) == 0);
    sigset_t waits;
    sigpending(&waits);
    CHECK("blocked", hits == 0 && sigismember(&waits, SIGUSR1) && sigismember(&waits, SIGRTMIN));
    block(SIG_UNBLOCK, SIGUSR1);
    int n = hits;
    block(SIG_UNBLOCK, SIGRTMIN);
    CHECK("come in then", n == 2 && hits == 8);
    int fd = signalfd(-1, &waits, SFD_NONBLOCK), wrong = 0;
    struct signalfd_siginfo si;
    hits = 0;
    send_self(KILL, SIGUSR1);
    CHECK("nothing is left to be read", hits == 1 && read(fd, &si, sizeof(si)) == -1 && errno == EAGAIN);
    block(SIG_BLOCK, SIGUSR1);
    send_self(KILL, SIGUSR1);
    CHECK("but of what is blocked", hits == 1 && read(fd, &si, sizeof(si)) == sizeof(si) &&
                                        si.ssi_signo == SIGUSR1 && si.ssi_code == SI_USER &&
                                        si.ssi_pid == (uint32_t)getpid());
    block(SIG_UNBLOCK, SIGUSR1);
    close(fd);
    set(SIGUSR1, jump, 0);
    for (int i = 0; i < OFTEN; i++)
        if (sigsetjmp(out, 1) == 0) {
            send_self((enum how)(i % WAYS), SIGUSR1);
            wrong++;
        }
    CHECK("never back", wrong == 0);
}

static void test_stacks(void)
{
    static char alt[65536] __attribute__((aligned(16)));
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)}, off = {.ss_flags = SS_DISABLE};
    warm();
    MUST(sigaltstack(&ss, NULL) == 0);
    set(SIGUSR1, note, SA_ONSTACK);
    send_self(TKILL, SIGUSR1);
    CHECK("another stack", (char *)stack > alt && (char *)stack < alt + sizeof(alt));
    set(SIGUSR1, note, 0);
    send_self(TKILL, SIGUSR1);
    CHECK("this one", (char *)stack < alt || (char *)stack >= alt + sizeof(alt));
    MUST(sigaltstack(&off, NULL) == 0);
}

static void clobber(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info, (void)context;
    hits++;
    __asm__ volatile("pxor %%xmm7, %%xmm7\n\txor %%r12d, %%r12d\n\txor %%r8d, %%r8d\n\txor %%r10d, %%r10d" ::
                         : "xmm7", "r12", "r8", "r10");
}

static void test_registers(void)
{
    register uint64_t r8 __asm__("r8"), r10 __asm__("r10");
    uint64_t bits, r12, below = 0;
    long wrong = 0, r, pid = getpid();
    set(SIGUSR1, clobber, 0);
    for (int i = 0; i < OFTEN; i++) {
        hits = 0;
        __asm__ volatile("sub $256, %%rsp\n\tmovq %[in], %%xmm7\n\tmovq %[in], %%r12\n\t"
                         "mov %%r12, %%r8\n\tmov %%r12, %%r10\n\tmov %%r12, -64(%%rsp)\n\t"
                         "mov $62, %%eax\n\tsyscall\n\tmovq %%xmm7, %[x]\n\tmov %%r12, %[a]\n\t"
                         "mov -64(%%rsp), %[d]\n\tadd $256, %%rsp"
                         : "=&a"(r), [x] "=&r"(bits), [a] "=&r"(r12), "=&r"(r8), "=&r"(r10), [d] "=&r"(below)
                         : "D"(pid), "S"((long)SIGUSR1), [in] "r"(0x1234567890abcdefUL)
                         : "rcx", "r11", "r12", "xmm7", "memory");
        uint64_t want = 0x1234567890abcdefUL;
        wrong +=
            r != 0 || hits != 1 || bits != want || r12 != want || r8 != want || r10 != want || below != want;
    }
    CHECK("registers and what is below the stack", wrong == 0);
}

static void test_rain(void)
{
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    long wrong = 0;
    warm();
    set(SIGUSR1, note, 0);
    set(SIGALRM, on_alarm, SA_RESTART);
    alarms = 0;
    MUST(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 20000 || alarms < 5; i++) {
        hits = 0;
        wrong += send_self((enum how)(i % WAYS), SIGUSR1) != 0 || hits != 1;
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK("among other signals", wrong == 0);
}

static void in_a_child(void)
{
    hits = 0;
    set(SIGUSR1, note, 0);
    CHECK("its own pid",
          send_self(KILL, SIGUSR1) == 0 && hits == 1 && last.si_pid == getpid() && getpid() != 1);
    MUST(syscall(SYS_setresuid, 1234, 0, 0) == 0);
    CHECK("its uid", send_self(TGKILL, SIGUSR1) == 0 && hits == 2 && last.si_uid == 1234);
    CHECK("its parent is another", by_kill(getppid(), 0) == 0);
}

static void test_children(void)
{
    warm();
    set(SIGUSR1, other, 0);
    CHECK("a child", in_child(in_a_child) == 0);
    others = 0;
    CHECK("its parent", send_self(KILL, SIGUSR1) == 0 && others == 1);
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        syscall(SYS_rt_sigaction, SIGUSR1, &ignore, NULL, 8);
        by_kill((pid_t)syscall(SYS_getpid), SIGUSR1);
        _exit(0);
    }
    CHECK("vfork's child ignores it",
          waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK("its parent does not", others == 1 && send_self(KILL, SIGUSR1) == 0 && others == 2);
}

static __thread volatile sig_atomic_t mine;

static void here(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info, (void)context;
    mine++;
}

static void *raise_often(void *arg)
{
    long good = 0;
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        mine = 0;
        send_self(i % 2 ? TKILL : TGKILL, SIGUSR1);
        good += mine == 1;
    }
    return (void *)good;
}

static void *sleep_long(void *arg)
{
    char c;
    return (void *)(long)read(*(int *)arg, &c, 1);
}

static void test_threads(void)
{
    pthread_t t[3], idle;
    void *good;
    int p[2];
    long sum = 0;
    warm();
    set(SIGUSR1, here, 0);
    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&t[i], NULL, raise_often, NULL) == 0);
    sum += (long)raise_often(NULL);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &good);
        sum += (long)good;
    }
    CHECK("each thread's own", sum == 4 * 2000);
    MUST(pipe(p) == 0);
    block(SIG_BLOCK, SIGUSR1);
    set(SIGUSR1, other, SA_RESTART);
    MUST(pthread_create(&idle, NULL, sleep_long, &p[0]) == 0);
    block(SIG_UNBLOCK, SIGUSR1);
    others = 0;
    CHECK("the one that takes it", by_kill(getpid(), SIGUSR1) == 0 && others == 1);
    MUST(write(p[1], "x", 1) == 1 && pthread_join(idle, NULL) == 0);
    CHECK("alone again", by_kill(getpid(), SIGUSR1) == 0 && others == 2);
    close(p[0]), close(p[1]);
}

static void in_a_filter(void)
{
    const struct sock_filter deny[] = {LOAD(nr), IF_CALL(SYS_kill, SECCOMP_RET_ERRNO | ENOTTY),
                                       RET(SECCOMP_RET_ALLOW)};
    warm();
    set(SIGUSR1, note, 0);
    hits = 0;
    INSTALL(deny, 0);
    CHECK("a filter refuses it", send_self(KILL, SIGUSR1) == -ENOTTY && hits == 0);
    CHECK("but not the other", send_self(TGKILL, SIGUSR1) == 0 && hits == 1);
}

static void test_traced(void)
{
    int status;
    warm();
    set(SIGUSR1, note, 0);
    hits = 0;
    pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        send_self(KILL, SIGUSR1);
        send_self(TGKILL, SIGUSR1);
        _exit(hits == 1 ? 5 : 6);
    }
    CHECK("a tracer sees it",
          waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
    MUST(ptrace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
    CHECK("and the next",
          waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
    MUST(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    CHECK("which it takes away",
          waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

int main(void)
{
    test_info();
    test_actions();
    test_masks();
    test_stacks();
    test_registers();
    test_rain();
    test_children();
    test_threads();
    CHECK("filters", in_child(in_a_filter) == 0);
    test_traced();
    return check_done();
}
