/* The small benchmark: one line "name nanoseconds" for each thing that a program asks of a system, the median
 * of a few batches. Without arguments it does all of them, in the directory /test or the one named by
 * MICRO_DIR. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 5
#define PAGES 4096L
#define MUST(x)                                                                                              \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            perror(#x);                                                                                      \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static char self[4096], file[4096], deep[4096];
static int ends[2], sv[2], data_fd;

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void do_getppid(long n)
{
    while (n-- > 0)
        syscall(SYS_getppid);
}

static void do_getpid(long n)
{
    while (n-- > 0)
        syscall(SYS_getpid);
}

/* n pages of fresh memory are written to. The mapping itself is one call among many touches. */
static void do_touch(long n)
{
    char *p = mmap(NULL, (size_t)n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED);
    madvise(p, (size_t)n * 4096, MADV_NOHUGEPAGE);
    for (long i = 0; i < n; i++)
        p[i * 4096] = 1;
    munmap(p, (size_t)n * 4096);
}

static void do_cpu(long n)
{
    volatile uint64_t out;
    uint64_t x = 88172645463325252;
    for (long i = 0; i < n * 1000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    out = x;
    (void)out;
}

static void do_fork(long n)
{
    while (n-- > 0) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        MUST(pid > 0 && waitpid(pid, NULL, 0) == pid);
    }
}

static void do_exec(long n)
{
    while (n-- > 0) {
        pid_t pid = fork();
        if (pid == 0) {
            execl(self, "micro", "nothing", NULL);
            _exit(1);
        }
        int st;
        MUST(pid > 0 && waitpid(pid, &st, 0) == pid && st == 0);
    }
}

static void do_spawn(long n)
{
    char *argv[] = {"micro", "nothing", NULL}, *envp[] = {NULL};
    while (n-- > 0) {
        pid_t pid;
        MUST(posix_spawn(&pid, self, NULL, NULL, argv, envp) == 0 && waitpid(pid, NULL, 0) == pid);
    }
}

static void do_open(long n)
{
    while (n-- > 0)
        close(open(file, O_RDONLY));
}

static void do_stat(long n)
{
    struct stat st;
    while (n-- > 0)
        stat(deep, &st);
}

static void do_fstat(long n)
{
    struct stat st;
    while (n-- > 0)
        fstat(data_fd, &st);
}

static void do_pread(long n)
{
    static char buf[4096];
    while (n-- > 0)
        MUST(pread(data_fd, buf, sizeof(buf), 0) == sizeof(buf));
}

static void do_pwrite(long n)
{
    static char buf[4096];
    while (n-- > 0)
        MUST(pwrite(data_fd, buf, sizeof(buf), 0) == sizeof(buf));
}

static void do_map(long n)
{
    while (n-- > 0)
        munmap(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
}

/* A byte to another process and back, n times, over two descriptors of each side. */
static void ping_pong(long n, int in, int out, int peer_in, int peer_out)
{
    char c = 0;
    pid_t pid = fork();
    if (pid == 0) {
        for (long i = 0; i < n; i++)
            if (read(peer_in, &c, 1) != 1 || write(peer_out, &c, 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (long i = 0; i < n; i++)
        MUST(write(out, &c, 1) == 1 && read(in, &c, 1) == 1);
    MUST(waitpid(pid, NULL, 0) == pid);
}

static void do_pipe(long n)
{
    int other[2];
    MUST(pipe(ends) == 0 && pipe(other) == 0);
    ping_pong(n, ends[0], other[1], other[0], ends[1]);
    close(ends[0]), close(ends[1]), close(other[0]), close(other[1]);
}

static void do_unix(long n)
{
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    ping_pong(n, sv[0], sv[0], sv[1], sv[1]);
    close(sv[0]), close(sv[1]);
}

static void do_tcp(long n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 1) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0 && connect(c, (struct sockaddr *)&a, len) == 0);
    int s = accept(l, NULL, NULL);
    MUST(s >= 0);
    ping_pong(n, c, c, s, s);
    close(l), close(c), close(s);
}

static void on_signal(int signo)
{
    (void)signo;
}

static void do_signal(long n)
{
    signal(SIGUSR1, on_signal);
    pid_t pid = getpid();
    while (n-- > 0)
        kill(pid, SIGUSR1);
}

static void *nothing(void *arg)
{
    return arg;
}

static void do_thread(long n)
{
    while (n-- > 0) {
        pthread_t t;
        MUST(pthread_create(&t, NULL, nothing, NULL) == 0);
        pthread_join(t, NULL);
    }
}

static void do_clock(long n)
{
    struct timespec ts;
    while (n-- > 0)
        clock_gettime(CLOCK_MONOTONIC, &ts);
}

static const struct {
    const char *name;
    void (*fn)(long n);
    long n;
} tests[] = {
    {"getppid", do_getppid, 5000}, {"getpid", do_getpid, 5000}, {"touch", do_touch, PAGES},
    {"cpu", do_cpu, 10000},        {"fork", do_fork, 60},       {"exec", do_exec, 40},
    {"spawn", do_spawn, 40},       {"open", do_open, 3000},     {"stat", do_stat, 3000},
    {"fstat", do_fstat, 5000},     {"pread", do_pread, 5000},   {"pwrite", do_pwrite, 3000},
    {"mmap", do_map, 5000},        {"pipe", do_pipe, 1000},     {"unix", do_unix, 1000},
    {"tcp", do_tcp, 1000},         {"signal", do_signal, 2000}, {"thread", do_thread, 200},
    {"clock", do_clock, 100000},
};

static void prepare(void)
{
    const char *dir = getenv("MICRO_DIR") ? getenv("MICRO_DIR") : "/test";
    MUST(chdir(dir) == 0);
    snprintf(self, sizeof(self), "%s/micro", dir);
    snprintf(file, sizeof(file), "%s/micro.data", dir);
    snprintf(deep, sizeof(deep), "%s/1", dir);
    for (int i = 2; i < 6; i++) {
        mkdir(deep, 0755);
        size_t n = strlen(deep);
        snprintf(deep + n, sizeof(deep) - n, "/%d", i);
    }
    int fd = open(deep, O_CREAT | O_RDWR, 0644);
    data_fd = open(file, O_CREAT | O_RDWR, 0644);
    MUST(fd >= 0 && data_fd >= 0);
    static char page[4096];
    MUST(pwrite(data_fd, page, sizeof(page), 0) == sizeof(page));
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "nothing") == 0)
        return 0;
    prepare();
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        double ns[BATCHES];
        tests[i].fn(tests[i].n / 10 + 1);
        for (int b = 0; b < BATCHES; b++) {
            uint64_t begin = now();
            tests[i].fn(tests[i].n);
            ns[b] = (double)(now() - begin) / (double)tests[i].n;
        }
        qsort(ns, BATCHES, sizeof(*ns), by_value);
        printf("%s %.1f\n", tests[i].name, ns[BATCHES / 2]);
        fflush(stdout);
    }
    return 0;
}
