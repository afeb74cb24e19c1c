/* One thread is stopped, stepped and its program's text written to, while another makes calls from that very
 * text, at full speed: it goes on rightly, and the tracer sees what the program was made of. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/guest/traced.h"

#define SITES 24 /* of each shape */
#define SLOT 32
#define ROUNDS 200

/* mov $39,%eax; syscall; ret */
static const unsigned char by_mov[] = {0xb8, SYS_getpid, 0, 0, 0, 0x0f, 0x05, 0xc3};
/* mov %edi,%eax; syscall; cmp $-4095,%rax; ret */
static const unsigned char by_cmp[] = {0x89, 0xf8, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0xc3};

static unsigned char *text;

struct word {
    atomic_long rounds;
    atomic_int wrong, enough;
};
static struct word *word;

static unsigned char *slot(int i)
{
    return text + i * SLOT;
}

static void make_text(void)
{
    text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(text != MAP_FAILED);
    memset(text, 0x90, 4096);
    for (int i = 0; i < 2 * SITES; i++)
        memcpy(slot(i), i % 2 ? by_cmp : by_mov, i % 2 ? sizeof(by_cmp) : sizeof(by_mov));
    MUST(mprotect(text, 4096, PROT_READ | PROT_EXEC) == 0);
}

static void *calls(void *arg)
{
    const pid_t pid = getpid();

    for (; !word->enough; word->rounds++)
        for (int i = 0; i < 2 * SITES; i++) {
            long (*fn)(long nr) = (long (*)(long))(uintptr_t)slot(i);
            if (fn(SYS_getpid) != pid)
                word->wrong++;
        }
    return arg;
}

static void two_threads(void)
{
    pthread_t t;

    MUST(pthread_create(&t, NULL, calls, NULL) == 0);
    while (!word->enough)
        nap_ms(1);
    pthread_join(t, NULL);
}

static void begin(void)
{
    atomic_store(&word->rounds, 0);
    atomic_store(&word->wrong, 0);
    atomic_store(&word->enough, 0);
}

static void let_it_run(long rounds)
{
    long from = word->rounds;

    AWAIT(word->rounds >= from + rounds);
}

static bool step_to(pid_t pid, const unsigned char *to, struct user_regs_struct *r)
{
    ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
    int status = wait_for(pid);
    return stopped_by(status, SIGTRAP) && ptrace(PTRACE_GETREGS, pid, 0, r) == 0 && r->rip == (uintptr_t)to;
}

/* Through the site, up to its last instruction. */
static bool steps(pid_t pid, int i)
{
    const unsigned char *p = slot(i), *call = p + (i % 2 ? 2 : 5);
    struct user_regs_struct r, old;

    old = regs_of(pid);
    r = old;
    r.rip = (uintptr_t)p;
    r.rdi = SYS_getpid;
    r.rax = 0;
    r.orig_rax = (unsigned long)-1;
    ptrace(PTRACE_SETREGS, pid, 0, &r);
    bool good =
        step_to(pid, call, &r) && r.rax == SYS_getpid && step_to(pid, call + 2, &r) && (pid_t)r.rax == pid;
    if (i % 2)
        good = good && step_to(pid, call + 8, &r) && (pid_t)r.rax == pid;
    ptrace(PTRACE_SETREGS, pid, 0, &old);
    return good;
}

static bool is_original(pid_t pid, int i)
{
    unsigned char got[2 * sizeof(long)];

    for (size_t k = 0; k < 2; k++) {
        long v = ptrace(PTRACE_PEEKTEXT, pid, slot(i) + k * sizeof(v), 0);
        memcpy(got + k * sizeof(v), &v, sizeof(v));
    }
    return memcmp(got, i % 2 ? by_cmp : by_mov, i % 2 ? sizeof(by_cmp) : sizeof(by_mov)) == 0;
}

/* What is there is written there again, as by a debugger that takes a breakpoint away. */
static bool writes(pid_t pid, int i)
{
    bool good = true;

    for (size_t k = 0; k < 2; k++) {
        unsigned char *at = slot(i) + k * sizeof(long);
        long v = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
        good = good && ptrace(PTRACE_POKETEXT, pid, at, v) == 0;
    }
    return good;
}

static void tried(bool (*fn)(pid_t pid, int i), pid_t pid, const char *what)
{
    int good = 0;

    for (int i = 0; i < 2 * SITES; i++)
        good += fn(pid, i);
    CHECK(what, good == 2 * SITES);
}

/* A breakpoint in the way of the thread that is stopped, in text that the other's calls are made from. */
static bool breaks(pid_t pid, int i)
{
    const int off = i % 2 ? 2 : 5;
    struct user_regs_struct r, old;
    unsigned char *p = slot(i);
    long v = ptrace(PTRACE_PEEKTEXT, pid, p + off, 0);

    old = regs_of(pid);
    r = old;
    r.rip = (uintptr_t)p;
    r.rdi = SYS_getpid;
    r.orig_rax = (unsigned long)-1;
    ptrace(PTRACE_POKETEXT, pid, p + off, (v & ~0xffL) | 0xcc);
    ptrace(PTRACE_SETREGS, pid, 0, &r);
    ptrace(PTRACE_CONT, pid, 0, 0);
    int status = wait_for(pid);
    r = regs_of(pid);
    ptrace(PTRACE_POKETEXT, pid, p + off, v);
    ptrace(PTRACE_SETREGS, pid, 0, &old);
    return stopped_by(status, SIGTRAP) && r.rip == (uintptr_t)p + (unsigned)off + 1 && r.rax == SYS_getpid;
}

/* At work while fn is done to another thread, which is stopped again and again. */
static void at_work(bool (*fn)(pid_t pid, int i), const char *what)
{
    begin();
    pid_t pid = fork();
    if (pid == 0) {
        two_threads();
        _exit(23);
    }
    let_it_run(ROUNDS);
    CHECK("SEIZE", ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    CHECK("stops", is_event(wait_for(pid), PTRACE_EVENT_STOP));
    tried(is_original, pid, "the text is what it was made as");
    tried(fn, pid, what);
    tried(is_original, pid, "and still is");
    let_it_run(ROUNDS);
    CHECK("the other thread's calls were right", word->wrong == 0);
    CHECK("all the time", word->rounds > 2 * ROUNDS);
    word->enough = 1;
    ptrace(PTRACE_DETACH, pid, 0, 0);
    int status = wait_for(pid);
    CHECK("it ends", WIFEXITED(status) && WEXITSTATUS(status) == 23);
}

/* With one thread: another would meet the breakpoints. */
static void at_rest(void)
{
    begin();
    pid_t pid = fork();
    if (pid == 0) {
        calls(NULL);
        _exit(word->wrong ? 1 : 23);
    }
    let_it_run(ROUNDS);
    CHECK("ATTACH", ptrace(PTRACE_ATTACH, pid, 0, 0) == 0 && stopped_by(wait_for(pid), SIGSTOP));
    tried(breaks, pid, "breakpoints are met");
    tried(is_original, pid, "and taken away");
    ptrace(PTRACE_DETACH, pid, 0, 0);
    let_it_run(ROUNDS);
    word->enough = 1;
    int status = wait_for(pid);
    CHECK("it ends well", WIFEXITED(status) && WEXITSTATUS(status) == 23);
}

int main(void)
{
    word = shared_zeroes(4096);
    make_text();
    at_work(steps, "steps");
    at_work(writes, "writes");
    at_rest();
    return check_done();
}
