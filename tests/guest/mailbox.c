/* Calls with paths and small results, made so often that a runtime may take them by another way: bad
 * addresses, names that are too long, threads that change them meanwhile, signals in the middle, forks
 * between, and the same answers. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>

#include "tests/guest/check.h"

#define OFTEN 300
#define PAGE 4096

static char *two_pages; /* the second is not there */

static long raw_stat(const void *path, void *st)
{
    return syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

static int make_file(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);
    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

/* All of them hot, in one process: what follows is then made by whatever way there is. */
static int churn(const char *dir)
{
    char a[64], b[64], text[64];
    struct stat st, by_fd;
    int wrong = 0;

    snprintf(a, sizeof(a), "%s/a", dir);
    snprintf(b, sizeof(b), "%s/b", dir);
    for (int i = 0; i < OFTEN; i++) {
        int fd = open(a, O_CREAT | O_EXCL | O_RDWR, 0600);
        wrong += fd < 0 || write(fd, "12345", 5) != 5 || fstat(fd, &by_fd) != 0 || stat(a, &st) != 0;
        wrong +=
            st.st_ino != by_fd.st_ino || st.st_size != 5 || st.st_mode != by_fd.st_mode || st.st_nlink != 1;
        wrong += lseek(fd, 1, SEEK_SET) != 1 || read(fd, text, 4) != 4 || memcmp(text, "2345", 4) != 0;
        wrong += fcntl(fd, F_GETFD) != 0 || fchmod(fd, 0640) != 0 || close(fd) != 0;
        wrong += close(-1) != -1 || errno != EBADF;
        wrong += rename(a, b) != 0 || access(a, F_OK) != -1 || errno != ENOENT || access(b, R_OK) != 0;
        wrong += symlink("b", a) != 0 || lstat(a, &st) != 0 || !S_ISLNK(st.st_mode);
        wrong +=
            readlink(a, text, sizeof(text)) != 1 || text[0] != 'b' || stat(a, &st) != 0 || st.st_size != 5;
        wrong += (st.st_mode & 07777) != 0640 || truncate(a, 3) != 0 || chmod(a, 0600) != 0;
        wrong += utimensat(AT_FDCWD, b, (struct timespec[]){{1000, 5}, {2000, 7}}, 0) != 0;
        wrong += stat(b, &st) != 0 || st.st_size != 3 || st.st_mtim.tv_sec != 2000 || st.st_mtim.tv_nsec != 7;
        wrong += unlink(a) != 0 || unlink(b) != 0 || unlink(b) != -1 || errno != ENOENT;
        wrong += mkdir(a, 0700) != 0 || mkdir(a, 0700) != -1 || errno != EEXIST || rmdir(a) != 0;
        wrong += getxattr(dir, "user.none", text, 8) != -1 || (errno != ENODATA && errno != EOPNOTSUPP);
    }
    return wrong;
}

static void test_answers(void)
{
    MUST(mkdir("d", 0755) == 0);
    CHECK("often", churn("d") == 0);
}

/* Addresses
 * ------------------------------------------------------------------------------------------------ */

static void test_addresses(void)
{
    char *end = two_pages + PAGE;
    struct stat st, *half = (struct stat *)(end - sizeof(st) / 2);
    int wrong = 0, halves = 0;

    strcpy(end - 2, ".");
    for (int i = 0; i < OFTEN; i++) {
        wrong += raw_stat(end - 2, &st) != 0;
        wrong += raw_stat(bad_address, &st) != -1 || errno != EFAULT;
        wrong += raw_stat(NULL, &st) != -1 || errno != EFAULT;
        wrong += raw_stat((void *)0x8000000000000000, &st) != -1 || errno != EFAULT;
        wrong += raw_stat(".", bad_address) != -1 || errno != EFAULT;
        wrong += raw_stat("none", bad_address) != -1 || errno != ENOENT;
        halves += raw_stat(".", half) == -1 && errno == EFAULT;
        wrong += open(bad_address, O_RDONLY) != -1 || errno != EFAULT;
        wrong += readlink("link", end, 10) != -1 || errno != EFAULT;
        wrong += readlink("link", end - 3, 10) != -1 || errno != EFAULT;
        wrong += readlink("link", end - 4, 10) != 4 || memcmp(end - 4, "goal", 4) != 0;
        wrong += readlink("link", end - 2, 2) != 2 || memcmp(end - 2, "go", 2) != 0;
        wrong += readlink("link", end - 2, 0) != -1 || errno != EINVAL;
        memset(end - 8, 'x', 8);
        wrong += raw_stat(end - 8, &st) != -1 || errno != EFAULT;
        strcpy(end - 2, ".");
    }
    CHECK("bad addresses, and what ends at the last mapped byte", wrong == 0);
    CHECK("a result that is half mapped", halves == OFTEN);
}

static void test_long(void)
{
    static char path[PATH_MAX + 8], name[300];
    struct stat st;
    int wrong = 0;

    memset(name, 'n', 256);
    for (int i = 0; i < OFTEN; i++) {
        for (size_t n = 2000; n < PATH_MAX; n += 500) { /* ./././. */
            memset(path, '/', sizeof(path));
            for (size_t k = 0; k < n; k += 2)
                path[k] = '.';
            path[n] = 0;
            wrong += raw_stat(path, &st) != 0 || !S_ISDIR(st.st_mode);
        }
        path[500] = '/';
        memset(path, '/', sizeof(path));
        path[PATH_MAX] = 0;
        wrong += raw_stat(path, &st) != -1 || errno != ENAMETOOLONG;
        wrong += raw_stat(name, &st) != -1 || errno != ENAMETOOLONG;
        wrong += raw_stat("", &st) != -1 || errno != ENOENT;
    }
    CHECK("long paths", wrong == 0);
}

/* Threads
 * ------------------------------------------------------------------------------------------------ */

static char changing[64];
static atomic_int stop;

static void *change(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&stop); i++)
        *(volatile char *)changing = i % 2 ? 'o' : 't';
    return NULL;
}

