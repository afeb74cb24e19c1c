/* Calls that are made where programs' loaders lie: what reads and maps a library, with all that may have
 * become of its descriptor meanwhile.
 *
 * Also run with: --lanes=off */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define PLACE ((void *)0x7e8000010000)
#define HEAD 832
#define SIZE 20000

/* nr, then up to six arguments; the last is on the stack. */
static const unsigned char code[] = {
    0x48, 0x89, 0xf8,             /* mov %rdi,%rax */
    0x48, 0x89, 0xf7,             /* mov %rsi,%rdi */
    0x48, 0x89, 0xd6,             /* mov %rdx,%rsi */
    0x48, 0x89, 0xca,             /* mov %rcx,%rdx */
    0x4d, 0x89, 0xc2,             /* mov %r8,%r10 */
    0x4d, 0x89, 0xc8,             /* mov %r9,%r8 */
    0x4c, 0x8b, 0x4c, 0x24, 0x08, /* mov 8(%rsp),%r9 */
    0x0f, 0x05, 0xc3,             /* syscall; ret */
};
static long (*loader)(long nr, ...);

#define CALL(nr, ...) result(loader(nr, __VA_ARGS__, 0L, 0L, 0L, 0L, 0L, 0L))

static long result(long r)
{
    if (r >= 0 || r < -4095)
        return r;
    errno = (int)-r;
    return -1;
}

static char buf[SIZE], want[SIZE];
static const char *name = "/tmp/loader-a", *other = "/tmp/loader-b";

static void make(const char *path, char first)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);

    MUST(fd >= 0);
    for (int i = 0; i < SIZE; i++)
        want[i] = (char)(first + i % 23);
    MUST(write(fd, want, SIZE) == SIZE && close(fd) == 0);
}

static int open_there(const char *path, int flags)
{
    return (int)CALL(SYS_openat, (long)AT_FDCWD, path, (long)flags, 0L);
}

static bool holds(long n, int at, char first)
{
    for (int i = 0; i < n; i++)
        if (buf[i] != (char)(first + (at + i) % 23))
            return false;
    return true;
}

