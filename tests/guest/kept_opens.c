/* A file that is opened, used and closed again and again may be kept for the next time, and its status told,
 * without asking anybody, as long as nobody can tell: whatever is done to it, to its path, to the process or
 * its descriptors counts from the next call on.
 *
 * Also run with: --lanes=off */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "tests/guest/kept.h"

/* The process itself ---------------------------------------------------------------------------------------
 */

static bool is_closed(int fd)
{
    struct stat st;
    char c;

    return read(fd, &c, 1) == -1 && errno == EBADF && pread(fd, &c, 1, 0) == -1 && errno == EBADF &&
           fstat(fd, &st) == -1 && errno == EBADF && lseek(fd, 0, SEEK_CUR) == -1 && errno == EBADF &&
           close(fd) == -1 && errno == EBADF && fcntl(fd, F_GETFD) == -1 && errno == EBADF;
}

static void test_closed(void)
{
    int wrong = 0;
    char c;

    for (int i = 0; i < 10; i++) {
        int fd = warm(PATH);
        switch (i) {
        case 0:
            wrong += read(fd, &c, 1) != -1 || errno != EBADF;
            break;
        case 1:
            wrong += pread(fd, &c, 1, 0) != -1 || errno != EBADF;
            break;
        case 2:
            wrong += close(fd) != -1 || errno != EBADF;
            break;
        case 3:
            wrong += lseek(fd, 0, SEEK_SET) != -1 || errno != EBADF;
            break;
        case 4:
            wrong += dup(fd) != -1 || errno != EBADF;
            break;
        case 5:
            wrong += flock(fd, LOCK_SH) != -1 || errno != EBADF;
            break;
        case 6:
            wrong += mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED || errno != EBADF;
            break;
        default:
            wrong += !is_closed(fd);
        }
        wrong += !is_closed(fd) || open(PATH, FLAGS) != fd || close(fd) != 0;
    }
    CHECK("closed is closed", wrong == 0);
}

static void test_numbers(void)
{
    int wrong = 0, low = open("/dev/null", O_RDONLY), fd = warm(PATH), extra[3];

    MUST(low >= 0);
    for (int i = 0; i < 3; i++) {
        warm(PATH);
        MUST(close(low) == 0);
        wrong += open(PATH, FLAGS) != low || open(PATH, FLAGS) != fd || open(PATH, FLAGS) != fd + 1;
        wrong += close(fd + 1) != 0 || close(low) != 0 || close(fd) != 0;
        wrong += open("/dev/null", O_RDONLY) != low || open(PATH, FLAGS) != fd || close(fd) != 0;
        wrong += open("/dev/null", O_RDONLY) != fd || open(PATH, FLAGS) != fd + 1;
        wrong += close(fd) != 0 || open(PATH, FLAGS) != fd || close(fd + 1) != 0 || close(fd) != 0;
        warm(PATH);
        wrong += pipe(extra) != 0 || extra[0] != fd || open(PATH, FLAGS) != fd + 2;
        wrong += close(extra[0]) != 0 || close(extra[1]) != 0 || close(fd + 2) != 0;
        warm(PATH);
        wrong += dup2(low, fd) != fd || open(PATH, FLAGS) != fd + 1 || close(fd) != 0 || close(fd + 1) != 0;
        warm(PATH);
        wrong += dup(low) != fd || !!close(fd) || fcntl(low, F_DUPFD, fd) != fd || close(fd) != 0;
    }
    close(low);
    CHECK("the lowest number that is free", wrong == 0);
}

