/* Arguments for random system calls: plausible, at the edge, and hostile. Each thread has a generator of its
 * own, so that what it asks for follows from its seed. */
#ifndef BAILEY_TESTS_STORM_ARGS_H
#define BAILEY_TESTS_STORM_ARGS_H

#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/gate/abi.h"

#define ARENA 65536UL /* behind it: a page for reading only, then none */
#define FDS 48

static __thread uint64_t state;
static char *arena;
static char *wild; /* WILD bytes that are mapped, or not any more */
#define WILD (1L << 20)
static int fds[FDS];  /* of the process; each may have been closed, or be another by now */
static pid_t *others; /* of the round: shared with all its processes */
#define OTHERS 16

static inline uint64_t rnd(void)
{
    uint64_t x = state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static inline long below(long n)
{
    return (long)(rnd() % (uint64_t)n);
}

static inline int once_in(long n)
{
    return below(n) == 0;
}

#define ONE_OF(...) (((const long[]){__VA_ARGS__})[below(sizeof((long[]){__VA_ARGS__}) / sizeof(long))])

static const char *const paths[] = {
    ".",
    "..",
    "/",
    "a",
    "b",
    "c",
    "d",
    "d/a",
    "d/b",
    "d/../a",
    "e/e",
    "fifo",
    "sock",
    "loop",
    "",
    "/tmp",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/urandom",
    "/dev/ptmx",
    "/dev/tty",
    "/dev/shm/a",
    "/dev/shm",
    "/dev/pts",
    "/dev/pts/0",
    "/dev/pts/1",
    "/dev/fd/3",
    "/dev/mqueue/q",
    "/dev/mqueue",
    "/proc",
    "/proc/self",
    "/proc/self/fd",
    "/proc/self/fd/3",
    "/proc/self/fd/5",
    "/proc/self/fdinfo/4",
    "/proc/self/maps",
    "/proc/self/smaps",
    "/proc/self/mem",
    "/proc/self/exe",
    "/proc/self/cwd",
    "/proc/self/root/tmp",
    "/proc/self/status",
    "/proc/self/stat",
    "/proc/self/task",
    "/proc/self/environ",
    "/proc/self/cmdline",
    "/proc/self/comm",
    "/proc/self/oom_score_adj",
    "/proc/self/limits",
    "/proc/self/mountinfo",
    "/proc/self/mounts",
    "/proc/self/cgroup",
    "/proc/self/auxv",
    "/proc/self/pagemap",
    "/proc/self/ns/net",
    "/proc/self/ns",
    "/proc/self/attr/current",
    "/proc/self/uid_map",
    "/proc/self/syscall",
    "/proc/self/wchan",
    "/proc/thread-self/comm",
    "/proc/1/fd",
    "/proc/1/status",
    "/proc/1/maps",
    "/proc/2/fd/1",
    "/proc/3/exe",
    "/proc/5/fdinfo",
    "/proc/stat",
    "/proc/meminfo",
    "/proc/net",
    "/proc/net/tcp",
    "/proc/net/unix",
    "/proc/sys/kernel/hostname",
    "/proc/sys/fs/file-nr",
    "/proc/sys/kernel/random/uuid",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sysvipc/shm",
    "/proc/sysvipc/msg",
    "/proc/kmsg",
    "/proc/../tmp",
    "/sys",
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/memory.max",
    "/sys/devices/system/cpu/online",
    "/sys/class/net/lo/mtu",
    "/etc/passwd",
    "/etc/hosts",
    "/bin/busybox",
    "/bin/true",
    "/nothing/there",
};
#define PATHS (long)(sizeof(paths) / sizeof(paths[0]))

/* What is to be changed or removed is in the round's own directory, most of the time. */
static inline const char *any_path(void)
{
    if (once_in(60)) {
        char *at = arena + below(8192);
        memset(at, once_in(2) ? 'x' : '/', 5000);
        at[ONE_OF(1, 255, 256, 4094, 4095, 4096)] = 0;
        return at;
    }
    return once_in(2) ? paths[below(14)] : paths[below(PATHS)];
}

static inline int any_fd(void)
{
    if (once_in(24))
        return (int)ONE_OF(-1, AT_FDCWD, 1023, 1024, 1006, 1007, 1008, 1010, 4095, 1 << 20, 0x7fffffff);
    return once_in(5) ? (int)below(40) : fds[below(FDS)];
}

/* Never init: it is the judge. */
static inline long any_pid(void)
{
    long pid = once_in(2) ? (long)others[below(OTHERS)] : once_in(2) ? (long)getpid() : 2 + below(30);
    return pid == 1 ? 2 : pid;
}

static inline long any_signal(void)
{
    return once_in(40)
               ? ONE_OF(SIGKILL, SIGSTOP, SIGSEGV, 0, 65, -1, SIGTSTP)
               : ONE_OF(SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGCONT, SIGURG, SIGIO, SIGWINCH, 34, 35, 63);
}

static inline long any_size(void)
{
    return once_in(20)  ? ONE_OF(-1, INT32_MAX, 0x7ffff000, 1L << 40, INT64_MIN)
           : once_in(3) ? ONE_OF(0, 1, 7, 8, 16, 255, 256, 1023, 1024, 4095, 4096, 4097, 65536)
                        : below(512);
}

static inline long any_flags(void)
{
    return once_in(3)   ? 0
           : once_in(3) ? (long)rnd()
           : once_in(2) ? 1L << below(33)
                        : (1L << below(20) | 1L << below(20));
}

/* Bytes at a place of the arena: numbers, descriptors, pointers, times; whatever is read from there makes
 * some sense. */
static inline void fill(char *at, size_t n)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t v;
        switch (below(8)) {
        case 0:
            v = (uint64_t)(arena + below(ARENA));
            break;
        case 1:
            v = rnd();
            break;
        case 2:
            v = (uint64_t)(uint32_t)any_fd() | (uint64_t)any_fd() << 32;
            break;
        case 3:
            v = 1UL << below(64);
            break;
        case 4:
            v = (uint64_t)any_size();
            break;
        default:
            v = (uint64_t)below(4);
        }
        memcpy(at + i, &v, 8);
    }
}

