/* What a program asks first, and gets without being asked about: the base of its thread's memory, where its
 * end is told, limits, random bytes. */
#include <asm/prctl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "tests/guest/filtered.h"

static const char *self = "/proc/self/exe";

static long raw_limit(int resource, const struct rlimit *new, struct rlimit *old)
{
    return syscall(SYS_prlimit64, 0, resource, new, old);
}

static int run_self(const char *what)
{
    int st = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, "given", what, NULL);
        _exit(99);
    }
    MUST(waitpid(pid, &st, 0) == pid);
    return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

/* Limits ---------------------------------------------------------------------------------------------------
 */

static bool stack_is(rlim_t cur)
{
    struct rlimit now;
    return raw_limit(RLIMIT_STACK, NULL, &now) == 0 && now.rlim_cur == cur;
}

static void limits(void)
{
    struct rlimit was, now, less;
    MUST(raw_limit(RLIMIT_STACK, NULL, &was) == 0);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (raw_limit(i, NULL, &now) != 0 || getrlimit(i, &less) != 0 || now.rlim_cur != less.rlim_cur ||
            now.rlim_max != less.rlim_max)
            CHECK("each limit by both calls", i < 0);
    less = was;
    less.rlim_cur = 1 << 20;
    CHECK("a limit is set", raw_limit(RLIMIT_STACK, &less, NULL) == 0 && stack_is(1 << 20));
    int st = -1;
    pid_t pid = fork();
    if (pid == 0) {
        bool same = stack_is(1 << 20);
        less.rlim_cur = 2 << 20;
        _exit(same && raw_limit(RLIMIT_STACK, &less, NULL) == 0 && stack_is(2 << 20) ? 0 : 1);
    }
    CHECK("a child's is its own", waitpid(pid, &st, 0) == pid && st == 0 && stack_is(1 << 20));
    CHECK("and a program begins with it", run_self("small-stack") == 0);
    pid = vfork();
    if (pid == 0) {
        less.rlim_cur = 3 << 20;
        _exit(raw_limit(RLIMIT_STACK, &less, NULL) == 0 && stack_is(3 << 20) ? 0 : 1);
    }
    CHECK("nor is one's on the same memory", waitpid(pid, &st, 0) == pid && st == 0 && stack_is(1 << 20));
    CHECK_ERRNO("no such limit", raw_limit(RLIM_NLIMITS, NULL, &now), EINVAL);
    CHECK_ERRNO("nor this", raw_limit(-1, NULL, &now), EINVAL);
    CHECK_ERRNO("a bad address", raw_limit(RLIMIT_STACK, NULL, bad_address), EFAULT);
    CHECK("nothing asked", raw_limit(RLIMIT_STACK, NULL, NULL) == 0);
    MUST(raw_limit(RLIMIT_STACK, &was, NULL) == 0);
}

/* Another process changes ours: seen from the next time on. */
static int limited_by_others(void)
{
    struct rlimit now;
    int up[2], down[2];
    char c;
    MUST(pipe(up) == 0 && pipe(down) == 0 && raw_limit(RLIMIT_CORE, NULL, &now) == 0);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        struct rlimit n = {12345, now.rlim_max};
        bool good = read(down[0], &c, 1) == 1 && syscall(SYS_prlimit64, parent, RLIMIT_CORE, &n, NULL) == 0;
        _exit(good && write(up[1], "x", 1) == 1 ? 0 : 1);
    }
    MUST(write(down[1], "x", 1) == 1 && read(up[0], &c, 1) == 1);
    bool seen = raw_limit(RLIMIT_CORE, NULL, &now) == 0 && now.rlim_cur == 12345;
    int st = -1;
    return waitpid(pid, &st, 0) == pid && st == 0 && seen ? 0 : 1;
}

/* Random bytes ---------------------------------------------------------------------------------------------
 */

static bool is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static long raw_random(void *buf, size_t n, unsigned flags)
{
    return syscall(SYS_getrandom, buf, n, flags);
}