static void test_changed(void)
{
    struct stat st[2], now;
    pthread_t t;
    int wrong = 0;

    close(make_file("one", "1"));
    close(make_file("tne", "22"));
    MUST(stat("one", &st[0]) == 0 && stat("tne", &st[1]) == 0);
    strcpy(changing, "one");
    MUST(pthread_create(&t, NULL, change, NULL) == 0);
    for (int i = 0; i < 20 * OFTEN; i++)
        wrong += raw_stat(changing, &now) != 0 || (now.st_ino != st[0].st_ino && now.st_ino != st[1].st_ino);
    atomic_store(&stop, 1);
    pthread_join(t, NULL);
    CHECK("a path that changes", wrong == 0);
}

static void *work(void *arg)
{
    char dir[16];
    snprintf(dir, sizeof(dir), "t%ld", (long)arg);
    MUST(mkdir(dir, 0755) == 0);
    long wrong = churn(dir);
    MUST(rmdir(dir) == 0);
    return (void *)wrong;
}

/* By n threads at once. */
static long work_by(long n)
{
    pthread_t t[8];
    long wrong = 0;
    void *r;

    for (long i = 0; i < n; i++)
        MUST(pthread_create(&t[i], NULL, work, (void *)i) == 0);
    for (long i = 0; i < n; i++) {
        pthread_join(t[i], &r);
        wrong += (long)r;
    }
    return wrong;
}

#define IDLE 28

static void *wait_for_end(void *arg)
{
    pthread_barrier_wait(arg);
    return NULL;
}

/* Also those that come when many others are there. */
static void test_threads(void)
{
    pthread_barrier_t end;
    pthread_t idle[IDLE];

    CHECK("threads", work_by(4) + work_by(4) == 0);
    MUST(pthread_barrier_init(&end, NULL, IDLE + 1) == 0);
    for (int i = 0; i < IDLE; i++)
        MUST(pthread_create(&idle[i], NULL, wait_for_end, &end) == 0);
    CHECK("threads among many", work_by(8) == 0);
    pthread_barrier_wait(&end);
    for (int i = 0; i < IDLE; i++)
        pthread_join(idle[i], NULL);
}

static void *few(void *arg)
{
    struct stat st;
    long wrong = 0;
    for (int i = 0; i < 40; i++)
        wrong += raw_stat("one", &st) != 0 || st.st_size != 1;
    (void)arg;
    return (void *)wrong;
}

