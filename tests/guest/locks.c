/* Locks on files between processes and descriptors, leases of time over them, and inotify. */
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "tests/guest/check.h"

static int fd;

static struct flock region(short type, off_t start, off_t len)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static int set(int f, short type, off_t start, off_t len)
{
    struct flock l = region(type, start, len);
    return fcntl(f, F_SETLK, &l);
}

/* What another process gets for a lock, as 0 or errno. */
static int other(short type, off_t start, off_t len)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(set(open("/tmp/lock", O_RDWR), type, start, len) == 0 ? 0 : errno);
    int st;
    waitpid(pid, &st, 0);
    return WEXITSTATUS(st);
}

static void test_records(void)
{
    CHECK("a write lock", set(fd, F_WRLCK, 0, 10) == 0);
    CHECK("keeps others out", other(F_WRLCK, 5, 1) == EAGAIN && other(F_RDLCK, 0, 1) == EAGAIN);
    CHECK("not beside it", other(F_WRLCK, 10, 5) == 0);
    CHECK("not oneself", set(open("/tmp/lock", O_RDWR), F_WRLCK, 0, 10) == 0);
    CHECK("a read lock",
          set(fd, F_RDLCK, 0, 10) == 0 && other(F_RDLCK, 0, 10) == 0 && other(F_WRLCK, 0, 10) == EAGAIN);
    CHECK("split by an unlock", set(fd, F_UNLCK, 4, 2) == 0 && other(F_WRLCK, 4, 2) == 0 &&
                                    other(F_WRLCK, 3, 1) == EAGAIN && other(F_WRLCK, 6, 1) == EAGAIN);
    pid_t me = getpid(), pid = fork();
    if (pid == 0) {
        struct flock l = region(F_WRLCK, 0, 0);
        int r = fcntl(open("/tmp/lock", O_RDWR), F_GETLK, &l);
        _exit(r == 0 && l.l_type == F_RDLCK && l.l_pid == me && l.l_start == 0 && l.l_len == 4 ? 0 : 1);
    }
    int st;
    waitpid(pid, &st, 0);
    CHECK("F_GETLK tells whose", st == 0);
    MUST(set(fd, F_UNLCK, 0, 20) == 0 && set(fd, F_WRLCK, 10, 5) == 0 && set(fd, F_RDLCK, 1, 5) == 0 &&
         set(fd, F_RDLCK, 17, 1) == 0 && set(fd, F_UNLCK, 12, 1) == 0);
    pid = fork();
    if (pid == 0) {
        struct flock l = region(F_WRLCK, 0, 0), m = region(F_WRLCK, 6, 0), n = region(F_WRLCK, 12, 0);
        MUST(fcntl(fd, F_GETLK, &l) == 0 && fcntl(fd, F_GETLK, &m) == 0 && fcntl(fd, F_GETLK, &n) == 0);
        _exit(l.l_type == F_RDLCK && l.l_start == 1 && m.l_start == 10 && m.l_len == 2 && n.l_start == 13
                  ? 0
                  : 1);
    }
    waitpid(pid, &st, 0);
    CHECK("and of several the first", st == 0);
    close(open("/tmp/lock", O_RDONLY));
    CHECK("any close drops them all", other(F_WRLCK, 0, 0) == 0);
    CHECK("to the end", set(fd, F_WRLCK, 100, 0) == 0 && other(F_WRLCK, 1000000, 1) == EAGAIN &&
                            other(F_WRLCK, 0, 100) == 0);
    CHECK_ERRNO("a write lock needs writing", set(open("/tmp/lock", O_RDONLY), F_WRLCK, 0, 1), EBADF);
    set(fd, F_UNLCK, 0, 0);
}

static void test_wait(void)
{
    int p[2];
    char c;
    volatile int *ended = shared_zeroes(sizeof(*ended));
    pid_t parent = getpid();
    MUST(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        MUST(set(fd, F_WRLCK, 0, 1) == 0 && write(p[1], "x", 1) == 1);
        await_sleep(parent);
        *ended = 1;
        _exit(0); /* the end of a process gives its locks back */
    }
    MUST(read(p[0], &c, 1) == 1);
    struct flock l = region(F_WRLCK, 0, 1);
    CHECK("F_SETLKW waits for the other's end", fcntl(fd, F_SETLKW, &l) == 0 && *ended);
    waitpid(pid, NULL, 0);
    pid = fork();
    if (pid == 0) {
        struct flock m = region(F_WRLCK, 50, 1);
        MUST(fcntl(fd, F_SETLK, &m) == 0 && write(p[1], "y", 1) == 1);
        m = region(F_WRLCK, 0, 1);
        _exit(fcntl(fd, F_SETLKW, &m) == 0 ? 0 : errno);
    }
    MUST(read(p[0], &c, 1) == 1);
    await_sleep(pid);
    l = region(F_WRLCK, 50, 1);
    int r = fcntl(fd, F_SETLKW, &l);
    CHECK("a deadlock is seen", r == -1 && errno == EDEADLK);
    set(fd, F_UNLCK, 0, 0);
    int st;
    waitpid(pid, &st, 0);
    CHECK("and the other goes on", WEXITSTATUS(st) == 0);
    close(p[0]);
    close(p[1]);
}

