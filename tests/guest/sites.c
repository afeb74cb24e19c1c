/* System call instructions that come back so often that a runtime may change them under the program: what
 * they do must stay what it was, for whoever is in the middle of them, too.
 *
 * With the argument "changed": whether all shapes were changed (status 0) is all that is asked. */
#include <asm/prctl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "tests/guest/filtered.h"

#define OFTEN 400

/* Both shapes that can be changed, each with what must survive it: the red zone, all other registers. */
long site_mov(void);             /* getpid */
long site_mov_gettid(void);      /* gettid */
long site_mov_getuid(void);      /* getuid */
long site_lea(long *address);    /* gettid, and what lea 0x1234(%rbx),%rsi is, rbx being 0x1000 */
long site_lea_ip(long *address); /* getuid, and the address of site_lea_ip_at in rdx */
long site_no_mov(void);          /* getuid: what looks like the mov is the end of another */
long site_cmp(long nr, long a, long b, long c, long d); /* any */
long site_open(const char *path);                       /* openat */
long site_times(int fd);                                /* utimensat */
long site_checked(void); /* getpid; -1 where anything but rax, rcx and r11 has changed */
extern const char site_mov_at[], site_cmp_at[], site_lea_at[], site_lea_ip_at[], site_no_mov_at[],
    site_open_at[], site_times_at[];

__asm__(
    ".text\n"
    "site_mov:\n"
    "site_mov_at: mov $39, %eax\n syscall\n ret\n"
    "site_mov_gettid: mov $186, %eax\n syscall\n ret\n"
    "site_mov_getuid: mov $102, %eax\n syscall\n ret\n"
    "site_lea:\n"
    " push %rbx\n mov $0x1000, %ebx\n"
    "site_lea_at: mov $186, %eax\n lea 0x1234(%rbx), %rsi\n syscall\n"
    " mov %rsi, (%rdi)\n pop %rbx\n ret\n"
    "site_lea_ip:\n"
    "site_lea_ip_at: mov $102, %eax\n lea site_lea_ip_at(%rip), %rdx\n syscall\n mov %rdx, (%rdi)\n ret\n"
    "site_no_mov:\n"
    " mov $102, %eax\n"
    "site_no_mov_at: .byte 0x48, 0x8d, 0xb8\n .long 0x1234\n syscall\n ret\n" /* lea 0x1234(%rax),%rdi */
    "site_open: mov %rdi, %rsi\n mov $-100, %edi\n xor %edx, %edx\n"
    "site_open_at: mov $257, %eax\n syscall\n ret\n"
    "site_times: xor %esi, %esi\n xor %edx, %edx\n xor %r10d, %r10d\n"
    "site_times_at: mov $280, %eax\n syscall\n ret\n"
    "site_cmp:\n"
    " mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %r10\n xor %ecx, %ecx\n"
    "site_cmp_at: syscall\n cmp $-4096, %rax\n ja 1f\n ret\n"
    "1: ret\n"
    "site_checked:\n"
    " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " movq $0x1111, -8(%rsp)\n movq $0x2222, -128(%rsp)\n"
    " mov $1, %ebx\n mov $2, %ebp\n mov $3, %r12d\n mov $4, %r13d\n mov $5, %r14d\n mov $6, %r15d\n"
    " mov $7, %edi\n mov $8, %esi\n mov $9, %edx\n mov $10, %r8d\n mov $11, %r9d\n mov $12, %r10d\n"
    " movq %rsp, %xmm7\n"
    " mov $39, %eax\n syscall\n"
    " cmpq $0x1111, -8(%rsp)\n jne 2f\n cmpq $0x2222, -128(%rsp)\n jne 2f\n"
    " movq %xmm7, %rcx\n cmp %rsp, %rcx\n jne 2f\n"
    " lea (%rbx,%rbp), %rcx\n add %r12, %rcx\n add %r13, %rcx\n add %r14, %rcx\n add %r15, %rcx\n"
    " add %rdi, %rcx\n add %rsi, %rcx\n add %rdx, %rcx\n add %r8, %rcx\n add %r9, %rcx\n add %r10, %rcx\n"
    " cmp $78, %rcx\n je 3f\n"
    "2: mov $-1, %rax\n"
    "3: pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static void test_ids(void)
{
    long pid = getpid();
    int wrong = 0;

    for (int i = 0; i < OFTEN; i++)
        wrong += site_mov() != pid || site_checked() != pid || site_cmp(SYS_getpid, 0, 0, 0, 0) != pid;
    CHECK("both shapes, often", wrong == 0);
    CHECK("other numbers by the same site",
          site_cmp(SYS_getppid, 0, 0, 0, 0) == getppid() && site_cmp(SYS_getuid, 0, 0, 0, 0) == getuid() &&
              site_cmp(SYS_close, -1, 0, 0, 0) == -EBADF && site_cmp(100000, 0, 0, 0, 0) == -ENOSYS);
    CHECK("and gettid", site_cmp(SYS_gettid, 0, 0, 0, 0) == site_mov_gettid());
}

static void test_lea(void)
{
    long pid = getpid(), uid = getuid();
    int wrong = 0;

    for (int i = 0; i < OFTEN; i++) {
        long a = 0, b = 0;
        wrong += site_lea(&a) != pid || a != 0x2234;
        wrong += site_lea_ip(&b) != uid || b != (long)site_lea_ip_at || site_no_mov() != uid;
    }
    CHECK("with an address made in between", wrong == 0);
}

static void in_forked(void)
{
    CHECK("a forked child's pid", site_mov() == site_cmp(SYS_getpid, 0, 0, 0, 0) && site_mov() != getppid());
    CHECK("and thread", site_mov_gettid() == site_mov());
}

static void test_children(void)
{
    CHECK("forked", in_child(in_forked) == 0);
    pid_t parent = getpid();
    volatile long seen = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        seen = site_mov();
        _exit(0);
    }
    CHECK("a vforked child's pid", waitpid(pid, NULL, 0) == pid && seen == pid && site_mov() == parent);
    pid = fork();
    if (pid == 0)
        _exit(site_mov() == getpid() && site_mov() != parent ? 0 : 1);
    int status = -1;
    CHECK("what fork returned is what it is told", waitpid(pid, &status, 0) == pid && status == 0);
}