static void test_many(void)
{
    long wrong = 0;
    void *r;

    for (int i = 0; i < 40; i++) {
        pthread_t t[3];
        for (int k = 0; k < 3; k++)
            MUST(pthread_create(&t[k], NULL, few, NULL) == 0);
        for (int k = 0; k < 3; k++) {
            pthread_join(t[k], &r);
            wrong += (long)r;
        }
    }
    CHECK("threads that come and go", wrong == 0);
}

#define CROWD 24

static sem_t turn[CROWD];

/* One call of each thread's at a time, then a few all at once; some leave before. */
static void *in_turn(void *arg)
{
    long me = (long)arg, wrong = 0;
    struct stat st;

    for (int i = 0; i < OFTEN / 5; i++) {
        MUST(sem_wait(&turn[me]) == 0);
        wrong += raw_stat(me % 2 ? "one" : "tne", &st) != 0 || st.st_size != (me % 2 ? 1 : 2);
        MUST(sem_post(&turn[(me + 1) % CROWD]) == 0);
    }
    for (int i = 0; me % 3 && i < OFTEN / 5; i++)
        wrong += raw_stat(me % 2 ? "one" : "tne", &st) != 0 || st.st_size != (me % 2 ? 1 : 2);
    return (void *)wrong;
}

static void test_crowd(void)
{
    pthread_t t[CROWD];
    long wrong = 0;
    void *r;

    for (int round = 0; round < 3; round++) {
        for (long i = 0; i < CROWD; i++)
            MUST(sem_init(&turn[i], 0, i == 0) == 0);
        for (long i = 0; i < CROWD; i++)
            MUST(pthread_create(&t[i], NULL, in_turn, (void *)i) == 0);
        for (long i = 0; i < CROWD; i++) {
            pthread_join(t[i], &r);
            wrong += (long)r;
        }
    }
    CHECK("a crowd that takes turns", wrong == 0);
}

/* With others at work on the table, descriptors that the host's process has too. */
static void *lanes(void *arg)
{
    char c;
    long wrong = 0;
    for (int i = 0; i < 60; i++) {
        int fd = open("one", O_RDONLY);
        for (int k = 0; k < 20; k++)
            wrong += pread(fd, &c, 1, 0) != 1 || c != '1';
        wrong += close(fd) != 0 || fcntl(fd, F_GETFL) == 12345;
    }
    (void)arg;
    return (void *)wrong;
}

static void test_lanes(void)
{
    pthread_t t;
    void *a, *b;

    MUST(pthread_create(&t, NULL, lanes, NULL) == 0);
    b = lanes(NULL);
    pthread_join(t, &a);
    CHECK("files of two threads", (long)a + (long)b == 0);
}

/* Signals
 * ------------------------------------------------------------------------------------------------ */

static atomic_int caught, bad_in_handler;

