/* objects: sandbox/keep/trace/strace.o sandbox/keep/trace/strace_flags.o common/log.o common/err.o */
/* How --strace shows calls. The "guest" here is the test itself. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/trace/strace.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

const struct syscall_desc syscall_table[SYSCALL_MAX] = {
    [SYS_getpid] = {.name = "getpid", .args = ""},    [SYS_openat] = {.name = "openat", .args = "asxo"},
    [SYS_write] = {.name = "write", .args = "fpu"},   [SYS_mmap] = {.name = "mmap", .args = "pxxxfx"},
    [SYS_kill] = {.name = "kill", .args = "dg"},      [SYS_connect] = {.name = "connect", .args = "fpu"},
    [SYS_execve] = {.name = "execve", .args = "spp"}, [SYS_mkdir] = {.name = "mkdir", .args = "so"},
};

static uint64_t at(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* Addresses below 64 KiB are wild. */
int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t n)
{
    (void)t;
    if (src < 65536)
        return -EFAULT;
    memcpy(dst, (const void *)(uintptr_t)src, n);
    return 0;
}

long strncpy_from_user(struct task *t, char *dst, uaddr_t src, size_t size)
{
    (void)t;
    if (src < 65536)
        return -EFAULT;
    size_t n = strnlen((const char *)(uintptr_t)src, size);
    memcpy(dst, (const char *)(uintptr_t)src, n);
    if (n == size)
        return -ENAMETOOLONG;
    dst[n] = '\0';
    return (long)n;
}

#define SHOWS(text, nr_, result, ...)                                                                        \
    do {                                                                                                     \
        struct task t = {.tid = 7};                                                                          \
        struct sysargs a = {.nr = (nr_), .arg = {__VA_ARGS__}};                                              \
        char buf[1024];                                                                                      \
        size_t n = strace_format(&t, &a, (result), buf, sizeof(buf));                                        \
        assert_string_equal(buf, "[pid     7] " text);                                                       \
        assert_int_equal(n, strlen(buf));                                                                    \
    } while (0)

/* By a gate. */
#define SHOWS_CLONE(text, result, ...)                                                                       \
    do {                                                                                                     \
        struct task t = {.tid = 7, .cloned = 12};                                                            \
        struct sysargs a = {.nr = SYS_clone, .ip = GATE_BASE, .arg = {__VA_ARGS__}};                         \
        char buf[1024];                                                                                      \
        (void)strace_format(&t, &a, (result), buf, sizeof(buf));                                             \
        assert_string_equal(buf, "[pid     7] " text);                                                       \
    } while (0)

static void plain(void **state)
{
    (void)state;
    SHOWS("getpid() = 7", SYS_getpid, 7, 0);
    SHOWS("kill(1, SIGTERM) = -1 EPERM (Operation not permitted)", SYS_kill, -EPERM, 1, 15);
    SHOWS("kill(-1, SIGRT_2) = 0", SYS_kill, 0, (uint64_t)-1, 34);
    SHOWS("syscall_0x1f3(0x1, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)", 499, -ENOSYS, 1);
}

static void strings(void **state)
{
    (void)state;
    SHOWS("openat(AT_FDCWD, \"/a\\nb\", O_RDONLY|O_CLOEXEC) = 3", SYS_openat, 3, (uint64_t)AT_FDCWD,
          at("/a\nb"), O_CLOEXEC, 0666);
    SHOWS("openat(5, \"x\", O_WRONLY|O_CREAT, 0644) = 3", SYS_openat, 3, 5, at("x"), O_WRONLY | O_CREAT,
          0644);
    SHOWS("openat(5, 0x10, O_RDWR) = -1 EFAULT (Bad address)", SYS_openat, -EFAULT, 5, 16, O_RDWR);
    SHOWS("write(1, \"\\0\\1\\0012\\377\", 5) = 5", SYS_write, 5, 1,
          at("\0\1\1"
             "2\377"),
          5);
    SHOWS("write(1, \"0123456789abcdef0123456789abcdef\"..., 33) = 33", SYS_write, 33, 1,
          at("0123456789abcdef0123456789abcdefX"), 33);
    SHOWS("mkdir(NULL, 0755) = -1 EFAULT (Bad address)", SYS_mkdir, -EFAULT, 0, 0755);
}

static void flags(void **state)
{
    (void)state;
    SHOWS("mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7000", SYS_mmap,
          0x7000, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);
    SHOWS("mmap(NULL, 1, PROT_NONE, MAP_SHARED|0x80000000, 3, 0) = ? (host)", SYS_mmap, SYS_CONTINUE, 0, 1, 0,
          MAP_SHARED | 0x80000000u, 3, 0);
    SHOWS_CLONE("clone(SIGCHLD|CLONE_VM|CLONE_VFORK, 0, NULL, NULL) = 12", SYS_CONTINUE,
                0x4111L << 32 | 0xc100);
    SHOWS_CLONE("clone(SIGCHLD, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)", -EAGAIN,
                0x11L << 32 | 0x8000, 0x1000);
}

static void structs(void **state)
{
    (void)state;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(0x7f000001)}};
    SHOWS("connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0",
          SYS_connect, 0, 3, at(&in), sizeof(in));
    SHOWS("connect(3, 0x20, 16) = -1 EFAULT (Bad address)", SYS_connect, -EFAULT, 3, 32, 16);
    const char *const args[] = {"ls", "-l", NULL};
    SHOWS("execve(\"/bin/ls\", [\"ls\", \"-l\"], NULL) = 0", SYS_execve, 0, at("/bin/ls"), at(args), 0);
}

/* A wall of quotes is cut, not overrun. */
static void long_line(void **state)
{
    (void)state;
    struct task t = {.tid = 1};
    struct sysargs a = {.nr = SYS_mkdir, .arg = {at("\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"), 0}};
    char buf[40];
    size_t n = strace_format(&t, &a, 0, buf, sizeof(buf));
    assert_int_equal(n, sizeof(buf) - 1);
    assert_int_equal(strlen(buf), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),   cmocka_unit_test(strings),   cmocka_unit_test(flags),
        cmocka_unit_test(structs), cmocka_unit_test(long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