static void become_other(void)
{
    for (int i = 0; i < OFTEN; i++)
        (void)site_mov_getuid();
    MUST(setgid(1234) == 0 && setuid(1234) == 0);
    CHECK("the new uid", site_mov_getuid() == 1234 && site_cmp(SYS_geteuid, 0, 0, 0, 0) == 1234 &&
                             site_cmp(SYS_getegid, 0, 0, 0, 0) == 1234);
}

/* Own segment bases
 * ------------------------------------------------------------------------------------------ */

static void with_own_gs(void)
{
    static uint64_t mine[8] = {77, 78};
    uint64_t read = 0;
    long pid = getpid();
    int wrong = 0;

    MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, mine) == 0);
    for (int i = 0; i < OFTEN; i++)
        wrong += site_mov() != pid || site_cmp(SYS_getpid, 0, 0, 0, 0) != pid;
    __asm__ volatile("mov %%gs:8, %0" : "=r"(read));
    CHECK("%gs is the program's", read == 78 && mine[0] == 77 && wrong == 0);
    MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
    CHECK("and none at all", site_mov() == pid);
}

/* Files
 * ------------------------------------------------------------------------------------------------------ */

static char path_a[] = "/tmp/sites-a", path_b[] = "/tmp/sites-b";

static int make_file(const char *path, char c)
{
    char text[4096];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    memset(text, c, sizeof(text));
    MUST(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
    return fd;
}

static char at(int fd, long off)
{
    char c = 0;
    long n = site_cmp(SYS_pread64, fd, (long)&c, 1, off);
    return n == 1 ? c : (char)(n < 0 ? '!' : '.');
}

static void warm(int fd)
{
    for (int i = 0; i < OFTEN; i++)
        (void)at(fd, i);
}

static void test_files(void)
{
    int a = make_file(path_a, 'a'), b = make_file(path_b, 'b');
    char c;

    warm(a);
    warm(b);
    CHECK("two files", at(a, 5) == 'a' && at(b, 5) == 'b' && at(a, 5000) == '.');
    CHECK("closed", close(b) == 0 && at(b, 0) == '!');
    int b2 = open(path_a, O_RDONLY);
    CHECK("the number again", b2 == b && at(b2, 0) == 'a');
    CHECK("not for writing", site_cmp(SYS_pwrite64, b2, (long)"x", 1, 0) == -EBADF && at(a, 0) == 'a');
    warm(b2);
    CHECK("after dup2",
          dup2(a, b2) == b2 && site_cmp(SYS_pwrite64, b2, (long)"x", 1, 0) == 1 && at(a, 0) == 'x');
    warm(b2);
    int p[2];
    CHECK("a pipe in its place", pipe(p) == 0 && dup2(p[0], b2) == b2 && write(p[1], "p", 1) == 1 &&
                                     site_cmp(SYS_read, b2, (long)&c, 1, 0) == 1 && c == 'p');
    CHECK("no seek there", at(b2, 0) == '!');
    close(p[0]);
    close(p[1]);
    close(b2);
    CHECK("a bad buffer", site_cmp(SYS_pread64, a, (long)bad_address, 1, 0) == -EFAULT);
    CHECK("a bad number", site_cmp(SYS_pread64, 5000, (long)&c, 1, 0) == -EBADF &&
                              site_cmp(SYS_pread64, -1, (long)&c, 1, 0) == -EBADF);
    MUST(lseek(a, 0, SEEK_SET) == 0);
    for (int i = 0; i < OFTEN; i++)
        (void)site_cmp(SYS_read, a, (long)&c, 1, 0);
    CHECK("a position of its own", lseek(a, 0, SEEK_CUR) == OFTEN);
    pid_t pid = fork();
    if (pid == 0)
        _exit(site_cmp(SYS_read, a, (long)&c, 1, 0) == 1 && close(a) == 0 && at(a, 0) == '!' ? 0 : 1);
    int status = -1;
    CHECK("shared with a child, closed in it alone", waitpid(pid, &status, 0) == pid && status == 0 &&
                                                         lseek(a, 0, SEEK_CUR) == OFTEN + 1 &&
                                                         at(a, 9) == 'a');
    pid = vfork();
    if (pid == 0) {
        close(a);
        _exit(at(a, 9) == '!' ? 0 : 1);
    }
    CHECK("closed in a vforked child", waitpid(pid, &status, 0) == pid && status == 0 && at(a, 9) == 'a');
    close(a);
}

/* Threads
 * ---------------------------------------------------------------------------------------------------- */

static atomic_int go, wrong_seen;
static int shared_fd;

static void *swap_reader(void *arg)
{
    (void)arg;
    while (go) {
        char c = at(shared_fd, 7);
        if (c != 'a' && c != 'b')
            wrong_seen++;
    }
    return NULL;
}

/* dup2 replaces atomically: nobody may see neither file. */
static void test_swap(void)
{
    int a = make_file(path_a, 'a'), b = make_file(path_b, 'b');
    pthread_t t;

    shared_fd = dup(a);
    go = 1;
    wrong_seen = 0;
    MUST(pthread_create(&t, NULL, swap_reader, NULL) == 0);
    for (int i = 0; i < 300; i++)
        MUST(dup2(i % 2 ? a : b, shared_fd) == shared_fd);
    go = 0;
    pthread_join(t, NULL);
    CHECK("replaced under a reader", wrong_seen == 0);
    close(a);
    close(b);
    close(shared_fd);
}

/* Code made at run time: fresh sites of both shapes, at every alignment. */
#define STUBS 64
typedef long stub_fn(void);

static unsigned char *stubs;

static stub_fn *make_stub(unsigned i, bool cmp)
{
    static const unsigned char mov_shape[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
    static const unsigned char cmp_shape[] = {0x31, 0xc0, 0xb0, 39,   0x90, 0x0f, 0x05,
                                              0x48, 0x3d, 0,    0xf0, 0xff, 0xff, 0xc3};
    unsigned char *p = stubs + i * 33UL;

    memcpy(p, cmp ? cmp_shape : mov_shape, cmp ? sizeof(cmp_shape) : sizeof(mov_shape));
    return (stub_fn *)(uintptr_t)p;
}

static void *stub_runner(void *arg)
{
    long pid = getpid();

    (void)arg;
    while (!go)
        sched_yield();
    for (unsigned i = 0; i < STUBS; i++)
        for (int k = 0; k < OFTEN / 2; k++)
            wrong_seen += ((stub_fn *)(uintptr_t)(stubs + i * 33UL))() != pid;
    return NULL;
}

static void fork_while(int n)
{
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            int bad = 0;
            for (unsigned k = 0; k < STUBS; k++)
                bad += ((stub_fn *)(uintptr_t)(stubs + k * 33UL))() != getpid();
            _exit(bad ? 1 : 0);
        }
        int status = -1;
        MUST(waitpid(pid, &status, 0) == pid);
        wrong_seen += status != 0;
    }
}