static void on_alarm(int signo)
{
    int saved = errno;
    struct stat st;
    (void)signo;
    caught++;
    if (raw_stat("one", &st) != 0 || st.st_size != 1)
        bad_in_handler++;
    errno = saved;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    int wrong = 0, rounds = 0;

    MUST(mkdir("s", 0755) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
    MUST(setitimer(ITIMER_REAL, &every, NULL) == 0);
    do
        wrong += churn("s");
    while (caught < 50 && ++rounds < 2000);
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK("signals in the middle", wrong == 0);
    CHECK("and calls in their handlers", caught >= 50 && bad_in_handler == 0);
}

static void nothing(int signo)
{
    (void)signo;
}

/* Nobody opens the other end. */
static void test_waits(void)
{
    struct sigaction sa = {.sa_handler = nothing};
    struct itimerval soon = {{0, 5000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
    int wrong = 0, interrupted = 0;

    MUST(mkfifo("fifo", 0600) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
    for (int i = 0; i < 10; i++) {
        for (int k = 0; k < OFTEN / 10; k++) {
            int fd = open("one", O_RDONLY);
            wrong += fd < 0 || close(fd) != 0;
        }
        MUST(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        interrupted += open("fifo", O_RDONLY) == -1 && errno == EINTR;
        MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    }
    CHECK("opens that wait", wrong == 0 && interrupted == 10);
}

/* Processes
 * ------------------------------------------------------------------------------------------------ */

static void as_child(void)
{
    char dir[32];
    snprintf(dir, sizeof(dir), "c%d", getpid());
    MUST(mkdir(dir, 0755) == 0);
    CHECK("a child", churn(dir) == 0);
}

static void test_vfork(void)
{
    volatile int seen = 0;
    struct stat st;
    int status;

    pid_t child = vfork();
    if (child == 0) {
        for (int i = 0; i < OFTEN; i++)
            seen += raw_stat("one", &st) == 0;
        _exit(0);
    }
    CHECK("in a vfork's child", waitpid(child, &status, 0) == child && seen == OFTEN);
}

static void test_forks(void)
{
    struct stat st;
    pid_t pid[3];
    int wrong = 0, status;

    for (int i = 0; i < 3; i++) {
        MUST((pid[i] = fork()) >= 0);
        if (pid[i] == 0) {
            char dir[32];
            snprintf(dir, sizeof(dir), "p%d", i);
            MUST(mkdir(dir, 0755) == 0);
            _exit(churn(dir) != 0);
        }
    }
    wrong += churn("d");
    for (int i = 0; i < 3; i++)
        wrong += waitpid(pid[i], &status, 0) != pid[i] || status != 0;
    CHECK("parent and children", wrong == 0);
    CHECK("and one more", in_child(as_child) == 0);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) { /* the parent's next call and the child's at once */
            for (int k = 0; k < OFTEN; k++)
                wrong += raw_stat("tne", &st) != 0 || st.st_size != 2;
            _exit(wrong != 0);
        }
        for (int k = 0; k < OFTEN; k++)
            wrong += raw_stat("one", &st) != 0 || st.st_size != 1;
        wrong += waitpid(child, &status, 0) != child || status != 0;
    }
    CHECK("different answers for each", wrong == 0);
}

/* Directories
 * ------------------------------------------------------------------------------------------------ */

static void test_seeks(void)
{
    char name[120][32];
    long at[120], n;
    int wrong = 0;

    for (int round = 0; round < 30; round++) {
        DIR *d = opendir("many");
        struct dirent *e;
        MUST(d);
        for (n = 0; (e = readdir(d)) && n < 120; n++) {
            snprintf(name[n], sizeof(name[n]), "%.31s", e->d_name);
            at[n] = telldir(d);
        }
        wrong += n != 102;
        for (long i = n - 2; i >= 0; i -= 7) {
            seekdir(d, at[i]);
            e = readdir(d);
            wrong += !e || strcmp(e->d_name, name[i + 1]) != 0;
        }
        closedir(d);
    }
    CHECK("places in a directory", wrong == 0);
}

static void test_directories(void)
{
    char path[32];
    int wrong = 0;

    MUST(mkdir("many", 0755) == 0);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "many/%d", i);
        close(make_file(path, ""));
    }
    test_seeks();
    for (int round = 0; round < 60; round++) {
        int seen[100] = {0}, n = 0;
        DIR *d = opendir("many");
        struct dirent *e;
        MUST(d);
        while ((e = readdir(d))) {
            if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
                seen[atoi(e->d_name)]++;
            snprintf(path, sizeof(path), "many/new%d", n % 5);
            if (n++ % 10 == 0)
                wrong += round % 2 ? mkdir(path, 0700) != 0 && errno != EEXIST
                                   : rmdir(path) != 0 && errno != ENOENT;
        }
        for (int i = 0; i < 100; i++)
            wrong += seen[i] != 1;
        closedir(d);
    }
    CHECK("and names, while others come and go", wrong == 0);
}

int main(void)
{
    MUST(mkdir("/tmp/mailbox", 0755) == 0 && chdir("/tmp/mailbox") == 0);
    umask(0);
    two_pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(two_pages != MAP_FAILED && munmap(two_pages + PAGE, PAGE) == 0);
    MUST(symlink("goal", "link") == 0);
    test_answers();
    test_addresses();
    test_long();
    test_changed();
    test_threads();
    test_many();
    test_crowd();
    test_lanes();
    test_signals();
    test_waits();
    test_forks();
    test_vfork();
    test_directories();
    return check_done();
}
