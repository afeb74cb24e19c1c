/* Short sleeps from a call site that is used often: as long as asked for at least, ended by handlers and by
 * nothing else, with every register as it was.
 *
 * Also run with: --lanes=off */
#include <sys/syscall.h>

#include "tests/guest/alarmed.h"

#define OFTEN 60

/* As runtimes make it, with the registers that it must leave alone. */
__attribute__((noinline)) static long sleep_at_site(const struct timespec *req, struct timespec *rem)
{
    uint64_t di = (uint64_t)req, si = (uint64_t)rem, dx = 11, r10 = 12, r8 = 13, r9 = 14;
    long r;

    __asm__ volatile("mov %[dx], %%rdx; mov %[r10], %%r10; mov %[r8], %%r8; mov %[r9], %%r9\n"
                     "mov $35, %%eax; syscall\n"
                     "sub %%rdx, %[dx]; sub %%r10, %[r10]; sub %%r8, %[r8]; sub %%r9, %[r9]"
                     : "=&a"(r), "+D"(di),
                       "+S"(si), [dx] "+&b"(dx), [r10] "+&r"(r10), [r8] "+&r"(r8), [r9] "+&r"(r9)
                     :
                     : "rcx", "rdx", "r10", "r8", "r9", "r11", "memory");
    if (di != (uint64_t)req || si != (uint64_t)rem || dx || r10 || r8 || r9)
        return -1;
    return r;
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static bool sleeps(long ns)
{
    const struct timespec req = {0, ns};
    int64_t begin = now_ns();

    return sleep_at_site(&req, NULL) == 0 && now_ns() - begin >= ns;
}

static void test_lengths(const char *label)
{
    bool good = true;

    for (int i = 0; i < OFTEN; i++)
        good &= sleeps(i % 4 * 20000L);
    CHECK(label, good);
}

static void test_errors(void)
{
    const struct timespec second = {1, 0}, wrong = {0, 1000000000}, less = {0, -1}, past = {-1, 0};
    struct timespec rem = {7, 7};
    int64_t begin = now_ns();

    CHECK("to nowhere", sleep_at_site(bad_address, NULL) == -EFAULT);
    CHECK("too many nanoseconds", sleep_at_site(&wrong, NULL) == -EINVAL);
    CHECK("less than none", sleep_at_site(&less, NULL) == -EINVAL && sleep_at_site(&past, NULL) == -EINVAL);
    CHECK("a second", sleep_at_site(&second, NULL) == 0 && now_ns() - begin >= 1000000000);
    CHECK("with room for a remainder",
          sleep_at_site(&(struct timespec){0, 1000}, &rem) == 0 && rem.tv_sec == 7);
}

/* A handler ends it, also one with SA_RESTART. */
static void test_handled(int flags, const char *label)
{
    const struct timespec long_one = {0, 900000000};
    long r;

    handle_alarms(5, flags);
    do
        r = sleep_at_site(&long_one, NULL);
    while (!*caught && r == 0);
    r = alarms_end(r);
    CHECK(label, *caught == SIGALRM && r == -EINTR);
}

/* What is ignored does not, nor what stops and goes on. */
static void test_unnoticed(void)
{
    pid_t parent = getpid(), pid;
    int status;
    bool good = true;

    signal(SIGUSR1, SIG_IGN);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 20; i++) {
            kill(parent, SIGUSR1);
            kill(parent, SIGCONT);
            nap_ms(1);
        }
        _exit(0);
    }
    for (int i = 0; i < 15; i++)
        good &= sleeps(3000000);
    CHECK("ignored signals", good);
    MUST(waitpid(pid, &status, 0) == pid);
}

int main(void)
{
    caught = mmap(NULL, sizeof(*caught), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(caught != MAP_FAILED);
    test_lengths("often");
    test_lengths("and then");
    test_errors();
    test_handled(0, "a handler");
    test_handled(SA_RESTART, "one with SA_RESTART");
    test_unnoticed();
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        test_lengths("by a child");
        _exit(check_done());
    }
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
    return check_done();
}