static void test_threads(bool cmp)
{
    pthread_t t[4];

    stubs = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(stubs != MAP_FAILED);
    for (unsigned i = 0; i < STUBS; i++)
        (void)make_stub(i, cmp);
    MUST(mprotect(stubs, 8192, PROT_READ | PROT_EXEC) == 0);
    go = wrong_seen = 0;
    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&t[i], NULL, stub_runner, NULL) == 0);
    go = 1;
    fork_while(20);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK("threads on sites while they change, and forks meanwhile", wrong_seen == 0);
    CHECK("the code can be written anew", mprotect(stubs, 8192, PROT_READ | PROT_WRITE) == 0 &&
                                              memset(stubs, 0xc3, 8192) && munmap(stubs, 8192) == 0);
}

static void *own_tid(void *arg)
{
    long first = syscall(SYS_gettid);

    (void)arg;
    for (int i = 0; i < OFTEN; i++)
        wrong_seen += site_mov_gettid() != first || site_mov() != getpid();
    return NULL;
}

static void test_tids(void)
{
    pthread_t t[8];

    wrong_seen = 0;
    for (int i = 0; i < 8; i++)
        MUST(pthread_create(&t[i], NULL, own_tid, NULL) == 0);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    CHECK("each thread its own id", wrong_seen == 0 && site_mov_gettid() == getpid());
}

