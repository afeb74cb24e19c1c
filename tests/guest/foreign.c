/* A process's memory as another reaches it, while it executes a program with rights that the other has not:
 * what that program has there is neither seen nor changed. */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tests/guest/check.h"

#define PLACE ((unsigned char *)0x70000000)
#define SIZE (1UL << 20)
#define ROUNDS 25
#define BEFORE 0xcc /* what the child has there until it executes the program */
#define SECRET 0xaa
#define POISON 0xbb

static unsigned char buf[SIZE];

static void fill(int byte)
{
    MUST(mmap(PLACE, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == PLACE);
    memset(PLACE, byte, SIZE);
}

/* The program with rights: 0 if nobody has changed its memory until its standard input ends. */
static int privileged(void)
{
    char c;
    if (geteuid() != 0)
        return 2;
    fill(SECRET);
    (void)!write(1, "x", 1);
    while (read(0, &c, 1) > 0)
        ;
    for (size_t i = 0; i < SIZE; i++)
        if (PLACE[i] != SECRET)
            return 1;
    return 0;
}

struct child {
    pid_t pid;
    int in, out; /* what it reads; what it says when it has filled its memory */
};

static void child_begin(struct child *c)
{
    int in[2], out[2];
    MUST(pipe(in) == 0 && pipe(out) == 0);
    c->pid = fork();
    MUST(c->pid >= 0);
    if (c->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        fill(BEFORE);
        execl("/tmp/privileged", "foreign", "privileged", NULL);
        _exit(99);
    }
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
}

/* Whether the program was left alone. */
static bool child_end(struct child *c)
{
    int status = -1;
    char said;
    bool good = read(c->out, &said, 1) == 1;
    close(c->in);
    good = waitpid(c->pid, &status, 0) == c->pid && status == 0 && good;
    close(c->out);
    return good;
}

static bool has_secret(void)
{
    return memchr(buf, SECRET, SIZE) != NULL;
}

/* Calls on until the right to is gone. */
static bool reach(pid_t pid, bool write)
{
    struct iovec here = {buf, SIZE}, there = {PLACE, SIZE};
    bool seen = false;
    memset(buf, write ? POISON : 0, SIZE);
    for (;;) {
        ssize_t n = write ? process_vm_writev(pid, &here, 1, &there, 1, 0)
                          : process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (n < 0 && errno == EPERM)
            return !seen;
        if (!write && n > 0 && has_secret())
            seen = true;
    }
}

/* By a descriptor from before: on Linux it is the old memory's for good. True: nothing was seen. */
static bool reach_file(int fd, bool write)
{
    bool seen = false;
    memset(buf, write ? POISON : 0, SIZE);
    for (int i = 0; i < 40; i++) {
        ssize_t n = write ? pwrite(fd, buf, SIZE, (off_t)(intptr_t)PLACE)
                          : pread(fd, buf, SIZE, (off_t)(intptr_t)PLACE);
        if (!write && n > 0 && has_secret())
            seen = true;
    }
    return !seen;
}

static bool rounds(bool write)
{
    bool good = true;
    for (int i = 0; i < ROUNDS; i++) {
        struct child c;
        child_begin(&c);
        good = reach(c.pid, write) && good;
        good = child_end(&c) && good;
    }
    return good;
}

static bool file_rounds(bool write)
{
    bool good = true;
    for (int i = 0; i < ROUNDS; i++) {
        struct child c;
        char name[40];
        child_begin(&c);
        (void)snprintf(name, sizeof(name), "/proc/%d/mem", c.pid);
        int fd = open(name, write ? O_WRONLY : O_RDONLY); /* it may be too late */
        good = (fd < 0 || reach_file(fd, write)) && good;
        good = child_end(&c) && good;
        if (fd >= 0)
            close(fd);
    }
    return good;
}

static void user(void)
{
    MUST(setgid(70) == 0 && setuid(70) == 0);
    MUST(prctl(PR_SET_DUMPABLE, 1) == 0);
    CHECK("process_vm_readv sees nothing", rounds(false));
    CHECK("process_vm_writev changes nothing", rounds(true));
    CHECK("/proc/PID/mem shows nothing", file_rounds(false));
    CHECK("/proc/PID/mem changes nothing", file_rounds(true));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "privileged") == 0)
        return privileged();
    MUST(system("cp /test/foreign /tmp/privileged && chmod 4755 /tmp/privileged") == 0);
    CHECK("as a user", in_child(user) == 0);
    return check_done();
}
