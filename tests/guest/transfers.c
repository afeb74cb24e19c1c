/* Reads, writes, fstat and lseek that are made so often from one instruction that a runtime may make them by
 * another call: all that the program can see of them must stay what it was: results, positions, every
 * register. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "tests/guest/check.h"

#define OFTEN 200

struct regs {
    uint64_t ax, di, si, dx, r10, r8, r9; /* in that order for call_site */
};

/* Makes the call; all of r is what the registers hold behind it. */
void call_site(struct regs *r);
extern const char call_site_at[], call_site_end[];

__asm__(".text\n"
        "call_site:\n"
        " push %rbx\n mov %rdi, %rbx\n"
        " mov (%rbx), %rax\n mov 8(%rbx), %rdi\n mov 16(%rbx), %rsi\n mov 24(%rbx), %rdx\n"
        " mov 32(%rbx), %r10\n mov 40(%rbx), %r8\n mov 48(%rbx), %r9\n"
        "call_site_at: syscall\n cmp $-4096, %rax\n"
        "call_site_end:\n"
        " mov %rax, (%rbx)\n mov %rdi, 8(%rbx)\n mov %rsi, 16(%rbx)\n mov %rdx, 24(%rbx)\n"
        " mov %r10, 32(%rbx)\n mov %r8, 40(%rbx)\n mov %r9, 48(%rbx)\n"
        " pop %rbx\n ret\n");

static struct regs expected;
static int changed;

static bool same(const struct regs *a, const struct regs *b)
{
    return a->di == b->di && a->si == b->si && a->dx == b->dx && a->r10 == b->r10 && a->r8 == b->r8 &&
           a->r9 == b->r9;
}

#define JUNK 0x5a5a1234deadbeefUL /* where the call has no argument, and positions that are none */

static long call(long nr, int fd, const void *p, uint64_t n, uint64_t pos)
{
    struct regs r = {(uint64_t)nr, (uint64_t)(int64_t)fd, (uint64_t)(uintptr_t)p, n, pos, ~JUNK, JUNK};

    expected = r;
    call_site(&r);
    changed += !same(&r, &expected);
    return (long)r.ax;
}

static int make_file(int flags)
{
    char path[] = "/tmp/transfersXXXXXX";
    int fd = mkstemp(path);

    MUST(fd >= 0);
    int again = open(path, flags);
    MUST(again >= 0 && unlink(path) == 0 && dup2(again, fd) == fd && close(again) == 0);
    return fd;
}

/* Both the number and the instruction are to be ones that are used often. */
static void warm(int in, int out)
{
    char c = 'w';

    for (int i = 0; i < OFTEN; i++) {
        MUST(call(SYS_write, out, &c, 1, JUNK) == 1);
        if (in == out)
            MUST(lseek(in, -1, SEEK_CUR) >= 0);
        MUST(call(SYS_read, in, &c, 1, JUNK) == 1 && c == 'w');
    }
}