/* Signals
 * ---------------------------------------------------------------------------------------------------- */

extern const char __executable_start[], etext[];
static volatile int ticks, stray;

static void on_tick(int signo, siginfo_t *si, void *uc)
{
    uintptr_t ip = (uintptr_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];

    (void)signo;
    (void)si;
    ticks++;
    /* Of this program, or of what the host maps for every one (high up). */
    if ((ip < (uintptr_t)__executable_start || ip >= (uintptr_t)etext) && ip < 0x700000000000)
        stray++;
    if (site_cmp(SYS_getpid, 0, 0, 0, 0) != getpid())
        stray++;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerval often = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
    int fd = make_file(path_a, 'a'), wrong = 0;
    long pid = getpid(), uid = getuid(), until = now_ms() + 1500, a, b;

    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    while ((now_ms() < until && ticks < 1000) || ticks <= 20)
        for (int i = 0; i < 100; i++)
            wrong += site_mov() != pid || site_cmp(SYS_getpid, 0, 0, 0, 0) != pid || site_checked() != pid ||
                     at(fd, i) != 'a' || site_lea(&a) != pid || a != 0x2234 || site_lea_ip(&b) != uid ||
                     b != (long)site_lea_ip_at;
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK("signals in the middle", ticks > 20 && wrong == 0);
    CHECK("their handlers see the program's own code", stray == 0);
    int p[2], got = 0;
    char c;
    MUST(pipe(p) == 0);
    sa.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGALRM, &sa, NULL) == 0);
    alarms_begin(20);
    got = (int)alarms_end(site_cmp(SYS_read, p[0], (long)&c, 1, 0));
    CHECK("a wait by such a site ends with EINTR", got == -EINTR);
    close(p[0]);
    close(p[1]);
    close(fd);
}

struct kernel_action {
    uint64_t handler, flags, restorer, mask;
};

static long action(int signo, const struct kernel_action *set, struct kernel_action *old)
{
    return site_cmp(SYS_rt_sigaction, signo, (long)set, (long)old, 8);
}

