/* Signal masks: what is blocked stays out, what is unblocked comes in before the call returns, whoever sends
 * it and whatever the sender and the receiver are at just then.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "tests/guest/filtered.h"
#include "tests/guest/masks.h"

static char *self;

/* The call itself
 * --------------------------------------------------------------------------------------------- */

static void arguments(void)
{
    unsigned long a = BIT(SIGUSR1) | BIT(SIGKILL) | BIT(SIGSTOP), b = BIT(SIGUSR2), old = 7;
    char odd[16];

    set_mask(0);
    CHECK("block", mask(SIG_BLOCK, &a, &old, 8) == 0 && old == 0 && mask_now() == BIT(SIGUSR1));
    CHECK("and more", mask(SIG_BLOCK, &b, &old, 8) == 0 && old == BIT(SIGUSR1));
    CHECK("unblock", mask(SIG_UNBLOCK, &a, NULL, 8) == 0 && mask_now() == BIT(SIGUSR2));
    CHECK("set", mask(SIG_SETMASK, &a, &old, 8) == 0 && old == BIT(SIGUSR2) && mask_now() == BIT(SIGUSR1));
    old = BIT(SIGHUP);
    CHECK("one place for both", mask(SIG_BLOCK, &old, &old, 8) == 0 && old == BIT(SIGUSR1) &&
                                    mask_now() == (BIT(SIGUSR1) | BIT(SIGHUP)));
    memcpy(odd + 1, &b, 8);
    CHECK("an odd address", mask(SIG_SETMASK, odd + 1, odd + 1, 8) == 0 && mask_now() == BIT(SIGUSR2));
    memcpy(&old, odd + 1, 8);
    CHECK("and what was", old == (BIT(SIGUSR1) | BIT(SIGHUP)));
    CHECK_ERRNO("how", mask(3, &a, NULL, 8), EINVAL);
    CHECK_ERRNO("how, negative", mask(-1, &a, NULL, 8), EINVAL);
    CHECK("how without a set", mask(77, NULL, &old, 8) == 0 && old == BIT(SIGUSR2));
    CHECK("nothing at all", mask(77, NULL, NULL, 8) == 0);
    CHECK_ERRNO("a short set", mask(SIG_BLOCK, &a, NULL, 4), EINVAL);
    CHECK_ERRNO("a bad set", mask(SIG_BLOCK, bad_address, NULL, 8), EFAULT);
    CHECK("changes nothing", mask_now() == BIT(SIGUSR2));
    CHECK_ERRNO("a bad place for the old one", mask(SIG_BLOCK, NULL, bad_address, 8), EFAULT);
    const void *readonly = "what cannot be written";
    CHECK_ERRNO("one that cannot be written", mask(SIG_SETMASK, &a, (void *)(uintptr_t)readonly, 8), EFAULT);
    value("the mask then", (long)mask_now());
    long head = 0, len = 0;
    CHECK_ERRNO("a robust list of another size", syscall(SYS_set_robust_list, &head, 23), EINVAL);
    static long mine[3];
    mine[0] = (long)mine;
    syscall(SYS_get_robust_list, 0, &head, &len);
    CHECK("a robust list", syscall(SYS_set_robust_list, mine, 24) == 0);
    long was = head;
    syscall(SYS_get_robust_list, 0, &head, &len);
    CHECK("is told", head == (long)mine && len == 24);
    syscall(SYS_set_robust_list, was, 24);
    set_mask(0);
}

/* All registers but rax, rcx and r11 stay. */
static void registers(void)
{
    unsigned long set = BIT(SIGUSR1), same;
    __asm__ volatile("mov $0x1111, %%r8\n mov $0x2222, %%r9\n mov $8, %%r10\n mov $0, %%edi\n mov %1, %%rsi\n"
                     "xor %%edx, %%edx\n mov $14, %%eax\n xor %%r12d, %%r12d\n syscall\n"
                     "cmp $0x1111, %%r8\n jne 1f\n cmp $0x2222, %%r9\n jne 1f\n cmp $8, %%r10\n jne 1f\n"
                     "test %%rdi, %%rdi\n jnz 1f\n cmp %1, %%rsi\n jne 1f\n test %%rdx, %%rdx\n jnz 1f\n"
                     "test %%rax, %%rax\n jnz 1f\n mov $1, %%r12d\n 1: mov %%r12, %0\n"
                     : "=&r"(same)
                     : "r"(&set)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
    CHECK("registers", same == 1);
    set_mask(0);
}

static void alternate_stack(void)
{
    static char stack[16384], odd[sizeof(stack_t) + 1];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)}, old;
    const void *readonly = "what cannot be written, and is longer than a stack_t";
    CHECK_ERRNO("a bad stack", syscall(SYS_sigaltstack, bad_address, NULL), EFAULT);
    CHECK_ERRNO("a bad place for the old stack", syscall(SYS_sigaltstack, NULL, bad_address), EFAULT);
    CHECK_ERRNO("one that cannot be written", syscall(SYS_sigaltstack, NULL, readonly), EFAULT);
    memcpy(odd + 1, &ss, sizeof(ss));
    CHECK("a stack at an odd address", syscall(SYS_sigaltstack, odd + 1, odd + 1) == 0);
    memcpy(&old, odd + 1, sizeof(old));
    CHECK("there was none", old.ss_flags == SS_DISABLE);
    CHECK("it is told", sigaltstack(NULL, &old) == 0 && old.ss_sp == stack && old.ss_size == sizeof(stack));
    CHECK_ERRNO("set, but the old one not told",
                syscall(SYS_sigaltstack, &(stack_t){.ss_flags = SS_DISABLE}, readonly), EFAULT);
    sigaltstack(NULL, &old);
    value("flags then", old.ss_flags);
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

