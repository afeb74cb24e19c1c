/* The small benchmark: one line "name nanoseconds" for each thing that a program asks of a system, the median
 * of a few batches. Without arguments it does all of them, else the one that is named, in the directory /test
 * or the one named by MICRO_DIR; MICRO_BIND is a directory on a bind mount. With a second argument it then
 * sleeps until it is killed, so that counters can be read. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
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
#define MEBI ((size_t)1 << 20)
#define MUST(x)                                                                                              \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            perror(#x);                                                                                      \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static char self[4096], file[4096], deep[4096], bound[4096], bound_deep[4096], second[4096],
    bound_second[4096];
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

/* Mapped, written to, and given back: 1 MiB. */
static void do_mebi(long n)
{
    while (n-- > 0) {
        char *p = mmap(NULL, MEBI, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(p != MAP_FAILED);
        for (size_t i = 0; i < MEBI; i += 4096)
            p[i] = 1;
        munmap(p, MEBI);
    }
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

/* Two files in turn: who keeps one that is opened all the time does not have it at hand. */
static void do_open(long n)
{
    while (n-- > 0)
        close(open(n % 2 ? file : second, O_RDONLY));
}

static void do_reopen(long n)
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

static void do_open_bind(long n)
{
    while (n-- > 0)
        close(open(n % 2 ? bound : bound_second, O_RDONLY));
}

static void do_stat_bind(long n)
{
    struct stat st;
    while (n-- > 0)
        stat(bound_deep, &st);
}

/* A byte at a time, as read(2) and write(2) move it: by the file's own position. */
static void do_read1(long n)
{
    char c;
    while (n-- > 0)
        if (read(data_fd, &c, 1) != 1)
            lseek(data_fd, 0, SEEK_SET);
}

static void do_write1(long n)
{
    MUST(lseek(data_fd, 0, SEEK_SET) == 0);
    while (n-- > 0)
        MUST(write(data_fd, "x", 1) == 1);
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

static long futex(atomic_uint *word, int op, unsigned value)
{
    return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* The word goes from one to the other: who finds its own number in it has the turn. */
static void pass_on(atomic_uint *word, unsigned mine, long n)
{
    while (n-- > 0) {
        while (atomic_load(word) != mine)
            futex(word, FUTEX_WAIT, !mine);
        atomic_store(word, !mine);
        futex(word, FUTEX_WAKE, 1);
    }
}

static void do_futex(long n)
{
    atomic_uint *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(word != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        pass_on(word, 1, n);
        _exit(0);
    }
    pass_on(word, 0, n);
    MUST(waitpid(pid, NULL, 0) == pid);
    munmap(word, sizeof(*word));
}

/* Two ends of a connection. */
static void tcp_pair(int *c, int *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);

    *c = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 1) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0 && connect(*c, (struct sockaddr *)&a, len) == 0);
    *s = accept(l, NULL, NULL);
    MUST(*s >= 0);
    close(l);
}

static void do_tcp(long n)
{
    int c, s;
    tcp_pair(&c, &s);
    ping_pong(n, c, c, s, s);
    close(c), close(s);
}

/* n MiB to another process, in pieces of 64 KiB. */
static void do_bulk(long n)
{
    static char buf[65536];
    ssize_t got = 0, all = n * (ssize_t)MEBI;
    int c, s;

    tcp_pair(&c, &s);
    pid_t pid = fork();
    if (pid == 0) {
        for (ssize_t left = all; left > 0; left -= got)
            if ((got = write(s, buf, sizeof(buf))) <= 0)
                _exit(1);
        _exit(0);
    }
    for (ssize_t left = all; left > 0; left -= got)
        MUST((got = read(c, buf, sizeof(buf))) > 0);
    MUST(waitpid(pid, NULL, 0) == pid);
    close(c), close(s);
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
    {"getppid", do_getppid, 5000},
    {"getpid", do_getpid, 5000},
    {"touch", do_touch, PAGES},
    {"cpu", do_cpu, 10000},
    {"fork", do_fork, 60},
    {"exec", do_exec, 40},
    {"spawn", do_spawn, 40},
    {"open", do_open, 3000},
    {"reopen", do_reopen, 3000},
    {"stat", do_stat, 3000},
    {"fstat", do_fstat, 5000},
    {"open-bind", do_open_bind, 3000},
    {"stat-bind", do_stat_bind, 3000},
    {"read1", do_read1, 5000},
    {"write1", do_write1, 3000},
    {"pread", do_pread, 5000},
    {"pwrite", do_pwrite, 3000},
    {"mmap", do_map, 5000},
    {"mebi", do_mebi, 50},
    {"pipe", do_pipe, 1000},
    {"unix", do_unix, 1000},
    {"futex", do_futex, 1000},
    {"tcp", do_tcp, 1000},
    {"bulk", do_bulk, 64},
    {"signal", do_signal, 2000},
    {"thread", do_thread, 200},
    {"clock", do_clock, 100000},
};

static void make_file(const char *path)
{
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    MUST(fd >= 0);
    close(fd);
}

/* Two files and, some directories deep, another one. */
static void make_files(const char *dir, char near[4096], char second_near[4096], char far[4096])
{
    snprintf(near, 4096, "%s/micro.data", dir);
    snprintf(second_near, 4096, "%s/micro.more", dir);
    snprintf(far, 4096, "%s/1", dir);
    for (int i = 2; i < 6; i++) {
        mkdir(far, 0755);
        size_t n = strlen(far);
        snprintf(far + n, 4096 - n, "/%d", i);
    }
    make_file(far);
    make_file(near);
    make_file(second_near);
}

static void prepare(void)
{
    static const char page[4096];
    const char *dir = getenv("MICRO_DIR") ? getenv("MICRO_DIR") : "/test";
    const char *bind = getenv("MICRO_BIND") ? getenv("MICRO_BIND") : dir;

    MUST(chdir(dir) == 0);
    snprintf(self, sizeof(self), "%s/micro", dir);
    make_files(bind, bound, bound_second, bound_deep);
    make_files(dir, file, second, deep);
    data_fd = open(file, O_RDWR);
    MUST(data_fd >= 0 && pwrite(data_fd, page, sizeof(page), 0) == sizeof(page));
}

static void measure(const char *name, void (*fn)(long n), long times)
{
    double ns[BATCHES];

    fn(times / 10 + 1);
    for (int b = 0; b < BATCHES; b++) {
        uint64_t begin = now();
        fn(times);
        ns[b] = (double)(now() - begin) / (double)times;
    }
    qsort(ns, BATCHES, sizeof(*ns), by_value);
    printf("%s %.1f\n", name, ns[BATCHES / 2]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "nothing") == 0)
        return 0;
    prepare();
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        if (argc < 2 || strcmp(argv[1], tests[i].name) == 0)
            measure(tests[i].name, tests[i].fn, tests[i].n);
    if (argc > 2)
        pause();
    return 0;
}