static void test_flags(void)
{
    static const int others[] = {O_RDONLY, O_RDONLY | O_CLOEXEC, FLAGS | O_CLOEXEC,
                                 O_RDWR,   O_WRONLY | O_APPEND,  O_RDONLY | O_NOATIME};
    int wrong = 0;

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        int n = warm(PATH), fd = open(PATH, others[i]);
        wrong += fd != n || (fcntl(fd, F_GETFL) & ~0100000) != (others[i] & ~O_CLOEXEC) ||
                 fcntl(fd, F_GETFD) != (others[i] & O_CLOEXEC ? FD_CLOEXEC : 0) || close(fd) != 0;
    }
    warm(PATH);
    wrong += open(PATH, FLAGS | O_DIRECTORY) != -1 || errno != ENOTDIR;
    warm(PATH);
    wrong += open(PATH, FLAGS | O_CREAT | O_EXCL, 0644) != -1 || errno != EEXIST;
    warm(PATH);
    wrong += open(PATH "/", FLAGS) != -1 || errno != ENOTDIR;
    warm(PATH);
    wrong += open((const char *)bad_address, FLAGS) != -1 || errno != EFAULT;
    warm(PATH);
    wrong += stat(PATH, bad_address) != -1 || errno != EFAULT;
    CHECK("other flags", wrong == 0);
    warm(PATH);
    int fd = open(PATH, FLAGS | O_TRUNC | O_WRONLY);
    struct seen s;
    close(fd);
    see_open(&s, PATH);
    CHECK("emptied", s.open_errno == 0 && s.text[0] == 0);
    put(REAL, "old");
}

/* What a description can be told; the next one is as new. */
static void test_fresh(void)
{
    int wrong = 0, other;
    char c;

    for (int i = 0; i < 8; i++) {
        int n = warm(PATH), fd = open(PATH, FLAGS);
        MUST(fd == n);
        switch (i) {
        case 0:
            wrong += lseek(fd, 2, SEEK_SET) != 2;
            break;
        case 1:
            wrong += read(fd, &c, 1) != 1;
            break;
        case 2:
            wrong += fcntl(fd, F_SETFL, 0) != 0;
            break;
        case 3:
            wrong += flock(fd, LOCK_EX) != 0;
            break;
        case 4:
            wrong += fcntl(fd, F_SETFD, FD_CLOEXEC) != 0;
            break;
        case 5:
            wrong += (other = dup(fd)) < 0;
            break;
        case 6:
            wrong += posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) != 0;
            break;
        default:
            wrong += mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED;
        }
        wrong += close(fd) != 0 || (fd = open(PATH, FLAGS)) != n || lseek(fd, 0, SEEK_CUR) != 0;
        wrong += !(fcntl(fd, F_GETFL) & O_NONBLOCK) || fcntl(fd, F_GETFD) != 0;
        int third = open(PATH, O_RDONLY);
        wrong += flock(third, LOCK_EX | LOCK_NB) != 0 || close(third) != 0 || close(fd) != 0;
        if (i == 5)
            wrong += lseek(other, 1, SEEK_SET) != 1 || (fd = open(PATH, FLAGS)) != n ||
                     lseek(fd, 0, SEEK_CUR) != 0 || close(other) != 0 || close(fd) != 0;
    }
    CHECK("each open is a new one", wrong == 0);
}

