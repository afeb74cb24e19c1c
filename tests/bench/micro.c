/* What single operations cost, from the inside: "name microseconds" lines, each the best of some rounds. Run
 * natively and under each runtime; only the ratios count. With an argument it only ends (the program that
 * exec is measured with). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define FILE_5 "/tmp/bench-a/b/c/d/e/file"

static const char *self;
static char page[4096];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void make_tree(void)
{
    static const char *const dirs[] = {"/tmp/bench-a", "/tmp/bench-a/b", "/tmp/bench-a/b/c",
                                       "/tmp/bench-a/b/c/d", "/tmp/bench-a/b/c/d/e"};

    mkdir("/tmp", 0777);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        mkdir(dirs[i], 0755);
    int fd = open(FILE_5, O_CREAT | O_RDWR, 0644);
    if (fd < 0 || pwrite(fd, page, sizeof(page), 0) != sizeof(page)) {
        perror(FILE_5);
        exit(1);
    }
    close(fd);
}

static void do_getppid(void)
{
    syscall(SYS_getppid);
}

static void do_touch(void)
{
    /* Four megabytes: the mapping itself does not count. */
    char *m = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < 1024; i++)
        ((volatile char *)m)[i * 4096] = 1;
    munmap(m, 4 << 20);
}

static void do_cpu(void)
{
    volatile unsigned long x = 1;

    for (int i = 0; i < 1000000; i++)
        x = x * 2862933555777941757UL + 3037000493UL;
}

static void do_fork(void)
{
    pid_t p = fork();

    if (p == 0)
        _exit(0);
    waitpid(p, NULL, 0);
}

static void do_exec(void)
{
    pid_t p = fork();

    if (p == 0) {
        execl(self, self, "end", NULL);
        _exit(1);
    }
    waitpid(p, NULL, 0);
}

static void do_open(void)
{
    close(open(FILE_5, O_RDONLY));
}

static void do_stat(void)
{
    struct stat st;

    stat(FILE_5, &st);
}

static void do_pread(void)
{
    static int fd = -1;

    if (fd < 0)
        fd = open(FILE_5, O_RDONLY);
    if (pread(fd, page, sizeof(page), 0) != sizeof(page))
        exit(1);
}

static void do_mmap(void)
{
    munmap(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
}

static void do_pipe(void)
{
    static int p[2] = {-1, -1};
    char c = 1;

    if (p[0] < 0 && pipe(p) < 0)
        exit(1);
    if (write(p[1], &c, 1) != 1 || read(p[0], &c, 1) != 1)
        exit(1);
}

static const struct {
    const char *name;
    void (*fn)(void);
    int times, per;
} ops[] = {
    {"getppid", do_getppid, 20000, 1}, {"touch", do_touch, 20, 1024}, {"cpu", do_cpu, 10, 1},
    {"fork", do_fork, 100, 1},         {"exec", do_exec, 50, 1},      {"open", do_open, 10000, 1},
    {"stat", do_stat, 10000, 1},       {"pread", do_pread, 10000, 1}, {"mmap", do_mmap, 10000, 1},
    {"pipe", do_pipe, 10000, 1},
};

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1)
        return 0;
    make_tree();
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        double best = 1e12;
        for (int r = 0; r < ROUNDS; r++) {
            double begin = now();
            for (int k = 0; k < ops[i].times; k++)
                ops[i].fn();
            double each = (now() - begin) / ops[i].times / ops[i].per;
            if (each < best)
                best = each;
        }
        printf("%s %.4f\n", ops[i].name, best);
    }
    return 0;
}