static void test_flock(void)
{
    int a = open("/tmp/lock", O_RDWR), b = open("/tmp/lock", O_RDWR), d = dup(a);
    volatile int *let_go = shared_zeroes(sizeof(*let_go));
    CHECK("exclusive", flock(a, LOCK_EX) == 0);
    CHECK_ERRNO("against another open", flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK("a duplicate is the same", flock(d, LOCK_SH | LOCK_NB) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
    CHECK_ERRNO("shared by both", flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    close(a);
    CHECK_ERRNO("held by the duplicate", flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    close(d);
    CHECK("until its close", flock(b, LOCK_EX | LOCK_NB) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int c = open("/tmp/lock", O_RDWR);
        _exit(flock(c, LOCK_EX) == 0 && *let_go ? 0 : 1);
    }
    await_sleep(pid);
    *let_go = 1;
    flock(b, LOCK_UN);
    int st;
    waitpid(pid, &st, 0);
    CHECK("waits", st == 0);
    CHECK_ERRNO("nonsense", flock(b, 0), EINVAL);
    close(b);
}

static void test_ofd(void)
{
    int a = open("/tmp/lock", O_RDWR), b = open("/tmp/lock", O_RDWR);
    struct flock l = region(F_WRLCK, 0, 10), m = region(F_RDLCK, 5, 1);
    CHECK("F_OFD_SETLK", fcntl(a, F_OFD_SETLK, &l) == 0);
    CHECK_ERRNO("against another open of one's own", fcntl(b, F_OFD_SETLK, &m), EAGAIN);
    close(open("/tmp/lock", O_RDWR));
    CHECK_ERRNO("not dropped by another's close", fcntl(b, F_OFD_SETLK, &m), EAGAIN);
    close(a);
    CHECK("but its own", fcntl(b, F_OFD_SETLK, &m) == 0);
    close(b);
}

/* Whom it watches, as /proc shows it (proc(5)). */
static void shown(int in)
{
    char line[300];
    unsigned long ino = 0;
    unsigned wd = 0, mask = 0, lines = 0;
    struct stat st;
    snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", in);
    FILE *f = fopen(line, "r");
    MUST(f && stat("/tmp/watched", &st) == 0);
    while (fgets(line, sizeof(line), f))
        lines += sscanf(line, "inotify wd:%x ino:%lx sdev:%*x mask:%x ignored_mask:0", &wd, &ino, &mask) == 3;
    fclose(f);
    CHECK("a line for the watch", lines == 1 && wd == 1 && ino == st.st_ino);
    value("with its mask", mask);
}

static void test_inotify(void)
{
    int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    char buf[4096] __attribute__((aligned(8)));
    MUST(in >= 0 && mkdir("/tmp/watched", 0755) == 0);
    int wd = inotify_add_watch(in, "/tmp/watched", IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_FROM);
    CHECK("a watch", wd == 1);
    CHECK_ERRNO("nothing yet", read(in, buf, sizeof(buf)), EAGAIN);
    shown(in);
    int f = open("/tmp/watched/file", O_CREAT | O_WRONLY, 0600);
    struct pollfd p = {.fd = in, .events = POLLIN};
    struct inotify_event *e = (struct inotify_event *)buf;
    CHECK("an event", poll(&p, 1, PATIENCE_MS) == 1 && read(in, buf, sizeof(buf)) > 0 && e->wd == wd &&
                          e->mask == IN_CREATE && strcmp(e->name, "file") == 0);
    MUST(write(f, "x", 1) == 1);
    CHECK("a change",
          poll(&p, 1, PATIENCE_MS) == 1 && read(in, buf, sizeof(buf)) > 0 && e->mask == IN_MODIFY);
    unlink("/tmp/watched/file");
    CHECK("a removal",
          poll(&p, 1, PATIENCE_MS) == 1 && read(in, buf, sizeof(buf)) > 0 && e->mask == IN_DELETE);
    CHECK("no watch any more",
          inotify_rm_watch(in, wd) == 0 && read(in, buf, sizeof(buf)) > 0 && e->mask == IN_IGNORED);
    CHECK_ERRNO("of nothing", inotify_add_watch(in, "/nowhere", IN_CREATE), ENOENT);
    close(in);
}

int main(void)
{
    fd = open("/tmp/lock", O_RDWR | O_CREAT, 0600);
    MUST(fd >= 0);
    test_records();
    test_wait();
    test_flock();
    test_ofd();
    test_inotify();
    return check_done();
}