static void random_bytes(void)
{
    static unsigned char got[200][16];
    unsigned char big[300] = {0};
    bool all = true, differ = true;
    for (int i = 0; i < 200; i++) {
        all &= raw_random(got[i], 16, i % 2 ? GRND_NONBLOCK : 0) == 16 && !is_zero(got[i], 16);
        for (int k = 0; k < i; k++)
            differ &= memcmp(got[i], got[k], 16) != 0;
    }
    CHECK("many draws", all);
    CHECK("no two alike", differ);
    for (size_t n = 0; n <= 300; n += n < 70 ? 1 : 115) {
        memset(big, 0, sizeof(big));
        if (raw_random(big, n, 0) != (long)n || (n < 299 && !is_zero(big + n, 300 - n)) ||
            (n >= 16 && is_zero(big + n - 8, 8)))
            CHECK("as many as are asked for", n > 1000);
    }
    CHECK("other sources", raw_random(big, 8, GRND_RANDOM) == 8 && raw_random(big, 8, 4) == 8);
    CHECK_ERRNO("no such flag", raw_random(big, 8, 64), EINVAL);
    CHECK_ERRNO("two sources", raw_random(big, 8, GRND_RANDOM | 4), EINVAL);
    CHECK_ERRNO("a bad address", raw_random(bad_address, 8, 0), EFAULT);
    CHECK("none", raw_random(NULL, 0, 0) == 0);
}

/* Parent and child have the same memory, and must not draw the same. */
static int forks_differ(void)
{
    unsigned char mine[8], theirs[8][8];
    int p[2], st;
    MUST(pipe(p) == 0);
    for (int i = 0; i < 8; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            bool good = raw_random(mine, 8, 0) == 8;
            _exit(good && write(p[1], mine, 8) == 8 ? 0 : 1);
        }
        MUST(waitpid(pid, &st, 0) == pid && st == 0 && read(p[0], theirs[i], 8) == 8);
        if (raw_random(mine, 8, 0) != 8)
            return 1;
        for (int k = 0; k <= i; k++)
            if (memcmp(theirs[k], mine, 8) == 0 || (k < i && memcmp(theirs[k], theirs[i], 8) == 0))
                return 2;
    }
    return 0;
}

#define DRAWS 2000
static uint64_t drawn[4][DRAWS];

static void *draw(void *arg)
{
    uint64_t *to = arg;
    for (int i = 0; i < DRAWS; i++)
        if (raw_random(&to[i], sizeof(to[i]), 0) != sizeof(to[i]))
            to[i] = 0;
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void threads_differ(void)
{
    pthread_t t[4];
    bool good = true;
    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&t[i], NULL, draw, drawn[i]) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    qsort(drawn, sizeof(drawn) / sizeof(drawn[0][0]), sizeof(drawn[0][0]), by_value);
    for (int i = 0; i < 4 * DRAWS; i++)
        good &= (&drawn[0][0])[i] != 0 && (i == 0 || (&drawn[0][0])[i] != (&drawn[0][0])[i - 1]);
    CHECK("threads that draw at once", good);
}

/* Where a thread's end is told -----------------------------------------------------------------------------
 */

static int word = 1;
static pid_t leader;

static long tid_address_of(void **p)
{
    return prctl(PR_GET_TID_ADDRESS, p, 0, 0, 0);
}

static void *see_leader_end(void *arg)
{
    (void)arg;
    struct timespec ts = {.tv_sec = 100};
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 1)
        if (syscall(SYS_futex, &word, FUTEX_WAIT, 1, &ts, NULL, 0) < 0 && errno == ETIMEDOUT)
            _exit(2);
    _exit(word == 0 ? 0 : 3);
}

/* The first thread ends before the others: its word is cleared, and who waits is woken. */
static int leader_ends(void)
{
    pthread_t t;
    void *at = NULL;
    leader = (pid_t)syscall(SYS_set_tid_address, &word);
    if (leader != getpid())
        return 10;
    if (tid_address_of(&at) == 0 && at != &word)
        return 11;
    MUST(pthread_create(&t, NULL, see_leader_end, NULL) == 0);
    syscall(SYS_exit, 0);
    return 12;
}

static void *leave(void *arg)
{
    pid_t tid = (pid_t)syscall(SYS_set_tid_address, arg);
    CHECK("another thread's own id", tid != getpid() && tid == (pid_t)syscall(SYS_gettid));
    syscall(SYS_exit, 0);
    return NULL;
}

