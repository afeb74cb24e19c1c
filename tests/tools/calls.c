/* calls NAME[,ARGUMENT]...: makes system calls as they are given and prints what each returned. Arguments are
 * numbers,
 * @TEXT for the address of a string, and # for that of 256 zero bytes. SIGSYS is caught and shown. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static const struct {
    const char *name;
    long nr;
} calls[] = {
#define CALL(name)                                                                                           \
    {                                                                                                        \
#name, SYS_##name                                                                                    \
    }
    CALL(arch_prctl),  CALL(brk),          CALL(chmod),   CALL(clock_gettime), CALL(clone),
    CALL(execve),      CALL(exit),         CALL(fork),    CALL(futex),         CALL(getcpu),
    CALL(getcwd),      CALL(getpid),       CALL(getppid), CALL(getuid),        CALL(kill),
    CALL(madvise),     CALL(mkdir),        CALL(mmap),    CALL(mprotect),      CALL(munmap),
    CALL(openat),      CALL(personality),  CALL(prctl),   CALL(read),          CALL(rseq),
    CALL(sched_yield), CALL(sendmsg),      CALL(setuid),  CALL(shmat),         CALL(sigaltstack),
    CALL(socket),      CALL(sysinfo),      CALL(time),    CALL(umask),         CALL(uname),
    CALL(vfork),       CALL(gettimeofday), CALL(close),   CALL(unlink),        CALL(keyctl),
    CALL(add_key),     CALL(request_key),  CALL(mremap),  CALL(shmdt),
};

static long number(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].nr;
    return strtol(name, NULL, 10);
}

static void on_sigsys(int sig, siginfo_t *si, void *context)
{
    const ucontext_t *uc = context;

    (void)sig;
    printf("SIGSYS code %d errno %d call %d arch %x number in rax: %s, address: %s\n", si->si_code,
           si->si_errno, si->si_syscall, si->si_arch,
           uc->uc_mcontext.gregs[REG_RAX] == si->si_syscall ? "yes" : "no",
           (greg_t)(uintptr_t)si->si_call_addr == uc->uc_mcontext.gregs[REG_RIP] ? "right" : "wrong");
}

static long raw(long nr, const uint64_t a[6])
{
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}

static void show(const char *name, long r)
{
    if (r < 0 && r > -4096)
        printf("%s: %s\n", name, strerrorname_np((int)-r));
    else
        printf("%s: %ld\n", name, r);
}

static void call(char *text)
{
    static char zeros[256];
    uint64_t a[6] = {0};
    char *save = NULL, *name = strtok_r(text, ",", &save);
    long nr = number(name);

    for (int i = 0; i < 6; i++) {
        const char *v = strtok_r(NULL, ",", &save);
        if (!v)
            break;
        memset(zeros, 0, sizeof(zeros));
        a[i] = *v == '@'   ? (uint64_t)(uintptr_t)(v + 1)
               : *v == '#' ? (uint64_t)(uintptr_t)zeros
                           : strtoull(v, NULL, 0);
    }
    long r = raw(nr, a);
    if ((nr == SYS_fork || nr == SYS_clone) && r == 0)
        _exit(0);
    if ((nr == SYS_fork || nr == SYS_clone) && r > 0)
        r = waitpid((pid_t)r, NULL, 0) == r ? 1 : 2; /* a child, or a number */
    if (nr == SYS_mmap || nr == SYS_brk)
        r = r > 0 ? 1 : r;
    show(name, r);
}

int main(int argc, char **argv)
{
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

    setvbuf(stdout, NULL, _IONBF, 0);
    sigaction(SIGSYS, &sa, NULL);
    for (int i = 1; i < argc; i++)
        call(argv[i]);
    return 0;
}
