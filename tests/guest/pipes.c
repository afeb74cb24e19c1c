/* Pipes and what waits: poll, select, epoll, eventfd, timerfd, signalfd, fifos, splice. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "tests/guest/check.h"

static short revents(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int r = poll(&p, 1, ms);
    return r < 0 ? -1 : p.revents;
}

static void test_pipe(void)
{
    int p[2];
    char buf[8192] = "";
    MUST(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
    CHECK("flags", fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[0], F_GETFL) == (O_RDONLY | O_NONBLOCK) &&
                       fcntl(p[1], F_GETFL) == (O_WRONLY | O_NONBLOCK));
    CHECK_ERRNO("empty", read(p[0], buf, 1), EAGAIN);
    CHECK("poll of both ends", revents(p[0], POLLIN, 0) == 0 && revents(p[1], POLLOUT, 0) == POLLOUT);
    long n = 0;
    while (write(p[1], buf, 4096) > 0)
        n += 4096;
    CHECK("holds 64 KiB", n == 65536 && errno == EAGAIN && revents(p[1], POLLOUT, 0) == 0);
    int avail = 0;
    CHECK("FIONREAD", ioctl(p[0], FIONREAD, &avail) == 0 && avail == 65536);
    CHECK("F_SETPIPE_SZ", fcntl(p[1], F_SETPIPE_SZ, 131072) == 131072 && fcntl(p[1], F_GETPIPE_SZ) == 131072);
    CHECK_ERRNO("the wrong end", write(p[0], buf, 1), EBADF);
    CHECK_ERRNO("no seeking", lseek(p[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO("nor pread", pread(p[0], buf, 1, 0), ESPIPE);
    CHECK_ERRNO("a bad buffer", read(p[0], bad_address, 10), EFAULT);
    while (read(p[0], buf, sizeof(buf)) > 0)
        ;
    CHECK("nothing of zero", write(p[1], buf, 0) == 0);
    struct stat st;
    CHECK("fstat", fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0600);
    close(p[1]);
    CHECK("end of file", read(p[0], buf, 1) == 0 && revents(p[0], POLLIN, 0) == POLLHUP);
    close(p[0]);
    MUST(pipe(p) == 0);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO("no reader", write(p[1], buf, 1), EPIPE);
    CHECK("poll says so", (revents(p[1], POLLOUT, 0) & POLLERR) != 0);
    signal(SIGPIPE, SIG_DFL);
    close(p[1]);
}

static void sigpipe(void)
{
    int p[2];
    MUST(pipe(p) == 0);
    close(p[0]);
    if (write(p[1], "x", 1) < 0)
        _exit(1);
}

static void test_blocking(void)
{
    int p[2], st = in_child(sigpipe);
    CHECK("SIGPIPE", WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
    MUST(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        static char big[1000000];
        for (size_t i = 0; i < sizeof(big); i++)
            big[i] = (char)(i * 7);
        _exit(write(p[1], big, sizeof(big)) == sizeof(big) ? 0 : 1);
    }
    close(p[1]);
    static char buf[3000];
    long total = 0;
    bool good = true;
    for (ssize_t n; (n = read(p[0], buf, sizeof(buf))) > 0; total += n)
        for (ssize_t i = 0; i < n; i++)
            good = good && buf[i] == (char)((total + i) * 7);
    waitpid(pid, &st, 0);
    CHECK("a big write blocks and arrives whole", good && total == 1000000 && st == 0);
    close(p[0]);
    MUST(pipe2(p, O_DIRECT) == 0 && write(p[1], "one", 3) == 3 && write(p[1], "two", 3) == 3);
    CHECK("packets", read(p[0], buf, 100) == 3 && read(p[0], buf, 2) == 2 && buf[0] == 't');
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cd", 2}};
    CHECK("writev", writev(p[1], v, 3) == 4 && read(p[0], buf, 100) == 4 && memcmp(buf, "abcd", 4) == 0);
    v[0].iov_len = (size_t)-1;
    CHECK_ERRNO("too much", writev(p[1], v, 3), EINVAL);
    CHECK_ERRNO("too many", syscall(SYS_writev, p[1], v, IOV_MAX + 1), EINVAL);
    close(p[0]);
    close(p[1]);
}

static void *open_fifo(void *arg)
{
    nap_ms(50);
    int fd = open(arg, O_WRONLY);
    MUST(fd >= 0 && write(fd, "fifo", 4) == 4);
    close(fd);
    return NULL;
}

static void test_fifo(void)
{
    pthread_t t;
    char buf[10];
    MUST(mkfifo("/tmp/fifo", 0600) == 0);
    CHECK_ERRNO("no reader yet", open("/tmp/fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    pthread_create(&t, NULL, open_fifo, "/tmp/fifo");
    int fd = open("/tmp/fifo", O_RDONLY);
    CHECK("open waits for the other end", fd >= 0 && read(fd, buf, 10) == 4);
    CHECK("then it ends", read(fd, buf, 10) == 0);
    pthread_join(t, NULL);
    close(fd);
    fd = open("/tmp/fifo", O_RDONLY | O_NONBLOCK);
    CHECK("a reader need not wait", fd >= 0 && read(fd, buf, 1) == 0);
    close(fd);
    unlink("/tmp/fifo");
}

static void *write_later(void *arg)
{
    nap_ms(50);
    MUST(write(*(int *)arg, "\1\0\0\0\0\0\0\0", 8) == 8);
    return NULL;
}

static void test_poll(void)
{
    int p[2], q[2];
    pthread_t t;
    MUST(pipe(p) == 0 && pipe(q) == 0);
    pthread_create(&t, NULL, write_later, &p[1]);
    struct pollfd fds[3] = {{.fd = q[0], .events = POLLIN}, {.fd = p[0], .events = POLLIN}, {.fd = -1}};
    CHECK("poll waits", poll(fds, 3, PATIENCE_MS) == 1 && fds[1].revents == POLLIN && fds[0].revents == 0);
    pthread_join(t, NULL);
    fds[2].fd = 999;
    CHECK("POLLNVAL", poll(fds, 3, 0) == 2 && fds[2].revents == POLLNVAL);
    long begin = now_ms();
    CHECK("the time-out", poll(fds, 1, 60) == 0 && now_ms() - begin >= 60);
    struct timespec ts = {.tv_nsec = 10000000};
    CHECK("ppoll", ppoll(fds, 1, &ts, NULL) == 0);
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(q[0], &r);
    FD_SET(q[1], &w);
    struct timeval tv = {.tv_sec = 1000};
    CHECK("select", select(q[1] + 1, &r, &w, NULL, &tv) == 2 && FD_ISSET(p[0], &r) && !FD_ISSET(q[0], &r) &&
                        FD_ISSET(q[1], &w));
    CHECK("what is left of the time", tv.tv_sec > 900 && tv.tv_sec < 1000);
    close(p[0]);
    FD_SET(p[0], &r);
    CHECK_ERRNO("a closed one", select(q[1] + 1, &r, NULL, NULL, &tv), EBADF);
    tv = (struct timeval){.tv_usec = 20000};
    CHECK("only a time", select(0, NULL, NULL, NULL, &tv) == 0);
    close(p[1]);
    close(q[0]);
    close(q[1]);
    CHECK("a regular file is always ready",
          revents(open("/test/pipes", O_RDONLY), POLLIN | POLLOUT, 0) == (POLLIN | POLLOUT));
}

static void test_epoll(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x1122334455667788}, out[4];
    MUST(ep >= 0 && pipe(p) == 0);
    CHECK("add", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e) == 0);
    CHECK_ERRNO("twice", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e), EEXIST);
    CHECK_ERRNO("a file cannot", epoll_ctl(ep, EPOLL_CTL_ADD, open("/test/pipes", O_RDONLY), &e), EPERM);
    CHECK_ERRNO("nor itself", epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_ERRNO("not there", epoll_ctl(ep, EPOLL_CTL_MOD, p[1], &e), ENOENT);
    CHECK("nothing yet", epoll_wait(ep, out, 4, 20) == 0);
    MUST(write(p[1], "xy", 2) == 2);
    CHECK("ready, with its data", epoll_wait(ep, out, 4, PATIENCE_MS) == 1 && out[0].events == EPOLLIN &&
                                      out[0].data.u64 == e.data.u64);
    CHECK("level-triggered", epoll_wait(ep, out, 4, 0) == 1 && revents(ep, POLLIN, 0) == POLLIN);
    e.events = EPOLLIN | EPOLLET;
    epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e);
    CHECK("edge-triggered: once", epoll_wait(ep, out, 4, 0) == 1 && epoll_wait(ep, out, 4, 0) == 0);
    MUST(write(p[1], "z", 1) == 1);
    CHECK("and again with more", epoll_wait(ep, out, 4, 0) == 1);
    e.events = EPOLLIN | EPOLLONESHOT;
    epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e);
    CHECK("one shot", epoll_wait(ep, out, 4, 0) == 1 && epoll_wait(ep, out, 4, 0) == 0);
    int d = dup(p[0]);
    e.events = EPOLLIN;
    epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e);
    close(p[0]);
    CHECK("stays while a duplicate is open", epoll_wait(ep, out, 4, 0) == 1);
    close(d);
    CHECK("gone with the last", epoll_wait(ep, out, 4, 0) == 0);
    CHECK_ERRNO("no room", epoll_wait(ep, out, 0, 0), EINVAL);
    CHECK_ERRNO("not an epoll", epoll_wait(p[1], out, 1, 0), EINVAL);
    int outer = epoll_create1(0), ev = eventfd(0, 0);
    epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e);
    epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e);
    eventfd_write(ev, 1);
    CHECK("one in another", epoll_wait(outer, out, 4, PATIENCE_MS) == 1);
    close(ep);
    close(outer);
    close(ev);
    close(p[1]);
}

static void test_eventfd(void)
{
    int fd = eventfd(5, EFD_NONBLOCK);
    uint64_t v = 0;
    CHECK("the counter", read(fd, &v, 8) == 8 && v == 5);
    CHECK_ERRNO("empty", read(fd, &v, 8), EAGAIN);
    v = UINT64_MAX - 1;
    CHECK("fill it", write(fd, &v, 8) == 8 && revents(fd, POLLOUT, 0) == 0);
    v = 1;
    CHECK_ERRNO("no room", write(fd, &v, 8), EAGAIN);
    CHECK_ERRNO("short", read(fd, &v, 4), EINVAL);
    v = UINT64_MAX;
    CHECK_ERRNO("not that value", write(fd, &v, 8), EINVAL);
    close(fd);
    fd = eventfd(3, EFD_SEMAPHORE);
    CHECK("a semaphore", read(fd, &v, 8) == 8 && v == 1 && read(fd, &v, 8) == 8 && v == 1);
    pthread_t t;
    MUST(read(fd, &v, 8) == 8);
    pthread_create(&t, NULL, write_later, &fd);
    CHECK("a read waits", read(fd, &v, 8) == 8 && v == 1);
    pthread_join(t, NULL);
    close(fd);
}

static void test_timerfd(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    uint64_t n = 0;
    struct itimerspec it = {.it_value.tv_nsec = 30000000, .it_interval.tv_nsec = 10000000}, old;
    CHECK_ERRNO("not armed", read(fd, &n, 8), EAGAIN);
    struct itimerspec late = {.it_value.tv_sec = 1000};
    CHECK("arm", timerfd_settime(fd, 0, &late, NULL) == 0 && revents(fd, POLLIN, 0) == 0);
    CHECK("anew", timerfd_settime(fd, 0, &it, NULL) == 0);
    CHECK("fires", revents(fd, POLLIN, PATIENCE_MS) == POLLIN);
    nap_ms(60);
    CHECK("counts", read(fd, &n, 8) == 8 && n >= 5);
    CHECK("gettime", timerfd_gettime(fd, &old) == 0 && old.it_interval.tv_nsec == 10000000);
    it = (struct itimerspec){0};
    timerfd_settime(fd, 0, &it, NULL);
    nap_ms(20);
    (void)!read(fd, &n, 8);
    CHECK("disarmed", revents(fd, POLLIN, 30) == 0);
    CHECK_ERRNO("no such clock", timerfd_create(99, 0), EINVAL);
    clock_gettime(CLOCK_MONOTONIC, &it.it_value);
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL);
    CHECK("a time that has passed", revents(fd, POLLIN, PATIENCE_MS) == POLLIN);
    close(fd);
}

static void on_signal(int signo)
{
    (void)signo;
}

static void test_signalfd(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGCHLD);
    sigprocmask(SIG_BLOCK, &s, NULL);
    int fd = signalfd(-1, &s, SFD_NONBLOCK);
    struct signalfd_siginfo info[3];
    CHECK_ERRNO("no signal", read(fd, info, sizeof(info)), EAGAIN);
    CHECK("poll", revents(fd, POLLIN, 0) == 0);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 9});
    CHECK("readable", revents(fd, POLLIN, PATIENCE_MS) == POLLIN);
    CHECK("the signal", read(fd, info, sizeof(info)) == sizeof(info[0]) && info[0].ssi_signo == SIGUSR1 &&
                            info[0].ssi_int == 9 && info[0].ssi_pid == (uint32_t)getpid());
    CHECK("taken", revents(fd, POLLIN, 0) == 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    CHECK("a child's end", revents(fd, POLLIN, PATIENCE_MS) == POLLIN &&
                               read(fd, info, sizeof(info[0])) == sizeof(info[0]) &&
                               info[0].ssi_signo == SIGCHLD && info[0].ssi_status == 3);
    waitpid(pid, NULL, 0);
    raise(SIGUSR1);
    raise(SIGCHLD);
    CHECK("one of two",
          read(fd, info, sizeof(info[0])) == sizeof(info[0]) && revents(fd, POLLIN, 0) == POLLIN);
    CHECK("the other", read(fd, info, sizeof(info)) == sizeof(info[0]) && revents(fd, POLLIN, 0) == 0);
    raise(SIGUSR1);
    CHECK("waited for",
          sigtimedwait(&s, NULL, &(struct timespec){0}) == SIGUSR1 && revents(fd, POLLIN, 0) == 0);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    CHECK("ignored by now", revents(fd, POLLIN, 0) == 0);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    CHECK("again", revents(fd, POLLIN, 0) == POLLIN);
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    CHECK("handled", revents(fd, POLLIN, 0) == 0);
    close(fd);
}

/* Bytes between memory and pipes. */
static void test_vmsplice(void)
{
    int p[2];
    char a[] = "one", b[] = "two", buf[8] = "";
    static char big[1 << 20];
    struct iovec v[2] = {{a, 3}, {b, 3}}, w = {buf, 7}, all = {big, sizeof(big)};
    MUST(pipe(p) == 0);
    CHECK("vmsplice into a pipe", vmsplice(p[1], v, 2, 0) == 6);
    CHECK("out of it", vmsplice(p[0], &w, 1, 0) == 6 && strcmp(buf, "onetwo") == 0);
    CHECK("nothing", vmsplice(p[1], v, 0, 0) == 0);
    CHECK_ERRNO("nothing is there", vmsplice(p[0], &w, 1, SPLICE_F_NONBLOCK), EAGAIN);
    long n = vmsplice(p[1], &all, 1, 0);
    CHECK("as much as fits, without waiting", n > 0 && n < (long)sizeof(big));
    CHECK_ERRNO("no room", vmsplice(p[1], v, 2, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO("no such flag", vmsplice(p[1], v, 2, 0x100), EINVAL);
    CHECK_ERRNO("too many pieces", vmsplice(p[0], v, 2000, 0), EINVAL);
    CHECK_ERRNO("a bad address", vmsplice(p[0], bad_address, 1, 0), EFAULT);
    CHECK_ERRNO("not a pipe", vmsplice(open("/tmp/data", O_RDWR | O_CREAT, 0600), v, 1, 0), EBADF);
    close(p[1]);
    while ((n = vmsplice(p[0], &all, 1, 0)) > 0)
        ;
    CHECK("the end", n == 0);
    close(p[0]);
}

static void test_moving(void)
{
    int p[2], q[2], fd = open("/tmp/data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char buf[100] = "";
    MUST(pipe(p) == 0 && pipe(q) == 0 && write(fd, "0123456789", 10) == 10);
    off_t off = 2;
    CHECK("sendfile", sendfile(p[1], fd, &off, 5) == 5 && off == 7 && read(p[0], buf, 100) == 5 &&
                          memcmp(buf, "23456", 5) == 0);
    const off_t *end = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(end != MAP_FAILED);
    CHECK_ERRNO("an offset that is not to be written", sendfile(p[1], fd, (off_t *)(uintptr_t)end, 0),
                EFAULT);
    CHECK("its position stays", lseek(fd, 0, SEEK_CUR) == 10);
    off = 4;
    long r = splice(fd, &off, p[1], NULL, 4, 0);
    CHECK("splice", (r == 4 && read(p[0], buf, 100) == 4 && memcmp(buf, "4567", 4) == 0) ||
                        (r == -1 && errno == EINVAL));
    MUST(write(p[1], "tee", 3) == 3);
    r = tee(p[0], q[1], 3, 0);
    CHECK("tee", (r == 3 && read(q[0], buf, 3) == 3) || (r == -1 && errno == EINVAL));
    close(fd);
}

/* From what the kernel makes up, and to where it goes nowhere. */
static void test_devices(void)
{
    int p[2], null = open("/dev/null", O_RDWR), random = open("/dev/urandom", O_RDWR),
              version = open("/proc/version", O_RDONLY), zero = open("/dev/zero", O_RDONLY);
    char buf[4096], text[4096];
    MUST(pipe(p) == 0 && null >= 0 && random >= 0 && version >= 0 && zero >= 0);
    MUST(write(p[1], "0123456789", 10) == 10);
    CHECK("into /dev/null",
          splice(p[0], NULL, null, NULL, 4, 0) == 4 && read(p[0], buf, 1) == 1 && *buf == '4');
    CHECK("all that there is", splice(p[0], NULL, null, NULL, 100, 0) == 5);
    CHECK_ERRNO("then nothing", splice(p[0], NULL, null, NULL, 4, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK("out of /dev/urandom", splice(random, NULL, p[1], NULL, 7, 0) == 7 && read(p[0], buf, 99) == 7);
    CHECK("out of /dev/zero",
          splice(zero, NULL, p[1], NULL, 7, 0) == 7 && read(p[0], buf, 99) == 7 && !buf[6]);
    ssize_t n = read(version, text, sizeof(text));
    MUST(n > 9 && lseek(version, 0, SEEK_SET) == 0);
    CHECK("out of /proc", splice(version, NULL, p[1], NULL, 5, 0) == 5 && lseek(version, 0, SEEK_CUR) == 5);
    off_t at = 7;
    CHECK("from a place of it", splice(version, &at, p[1], NULL, 2, 0) == 2 && at == 9);
    CHECK("what is there",
          read(p[0], buf, 99) == 7 && !memcmp(buf, text, 5) && !memcmp(buf + 5, text + 7, 2));
    CHECK("to the end",
          splice(version, NULL, p[1], NULL, 10000, 0) == n - 5 && read(p[0], buf, 4096) == n - 5);
    CHECK("and no further", splice(version, NULL, p[1], NULL, 100, 0) == 0);
    CHECK_ERRNO("no pipe", splice(random, NULL, null, NULL, 5, 0), EINVAL);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    while (write(p[1], buf, sizeof(buf)) > 0)
        ;
    CHECK_ERRNO("a full one", splice(random, NULL, p[1], NULL, 5, 0), EAGAIN);
    close(p[1]);
    while (splice(p[0], NULL, null, NULL, 1 << 20, 0) > 0)
        ;
    CHECK("an end", splice(p[0], NULL, null, NULL, 4, 0) == 0);
    close(p[0]);
}

int main(void)
{
    test_pipe();
    test_blocking();
    test_fifo();
    test_poll();
    test_epoll();
    test_eventfd();
    test_timerfd();
    test_signalfd();
    test_moving();
    test_vmsplice();
    test_devices();
    return check_done();
}
