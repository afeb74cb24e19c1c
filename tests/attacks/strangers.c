/* Threads and processes of which a hostile gate has told the keep that they are not there (any more), though
 * they live: their first call is to be their last. Ends with 42 if it was. */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sandbox/gate/abi.h"
#include "tests/attacks/gate_call.h"

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define SLOT 9 /* nobody's */
#define STACK 65536

static struct shared {
    volatile int forgotten, survived, begun;
} * shared;

/* gate_passed's instruction, which goes back to where the thread's slot says. */
static uintptr_t passed;

static bool find_passed(void)
{
    static const unsigned char code[] = {0x0f, 0x05, 0x65, 0x48, 0x8b, 0x0c, 0x25, 0, 0, 0, 0, 0xff, 0xe1};
    const unsigned char *p = (const unsigned char *)TEXT, *end = (const unsigned char *)find_text_end();

    for (; p + sizeof(code) < end; p++)
        if (memcmp(p, code, sizeof(code)) == 0 && (uintptr_t)p + 2 != GATE_TRACED_IP)
            passed = (uintptr_t)p;
    return passed;
}

/* What comes back with 0 and has a start goes there, on whatever stack it has. */
static long pass(long nr, const long a[6], void (*start)(void))
{
    register long r10 __asm__("r10") = a[3];
    register long r8 __asm__("r8") = a[4];
    register long r9 __asm__("r9") = a[5];
    register void (*rbx)(void) __asm__("rbx") = start;
    long r = nr;

    __asm__ volatile("lea -128(%%rsp), %%rsp\n"
                     "lea 1f(%%rip), %%rcx\n"
                     "mov %%rcx, %%gs:0\n"
                     "jmp *%[at]\n"
                     "1: test %%rax, %%rax\n"
                     "jnz 2f\n"
                     "test %%rbx, %%rbx\n"
                     "jz 2f\n"
                     "call *%%rbx\n"
                     "ud2\n"
                     "2: lea 128(%%rsp), %%rsp"
                     : "+a"(r)
                     : [at] "r"(passed), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9), "r"(rbx)
                     : "rcx", "r11", "memory");
    return r;
}

static long plain_call(long nr)
{
    long r = nr;

    __asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
    return r;
}

static void call_once(void)
{
    while (!shared->forgotten)
        (void)plain_call(SYS_sched_yield);
    shared->begun = 1;
    (void)plain_call(SYS_getppid);
    shared->survived = 1;
}

static void clone_args(long a[6], unsigned long flags, uintptr_t stack, uintptr_t at)
{
    a[0] = (long)(GATE_CLONE_FLAGS(flags) | flags << 32);
    a[1] = (long)stack;
    a[2] = a[3] = a[4] = 0;
    a[5] = (long)(at | 7777UL << GATE_CLONE_NUMBER_SHIFT);
}

/* A child that, so the keep is told, the host has not made. */
static int abort_child(void)
{
    struct gate_clone c __attribute__((aligned(16))) = {0};
    long a[6];

    clone_args(a, SIGCHLD, 0, (uintptr_t)&c | GATE_CALLED_FORK);
    long r = pass(SYS_clone, a, NULL);
    if (r == 0) {
        call_once();
        (void)pass(SYS_exit, (long[6]){0}, NULL);
    }
    if (r < 0 || pass(GATE_CLONE_ABORT, (long[6]){(long)c.token}, NULL) != 0)
        return 3;
    shared->forgotten = 1;
    while (!shared->begun)
        sched_yield();
    for (int i = 0; i < 300 && !shared->survived; i++)
        usleep(1000);
    return 0;
}

static void run_thread(void)
{
    call_once();
    for (;;)
        (void)plain_call(SYS_sched_yield);
}

/* A thread that, so the keep is told, has ended. In a process of its own, which ends with it. */
static int leave_alive(void)
{
    char *area = aligned_alloc(GATE_AREA_SIZE, GATE_AREA_SIZE), *stack = malloc(STACK);
    struct gate_clone *c = (struct gate_clone *)(area + GATE_CLONE_IN_AREA);
    long a[6];

    memset(area, 0, GATE_AREA_SIZE);
    clone_args(a, THREAD, ((uintptr_t)stack + STACK) & ~63UL,
               (uintptr_t)area | SLOT << GATE_CLONE_SLOT_SHIFT | GATE_CALLED_THREAD);
    if (pass(SYS_clone, a, run_thread) < 0)
        return 4;
    if (c->quiet != GATE_LEAVES)
        return 5;
    c->left = 1;
    (void)plain_call(SYS_getppid);
    shared->forgotten = 1;
    while (!shared->survived)
        (void)plain_call(SYS_sched_yield);
    return 6;
}

static int leave_alive_in_child(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(leave_alive());
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 7;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : WEXITSTATUS(status);
}

int main(void)
{
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !find_passed())
        return 2;
    int r = abort_child();
    if (r || shared->survived) {
        printf("a child that was not made: %d, %s\n", r, shared->survived ? "alive" : "dead");
        return 1;
    }
    *shared = (struct shared){0};
    r = leave_alive_in_child();
    if (r || shared->survived) {
        printf("a thread that has left: %d, %s\n", r, shared->survived ? "alive" : "dead");
        return 1;
    }
    return 42;
}
