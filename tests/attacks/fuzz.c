/* The hostile guest: calls every number with hostile arguments, from its own code, by jumping at the gate's
 * system call instructions, with x32 numbers and by int 0x80. It is init: when it ends with 42, the sandbox
 * has lived through it all.
 *
 * Children do the calls. A shared page says how far they are; one that dies or blocks is replaced by another
 * that goes on behind the call that did it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS 1024
#define SETS 9
#define STUCK_MS 40  /* without another call: it will not come back */
#define BUSY_MS 2000 /* the same, where it may only wait for a CPU */
#define GATE_FROM 0x20000UL
#define GATE_TO 0x100000UL
#define SITES 64

struct progress {
    volatile int nr, set;
    volatile long calls;
};

static struct progress *progress;
static char *scratch;
static const unsigned char *sites[SITES];
static int nsites, returning;
static sigjmp_buf back;

long call_at(const long args[6], long nr, const void *site);
extern const char own_site[], int80_site[];

/* call_at: loads all six argument registers and calls the instruction at site; whatever comes after it, if it
 * ever returns, finds its way back. */
__asm__(".text\n"
        "call_at:\n"
        "  push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "  mov %rsp, saved_sp(%rip)\n"
        "  mov %rdi, %rbx\n mov %rsi, %rax\n mov %rdx, %r12\n"
        "  mov (%rbx), %rdi\n mov 8(%rbx), %rsi\n mov 16(%rbx), %rdx\n"
        "  mov 24(%rbx), %r10\n mov 32(%rbx), %r8\n mov 40(%rbx), %r9\n"
        "  call *%r12\n"
        "  mov saved_sp(%rip), %rsp\n"
        "  pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "  ret\n"
        "own_site:\n"
        "  syscall\n ret\n"
        "int80_site:\n"
        "  push %rbx\n push %rbp\n mov %edi, %ebx\n mov %esi, %ecx\n mov %r10d, %esi\n mov %r8d, %edi\n mov "
        "%r9d, %ebp\n"
        "  int $0x80\n"
        "  pop %rbp\n pop %rbx\n ret\n"
        ".data\n"
        "saved_sp: .quad 0\n"
        ".text\n");

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* One argument of the wilder kind. */
static long wild(uint64_t r)
{
    switch (r % 10) {
    case 0:
        return (long)(r >> 8 & 7);
    case 1:
        return -(long)(r >> 8 & 4095);
    case 2:
        return (long)(scratch + (r >> 8 & 4095));
    case 3:
        return (long)(scratch + 3 * 4096 -
                      (r >> 8 & 63)); /* the page ends in the middle of what it points at */
    case 4:
        return (long)(GATE_FROM + (r >> 8 & 0xdffff));
    case 5:
        return (long)0x7ffffffff000;
    case 6:
        return 1L << (r >> 8 & 63);
    case 7:
        return INT64_MIN;
    case 8:
        return 0x7fffffff;
    default:
        return (long)r;
    }
}

static void arguments(long a[6], int nr, int set)
{
    for (int i = 0; i < 6; i++) {
        uint64_t r = mix((uint64_t)nr << 16 | (uint64_t)set << 8 | (uint64_t)i);
        long fixed[] = {
            0, -1, (long)scratch, i, (long)0xffffffff81000000, (long)GATE_FROM, (long)0x8000000000000000};
        a[i] = set < 7 ? fixed[set] : wild(r);
    }
}

/* A call that made another process or thread of us: it goes at once. */
static void stay_alone(pid_t self)
{
    if ((pid_t)syscall(SYS_getpid) != self || (pid_t)syscall(SYS_gettid) != self)
        syscall(SYS_exit_group, 0);
}

static void calls(const void *site, long bias, int nr, int set)
{
    pid_t self = getpid();
    long a[6];
    memset(scratch, 0x5a, 3 * 4096);
    for (; nr < NUMBERS; nr++, set = 0) {
        for (; set < SETS; set++) {
            progress->nr = nr;
            progress->set = set;
            progress->calls++;
            arguments(a, nr, set);
            call_at(a, nr | bias, site);
            stay_alone(self);
        }
    }
    progress->nr = NUMBERS;
    _exit(0);
}