static void thread_address(void)
{
    static int other = 1;
    pthread_t t;
    void *at;
    CHECK("its own id", syscall(SYS_set_tid_address, &word) == getpid());
    CHECK("and again", syscall(SYS_set_tid_address, NULL) == getpid());
    CHECK("told where, or not at all", tid_address_of(&at) != 0 || at == NULL);
    int st = -1;
    pid_t pid = vfork();
    if (pid == 0) {
        pid_t me = (pid_t)syscall(SYS_set_tid_address, &other);
        _exit(me == (pid_t)syscall(SYS_getpid) ? 0 : 1);
    }
    CHECK("told of the end of a child on the same memory",
          waitpid(pid, &st, 0) == pid && st == 0 && other == 0);
    other = 1;
    MUST(pthread_create(&t, NULL, leave, &other) == 0);
    for (int i = 0; i < 1000 && __atomic_load_n(&other, __ATOMIC_SEQ_CST); i++)
        nap_ms(10);
    CHECK("told of another thread's end", other == 0);
    pthread_detach(t);
}

/* The base of the thread's memory --------------------------------------------------------------------------
 */

static unsigned long fs_word(void)
{
    unsigned long v;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    return v;
}

static long set_base(unsigned long v)
{
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(SYS_arch_prctl), "D"((long)ARCH_SET_FS), "S"(v)
                     : "rcx", "r11", "memory");
    return r;
}

static void bases(void)
{
    unsigned long was, now,
        *fake = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(syscall(SYS_arch_prctl, ARCH_GET_FS, &was) == 0 && fake != MAP_FAILED);
    fake[0] = 0x1234567890;
    long r = set_base((unsigned long)fake);
    unsigned long seen = r == 0 ? fs_word() : 0;
    long back = set_base(was);
    CHECK("a base of its own, and back", r == 0 && back == 0 && seen == 0x1234567890);
    MUST(syscall(SYS_arch_prctl, ARCH_GET_FS, &now) == 0);
    CHECK("the old one", now == was && fs_word() == was);
    CHECK("above all memory", set_base(1UL << 47) == -EPERM && set_base(~0UL) == -EPERM && fs_word() == was);
    CHECK_ERRNO("no such code", syscall(SYS_arch_prctl, 0x1000, 0), EINVAL);
}

/* Who is to have a say -------------------------------------------------------------------------------------
 */

static void filtered(void)
{
    struct sock_filter f[] = {LOAD(nr),
                              IF_CALL(SYS_getrandom, SECCOMP_RET_ERRNO | EDOM),
                              IF_CALL(SYS_prlimit64, SECCOMP_RET_ERRNO | EXDEV),
                              IF_CALL(SYS_set_tid_address, SECCOMP_RET_ERRNO | ENODEV),
                              IF_CALL(SYS_arch_prctl, SECCOMP_RET_ERRNO | ENOTTY),
                              RET(SECCOMP_RET_ALLOW)};
    struct rlimit l;
    char c[8];
    CHECK("before", raw_random(c, 8, 0) == 8 && raw_limit(RLIMIT_STACK, NULL, &l) == 0);
    INSTALL(f, 0);
    CHECK_ERRNO("getrandom is judged", raw_random(c, 8, 0), EDOM);
    CHECK_ERRNO("prlimit64 is judged", raw_limit(RLIMIT_STACK, NULL, &l), EXDEV);
    CHECK_ERRNO("set_tid_address is judged", syscall(SYS_set_tid_address, &word), ENODEV);
    CHECK("arch_prctl is judged", set_base(0) == -ENOTTY);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "small-stack") == 0)
        return stack_is(1 << 20) ? 0 : 1;
    if (argc > 1 && strcmp(argv[1], "others") == 0)
        return limited_by_others();
    if (argc > 1 && strcmp(argv[1], "forks") == 0)
        return forks_differ();
    if (argc > 1 && strcmp(argv[1], "leader") == 0)
        return leader_ends();
    bases();
    limits();
    CHECK("limits set by another process", run_self("others") == 0);
    random_bytes();
    CHECK("a fork draws others", run_self("forks") == 0);
    threads_differ();
    CHECK("the first thread's end is told", run_self("leader") == 0);
    thread_address();
    in_child(filtered);
    filtered();
    return check_done();
}