static inline char *place(size_t n)
{
    return arena + (below((long)(ARENA - n)) & ~7L);
}

static inline char *any_pointer(size_t n)
{
    if (once_in(12))
        return (char *)ONE_OF(0, 1, -1, -4096, GATE_BASE, GATE_SHARED, GATE_LIMIT - 4096,
                              (long)0xffffffff81000000, 0x7ffffffff000, (long)arena + ARENA,
                              (long)arena + ARENA + 4096, (long)(arena + ARENA - n + 1),
                              (long)arena + ARENA - 1, 0x400000);
    char *at = place(n);
    if (once_in(3))
        fill(at, n);
    return at;
}

static inline struct iovec *iovecs(void)
{
    struct iovec *v = (struct iovec *)place(8 * sizeof(*v));
    for (int i = 0; i < 8; i++)
        v[i] = (struct iovec){any_pointer(512), (size_t)(once_in(10) ? any_size() : below(600))};
    return v;
}

static inline socklen_t address(void *at)
{
    struct sockaddr_un *un = at;
    struct sockaddr_in *in = at;
    switch (below(4)) {
    case 0:
        *un = (struct sockaddr_un){.sun_family = AF_UNIX};
        memcpy(un->sun_path, once_in(2) ? "sock" : "\0storm", 6);
        return (socklen_t)(once_in(4) ? below(112) : (long)offsetof(struct sockaddr_un, sun_path) + 6);
    case 1:
        fill(at, 32);
        un->sun_family = (sa_family_t)below(20);
        return (socklen_t)below(130);
    default:
        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)(7000 + below(4)))};
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(*in);
    }
}

static inline char *any_address(void)
{
    char *at = place(128);
    (void)address(at);
    return at;
}

static inline size_t control(char *at)
{
    struct cmsghdr *c = (struct cmsghdr *)at;
    int n = 1 + (int)below(4), *passed = (int *)CMSG_DATA(c);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = (int)(once_in(5) ? ONE_OF(2, 3, 29, 999) : SCM_RIGHTS);
    c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    for (int i = 0; i < n; i++)
        passed[i] = any_fd();
    if (once_in(12))
        c->cmsg_len = (size_t)any_size();
    return once_in(10) ? (size_t)any_size() : CMSG_SPACE((size_t)n * sizeof(int));
}

static inline char *messages(void)
{
    struct mmsghdr *m = (struct mmsghdr *)place(4 * sizeof(*m));
    for (int i = 0; i < 4; i++) {
        char *aux = place(256);
        m[i].msg_hdr =
            (struct msghdr){.msg_iov = iovecs(), .msg_iovlen = (size_t)(once_in(20) ? any_size() : below(5))};
        if (once_in(4)) {
            m[i].msg_hdr.msg_name = aux;
            m[i].msg_hdr.msg_namelen = address(aux);
        }
        if (once_in(2)) {
            m[i].msg_hdr.msg_control = aux + 128;
            m[i].msg_hdr.msg_controllen = control(aux + 128);
        }
    }
    return (char *)m;
}

static inline char *times(void)
{
    struct timespec *t = (struct timespec *)place(4 * sizeof(*t));
    for (int i = 0; i < 4; i++)
        t[i] = (struct timespec){once_in(20) ? any_size() : 0, once_in(20) ? any_size() : below(3000000)};
    return (char *)t;
}