static void *set_action(void *arg)
{
    struct sigaction sa = {.sa_handler = SIG_IGN};

    (void)arg;
    MUST(sigaction(SIGUSR2, &sa, NULL) == 0);
    return NULL;
}

static void actions(void)
{
    struct kernel_action old, ignore = {.handler = 1}, dfl = {0};
    pthread_t t;
    int wrong = 0;

    for (int i = 0; i < OFTEN; i++) {
        memset(&old, 1, sizeof(old));
        wrong += action(SIGUSR1, NULL, &old) != 0 || old.handler || old.flags || old.mask;
    }
    CHECK("the default action, often asked for", wrong == 0);
    CHECK("set to the default", action(SIGUSR1, &dfl, &old) == 0 && old.handler == 0);
    CHECK("set to something", action(SIGUSR1, &ignore, &old) == 0 && old.handler == 0 &&
                                  action(SIGUSR1, NULL, &old) == 0 && old.handler == 1);
    MUST(kill(getpid(), SIGUSR1) == 0);
    CHECK("and back", action(SIGUSR1, &dfl, &old) == 0 && old.handler == 1 &&
                          action(SIGUSR1, NULL, &old) == 0 && old.handler == 0);
    CHECK("the last signal's", action(64, NULL, &old) == 0 && old.handler == 0 &&
                                   action(64, &ignore, &old) == 0 && old.handler == 0 &&
                                   action(64, NULL, &old) == 0 && old.handler == 1 &&
                                   action(64, &dfl, &old) == 0 && old.handler == 1 &&
                                   action(64, NULL, &old) == 0 && old.handler == 0);
    CHECK("set by another thread", pthread_create(&t, NULL, set_action, NULL) == 0 &&
                                       pthread_join(t, NULL) == 0 && action(SIGUSR2, NULL, &old) == 0 &&
                                       old.handler == 1);
    CHECK("bad addresses",
          action(SIGHUP, bad_address, &old) == -EFAULT && action(SIGHUP, NULL, bad_address) == -EFAULT);
    CHECK("bad signals", action(0, NULL, &old) == -EINVAL && action(65, NULL, &old) == -EINVAL &&
                             action(SIGKILL, &dfl, NULL) == -EINVAL && action(SIGKILL, NULL, &old) == 0);
    CHECK("a bad size", site_cmp(SYS_rt_sigaction, SIGHUP, 0, (long)&old, 4) == -EINVAL);
    pid_t pid = vfork();
    if (pid == 0) {
        (void)action(SIGHUP, &ignore, NULL);
        _exit(action(SIGHUP, NULL, &old) == 0 && old.handler == 1 ? 0 : 1);
    }
    int status = -1;
    CHECK("a vforked child's are its own", waitpid(pid, &status, 0) == pid && status == 0 &&
                                               action(SIGHUP, NULL, &old) == 0 && old.handler == 0);
}

/* Filters
 * ---------------------------------------------------------------------------------------------------- */

static void with_filter(void)
{
    const struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getpid, SECCOMP_RET_ERRNO | EDOM),
                                    IF_CALL(SYS_pread64, SECCOMP_RET_ERRNO | EDOM), RET(SECCOMP_RET_ALLOW)};
    int fd = make_file(path_a, 'a');
    char c;

    warm(fd);
    for (int i = 0; i < OFTEN; i++)
        (void)site_mov();
    INSTALL(f, 0);
    CHECK("a filter of the program's own is asked",
          site_mov() == -EDOM && site_cmp(SYS_pread64, fd, (long)&c, 1, 0) == -EDOM);
}

static char *text_at(const char *site, int offset)
{
    volatile uintptr_t p = (uintptr_t)site; /* of whose bounds the compiler knows nothing */
    return (char *)(p + (uintptr_t)offset);
}