static void delivery(void)
{
    on(SIGUSR1, count, 0, 0);
    on(SIGUSR2, count, 0, 0);
    on(SIGHUP, count, 0, BIT(SIGUSR1) | BIT(SIGUSR2));
    set_mask(BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(SIGHUP));
    came = 0;
    raise(SIGUSR2);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    raise(SIGHUP);
    sigset_t pending;
    sigpending(&pending);
    CHECK("they wait", came == 0 && sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGUSR2));
    set_mask(BIT(SIGUSR1) | BIT(SIGUSR2));
    CHECK("one comes in before the call returns", came == 1 && order[0] == SIGHUP);
    set_mask(0);
    CHECK("the others, too", came == 3);
    value("first", order[1]);
    raise(SIGUSR1);
    CHECK("not blocked", came == 4);
    sigpending(&pending);
    CHECK("none is left", sigisemptyset(&pending));
}

static sigjmp_buf out;

static void changes_mask(int signo)
{
    (void)signo;
    value("mask in a handler", (long)mask_now());
    set_mask(BIT(SIGTERM));
    came++;
}

static void changes_context(int signo, siginfo_t *info, void *ctx)
{
    (void)signo;
    (void)info;
    sigaddset(&((ucontext_t *)ctx)->uc_sigmask, SIGWINCH);
    sigaddset(&((ucontext_t *)ctx)->uc_sigmask, SIGKILL);
}

static void jumps(int signo)
{
    siglongjmp(out, signo);
}

static void raises(int signo)
{
    (void)signo;
    raise(SIGUSR2); /* blocked by sa_mask: after this one */
    value("not yet", came);
}