static void test_reads(void)
{
    struct stat a, b;
    int fd = open_there(name, O_RDONLY | O_CLOEXEC);

    MUST(fd >= 0);
    CHECK("the head", CALL(SYS_read, (long)fd, buf, (long)HEAD) == HEAD && holds(HEAD, 0, 'a'));
    CHECK("what is behind it", CALL(SYS_read, (long)fd, buf, 960L) == 960 && holds(960, HEAD, 'a'));
    CHECK("the position", lseek(fd, 0, SEEK_CUR) == HEAD + 960);
    CHECK("at a place", CALL(SYS_pread64, (long)fd, buf, 784L, 64L) == 784 && holds(784, 64, 'a'));
    CHECK("at the end", CALL(SYS_pread64, (long)fd, buf, 784L, (long)SIZE) == 0);
    CHECK("part of it", CALL(SYS_pread64, (long)fd, buf, 784L, SIZE - 10L) == 10);
    CHECK("nothing at all", CALL(SYS_pread64, (long)fd, buf, 0L, 0L) == 0);
    CHECK_ERRNO("before the beginning", CALL(SYS_pread64, (long)fd, buf, 784L, -1L), EINVAL);
    CHECK_ERRNO("to nowhere", CALL(SYS_read, (long)fd, bad_address, (long)HEAD), EFAULT);
    CHECK("the position is the same", lseek(fd, 0, SEEK_CUR) == HEAD + 960);
    MUST(stat(name, &a) == 0);
    CHECK("fstat", CALL(SYS_fstat, (long)fd, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev &&
                       a.st_size == b.st_size && a.st_mode == b.st_mode && a.st_uid == b.st_uid);
    memset(&b, 0, sizeof(b));
    CHECK("newfstatat of itself", CALL(SYS_newfstatat, (long)fd, "", &b, (long)AT_EMPTY_PATH) == 0 &&
                                      a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    memset(&b, 0, sizeof(b));
    CHECK("newfstatat of a name",
          CALL(SYS_newfstatat, (long)fd, other, &b, (long)AT_EMPTY_PATH) == 0 && a.st_ino != b.st_ino);
    CHECK_ERRNO("fstat to nowhere", CALL(SYS_fstat, (long)fd, bad_address), EFAULT);
    CHECK_ERRNO("newfstatat to nowhere", CALL(SYS_newfstatat, (long)fd, "", bad_address, (long)AT_EMPTY_PATH),
                EFAULT);
    CHECK_ERRNO("newfstatat of no name", CALL(SYS_newfstatat, (long)fd, bad_address, &b, (long)AT_EMPTY_PATH),
                EFAULT);
    CHECK("close", CALL(SYS_close, (long)fd) == 0);
    CHECK_ERRNO("read when closed", CALL(SYS_read, (long)fd, buf, (long)HEAD), EBADF);
    CHECK_ERRNO("pread when closed", CALL(SYS_pread64, (long)fd, buf, (long)HEAD, 0L), EBADF);
    CHECK_ERRNO("fstat when closed", CALL(SYS_fstat, (long)fd, &b), EBADF);
    CHECK_ERRNO("fstat of no descriptor", CALL(SYS_fstat, -1L, &b), EBADF);
    CHECK_ERRNO("fstat of a high one", CALL(SYS_fstat, 100000L, &b), EBADF);
}

/* The number is other files', one after the other. */
static void test_numbers(void)
{
    int p[2], fd = open_there(name, O_RDONLY);

    CHECK("one file", CALL(SYS_read, (long)fd, buf, (long)HEAD) == HEAD && holds(HEAD, 0, 'a'));
    MUST(close(fd) == 0 && open_there(other, O_RDONLY) == fd);
    CHECK("another", CALL(SYS_read, (long)fd, buf, (long)HEAD) == HEAD && holds(HEAD, 0, 'A'));
    MUST(pipe(p) == 0 && write(p[1], "pipe", 4) == 4 && dup2(p[0], fd) == fd);
    CHECK("a pipe", CALL(SYS_read, (long)fd, buf, (long)HEAD) == 4 && memcmp(buf, "pipe", 4) == 0);
    CHECK_ERRNO("which has no places", CALL(SYS_pread64, (long)fd, buf, (long)HEAD, 0L), ESPIPE);
    MUST(close(fd) == 0 && close(p[0]) == 0 && close(p[1]) == 0);
    MUST(open_there("/tmp", O_RDONLY | O_DIRECTORY) == fd);
    CHECK_ERRNO("a directory", CALL(SYS_read, (long)fd, buf, (long)HEAD), EISDIR);
    MUST(close(fd) == 0 && open_there(name, O_PATH) == fd);
    CHECK_ERRNO("a path", CALL(SYS_read, (long)fd, buf, (long)HEAD), EBADF);
    MUST(close(fd) == 0 && open_there(name, O_WRONLY) == fd);
    CHECK_ERRNO("for writing", CALL(SYS_read, (long)fd, buf, (long)HEAD), EBADF);
    CHECK_ERRNO("nor mapped", CALL(SYS_mmap, 0L, 4096L, (long)PROT_READ, (long)MAP_PRIVATE, (long)fd, 0L),
                EACCES);
    MUST(close(fd) == 0);
}

static void test_maps(void)
{
    int fd = open_there(name, O_RDONLY);
    char *at = (char *)CALL(SYS_mmap, 0L, (long)SIZE, (long)PROT_READ, MAP_PRIVATE | 0x800L, (long)fd, 0L);

    MUST(at != MAP_FAILED);
    CHECK("mapped", at[0] == 'a' && at[5000] == (char)('a' + 5000 % 23));
    CHECK("a part over it", CALL(SYS_mmap, at, 4096L, (long)(PROT_READ | PROT_WRITE),
                                 (long)(MAP_PRIVATE | MAP_FIXED), (long)fd, 4096L) == (long)at &&
                                at[0] == (char)('a' + 4096 % 23));
    at[0] = '!';
    CHECK("of one's own",
          CALL(SYS_pread64, (long)fd, buf, 1L, 4096L) == 1 && buf[0] == (char)('a' + 4096 % 23));
    CHECK_ERRNO("not shared for writing",
                CALL(SYS_mmap, 0L, 4096L, (long)(PROT_READ | PROT_WRITE), (long)MAP_SHARED, (long)fd, 0L),
                EACCES);
    CHECK_ERRNO("no length", CALL(SYS_mmap, 0L, 0L, (long)PROT_READ, (long)MAP_PRIVATE, (long)fd, 0L),
                EINVAL);
    CHECK_ERRNO("an odd place", CALL(SYS_mmap, 0L, 4096L, (long)PROT_READ, (long)MAP_PRIVATE, (long)fd, 7L),
                EINVAL);
    MUST(munmap(at, SIZE) == 0 && close(fd) == 0);
    CHECK_ERRNO("closed", CALL(SYS_mmap, 0L, 4096L, (long)PROT_READ, (long)MAP_PRIVATE, (long)fd, 0L), EBADF);
    at = (char *)CALL(SYS_mmap, 0L, 4096L, (long)(PROT_READ | PROT_WRITE),
                      (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L);
    CHECK("no file", at != MAP_FAILED && at[0] == 0);
}

static void *replaces(void *arg)
{
    int fd = *(int *)arg, with = open(other, O_RDONLY);

    MUST(with >= 0 && dup2(with, fd) == fd && close(with) == 0);
    return NULL;
}

static void test_threads_and_children(void)
{
    pthread_t thread;
    int fd = open_there(name, O_RDONLY), status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(CALL(SYS_read, (long)fd, buf, (long)HEAD) == HEAD && holds(HEAD, 0, 'a') ? 0 : 1);
    CHECK("by a child", waitpid(pid, &status, 0) == pid && status == 0);
    CHECK("which moved the position", lseek(fd, 0, SEEK_CUR) == HEAD);
    MUST(pthread_create(&thread, NULL, replaces, &fd) == 0 && pthread_join(thread, NULL) == 0);
    CHECK("replaced by a thread", CALL(SYS_read, (long)fd, buf, (long)HEAD) == HEAD && holds(HEAD, 0, 'A'));
    struct stat st, now;
    MUST(stat(other, &st) == 0);
    CHECK("and asked", CALL(SYS_fstat, (long)fd, &now) == 0 && st.st_ino == now.st_ino);
    MUST(close(fd) == 0);
}

/* What a filter says of such calls counts. */
static void test_filter(void)
{
    static const int calls[] = {SYS_read, SYS_pread64, SYS_newfstatat, SYS_mmap};
    int fd = open_there(name, O_RDONLY);
    struct stat st;

    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct sock_filter f[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (100 + i)),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog p = {.len = sizeof(f) / sizeof(f[0]), .filter = f};
        MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
    }
    CHECK_ERRNO("a filter and read", CALL(SYS_read, (long)fd, buf, (long)HEAD), 100);
    CHECK_ERRNO("and pread", CALL(SYS_pread64, (long)fd, buf, (long)HEAD, 0L), 101);
    CHECK_ERRNO("and newfstatat", CALL(SYS_newfstatat, (long)fd, "", &st, (long)AT_EMPTY_PATH), 102);
    CHECK_ERRNO("and mmap", CALL(SYS_mmap, 0L, 4096L, (long)PROT_READ, (long)MAP_PRIVATE, (long)fd, 0L), 103);
}

int main(void)
{
    void *at =
        mmap(PLACE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    MUST(at == PLACE);
    memcpy(at, code, sizeof(code));
    MUST(mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0);
    memcpy(&loader, &at, sizeof(loader));
    make(other, 'A');
    make(name, 'a');
    test_reads();
    test_numbers();
    test_maps();
    test_threads_and_children();
    test_filter();
    unlink(name);
    unlink(other);
    return check_done();
}