static int child_status(pid_t pid)
{
    int status;

    MUST(pid >= 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void test_forks(void)
{
    static volatile int wrong; /* vfork */
    int n = warm(PATH);
    pid_t pid = fork();

    if (pid == 0)
        _exit(is_closed(n) && open(PATH, FLAGS) == n && lseek(n, 2, SEEK_SET) == 2 && warm(PATH) == n + 1
                  ? 0
                  : 1);
    wrong += child_status(pid) != 0;
    int fd = open(PATH, FLAGS);
    pid = fork();
    if (pid == 0)
        _exit(lseek(n, 2, SEEK_SET) == 2 && close(n) == 0 && open(PATH, FLAGS) == n &&
                      lseek(n, 0, SEEK_CUR) == 0
                  ? 0
                  : 1);
    wrong += child_status(pid) != 0 || fd != n || lseek(fd, 0, SEEK_CUR) != 2 || close(fd) != 0;
    warm(PATH);
    pid = vfork();
    if (pid == 0)
        _exit(is_closed(n) && open(PATH, FLAGS) == n ? 0 : 1);
    wrong += child_status(pid) != 0 || !is_closed(n);
    CHECK("forks", wrong == 0);
}

static void *thread_opens(void *arg)
{
    int *wrong = arg;
    for (int i = 0; i < OFTEN; i++) {
        int fd = open(PATH, FLAGS);
        char c;
        *wrong += fd < 0 || read(fd, &c, 1) != 1 || c != 'o' || close(fd) != 0;
    }
    return NULL;
}

static void test_threads(void)
{
    int wrong[2] = {0, 0};
    pthread_t t;

    warm(PATH);
    MUST(pthread_create(&t, NULL, thread_opens, &wrong[0]) == 0);
    thread_opens(&wrong[1]);
    MUST(pthread_join(t, NULL) == 0);
    CHECK("threads", wrong[0] + wrong[1] == 0);
}

static void test_rights(void)
{
    pid_t pid = fork();

    MUST(chmod(REAL, 0600) == 0);
    if (pid == 0) {
        warm(PATH);
        MUST(seteuid(1000) == 0);
        int r = open(PATH, FLAGS) == -1 && errno == EACCES ? 0 : 1;
        MUST(seteuid(0) == 0);
        warm(PATH);
        MUST(chdir(TOP) == 0 && open(PATH, FLAGS) >= 0 && chroot(TOP) == 0);
        r |= open(PATH, FLAGS) == -1 && errno == ENOENT ? 0 : 2;
        r |= open("/link/b/file", FLAGS) >= 0 ? 0 : 4;
        _exit(r);
    }
    CHECK("ids and the root directory", child_status(pid) == 0);
    MUST(chmod(REAL, 0644) == 0);
}

static void test_limit(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        int n = warm(PATH);
        struct rlimit l = {(rlim_t)n, 4096};
        MUST(setrlimit(RLIMIT_NOFILE, &l) == 0);
        _exit(open(PATH, FLAGS) == -1 && errno == EMFILE ? 0 : 1);
    }
    CHECK("a limit", child_status(pid) == 0);
}

static void test_table(void)
{
    int n = warm(PATH), found = 0;
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;

    MUST(d && dirfd(d) == n);
    while ((e = readdir(d)))
        found += atoi(e->d_name) > n;
    closedir(d);
    CHECK("nothing else in /proc/self/fd", found == 0);
}

/* Signals, in the middle of it ------------------------------------------------------------------------------
 */

static atomic_int handled, handled_wrong;
static int signal_number;

static void on_alarm(int sig)
{
    int saved = errno, fd;
    struct stat st;

    (void)sig;
    if (++handled % 3 == 0) {
        fd = open("/dev/null", O_RDONLY);
        handled_wrong += (fd != signal_number && fd != signal_number + 1) || close(fd) != 0;
    } else if (handled % 3 == 1) {
        fd = open(PATH, FLAGS);
        handled_wrong +=
            (fd != signal_number && fd != signal_number + 1) || lseek(fd, 0, SEEK_CUR) != 0 || close(fd) != 0;
    } else {
        handled_wrong += stat(PATH, &st) != 0 || st.st_size != 3;
    }
    errno = saved;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    struct itimerval every = {{0, 500}, {0, 500}}, never = {0};
    int wrong = 0;

    signal_number = warm(PATH);
    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (int i = 0; handled < 60; i++) {
        struct seen s;
        see_stat(&s, PATH);
        wrong += s.stat_errno != 0 || s.size != 3;
        see_open(&s, PATH);
        wrong += s.open_errno != 0 || s.fd != signal_number || s.at != 0 || strcmp(s.text, "old") != 0;
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK("signals in the middle", wrong == 0 && handled_wrong == 0);
}

int main(void)
{
    make_tree();
    test_closed();
    test_numbers();
    test_flags();
    test_fresh();
    test_table();
    test_forks();
    test_rights();
    test_limit();
    test_signals();
    test_threads();
    MUST(system("rm -rf " TOP) == 0);
    return check_failures != 0;
}
