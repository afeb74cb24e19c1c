/* Files that are opened, used and closed so often that a runtime may close them without a word to
 * whoever keeps the books: to the process itself, and to all that look at it, they are closed when close
 * returns.
 *
 * Also run with: --lanes=off */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/guest/check.h"
#include "tests/guest/steps.h"

#define OFTEN 300
#define USES 12
#define BIG (4 << 20)

static const char *name = "/dev/shm/closes";

static void fill(const char *path, size_t size)
{
    static char block[65536];
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    MUST(fd >= 0);
    memset(block, 'b', sizeof(block));
    for (size_t n = 0; n < size; n += sizeof(block))
        MUST(write(fd, block, sizeof(block)) == sizeof(block));
    MUST(close(fd) == 0);
}

/* Opens the file, and uses it as often as it takes. */
static int open_used(const char *path)
{
    int fd = open(path, O_RDONLY);
    char c;

    MUST(fd >= 0);
    for (int i = 0; i < USES; i++)
        MUST(pread(fd, &c, 1, i) == 1 && c == 'b');
    return fd;
}

/* All of its instructions are hot from then on. */
static void warm(void)
{
    for (int i = 0; i < OFTEN; i++)
        MUST(close(open_used(name)) == 0);
}

/* The process itself
 * ----------------------------------------------------------------------------------------------- */

static int is_closed(int fd)
{
    struct stat st;
    char c;

    return read(fd, &c, 1) == -1 && errno == EBADF && pread(fd, &c, 1, 0) == -1 && errno == EBADF &&
           fstat(fd, &st) == -1 && errno == EBADF && lseek(fd, 0, SEEK_CUR) == -1 && errno == EBADF;
}

static void test_self(void)
{
    int wrong = 0;

    warm();
    int first = open_used(name);
    for (int i = 0; i < OFTEN; i++) {
        int a = open_used(name), b = open_used(name), c = open_used(name);
        wrong += a != first + 1 || b != first + 2 || c != first + 3;
        wrong += close(b) != 0 || close(a) != 0;
        switch (i % 6) {
        case 0:
            wrong += close(b) != -1 || errno != EBADF || !is_closed(b) || !is_closed(a);
            break;
        case 1:
            wrong += !is_closed(a) || close(a) != -1 || errno != EBADF;
            break;
        case 2:
            wrong += dup(c) != a || close(a) != 0 || fcntl(a, F_GETFD) != -1 || errno != EBADF;
            break;
        case 3:
            wrong += dup2(c, b) != b || !is_closed(a) || close(b) != 0;
            break;
        case 4:
            wrong += open_used(name) != a || !is_closed(b) || close(a) != 0;
            break;
        default:
            wrong += fcntl(c, F_DUPFD, a) != a || close(a) != 0;
        }
        wrong += close(c) != 0 || !is_closed(c);
    }
    CHECK("closed is closed", wrong == 0);
    close(first);
}