/* By process_vm_readv and by mem, whole and in part, in the process and in its child. */
static void shown(pid_t pid)
{
    static const unsigned char mov[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3},
                               cmp[] = {0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff};
    unsigned char got[2][8] = {0}, part[4] = {0};
    char path[64];
    const struct iovec to[] = {{got[0], 3}, {got[0] + 3, 5}, {got[1], 8}},
                       from[] = {{text_at(site_mov_at, 0), 8},
                                 {text_at(site_cmp_at, 0), 6},
                                 {text_at(site_cmp_at, 6), 2}};
    CHECK("process_vm_readv", process_vm_readv(pid, to, 3, from, 3, 0) == 16);
    CHECK("shows both", memcmp(got[0], mov, 8) == 0 && memcmp(got[1], cmp, 8) == 0);
    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    int fd = open(path, O_RDONLY);
    CHECK("mem",
          fd >= 0 && pread(fd, got[0], 8, (off_t)(uintptr_t)site_mov_at) == 8 && memcmp(got[0], mov, 8) == 0);
    CHECK("a part", pread(fd, part, 3, (off_t)(uintptr_t)text_at(site_cmp_at, 3)) == 3 &&
                        memcmp(part, cmp + 3, 3) == 0);
    CHECK("with an address made in between, too",
          pread(fd, got[0], 8, (off_t)(uintptr_t)site_lea_at) == 8 &&
              memcmp(got[0], "\xb8\xba\0\0\0\x48\x8d\xb3", 8) == 0 &&
              pread(fd, got[0], 4, (off_t)(uintptr_t)text_at(site_lea_ip_at, 3)) == 4 &&
              memcmp(got[0], "\0\0\x48\x8d", 4) == 0);
    CHECK("another", pread(fd, part, 4, (off_t)(uintptr_t)text_at(site_mov_at, -2)) == 4 &&
                         memcmp(part + 2, mov, 2) == 0);
    close(fd);
}

static void test_shown(void)
{
    shown(getpid());
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    shown(pid); /* at once, before it may have run */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void test_text(void)
{
    unsigned char text[8] = {0};
    int fd = open("/proc/self/exe", O_RDONLY);
    long off = site_mov_at - __executable_start;

    CHECK("the file has its own bytes", fd >= 0 && pread(fd, text, 7, off) == 7 && text[0] == 0xb8 &&
                                            text[1] == 39 && text[5] == 0x0f && text[6] == 0x05);
    close(fd);
}

/* Two sites that take turns get hot by the same turn, and the next call is made while the last is hardly
 * over.
 */
static void take_turns(void)
{
    char c;

    MUST(close(make_file(path_a, 'a')) == 0);
    for (int i = 0; i < OFTEN; i++) {
        int fd = (int)site_open(path_a);
        MUST(fd >= 0 && pread(fd, &c, 1, 0) == 1 && pread(fd, &c, 1, 0) == 1 && pread(fd, &c, 1, 0) == 1);
        MUST(site_times(fd) == 0 && close(fd) == 0);
    }
    unlink(path_a);
}

static bool is_changed(const char *site, char first)
{
    return *(const volatile char *)site != first;
}

/* As posix_spawn does for every signal; tests/cli/debug.bats looks who is asked. */
static int ask_for_actions(void)
{
    struct sigaction old;
    int wrong = 0;
    for (int i = 0; i < 5000; i++)
        wrong += sigaction(SIGUSR2, NULL, &old) != 0 || old.sa_handler != SIG_DFL;
    return wrong;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "actions") == 0)
        return ask_for_actions();
    test_ids();
    test_lea();
    if (argc > 1 && strcmp(argv[1], "changed") == 0) {
        take_turns();
        return is_changed(site_mov_at, (char)0xb8) && is_changed(site_lea_at, (char)0xb8) &&
                       is_changed(site_lea_ip_at, (char)0xb8) && is_changed(site_cmp_at, 0x0f) &&
                       is_changed(site_open_at, (char)0xb8) && is_changed(site_times_at, (char)0xb8)
                   ? 0
                   : 1;
    }
    CHECK("what is no mov is left alone", site_no_mov_at[2] == (char)0xb8 && site_no_mov_at[3] == 0x34);
    test_children();
    CHECK("after setuid", in_child(become_other) == 0);
    CHECK("with another %gs", in_child(with_own_gs) == 0);
    test_files();
    test_swap();
    test_threads(false);
    test_threads(true);
    test_tids();
    test_signals();
    CHECK("actions", in_child(actions) == 0);
    CHECK("filtered", in_child(with_filter) == 0);
    test_text();
    test_shown();
    unlink(path_a);
    unlink(path_b);
    return check_done();
}