static int sleeps(pid_t pid)
{
    char path[40], line[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;
    if (f)
        fclose(f);
    const char *end = memrchr(line, ')', n);
    return !end || end[1] == 0 || end[2] != 'R';
}

/* A child that has not begun, or that runs (or would if it had a CPU), is given more time than one that
 * sleeps in a call: busy_ms. */
static int is_stuck(pid_t pid, int begun, long since, long busy_ms)
{
    long ms = now_ms() - since;
    return ms >= STUCK_MS && (ms >= (begun ? busy_ms : BUSY_MS) || (begun && sleeps(pid)));
}

/* Waits until pid ends, or is stuck. Then nothing but init is left. Returns whether it ended by itself. */
static int watch(pid_t pid, long before, long busy_ms)
{
    long seen = before, since = now_ms();
    int ended = 0;
    while (!ended && !is_stuck(pid, seen != before, since, busy_ms)) {
        if (progress->calls != seen) {
            seen = progress->calls;
            since = now_ms();
        }
        struct timespec ts = {.tv_nsec = 500000};
        nanosleep(&ts, NULL);
        ended = waitpid(pid, NULL, WNOHANG | __WALL) == pid;
    }
    kill(-1, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
    return ended;
}

static void phase(const char *name, const void *site, long bias)
{
    int nr = 0, set = 0, died = 0, stuck = 0;
    progress->calls = 0;
    while (nr < NUMBERS) {
        progress->nr = nr;
        progress->set = set;
        long before = progress->calls;
        pid_t pid = fork();
        if (pid == 0)
            calls(site, bias, nr, set);
        if (pid < 0) {
            printf("%s: fork: %s\n", name, strerror(errno));
            exit(1);
        }
        if (!watch(pid, before, BUSY_MS))
            stuck++;
        else if (progress->nr < NUMBERS)
            died++;
        nr = progress->nr;
        set = progress->set + 1;
        if (set >= SETS)
            nr++, set = 0;
    }
    printf("%s: %ld calls, %d children died, %d were stuck\n", name, progress->calls, died, stuck);
    fflush(stdout);
}

static void on_fault(int signo)
{
    siglongjmp(back, signo);
}

static int readable(const volatile unsigned char *p)
{
    if (sigsetjmp(back, 1))
        return 0;
    return (void)*p, 1;
}

/* Finds the gate's system call instructions; those with a ret behind them come first. */
static void find_sites(void)
{
    static const unsigned char *rest[SITES];
    int nrest = 0;
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    for (uintptr_t page = GATE_FROM; page < GATE_TO; page += 4096) {
        const unsigned char *p = (const unsigned char *)page;
        if (!readable(p))
            continue;
        for (int i = 0; i < 4094; i++) {
            if (p[i] != 0x0f || p[i + 1] != 0x05)
                continue;
            if (p[i + 2] == 0xc3 && nsites < SITES)
                sites[nsites++] = p + i;
            else if (nrest < SITES)
                rest[nrest++] = p + i;
        }
    }
    returning = nsites;
    for (int i = 0; i < nrest && nsites < SITES; i++)
        sites[nsites++] = rest[i];
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    printf("gate: %d system call instructions, %d of them before a ret\n", nsites, returning);
}

/* Into code that does not come back: one call a child, each number at one instruction or another. */
static void jump_once(void)
{
    static const int sets[] = {2, 3, 7};
    long a[6];
    int ended = 0;
    progress->calls = 0;
    for (int nr = 0; nr < NUMBERS; nr++) {
        for (int i = 0; i < 3; i++) {
            long before = progress->calls;
            pid_t pid = fork();
            if (pid == 0) {
                arguments(a, nr, sets[i]);
                progress->calls++;
                call_at(a, nr, sites[returning + (nr + i) % (nsites - returning)]);
                _exit(0);
            }
            ended += watch(pid, before, STUCK_MS);
        }
    }
    printf("gate: %ld single jumps, %d children ended\n", progress->calls, ended);
}

static void wait_for_watchers(void)
{
    while (access("/test/go", F_OK) != 0) {
        struct timespec ts = {.tv_nsec = 10000000};
        nanosleep(&ts, NULL);
    }
}

int main(int argc, char **argv)
{
    progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    scratch = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED || scratch == MAP_FAILED || munmap(scratch + 3 * 4096, 4096) != 0)
        return 1;
    wait_for_watchers();
    const char *which = argc > 1 ? argv[1] : "own";
    if (strcmp(which, "own") == 0)
        phase("own code", own_site, 0);
    if (strcmp(which, "x32") == 0)
        phase("x32", own_site, 0x40000000);
    if (strcmp(which, "int80") == 0)
        phase("int 0x80", int80_site, 0);
    if (strcmp(which, "gate") == 0) {
        find_sites();
        if (nsites == 0)
            return 3;
        if (returning > 0)
            phase("gate", sites[0], 0);
        if (returning < nsites)
            jump_once();
    }
    printf("survived\n");
    return 42;
}