static int count_open(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    MUST(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_limit(void)
{
    struct rlimit old, few = {40, 40};
    int fd[64], n = 0, wrong = 0, before = count_open();

    MUST(getrlimit(RLIMIT_NOFILE, &old) == 0);
    few.rlim_max = old.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    while (n < 64 && (fd[n] = open(name, O_RDONLY)) >= 0)
        n++;
    CHECK("the table is full", errno == EMFILE && fd[n - 1] == 39);
    for (int i = 0; i < n; i++) {
        char c;
        for (int k = 0; k < USES; k++)
            MUST(read(fd[i], &c, 1) == 1);
        wrong += close(fd[i]) != 0 || open(name, O_RDONLY) != fd[i] || open(name, O_RDONLY) != -1 ||
                 errno != EMFILE;
    }
    for (int i = 0; i < n; i++)
        wrong += close(fd[i]) != 0;
    for (int i = 0; i < n; i++)
        wrong += !is_closed(fd[i]);
    MUST(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK("and each of its places is free at once", wrong == 0);
    CHECK("none is left", count_open() == before);
}

/* Mapped, and closed before what is mapped is used. */
static void test_maps(void)
{
    int wrong = 0;

    warm();
    for (int i = 0; i < OFTEN; i++) {
        int fd = open(name, O_RDONLY), other;
        const volatile char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
        MUST(fd >= 0 && p != MAP_FAILED);
        wrong += close(fd) != 0 || !is_closed(fd) || p[0] != 'b' || p[8191] != 'b';
        wrong += mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED || errno != EBADF;
        other = open("/dev/null", O_RDONLY);
        wrong += other != fd || mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED;
        wrong += close(other) != 0 || munmap((void *)p, 8192) != 0;
    }
    CHECK("mapped files", wrong == 0);
}

/* What others see
 * ----------------------------------------------------------------------------------------------- */

static struct shared {
    struct steps steps; /* of the child */
    atomic_int fd;
} * sh;

static void pause_at(int step)
{
    steps_pause_at(&sh->steps, step);
}

static void await(int step)
{
    steps_await(&sh->steps, step);
}

static void go_on(int step)
{
    steps_go_on(&sh->steps, step);
}

/* In a child with nothing else to do: open, wait, close, wait. */
static void closer(void)
{
    warm();
    int fd = open_used(name);
    atomic_store(&sh->fd, fd);
    pause_at(1);
    int r = close(fd);
    pause_at(r == 0 ? 2 : 99);
    _exit(0);
}

static pid_t start(void (*fn)(void))
{
    memset(sh, 0, sizeof(*sh));
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(1);
    }
    await(1);
    return pid;
}

static void finish(const char *label, pid_t pid)
{
    int status;

    go_on(100);
    CHECK(label, waitpid(pid, &status, 0) == pid && status == 0);
}

static bool shows(pid_t pid, int fd)
{
    char path[64], to[64] = "";

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
    return readlink(path, to, sizeof(to) - 1) > 0 && strcmp(to, name) == 0;
}

static void test_proc(void)
{
    pid_t pid = start(closer);
    int before = shows(pid, sh->fd), pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    MUST(pidfd >= 0);
    go_on(1);
    await(2);
    CHECK("shown while it is open, and no longer", before && !shows(pid, sh->fd));
    CHECK_ERRNO("nor can it be had", syscall(SYS_pidfd_getfd, pidfd, sh->fd, 0), EBADF);
    close(pidfd);
    finish("the closer of it", pid);
}

static long free_blocks(void)
{
    struct statfs sf;

    MUST(statfs("/dev/shm", &sf) == 0);
    return (long)sf.f_bfree;
}

/* Closed last, before and after its name went away. */
static void test_space(void)
{
    fill(name, BIG);
    long full = free_blocks();
    pid_t pid = start(closer);
    go_on(1);
    await(2);
    MUST(unlink(name) == 0);
    long now = free_blocks();
    CHECK("closed, then removed: the space is back", (now - full) * 4096 >= BIG);
    finish("the closer of that", pid);
    fill(name, BIG);
    pid = start(closer);
    MUST(unlink(name) == 0);
    long held = free_blocks();
    go_on(1);
    await(2);
    now = free_blocks();
    CHECK("removed, then closed", (now - held) * 4096 >= BIG);
    finish("and of that", pid);
    fill(name, 65536);
    pid = start(closer);
    fill("/dev/shm/closes.new", 65536);
    MUST(rename("/dev/shm/closes.new", name) == 0);
    finish("and one of whose file is replaced", pid);
}

static void flock_closer(void)
{
    warm();
    int fd = open_used(name);
    MUST(flock(fd, LOCK_EX) == 0);
    for (int i = 0; i < USES; i++)
        MUST(lseek(fd, 0, SEEK_SET) == 0);
    pause_at(1);
    MUST(close(fd) == 0);
    pause_at(2);
    _exit(0);
}

static int record_lock(int fd, int cmd, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET};

    return fcntl(fd, cmd, &l);
}

/* Any descriptor's close ends the process's locks. */
static void record_closer(void)
{
    warm();
    int locked = open(name, O_RDWR), fd = open_used(name);
    MUST(locked >= 0 && record_lock(locked, F_SETLK, F_WRLCK) == 0);
    pause_at(1);
    MUST(close(fd) == 0);
    pause_at(2);
    _exit(0);
}

/* By the last of two processes that share an open file. */
static void shared_closer(void)
{
    int fd = open_used(name);

    warm();
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        MUST(flock(fd, LOCK_EX) == 0 && close(fd) == 0);
        _exit(0);
    }
    int status;
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
    pause_at(1);
    MUST(close(fd) == 0);
    pause_at(2);
    _exit(0);
}

