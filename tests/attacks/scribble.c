/* Destroys the gate from within: overwrites, unmaps and re-maps what it can of it, in children, then goes on
 * calling. Init stays whole and ends with 42. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FROM 0x20000UL
#define TO 0x100000UL

static sigjmp_buf back;

static void on_fault(int signo)
{
    siglongjmp(back, signo);
}

static void scribble(unsigned char with)
{
    for (volatile uintptr_t p = FROM; p < TO; p += 64)
        if (sigsetjmp(back, 1) == 0)
            *(volatile unsigned char *)p = with;
}

static void use(void)
{
    char buf[100];
    for (int i = 0; i < 200; i++) {
        syscall(SYS_getppid);
        kill(getpid(), SIGUSR1);
        if (fork() == 0)
            _exit(0);
        wait(NULL);
        (void)!readlink("/proc/self/exe", buf, sizeof(buf));
    }
}

static void *loud(void *arg)
{
    for (;;)
        syscall(SYS_getppid);
    return arg;
}

static void on_usr1(int signo)
{
    (void)signo;
}

static void one(int kind)
{
    pthread_t t;
    switch (kind) {
    case 0:
        scribble(0);
        break;
    case 1:
        scribble(0xff);
        break;
    case 2:
        munmap((void *)FROM, TO - FROM);
        break;
    case 3:
        mprotect((void *)FROM, TO - FROM, PROT_READ | PROT_WRITE | PROT_EXEC);
        scribble(0xc3);
        break;
    case 4:
        mmap((void *)FROM, TO - FROM, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        break;
    case 5:
        mremap((void *)FROM, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x70000000);
        break;
    case 6:
        madvise((void *)FROM, TO - FROM, MADV_DONTNEED);
        break;
    case 7:
        for (int i = 0; i < 30; i++)
            pthread_create(&t, NULL, loud, NULL);
        usleep(30000);
        raise(SIGKILL);
        break;
    case 8: /* everything goes, the code that runs too */
        munmap((void *)0x100000, 0x7ffffffff000 - 0x100000);
        break;
    case 9: /* all of the low addresses natively, in one call that also covers the gate */
        mprotect((void *)0x10000, 0x400000, PROT_NONE);
        break;
    }
    use();
    _exit(0);
}

int main(void)
{
    int st;
    for (int round = 0; round < 2; round++) {
        for (int kind = 0; kind < 10; kind++) {
            pid_t pid = fork();
            if (pid == 0) {
                signal(SIGSEGV, on_fault);
                signal(SIGBUS, on_fault);
                signal(SIGUSR1, on_usr1);
                one(kind);
            }
            for (int i = 0; i < 100; i++) {
                if (waitpid(pid, &st, WNOHANG) == pid) {
                    pid = 0;
                    break;
                }
                usleep(10000);
            }
            if (pid)
                st = -1;
            kill(-1, SIGKILL);
            while (waitpid(-1, NULL, 0) > 0)
                ;
            printf("%d: %s %d\n", kind,
                   pid               ? "stuck"
                   : WIFSIGNALED(st) ? "signal"
                                     : "status",
                   pid               ? 0
                   : WIFSIGNALED(st) ? WTERMSIG(st)
                                     : WEXITSTATUS(st));
            fflush(stdout);
        }
    }
    return 42;
}