static void test_family(void)
{
    int fd = make_file(O_RDWR);
    char a[8] = "", b[8] = "";
    struct iovec two[2] = {{a, 3}, {b, 2}};

    warm(fd, fd);
    MUST(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK("write", call(SYS_write, fd, "abcdef", 6, JUNK) == 6 && lseek(fd, 0, SEEK_CUR) == 6);
    CHECK("pwrite64", call(SYS_pwrite64, fd, "XY", 2, 1) == 2 && lseek(fd, 0, SEEK_CUR) == 6);
    CHECK("pread64", call(SYS_pread64, fd, a, 8, 0) == 6 && memcmp(a, "aXYdef", 6) == 0);
    CHECK("at the end", call(SYS_read, fd, a, 8, JUNK) == 0 && call(SYS_pread64, fd, a, 8, 6) == 0 &&
                            call(SYS_pread64, fd, a, 8, 1UL << 40) == 0);
    CHECK("preadv",
          call(SYS_preadv, fd, two, 2, 1) == 5 && memcmp(a, "XYd", 3) == 0 && memcmp(b, "ef", 2) == 0);
    CHECK("pwritev", call(SYS_pwritev, fd, two, 2, 6) == 5 && lseek(fd, 0, SEEK_CUR) == 6);
    CHECK("readv",
          call(SYS_readv, fd, two, 2, JUNK) == 5 && memcmp(a, "XYd", 3) == 0 && lseek(fd, 0, SEEK_CUR) == 11);
    CHECK("writev", call(SYS_writev, fd, two, 2, JUNK) == 5 && lseek(fd, 0, SEEK_CUR) == 16 &&
                        call(SYS_pread64, fd, a, 8, 10) == 6 && memcmp(a, "fXYdef", 6) == 0);
    CHECK("read", lseek(fd, 2, SEEK_SET) == 2 && call(SYS_read, fd, a, 2, JUNK) == 2 &&
                      memcmp(a, "Yd", 2) == 0 && lseek(fd, 0, SEEK_CUR) == 4);
    CHECK("the numbers that the host's calls have",
          call(SYS_preadv2, fd, a, 1, 0) == -EOPNOTSUPP || call(SYS_preadv2, fd, a, 1, 0) == -EINVAL);
    close(fd);
}

static void test_edges(void)
{
    int fd = make_file(O_RDWR), p[2];
    struct iovec bad[2] = {{(void *)8, 4}, {NULL, 0}}, many[IOV_MAX + 1], negative = {many, SIZE_MAX};
    static char big[4000]; /* not below the end of what there may be */
    char c = 'c';

    MUST(pipe(p) == 0 && write(fd, big, 3000) == 3000);
    for (int i = 0; i <= IOV_MAX; i++)
        many[i] = (struct iovec){&c, 1};
    warm(fd, fd);
    warm(p[0], p[1]);
    CHECK("before the start", call(SYS_pread64, fd, &c, 1, ~0UL) == -EINVAL &&
                                  call(SYS_pwrite64, fd, &c, 1, ~0UL) == -EINVAL &&
                                  call(SYS_pread64, fd, &c, 1, ~1UL) == -EINVAL);
    CHECK("by pieces",
          call(SYS_preadv, fd, many, 1, ~0UL) == -EINVAL && call(SYS_pwritev, fd, many, 1, ~0UL) == -EINVAL);
    CHECK("nothing", call(SYS_read, fd, &c, 0, JUNK) == 0 && call(SYS_write, fd, &c, 0, JUNK) == 0 &&
                         call(SYS_readv, fd, many, 0, JUNK) == 0 &&
                         call(SYS_write, p[1], NULL, 0, JUNK) == 0);
    CHECK("too much", call(SYS_read, fd, &c, SIZE_MAX, JUNK) == -EINVAL ||
                          call(SYS_read, fd, &c, SIZE_MAX, JUNK) == -EFAULT);
    CHECK("too many pieces", call(SYS_readv, fd, many, IOV_MAX + 1, JUNK) == -EINVAL &&
                                 call(SYS_readv, fd, &negative, 1, JUNK) == -EINVAL);
    CHECK("bad addresses", call(SYS_pread64, fd, (void *)8, 1, 0) == -EFAULT &&
                               call(SYS_pwrite64, fd, (void *)8, 1, 0) == -EFAULT &&
                               call(SYS_preadv, fd, bad, 2, 0) == -EFAULT &&
                               call(SYS_preadv, fd, (void *)8, 1, 0) == -EFAULT &&
                               call(SYS_write, p[1], (void *)8, 1, 0) == -EFAULT);
    CHECK("more than there is room for in a call",
          call(SYS_pread64, fd, big, 0x7fffffff, 10) == 3000 + OFTEN - 10);
    CHECK("no position in a pipe", call(SYS_pread64, p[0], &c, 1, 0) == -ESPIPE &&
                                       call(SYS_preadv, p[0], many, 1, 0) == -ESPIPE &&
                                       call(SYS_pwritev, p[1], many, 1, 0) == -ESPIPE);
    CHECK("the wrong end",
          call(SYS_read, p[1], &c, 1, 0) == -EBADF && call(SYS_writev, p[0], many, 1, 0) == -EBADF);
    CHECK("pieces through a pipe",
          call(SYS_writev, p[1], many, 3, JUNK) == 3 && call(SYS_readv, p[0], many, 10, JUNK) == 3);
    close(fd);
    close(p[0]);
    close(p[1]);
}

static void test_append(void)
{
    int fd = make_file(O_RDWR | O_APPEND);
    char text[8] = "";

    for (int i = 0; i < OFTEN; i++)
        MUST(call(SYS_pwrite64, fd, "a", 1, 0) == 1);
    CHECK("pwrite64 appends, as Linux's does", lseek(fd, 0, SEEK_END) == OFTEN);
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    CHECK("and write", call(SYS_write, fd, "zz", 2, JUNK) == 2 && lseek(fd, 0, SEEK_CUR) == OFTEN + 2 &&
                           call(SYS_pread64, fd, text, 8, OFTEN - 1) == 3 && memcmp(text, "azz", 3) == 0);
    close(fd);
}

/* What is said of the descriptor, by each of the calls that say it: the same of all. */
static bool same_stat(int fd, struct stat *st)
{
    struct stat a, b, c;

    memset(&a, 1, sizeof(a));
    memset(&b, 2, sizeof(b));
    memset(&c, 3, sizeof(c));
    *st = a;
    if (call(SYS_fstat, fd, &a, JUNK, JUNK) != 0 ||
        call(SYS_newfstatat, fd, "", (uintptr_t)&b, AT_EMPTY_PATH) != 0)
        return false;
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *st = a;
    return stat(path, &c) == 0 && memcmp(&a, &b, sizeof(a)) == 0 && memcmp(&a, &c, sizeof(a)) == 0;
}

static void warm_stat(int fd)
{
    struct stat st;

    for (int i = 0; i < OFTEN; i++)
        MUST(call(SYS_fstat, fd, &st, JUNK, JUNK) == 0 && call(SYS_lseek, fd, NULL, SEEK_SET, JUNK) == 0);
}

static void test_stat(void)
{
    int fd = make_file(O_RDWR);
    struct stat st;

    MUST(write(fd, "12345", 5) == 5);
    warm_stat(fd);
    CHECK("fstat", same_stat(fd, &st) && st.st_size == 5 && S_ISREG(st.st_mode) && st.st_nlink == 0 &&
                       st.st_uid == geteuid());
    MUST(fchmod(fd, 0640) == 0 && fchown(fd, 12, 34) == 0 && ftruncate(fd, 77) == 0);
    CHECK("what was changed", same_stat(fd, &st) && st.st_size == 77 && (st.st_mode & 07777) == 0640 &&
                                  st.st_uid == 12 && st.st_gid == 34);
    CHECK("other paths than none", call(SYS_newfstatat, fd, "x", (uintptr_t)&st, AT_EMPTY_PATH) == -ENOTDIR &&
                                       call(SYS_newfstatat, fd, "", (uintptr_t)&st, 0) == -ENOENT &&
                                       call(SYS_newfstatat, fd, "/", (uintptr_t)&st, AT_EMPTY_PATH) == 0 &&
                                       S_ISDIR(st.st_mode));
    CHECK("bad addresses",
          call(SYS_fstat, fd, (void *)8, 0, 0) == -EFAULT &&
              call(SYS_newfstatat, fd, (void *)8, (uintptr_t)&st, AT_EMPTY_PATH) == -EFAULT &&
              call(SYS_newfstatat, fd, "", 8, AT_EMPTY_PATH) == -EFAULT);
    close(fd);
    CHECK_ERRNO("closed", fstat(fd, &st), EBADF);
    CHECK("by that instruction, too",
          call(SYS_fstat, fd, &st, 0, 0) == -EBADF &&
              call(SYS_newfstatat, fd, "", (uintptr_t)&st, AT_EMPTY_PATH) == -EBADF);
}

static long seek(int fd, long off, int whence)
{
    return call(SYS_lseek, fd, (const void *)off, (uint64_t)whence, JUNK);
}

static void test_seek(void)
{
    int fd = make_file(O_RDWR), status = -1;
    char c;

    MUST(ftruncate(fd, 10000) == 0 && pwrite(fd, "x", 1, 0) == 1);
    warm_stat(fd);
    CHECK("lseek",
          seek(fd, 100, SEEK_SET) == 100 && seek(fd, -10, SEEK_CUR) == 90 && seek(fd, 1, SEEK_END) == 10001);
    CHECK("holes",
          seek(fd, 0, SEEK_DATA) == 0 && seek(fd, 0, SEEK_HOLE) > 0 && seek(fd, 20000, SEEK_DATA) == -ENXIO);
    CHECK("not before the start",
          seek(fd, -1, SEEK_SET) == -EINVAL && seek(fd, 0, 9) == -EINVAL && seek(fd, 0, SEEK_CUR) >= 0);
    int again = dup(fd);
    CHECK("one position for both descriptors",
          seek(fd, 500, SEEK_SET) == 500 && seek(again, 0, SEEK_CUR) == 500 &&
              seek(again, 7, SEEK_CUR) == 507 && lseek(fd, 0, SEEK_CUR) == 507);
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        _exit(seek(fd, 3, SEEK_CUR) == 510 ? 0 : 1);
    CHECK("and for a child", waitpid(pid, &status, 0) == pid && status == 0 && seek(fd, 0, SEEK_CUR) == 510);
    CHECK("read from there", call(SYS_read, fd, &c, 1, JUNK) == 1 && seek(again, 0, SEEK_CUR) == 511);
    close(again);
    close(fd);
    CHECK("closed", seek(fd, 0, SEEK_CUR) == -EBADF);
}

/* The number is another file's, of another kind, and back. */
static void test_numbers(void)
{
    int p[2];
    struct stat st;
    char c;

    for (int round = 0; round < 3; round++) {
        int fd = make_file(O_RDWR);
        MUST(write(fd, "abc", 3) == 3);
        warm_stat(fd);
        CHECK("a file", same_stat(fd, &st) && st.st_size == 3);
        MUST(close(fd) == 0);
        CHECK("its number free", call(SYS_read, fd, &c, 1, 0) == -EBADF && seek(fd, 0, SEEK_CUR) == -EBADF);
        MUST(pipe(p) == 0 && p[0] == fd);
        CHECK("a pipe's", same_stat(p[0], &st) && S_ISFIFO(st.st_mode) &&
                              seek(p[0], 0, SEEK_CUR) == -ESPIPE && call(SYS_write, p[1], "p", 1, 0) == 1 &&
                              call(SYS_read, p[0], &c, 1, 0) == 1);
        warm(p[0], p[1]);
        CHECK("often", same_stat(p[0], &st) && S_ISFIFO(st.st_mode) && seek(p[0], 0, SEEK_CUR) == -ESPIPE);
        int other_file = make_file(O_RDWR);
        warm_stat(other_file);
        MUST(dup2(p[1], other_file) == other_file && dup2(other_file, p[0]) == p[0]);
        CHECK("by dup2",
              same_stat(p[0], &st) && S_ISFIFO(st.st_mode) && seek(other_file, 0, SEEK_CUR) == -ESPIPE);
        close(p[0]);
        MUST(open("/", O_RDONLY | O_DIRECTORY) == p[0]);
        CHECK("a directory's",
              same_stat(p[0], &st) && S_ISDIR(st.st_mode) && call(SYS_read, p[0], &c, 1, 0) == -EISDIR);
        close(p[0]);
        MUST(open("/", O_PATH) == p[0]);
        CHECK("a mere path's", same_stat(p[0], &st) && seek(p[0], 0, SEEK_CUR) == -EBADF);
        close(p[0]);
        close(p[1]);
        close(other_file);
    }
}

/* Opened, looked at, read to its end and closed, as many programs do with many files. */
static bool read_whole(const char *path, int flags, long size, int *number)
{
    char text[64];
    struct stat st;
    int fd = open(path, flags);

    *number = fd;
    bool good = fd >= 0 && call(SYS_fstat, fd, &st, 0, 0) == 0 && st.st_size == size && S_ISREG(st.st_mode);
    good = good && call(SYS_read, fd, text, sizeof(text), JUNK) == size && text[0] == path[5];
    good = good && call(SYS_read, fd, text, sizeof(text), JUNK) == 0 && seek(fd, 0, SEEK_CUR) == size;
    good = good && (call(SYS_write, fd, "w", 1, JUNK) == (flags & O_RDWR ? 1 : -EBADF));
    good = good && (flags & O_RDWR ? ftruncate(fd, size) == 0 : 1);
    good = good && fcntl(fd, F_GETFD) == (flags & O_CLOEXEC ? FD_CLOEXEC : 0);
    return close(fd) == 0 && good && call(SYS_read, fd, text, 1, JUNK) == -EBADF;
}

static void *close_it(void *arg)
{
    return close(*(int *)arg) == 0 ? arg : NULL;
}

static void test_fresh(void)
{
    int wrong = 0, first, fd, p[2], status = -1;
    char path[] = "/tmp/a-transfers", c = 0;
    pthread_t t;
    void *done = NULL;

    for (path[5] = 'a'; path[5] <= 'd'; path[5]++) {
        MUST((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0 && write(fd, path + 5, 5) == 5);
        close(fd);
    }
    path[5] = 'a';
    wrong += !read_whole(path, O_RDONLY, 5, &first);
    for (int i = 0; i < 2 * OFTEN; i++) {
        path[5] = (char)('a' + i % 4);
        wrong += !read_whole(path, i % 3 ? O_RDONLY : O_RDWR | O_CLOEXEC, 5, &fd) || fd != first;
    }
    CHECK("many files, each a few times", wrong == 0);
    for (int i = 0; i < OFTEN; i++) {
        path[5] = (char)('a' + i % 4);
        wrong += !read_whole(path, O_RDONLY, 5, &fd);
        MUST(pipe(p) == 0 && p[0] == first);
        wrong +=
            call(SYS_write, p[1], "p", 1, JUNK) != 1 || call(SYS_read, p[0], &c, 1, JUNK) != 1 || c != 'p';
        wrong += seek(p[0], 0, SEEK_CUR) != -ESPIPE;
        close(p[0]);
        close(p[1]);
    }
    CHECK("their number is a pipe's in between", wrong == 0);
    path[5] = 'b';
    fd = open(path, O_RDONLY);
    pid_t pid = fork();
    if (pid == 0)
        _exit(call(SYS_read, fd, &c, 1, JUNK) == 1 && c == 'b' && close(fd) == 0 &&
                      read_whole(path, O_RDONLY, 5, &fd) && fd == first
                  ? 0
                  : 1);
    CHECK("inherited", waitpid(pid, &status, 0) == pid && status == 0 && seek(fd, 0, SEEK_CUR) == 1 &&
                           call(SYS_read, fd, &c, 1, JUNK) == 1 && c == '-');
    MUST(pthread_create(&t, NULL, close_it, &fd) == 0 && pthread_join(t, &done) == 0);
    CHECK("closed by a thread", done && call(SYS_read, fd, &c, 1, JUNK) == -EBADF);
    for (path[5] = 'a'; path[5] <= 'd'; path[5]++) {
        wrong += !read_whole(path, O_RDONLY, 5, &fd);
        unlink(path);
    }
    CHECK("and again", wrong == 0);
}

/* From file to file all is moved by one call, however much that is. */
static void test_moved(void)
{
    int in = make_file(O_RDWR), out = make_file(O_RDWR);
    const long size = 5 << 20;
    off_t off = 10, to = 0;
    char c = 0;

    MUST(ftruncate(in, size) == 0 && pwrite(in, "x", 1, size - 1) == 1);
    CHECK("sendfile", sendfile(out, in, &off, INT32_MAX) == size - 10 && off == size);
    CHECK("its end", lseek(out, 0, SEEK_CUR) == size - 10 && pread(out, &c, 1, size - 11) == 1 && c == 'x');
    CHECK("by its own position", lseek(in, 1, SEEK_SET) == 1 && sendfile(out, in, NULL, 3 << 20) == 3 << 20 &&
                                     lseek(in, 0, SEEK_CUR) == (3 << 20) + 1);
    CHECK_ERRNO("beyond all positions", sendfile(out, in, &off, SIZE_MAX >> 1), EINVAL);
    CHECK("at the end", sendfile(out, in, &off, 10) == 0);
    MUST(ftruncate(out, 0) == 0);
    off = 0;
    CHECK("copy_file_range",
          copy_file_range(in, &off, out, &to, (size_t)size, 0) == size && off == size && to == size);
    CHECK("written", fsync(out) == 0 && fdatasync(out) == 0 && pread(out, &c, 1, size - 1) == 1 && c == 'x');
    close(in);
    close(out);
}

static volatile int go, wrong_file;

static void *stat_often(void *arg)
{
    int fd = *(int *)arg;
    struct stat st;

    while (go) {
        long r = call(SYS_fstat, fd, &st, 0, 0);
        wrong_file += r != 0 || (st.st_size != 1111 && st.st_size != 2222);
        r = seek(fd, 0, SEEK_END);
        wrong_file += r != 1111 && r != 2222;
    }
    return NULL;
}

/* dup2 replaces atomically, for threads that look meanwhile. */
static void test_threads(void)
{
    int a = make_file(O_RDWR), b = make_file(O_RDWR);
    pthread_t t;

    MUST(ftruncate(a, 1111) == 0 && ftruncate(b, 2222) == 0);
    int fd = dup(a);
    warm_stat(fd);
    warm_stat(b);
    go = 1;
    MUST(pthread_create(&t, NULL, stat_often, &fd) == 0);
    for (int i = 0; i < 300; i++)
        MUST(dup2(i % 2 ? a : b, fd) == fd);
    go = 0;
    pthread_join(t, NULL);
    CHECK("replaced under one who asks", wrong_file == 0);
    changed = 0; /* `expected` was shared */
    warm_stat(fd);
    close(fd);
    close(a);
    close(b);
}

static volatile sig_atomic_t ticks, in_site, wrong_there;
static volatile int *shared_ticks; /* with children */
static int other;

static void on_tick(int signo, siginfo_t *si, void *uc)
{
    const greg_t *g = ((ucontext_t *)uc)->uc_mcontext.gregs;
    struct regs saved = expected, r = {0,
                                       (uint64_t)g[REG_RDI],
                                       (uint64_t)g[REG_RSI],
                                       (uint64_t)g[REG_RDX],
                                       (uint64_t)g[REG_R10],
                                       (uint64_t)g[REG_R8],
                                       (uint64_t)g[REG_R9]};
    uintptr_t ip = (uintptr_t)g[REG_RIP];
    char c = 0;

    (void)signo;
    (void)si;
    ticks++;
    *shared_ticks = ticks;
    if (ip >= (uintptr_t)call_site_at && ip < (uintptr_t)call_site_end) {
        in_site++;
        wrong_there += !same(&r, &saved);
    }
    /* The same instruction, within its own signal. */
    wrong_there += call(SYS_pread64, other, &c, 1, 0) != 1 || c != 'o';
    expected = saved;
}

static void handle(int flags, int us, int every)
{
    struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | flags};
    struct itimerval it = {{0, every}, {0, us}};

    ticks = in_site = *shared_ticks = 0;
    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
}

static void test_signals(void)
{
    int fd = make_file(O_RDWR), wrong = 0;
    char text[100];
    long until = now_ms() + 1000;
    struct iovec v[2] = {{text, 50}, {text + 50, 50}};

    memset(text, 't', sizeof(text));
    MUST(write(fd, text, sizeof(text)) == sizeof(text));
    warm(fd, fd);
    handle(SA_RESTART, 300, 300);
    while (now_ms() < until && ticks < 800)
        for (int i = 0; i < 50; i++) {
            memset(text, 0, sizeof(text));
            wrong += call(SYS_pread64, fd, text, 100, 0) != 100 || text[0] != 't' || text[99] != 't';
            text[0] = 0;
            wrong += call(SYS_preadv, fd, v, 2, 0) != 100 || text[0] != 't';
        }
    handle(SA_RESTART, 0, 0);
    CHECK("signals between and within transfers", wrong == 0);
    close(fd);
}

static void test_messages(void)
{
    int s[2];
    char text[8] = "";
    struct iovec out = {(void *)(uintptr_t) "hello", 5}, in = {text, 8};
    struct msghdr m = {.msg_iov = &out, .msg_iovlen = 1}, w = {.msg_iov = &in, .msg_iovlen = 1};

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(call(SYS_sendmsg, s[0], &m, 0, JUNK) == 5 && call(SYS_recvmsg, s[1], &w, 0, JUNK) == 5);
    CHECK("messages", memcmp(text, "hello", 5) == 0);
    CHECK("none", call(SYS_recvmsg, s[1], &w, MSG_DONTWAIT, JUNK) == -EAGAIN);
    CHECK("not of that kind", call(SYS_recvmsg, s[1], &w, MSG_OOB | MSG_DONTWAIT, JUNK) < 0);
    CHECK("nowhere", call(SYS_sendmsg, s[0], bad_address, 0, JUNK) == -EFAULT &&
                         call(SYS_recvmsg, s[1], bad_address, MSG_DONTWAIT, JUNK) == -EFAULT);
    close(s[1]);
    CHECK("to nobody", call(SYS_sendmsg, s[0], &m, MSG_NOSIGNAL, JUNK) == -EPIPE &&
                           call(SYS_recvmsg, s[0], &w, 0, JUNK) == 0);
    close(s[0]);
}

static void test_interrupted(void)
{
    int p[2];
    char c = 0;

    MUST(pipe(p) == 0);
    warm(p[0], p[1]);
    handle(0, 20000, 20000);
    CHECK("a wait is interrupted", alarms_end(call(SYS_read, p[0], &c, 1, JUNK)) == -EINTR && ticks > 0);
    handle(SA_RESTART, 0, 0);
    pid_t parent = getpid();
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        await_sleep(parent);
        AWAIT(*shared_ticks);
        _exit(write(p[1], "later", 5) == 5 ? 0 : 1);
    }
    char text[8] = "";
    struct iovec v[2] = {{text, 2}, {text + 2, 3}};
    int status = -1;
    handle(SA_RESTART, 20000, 30000);
    CHECK("or made again, as it was",
          call(SYS_readv, p[0], v, 2, JUNK) == 5 && memcmp(text, "later", 5) == 0 && ticks > 0);
    handle(SA_RESTART, 0, 0);
    CHECK("a child wrote that", waitpid(pid, &status, 0) == pid && status == 0);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    shared_ticks = shared_zeroes(sizeof(*shared_ticks));
    other = make_file(O_RDWR);
    MUST(write(other, "o", 1) == 1);
    test_family();
    test_edges();
    test_append();
    test_stat();
    test_seek();
    test_numbers();
    test_fresh();
    test_moved();
    test_messages();
    CHECK("every register stays", changed == 0);
    test_threads();
    test_signals();
    test_interrupted();
    CHECK("every register stays", changed == 0);
    CHECK("in handlers, too", wrong_there == 0);
    return check_done();
}