static void test_locks(void)
{
    int fd = open(name, O_RDWR);

    MUST(fd >= 0);
    pid_t pid = start(flock_closer);
    int before = flock(fd, LOCK_EX | LOCK_NB);
    go_on(1);
    await(2);
    CHECK("flock", before == -1 && flock(fd, LOCK_EX | LOCK_NB) == 0 && flock(fd, LOCK_UN) == 0);
    finish("the closer of a locked file", pid);
    pid = start(record_closer);
    before = record_lock(fd, F_SETLK, F_WRLCK);
    go_on(1);
    await(2);
    CHECK("record locks",
          before == -1 && record_lock(fd, F_SETLK, F_WRLCK) == 0 && record_lock(fd, F_SETLK, F_UNLCK) == 0);
    finish("the closer of another descriptor of it", pid);
    pid = start(shared_closer);
    before = flock(fd, LOCK_EX | LOCK_NB);
    go_on(1);
    await(2);
    CHECK("flock of a shared file", before == -1 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    finish("the last to close it", pid);
    close(fd);
}

static void test_watched(void)
{
    union {
        struct inotify_event e;
        char room[sizeof(struct inotify_event) + 256];
    } got;
    pid_t pid = start(closer);
    int in = inotify_init1(IN_NONBLOCK);

    MUST(in >= 0 && inotify_add_watch(in, name, IN_CLOSE_NOWRITE) >= 0);
    ssize_t before = read(in, &got, sizeof(got));
    go_on(1);
    await(2);
    CHECK("one who watches hears of it", before == -1 && errno == EAGAIN &&
                                             read(in, &got, sizeof(got)) >= (ssize_t)sizeof(got.e) &&
                                             got.e.mask == IN_CLOSE_NOWRITE);
    finish("the closer of a watched file", pid);
    close(in);
}

/* What is open for writing is not executed
 * ----------------------------------------------------------------------------------------------- */

static const char *program = "/tmp/closes.sh";
static mode_t made_as;

static int make_program(void)
{
    static const char text[] = "#!/bin/true\n";

    (void)unlink(program);
    int fd = open(program, O_WRONLY | O_CREAT | O_EXCL, made_as);
    MUST(fd >= 0);
    for (int i = 0; i < USES; i++)
        MUST(pwrite(fd, text, sizeof(text) - 1, 0) == (ssize_t)sizeof(text) - 1);
    return fd;
}

static void writer(void)
{
    for (int i = 0; i < OFTEN; i++)
        MUST(close(make_program()) == 0);
    int fd = make_program();
    pause_at(1);
    int r = close(fd);
    pause_at(r == 0 && close(fd) == -1 && errno == EBADF ? 2 : 99);
    _exit(0);
}

/* 0, or what execve said. */
static int run_program(void)
{
    int status;
    pid_t pid = fork();

    MUST(pid >= 0);
    if (pid == 0) {
        execl(program, program, NULL);
        _exit(errno);
    }
    MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_programs(void)
{
    made_as = 0700;
    pid_t pid = start(writer);
    int before = run_program();
    go_on(1);
    await(2);
    CHECK("a program that is written, and no longer", before == ETXTBSY && run_program() == 0);
    finish("its writer", pid);
    made_as = 0600;
    pid = start(writer);
    MUST(chmod(program, 0700) == 0);
    before = run_program();
    go_on(1);
    await(2);
    CHECK("one that becomes a program meanwhile", before == ETXTBSY && run_program() == 0);
    finish("the writer of that", pid);
    pid = start(writer);
    before = run_program();
    go_on(1);
    await(2);
    CHECK("or after it was closed", before == EACCES && chmod(program, 0700) == 0 && run_program() == 0);
    finish("and of that", pid);
    MUST(unlink(program) == 0);
}

/* Forks, threads, programs
 * ----------------------------------------------------------------------------------------------- */

static void test_forks(void)
{
    volatile int wrong = 0;
    int status;

    warm();
    for (int i = 0; i < 30; i++) {
        int kept = open_used(name), fd = open_used(name);
        MUST(close(fd) == 0);
        pid_t pid = i % 3 ? fork() : vfork();
        MUST(pid >= 0);
        if (pid == 0)
            _exit(is_closed(fd) && close(kept) == 0 ? 0 : 1);
        wrong = wrong + (waitpid(pid, &status, 0) != pid || status != 0);
        char c;
        wrong =
            wrong + (pread(kept, &c, 1, 0) != 1 || close(kept) != 0 || !is_closed(kept) || !is_closed(fd));
    }
    CHECK("children", wrong == 0);
}

static void *churn(void *arg)
{
    long wrong = 0;

    for (int i = 0; i < 60; i++) {
        int fd = open_used(name), other = open_used(name);
        wrong += fd == other || close(fd) != 0 || close(other) != 0;
    }
    (void)arg;
    return (void *)wrong;
}

static void *close_it(void *arg)
{
    return (void *)(long)(close((int)(long)arg) != 0);
}

static void test_threads(void)
{
    long wrong = 0;
    void *r;

    warm();
    for (int i = 0; i < 10; i++) {
        int fd = open_used(name);
        pthread_t t[3];
        for (int k = 0; k < 3; k++)
            MUST(pthread_create(&t[k], NULL, k ? churn : close_it, k ? NULL : (void *)(long)fd) == 0);
        for (int k = 0; k < 3; k++) {
            pthread_join(t[k], &r);
            wrong += (long)r;
        }
        wrong += (long)churn(NULL);
    }
    CHECK("threads that come and go", wrong == 0);
}

/* Signals
 * ----------------------------------------------------------------------------------------------- */

static atomic_int caught, bad_in_handler;

static void on_alarm(int signo)
{
    int saved = errno;

    (void)signo;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || close(fd) != 0 || close(fd) != -1 || errno != EBADF)
        bad_in_handler++;
    caught++;
    errno = saved;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    int wrong = 0, rounds = 0, before = count_open();

    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
    do {
        int fd[4];
        for (int i = 0; i < 4; i++)
            fd[i] = open_used(name);
        for (int i = 0; i < 4; i++)
            wrong += close(fd[i]) != 0;
        wrong += !is_closed(fd[3]);
    } while (++rounds < 2000 && caught < 300);
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK("signals in the middle", wrong == 0 && bad_in_handler == 0);
    CHECK("leave none open", count_open() == before);
}

int main(void)
{
    sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(sh != MAP_FAILED);
    fill(name, 65536);
    test_self();
    test_limit();
    test_maps();
    test_proc();
    test_locks();
    test_space();
    test_watched();
    test_programs();
    test_forks();
    test_threads();
    test_signals();
    MUST(unlink(name) == 0);
    return check_done();
}
