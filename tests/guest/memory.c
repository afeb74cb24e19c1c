/* Memory: mmap in its kinds, protection, moving, brk, advice, shared memory, files that change, limits of
 * addresses.
 *
 * Also run with: --lanes=off */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tests/guest/filtered.h"

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf back;

static void on_fault(int signo)
{
    siglongjmp(back, signo);
}

/* The signal that a write to p raises, or 0. */
static int poke(volatile char *p)
{
    int r = sigsetjmp(back, 1);
    if (r == 0)
        *p = 1;
    return r;
}

static int peek(volatile char *p)
{
    int r = sigsetjmp(back, 1);
    if (r == 0)
        (void)*p;
    return r;
}

static void test_map(void)
{
    char *p = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    MUST(p != MAP_FAILED);
    CHECK("zeroed", p[0] == 0 && p[4 * PAGE - 1] == 0);
    memset(p, 5, 4 * PAGE);
    CHECK("unmap the middle", munmap(p + PAGE, PAGE) == 0 && peek(p + PAGE) == SIGSEGV && p[2 * PAGE] == 5);
    CHECK("map it again, fixed",
          mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE && p[PAGE] == 0 && p[0] == 5);
    CHECK_ERRNO("nothing", (long)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
    CHECK_ERRNO("of nothing", (long)mmap(NULL, 0, RW, MAP_SHARED, -1, 0), EBADF);
    CHECK_ERRNO("not over what is there", (long)mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK("mprotect",
          mprotect(p, PAGE, PROT_READ) == 0 && poke(p) == SIGSEGV && p[0] == 5 && poke(p + PAGE) == 0);
    CHECK("PROT_NONE", mprotect(p, PAGE, PROT_NONE) == 0 && peek(p) == SIGSEGV);
    CHECK("and back", mprotect(p, PAGE, RW) == 0 && p[0] == 5);
    CHECK_ERRNO("a hole", (munmap(p + PAGE, PAGE), mprotect(p, 3 * PAGE, RW)), ENOMEM);
    CHECK_ERRNO("not aligned", mprotect(p + 1, PAGE, RW), EINVAL);
    CHECK_ERRNO("no length", (long)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
    CHECK_ERRNO("neither private nor shared", (long)mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO("too much", (long)mmap(NULL, 1UL << 50, RW, ANON, -1, 0), ENOMEM);
    CHECK_ERRNO("over the end of addresses",
                (long)mmap((void *)0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERRNO("unmap beyond", munmap((void *)0x7ffffffff000, 2 * PAGE), EINVAL);
    CHECK_ERRNO("no such descriptor", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
    CHECK("unmap of nothing", munmap((void *)0x10000000, PAGE) == 0);
    unsigned char *code = mmap(NULL, PAGE, RW, ANON, -1, 0);
    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6);
    CHECK("code that was data",
          mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0 && ((int (*)(void))(uintptr_t)code)() == 42);
    char *low = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
    CHECK("MAP_32BIT", low != MAP_FAILED && (uintptr_t)low < 1UL << 32);
    char *second = mmap((void *)0x108000, 0x100000, RW, ANON | MAP_FIXED, -1, 0); /* as valgrind does */
    CHECK("from the second MiB on",
          second == (void *)0x108000 && (second[0xfffff] = 1) && munmap(second, 0x100000) == 0);
    char *fixed = mmap((void *)0x40000000, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    CHECK("at an address of one's own", fixed == (char *)0x40000000 && poke(fixed) == 0);
    char *hint = mmap((void *)0x50000000, PAGE, RW, ANON, -1, 0);
    CHECK("at a hint", hint == (char *)0x50000000);
}

/* Down to a page of which nothing was mapped. */
static void test_growth(void)
{
    char *area = mmap(NULL, 1024 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *top;
    MUST(area != MAP_FAILED && munmap(area, 1024 * PAGE) == 0);
    top = mmap(area + 1000 * PAGE, PAGE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK("a mapping that grows", top == area + 1000 * PAGE);
    top[0] = 1;
    for (long i = 1; i <= 20; i++)
        *(volatile char *)(top - i * PAGE) = 1;
    CHECK("has grown", top[-20 * PAGE] == 1);
    munmap(top - 20 * PAGE, 21 * PAGE);
}

static void test_remap(void)
{
    char *p = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
    memset(p, 7, 2 * PAGE);
    munmap(p + 2 * PAGE, PAGE);
    CHECK("grow in place", mremap(p, 2 * PAGE, 3 * PAGE, 0) == p && p[PAGE] == 7 && p[2 * PAGE] == 0);
    CHECK_ERRNO("no room in place", (long)mremap(p, 3 * PAGE, 100 * PAGE, 0), ENOMEM);
    char *q = mremap(p, 3 * PAGE, 100 * PAGE, MREMAP_MAYMOVE);
    CHECK("move", q != MAP_FAILED && q[0] == 7 && q[99 * PAGE] == 0 && (q == p || peek(p) == SIGSEGV));
    char *place = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    CHECK("to a place",
          mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place && place[0] == 7);
    CHECK("shrink", mremap(place, 2 * PAGE, PAGE, 0) == place && peek(place + PAGE) == SIGSEGV);
    CHECK_ERRNO("not mapped", (long)mremap((void *)0x20000000, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERRNO("bad flags", (long)mremap(place, PAGE, PAGE, 16), EINVAL);
}

static void test_brk(void)
{
    char *start = sbrk(0);
    CHECK("grow", brk(start + 100 * PAGE) == 0 && sbrk(0) == start + 100 * PAGE);
    start[0] = 1;
    start[100 * PAGE - 1] = 2;
    CHECK("shrink", brk(start + PAGE) == 0 && sbrk(0) == start + PAGE && start[0] == 1);
    CHECK("zeroed when it grows again", brk(start + 100 * PAGE) == 0 && start[100 * PAGE - 1] == 0);
    CHECK("a wild one changes nothing", syscall(SYS_brk, (char *)1) == (long)(start + 100 * PAGE));
    pid_t pid = fork();
    if (pid == 0) {
        MUST(sbrk((intptr_t)PAGE) == start + 100 * PAGE);
        _exit(start[0]);
    }
    int st;
    waitpid(pid, &st, 0);
    CHECK("a child has its own", WEXITSTATUS(st) == 1 && sbrk(0) == start + 100 * PAGE);
}

/* Mappings go by how the device was opened, and so do reads and writes after one. */
static void test_zero_modes(void)
{
    char byte = 1;
    int in = open("/dev/zero", O_RDONLY), out = open("/dev/zero", O_WRONLY), none = open("/dev/zero", 3);
    CHECK("a private one of what is open for reading",
          mmap(NULL, PAGE, RW, MAP_PRIVATE, in, 0) != MAP_FAILED);
    CHECK_ERRNO("a shared one to write", mmap(NULL, PAGE, RW, MAP_SHARED, in, 0) == MAP_FAILED ? -1 : 0,
                EACCES);
    CHECK_ERRNO("a write to it", write(in, &byte, 1), EBADF);
    CHECK_ERRNO("one of what is open for writing",
                mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, out, 0) == MAP_FAILED ? -1 : 0, EACCES);
    CHECK_ERRNO("a read of it", read(out, &byte, 1), EBADF);
    CHECK_ERRNO("one of what is open for neither",
                mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, none, 0) == MAP_FAILED ? -1 : 0, EACCES);
    close(in);
    close(out);
    close(none);
}

static void test_files(void)
{
    int fd = open("/tmp/mapped", O_RDWR | O_CREAT | O_TRUNC, 0600), ro = open("/tmp/mapped", O_RDONLY);
    char buf[8] = "";
    MUST(fd >= 0 && ftruncate(fd, 2 * (off_t)PAGE) == 0);
    char *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0), *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    MUST(s != MAP_FAILED && p != MAP_FAILED);
    strcpy(s, "shared");
    CHECK("a shared mapping is the file",
          pread(fd, buf, 6, 0) == 6 && strcmp(buf, "shared") == 0 && strcmp(p, "shared") == 0);
    strcpy(p, "private");
    CHECK("a private one is not", strcmp(s, "shared") == 0);
    MUST(pwrite(fd, "later", 5, (off_t)PAGE) == 5);
    CHECK("a write is seen", memcmp(s + PAGE, "later", 5) == 0);
    CHECK("msync", msync(s, PAGE, MS_SYNC) == 0);
    CHECK_ERRNO("msync of nothing", msync((void *)0x20000000, PAGE, MS_SYNC), ENOMEM);
    CHECK("the second page by offset",
          memcmp(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)PAGE), "later", 5) == 0);
    CHECK_ERRNO("not an offset", (long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100), EINVAL);
    CHECK_ERRNO("no writing through what is read-only", (long)mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0),
                EACCES);
    char *r = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    CHECK_ERRNO("nor later", mprotect(r, PAGE, RW), EACCES);
    CHECK("but privately", mmap(NULL, PAGE, RW, MAP_PRIVATE, ro, 0) != MAP_FAILED);
    int wo = open("/tmp/mapped", O_WRONLY);
    CHECK_ERRNO("nor what is write-only", (long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0), EACCES);
    CHECK_ERRNO("whose kind is asked first", (long)mmap(NULL, PAGE, PROT_READ, 0, wo, 0), EINVAL);
    close(fd);
    strcpy(s, "after");
    CHECK("the mapping outlives the descriptor", pread(ro, buf, 5, 0) == 5 && memcmp(buf, "after", 5) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        strcpy(s, "child");
        strcpy(p, "child");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK("shared with a child", strcmp(s, "child") == 0 && strcmp(p, "private") == 0);
    MUST(truncate("/tmp/mapped", 10) == 0);
    CHECK("cut off under it", poke(s + PAGE) == SIGBUS);
    CHECK_ERRNO("a directory", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("/tmp", O_RDONLY), 0),
                ENODEV);
    CHECK_ERRNO("a pipe", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, (pipe((int *)buf), *(int *)buf), 0),
                ENODEV);
    char *zero = mmap(NULL, PAGE, RW, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
    CHECK("/dev/zero", zero != MAP_FAILED && zero[5] == 0 && poke(zero) == 0);
    test_zero_modes();
}

static int file_of(char c, int flags)
{
    static const char path[] = "/test/memory.fixed";
    char page[PAGE];
    memset(page, c, sizeof(page));
    (void)unlink(path);
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    MUST(fd >= 0 && write(fd, page, PAGE) == PAGE && write(fd, page, PAGE) == PAGE && close(fd) == 0);
    fd = open(path, flags);
    MUST(fd >= 0);
    return fd;
}

static char *fixed(char *at, int prot, int flags, int fd, off_t off)
{
    return mmap(at, PAGE, prot, MAP_FIXED | flags, fd, off);
}

static void *replaces(void *arg)
{
    const int *fd = arg;
    return (void *)(long)(dup2(fd[1], fd[0]) == fd[0]);
}

/* A denied call is to be denied, wherever it would have been answered. */
static void without_mmap(void)
{
    const struct sock_filter deny[] = {LOAD(nr), IF_CALL(SYS_mmap, SECCOMP_RET_ERRNO | EDOM),
                                       RET(SECCOMP_RET_ALLOW)};
    char *p = mmap(NULL, 2 * PAGE, RW, ANON, -1, 0);
    int fd = file_of('f', O_RDONLY);
    MUST(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED &&
         fixed(p, PROT_READ, MAP_PRIVATE, fd, 0) == p);
    INSTALL(deny, 0);
    errno = 0;
    bool denied = fixed(p + PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EDOM;
    _exit(denied && p[0] == 'f' && p[PAGE] == 0 ? 0 : 1);
}

static void maps_in_child(void)
{
    int fd = file_of('e', O_RDONLY);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    MUST(p != MAP_FAILED && fixed(p, PROT_READ, MAP_PRIVATE, fd, 0) == p);
    pid_t pid = fork();
    if (pid == 0) { /* its own number, another file */
        int own = file_of('g', O_RDONLY);
        _exit(dup2(own, fd) == fd && fixed(p, PROT_READ, MAP_PRIVATE, fd, 0) == p && p[0] == 'g' ? 0 : 1);
    }
    int status = -1;
    _exit(waitpid(pid, &status, 0) == pid && status == 0 &&
                  fixed(p + PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == p + PAGE && p[PAGE] == 'e'
              ? 0
              : 1);
}

/* As libraries are loaded: the whole file first, then parts over it. */
static void test_files_fixed(void)
{
    int fd = file_of('a', O_RDONLY), other;
    char *p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    MUST(p != MAP_FAILED);
    CHECK("over the first mapping", fixed(p + PAGE, RW, MAP_PRIVATE, fd, PAGE) == p + PAGE &&
                                        p[PAGE] == 'a' && poke(p + PAGE) == 0 && p[PAGE] == 1 &&
                                        poke(p) == SIGSEGV);
    CHECK("past the end", fixed(p + 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE) == p + 2 * PAGE &&
                              peek(p + 2 * PAGE) == SIGBUS);
    CHECK_ERRNO("shared, to write", (long)fixed(p, RW, MAP_SHARED, fd, 0), EACCES);
    CHECK_ERRNO("an offset within a page", (long)fixed(p, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
    CHECK_ERRNO("an address within a page", (long)fixed(p + 1, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
    CHECK_ERRNO("neither private nor shared", (long)fixed(p, PROT_READ, 0, fd, 0), EINVAL);
    CHECK_ERRNO("no such descriptor", (long)fixed(p, PROT_READ, MAP_PRIVATE, 900, 0), EBADF);
    CHECK_ERRNO("none at all", (long)fixed(p, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK("a failure leaves what was there", p[0] == 'a');
    CHECK("replaced", (other = file_of('b', O_RDWR)) >= 0 && dup2(other, fd) == fd &&
                          fixed(p, PROT_READ, MAP_PRIVATE, fd, 0) == p && p[0] == 'b');
    CHECK("shared", fixed(p, RW, MAP_SHARED, other, 0) == p && (p[0] = 'c') == 'c' &&
                        pread(other, p + PAGE, 1, 0) == 1 && p[PAGE] == 'c');
    CHECK("closed",
          close(fd) == 0 && fixed(p, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EBADF);
    int dir = open("/test", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO("a directory", (long)fixed(p, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV);
    int fds[2] = {other, file_of('d', O_RDONLY)};
    pthread_t t;
    void *done = NULL;
    MUST(pthread_create(&t, NULL, replaces, fds) == 0 && pthread_join(t, &done) == 0 && done);
    CHECK("replaced by another thread", fixed(p, PROT_READ, MAP_PRIVATE, other, 0) == p && p[0] == 'd');
    CHECK("a filter's say", in_child(without_mmap) == 0);
    CHECK("a forked child's", in_child(maps_in_child) == 0);
    close(dir);
    close(other);
    close(fds[1]);
    munmap(p, 4 * PAGE);
}

static void test_shared(void)
{
    int *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        *shared = 42;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK("anonymous, shared", *shared == 42);
    int fd = memfd_create("m", MFD_ALLOW_SEALING);
    CHECK("memfd", fd >= 0 && ftruncate(fd, (off_t)PAGE) == 0);
    char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    strcpy(p, "mem");
    char buf[4] = "";
    CHECK("is a file", pread(fd, buf, 3, 0) == 3 && strcmp(buf, "mem") == 0);
    CHECK_ERRNO("a seal against writing while mapped", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    munmap(p, PAGE);
    CHECK("sealed", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK) == 0 &&
                        fcntl(fd, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SHRINK));
    CHECK_ERRNO("no writing", pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERRNO("no shrinking", ftruncate(fd, 0), EPERM);
    fd = shm_open("/name", O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK("shm_open", fd >= 0 && ftruncate(fd, 100) == 0 && access("/dev/shm/name", F_OK) == 0 &&
                          shm_unlink("/name") == 0);
}

static void test_advice(void)
{
    char *p = mmap(NULL, 16 * PAGE, RW, ANON, -1, 0);
    unsigned char vec[16];
    memset(p, 1, 16 * PAGE);
    CHECK("MADV_DONTNEED", madvise(p, PAGE, MADV_DONTNEED) == 0 && p[0] == 0 && p[PAGE] == 1);
    CHECK("mincore", mincore(p, 16 * PAGE, vec) == 0 && (vec[5] & 1));
    CHECK("MADV_WILLNEED and others",
          madvise(p, PAGE, MADV_WILLNEED) == 0 && madvise(p, PAGE, MADV_SEQUENTIAL) == 0 &&
              madvise(p, PAGE, MADV_FREE) == 0 && madvise(p, PAGE, MADV_HUGEPAGE) <= 0);
    CHECK_ERRNO("no such advice", madvise(p, PAGE, 9999), EINVAL);
    madvise(p, PAGE, MADV_DONTFORK);
    pid_t pid = fork();
    if (pid == 0)
        _exit(peek(p) == SIGSEGV && p[PAGE] == 1 ? 0 : 1);
    int st;
    waitpid(pid, &st, 0);
    CHECK("MADV_DONTFORK", st == 0);
    CHECK("mlock of a little", mlock(p, PAGE) == 0 && munlock(p, PAGE) == 0);
    struct iovec local = {&st, sizeof(st)}, remote = {p + PAGE, sizeof(st)};
    ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    CHECK("process_vm_readv of oneself",
          (n == sizeof(st) && st == 0x01010101) || (n == -1 && errno == ENOSYS));
    static char big[64 << 20];
    memset(big, 1, sizeof(big));
    pid = fork();
    if (pid == 0) {
        memset(big, 2, sizeof(big));
        _exit(big[1 << 20]);
    }
    waitpid(pid, &st, 0);
    CHECK("copy on write of 64 MiB", WEXITSTATUS(st) == 2 && big[1 << 20] == 1);
}

/* The kernel's answers to pointers that lead nowhere. */
static void test_bad_pointers(void)
{
    char *p = mmap(NULL, 2 * PAGE, RW, ANON, -1, 0);
    munmap(p + PAGE, PAGE);
    int fds[2];
    MUST(pipe(fds) == 0);
    CHECK_ERRNO("stat", stat("/", bad_address), EFAULT);
    CHECK_ERRNO("open", open(bad_address, O_RDONLY), EFAULT);
    strcpy(p + PAGE - 4, "/tm");
    CHECK("a path that ends where memory ends", open(p + PAGE - 4, O_RDONLY) == -1 && errno == ENOENT);
    memcpy(p + PAGE - 4, "/tmp", 4);
    CHECK_ERRNO("one that does not end", open(p + PAGE - 4, O_RDONLY), EFAULT);
    memset(p, 'x', PAGE);
    CHECK("a write from memory's end", write(fds[1], p + PAGE - 10, 20) == 10 || errno == EFAULT);
    CHECK("write of kernel addresses",
          write(fds[1], (void *)0xffffffff81000000, 10) == -1 && errno == EFAULT);
    CHECK("read to them", read(fds[0], (void *)0xffffffff81000000, 5) == -1 && errno == EFAULT);
    CHECK_ERRNO("a non-canonical one", stat("/", (void *)0x8000000000000000), EFAULT);
}

int main(void)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    test_map();
    test_growth();
    test_remap();
    test_brk();
    test_files();
    test_files_fixed();
    test_shared();
    test_advice();
    test_bad_pointers();
    return check_done();
}