static inline char *polled(void)
{
    struct pollfd *p = (struct pollfd *)place(8 * sizeof(*p));
    for (int i = 0; i < 8; i++)
        p[i] = (struct pollfd){.fd = any_fd(),
                               .events = (short)(once_in(4) ? (long)rnd() : ONE_OF(1, 4, 5, 0x2001))};
    return (char *)p;
}

static inline char *event(void)
{
    struct epoll_event *e = (struct epoll_event *)place(sizeof(*e));
    e->events = (uint32_t)(once_in(4) ? (long)rnd()
                                      : ONE_OF(1, 4, 5, 1 | EPOLLET, 1 | EPOLLONESHOT, EPOLLEXCLUSIVE | 1));
    e->data.u64 = rnd();
    return (char *)e;
}

static inline char *filter(void)
{
    struct sock_fprog *f = (struct sock_fprog *)place(sizeof(*f));
    struct sock_filter *code = (struct sock_filter *)place(8 * sizeof(*code));
    uint32_t nr = (uint32_t)below(450);
    long act = ONE_OF(SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_ERRNO | 5, SECCOMP_RET_TRACE,
                      SECCOMP_RET_TRAP, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_ERRNO);
    const struct sock_filter plain[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, (uint32_t)act),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    memcpy(code, plain, sizeof(plain));
    if (once_in(4))
        fill((char *)&code[below(4)], 8);
    *f = (struct sock_fprog){(unsigned short)(once_in(8) ? any_size() : 4), code};
    return (char *)f;
}

static inline char *blocks(void)
{
    uint64_t *list = (uint64_t *)place(4 * sizeof(*list));
    for (int i = 0; i < 4; i++) {
        struct iocb *b = (struct iocb *)place(sizeof(*b));
        *b = (struct iocb){.aio_lio_opcode = (uint16_t)below(10), .aio_fildes = (uint32_t)any_fd()};
        b->aio_buf = (uint64_t)(once_in(3) ? (char *)iovecs() : any_pointer(512));
        b->aio_nbytes = (uint64_t)(b->aio_lio_opcode == IOCB_CMD_POLL ? POLLIN : below(2000));
        b->aio_buf = b->aio_lio_opcode == IOCB_CMD_POLL ? (uint64_t)(POLLIN | POLLOUT) : b->aio_buf;
        if (once_in(4))
            b->aio_flags = IOCB_FLAG_RESFD, b->aio_resfd = (uint32_t)any_fd();
        list[i] = once_in(20) ? rnd() : (uint64_t)b;
    }
    return (char *)list;
}

static inline char *lock(void)
{
    struct flock *l = (struct flock *)place(sizeof(*l));
    *l = (struct flock){.l_type = (short)below(3), .l_start = below(64), .l_len = below(64)};
    if (once_in(10))
        fill((char *)l, sizeof(*l));
    return (char *)l;
}

static inline char *how(void)
{
    struct open_how *h = (struct open_how *)place(64);
    *h = (struct open_how){.flags = (uint64_t)ONE_OF(0, 1, 2, O_PATH, O_CREAT | 2),
                           .resolve = (uint64_t)below(64)};
    h->mode = h->flags & O_CREAT ? 0666 : 0;
    return (char *)h;
}

static inline char *set(void)
{
    uint64_t *s = (uint64_t *)place(16);
    s[0] = once_in(3) ? rnd() & rnd() : 1UL << below(64);
    s[1] = (uint64_t)s;
    return (char *)s;
}

/* One argument. The letters are those of syscalls.def, and more of them (storm_calls.h). */
static inline long argument(char kind)
{
    switch (kind) {
    case 'f':
        return any_fd();
    case 'a':
        return once_in(2) ? AT_FDCWD : any_fd();
    case 's':
        return once_in(30) ? (long)any_pointer(64) : (long)any_path();
    case 'p':
        return (long)any_pointer(256);
    case 'u':
        return any_size();
    case 'l':
        return once_in(12) ? any_size() : below(5000);
    case 'd':
        return once_in(8) ? any_size() : once_in(8) ? -below(5) : below(6);
    case 'o':
        return below(01000);
    case 'g':
        return any_signal();
    case 'i':
        return any_pid();
    case 'S':
        return (long)set();
    case 'v':
        return (long)iovecs();
    case 'A':
        return (long)any_address();
    case 'm':
        return (long)messages();
    case 't':
        return (long)times();
    case 'P':
        return (long)polled();
    case 'E':
        return (long)event();
    case 'B':
        return (long)filter();
    case 'k':
        return (long)blocks();
    case 'L':
        return (long)lock();
    case 'w':
        return (long)how();
    case '8':
        return 8;
    case 'n':
        return below(9);
    case '0':
        return 0;
    default:
        return any_flags();
    }
}

#endif