static void in_handlers(void)
{
    on(SIGUSR1, changes_mask, 0, BIT(SIGHUP));
    set_mask(BIT(SIGINT));
    raise(SIGUSR1);
    CHECK("the handler's mask is gone", mask_now() == BIT(SIGINT));
    on(SIGUSR1, changes_mask, SA_NODEFER, 0);
    raise(SIGUSR1);
    struct sigaction sa = {.sa_sigaction = changes_context, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    CHECK("what a handler puts into its context counts", mask_now() == (BIT(SIGINT) | BIT(SIGWINCH)));
    on(SIGUSR1, jumps, 0, 0);
    int n = sigsetjmp(out, 1);
    if (!n)
        raise(SIGUSR1);
    CHECK("a jump out of a handler", n == SIGUSR1 && mask_now() == (BIT(SIGINT) | BIT(SIGWINCH)));
    came = 0;
    on(SIGUSR2, count, 0, 0);
    on(SIGUSR1, raises, 0, BIT(SIGUSR2));
    raise(SIGUSR1);
    CHECK("what sa_mask held back", came == 1);
    set_mask(0);
}

/* Who hears of it
 * --------------------------------------------------------------------------------------------- */

static unsigned long status_mask(const char *name)
{
    static char text[8192];
    FILE *f = fopen(name, "r");
    MUST(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    const char *line = strstr(text, "SigBlk:");
    return line ? strtoul(line + 7, NULL, 16) : 1;
}

static void told(void)
{
    char name[64];
    sprintf(name, "/proc/%d/status", (int)getpid());
    set_mask(BIT(SIGUSR1) | BIT(SIGQUIT));
    CHECK("/proc/self/status", status_mask("/proc/self/status") == (BIT(SIGUSR1) | BIT(SIGQUIT)));
    set_mask(BIT(SIGQUIT));
    pid_t pid = fork();
    if (pid == 0)
        _exit(mask_now() == BIT(SIGQUIT) && status_mask(name) == BIT(SIGQUIT) &&
                      status_mask("/proc/self/status") == BIT(SIGQUIT)
                  ? 0
                  : 1);
    int st;
    waitpid(pid, &st, 0);
    CHECK("fork inherits it, and it is seen from outside", st == 0);
    set_mask(BIT(SIGQUIT) | BIT(SIGTERM));
    CHECK_ERRNO("an exec that fails", execl("/nowhere", "nowhere", NULL), ENOENT);
    CHECK("leaves it", mask_now() == (BIT(SIGQUIT) | BIT(SIGTERM)));
    pid = vfork();
    if (pid == 0) {
        execl(self, self, "mask", NULL);
        _exit(99);
    }
    waitpid(pid, &st, 0);
    CHECK("vfork and exec inherit it", WIFEXITED(st) && WEXITSTATUS(st) == (int)(BIT(SIGQUIT) >> 2 | 1));
    set_mask(0);
}

/* The program executed by the above. */
static int tell_mask(void)
{
    unsigned long m = mask_now();
    raise(SIGTERM); /* blocked, as the file says */
    if (m != status_mask("/proc/self/status") || !(m & BIT(SIGTERM)))
        return 98;
    return (int)((m & 0xff) >> 2 | 1);
}

static void *thread_mask(void *arg)
{
    *(unsigned long *)arg = mask_now();
    set_mask(~0UL);
    return NULL;
}

static void threads_inherit(void)
{
    pthread_t t;
    unsigned long theirs = 0;
    set_mask(BIT(SIGUSR2));
    MUST(pthread_create(&t, NULL, thread_mask, &theirs) == 0);
    pthread_join(t, NULL);
    CHECK("a thread inherits it", theirs == BIT(SIGUSR2));
    CHECK("and has its own", mask_now() == BIT(SIGUSR2));
    set_mask(0);
}

static void temporary(void)
{
    sigset_t none;
    struct timespec soon = {.tv_nsec = 1000000};
    sigemptyset(&none);
    on(SIGUSR1, count, 0, 0);
    set_mask(BIT(SIGUSR1));
    came = 0;
    raise(SIGUSR1);
    CHECK("sigsuspend", sigsuspend(&none) == -1 && errno == EINTR && came == 1 && mask_now() == BIT(SIGUSR1));
    raise(SIGUSR1);
    CHECK("pselect", pselect(0, NULL, NULL, NULL, &soon, &none) == -1 && errno == EINTR && came == 2);
    CHECK("pselect, nothing waits", pselect(0, NULL, NULL, NULL, &soon, &none) == 0 && came == 2);
    raise(SIGUSR1);
    CHECK("the mask is back", came == 2 && mask_now() == BIT(SIGUSR1));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK("sigwait takes it", sigtimedwait(&set, NULL, &soon) == SIGUSR1);
    CHECK("once", sigtimedwait(&set, NULL, &soon) == -1);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo si;
    raise(SIGUSR1);
    CHECK("signalfd takes it", read(fd, &si, sizeof(si)) == sizeof(si));
    close(fd);
    set_mask(0);
    CHECK("there is nothing to come", came == 2);
}
/* A filter that looks at the call
 * ------------------------------------------------------------------------------- */

static void filtered(void)
{
    struct sock_filter f[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigprocmask, 0, 3),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIG_UNBLOCK, 0, 1),
        RET(SECCOMP_RET_ERRNO | EDOM),
        RET(SECCOMP_RET_ALLOW),
    };
    unsigned long m = BIT(SIGUSR1);
    on(SIGUSR1, count, 0, 0);
    came = 0;
    set_mask(BIT(SIGUSR2));
    INSTALL(f, 0);
    CHECK("what was blocked before", mask_now() == BIT(SIGUSR2));
    CHECK("a filter lets it pass", mask(SIG_BLOCK, &m, NULL, 8) == 0);
    CHECK_ERRNO("a filter refuses it", mask(SIG_UNBLOCK, &m, NULL, 8), EDOM);
    raise(SIGUSR1);
    CHECK("it was not made", came == 0 && mask_now() == (BIT(SIGUSR1) | BIT(SIGUSR2)));
    set_mask(0);
    CHECK("it comes in all the same", came == 1);
}

static void on_sigsys(int signo, siginfo_t *info, void *ctx)
{
    (void)signo;
    ucontext_t *uc = ctx;
    came++;
    order[0] = info->si_syscall;
    order[1] = (greg_t)(uintptr_t)info->si_call_addr == uc->uc_mcontext.gregs[REG_RIP];
    order[2] = uc->uc_mcontext.gregs[REG_RAX] == SYS_rt_sigprocmask;
    uc->uc_mcontext.gregs[REG_RAX] = -ERANGE;
}

static void trapped(void)
{
    struct sock_filter f[] = {
        LOAD(nr),
        IF_CALL(SYS_rt_sigprocmask, SECCOMP_RET_TRAP),
        RET(SECCOMP_RET_ALLOW),
    };
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    unsigned long m = 0;
    sigaction(SIGSYS, &sa, NULL);
    came = 0;
    INSTALL(f, 0);
    CHECK_ERRNO("a filter traps it", mask(SIG_BLOCK, &m, NULL, 8), ERANGE);
    CHECK("with number, address and register",
          came == 1 && order[0] == SYS_rt_sigprocmask && order[1] && order[2]);
}

static void all(void)
{
    alarm(PATIENCE);
    arguments();
    registers();
    alternate_stack();
    delivery();
    in_handlers();
    told();
    threads_inherit();
    temporary();
    in_child(filtered);
    in_child(trapped);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1)
        return tell_mask();
    run_watched(all);
    return check_done();
}
