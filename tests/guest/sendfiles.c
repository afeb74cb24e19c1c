/* sendfile(2) of small files to sockets, so often that a runtime may do it in another way: what arrives, what
 * is answered, where the position is, and what signals do to it.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/guest/ends.h"
#include "tests/guest/filtered.h"

#define OFTEN 200
#define SIZE 20000

static const char *name = "/tmp/sendfiles";
static char content[SIZE], got[1 << 20];

static int open_file(void)
{
    int fd = open(name, O_RDONLY);

    MUST(fd >= 0);
    return fd;
}

static void shut(struct ends e)
{
    close(e.in);
    close(e.out);
}

/* n bytes of the file from off on have come. */
static bool arrived(int in, off_t off, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t r = read(in, got + done, n - done);
        if (r <= 0)
            return false;
        done += (size_t)r;
    }
    return memcmp(got, content + off, n) == 0;
}

/* The instruction and both descriptors are used often from then on. */
static int warm(struct ends e, int fd)
{
    int wrong = 0;
    char c;

    for (int i = 0; i < OFTEN; i++) {
        off_t off = i;
        MUST(write(e.out, "w", 1) == 1 && read(e.in, &c, 1) == 1);
        MUST(pread(fd, &c, 1, 0) == 1);
        wrong += sendfile(e.out, fd, &off, 5) != 5 || off != i + 5 || !arrived(e.in, i, 5);
    }
    return wrong;
}

static void test_answers(const char *label, struct ends e)
{
    int fd = open_file(), wrong = warm(e, fd);
    off_t off;

    for (int i = 0; i < 20; i++) {
        MUST(lseek(fd, 100, SEEK_SET) == 100);
        wrong += sendfile(e.out, fd, NULL, 50) != 50 || lseek(fd, 0, SEEK_CUR) != 150;
        wrong += !arrived(e.in, 100, 50);
        off = 7;
        wrong += sendfile(e.out, fd, &off, 33) != 33 || off != 40 || lseek(fd, 0, SEEK_CUR) != 150;
        wrong += !arrived(e.in, 7, 33);
        off = SIZE - 10;
        wrong += sendfile(e.out, fd, &off, 1UL << 40) != 10 || off != SIZE || !arrived(e.in, SIZE - 10, 10);
        wrong += sendfile(e.out, fd, &off, 10) != 0 || off != SIZE;
        off = SIZE + 100;
        wrong += sendfile(e.out, fd, &off, 10) != 0 || off != SIZE + 100;
        off = 0;
        wrong += sendfile(e.out, fd, &off, 0) != 0 || off != 0;
        off = -1;
        wrong += sendfile(e.out, fd, &off, 10) != -1 || errno != EINVAL || off != -1;
        off = 5;
        wrong += sendfile(e.out, fd, &off, SIZE_MAX) != -1 || errno != EINVAL || off != 5;
        off = 0;
        wrong += sendfile(e.out, fd, &off, SIZE) != SIZE || off != SIZE || !arrived(e.in, 0, SIZE);
        wrong += sendfile(e.out, e.in, &off, 10) != -1 || (errno != ESPIPE && errno != EINVAL);
        wrong += sendfile(fd, fd, &off, 10) != -1 || errno != EBADF;
        wrong += sendfile(e.out, 900, &off, 10) != -1 || errno != EBADF;
        wrong += sendfile(900, fd, &off, 10) != -1 || errno != EBADF;
    }
    int only = open(name, O_WRONLY);
    wrong += sendfile(e.out, only, NULL, 10) != -1 || errno != EBADF;
    close(only);
    CHECK(label, wrong == 0);
    int again = dup(fd);
    MUST(lseek(again, 3, SEEK_SET) == 3 && close(fd) == 0);
    CHECK_ERRNO("a closed file", sendfile(e.out, fd, NULL, 10), EBADF);
    CHECK("and its other descriptor",
          sendfile(e.out, again, NULL, 10) == 10 && arrived(e.in, 3, 10) && lseek(again, 0, SEEK_CUR) == 13);
    close(again);
    shut(e);
}

static void test_addresses(void)
{
    struct ends e = connect_tcp(0);
    int fd = open_file(), wrong = warm(e, fd);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    MUST(page != MAP_FAILED);
    *(off_t *)page = 11;
    MUST(mprotect(page, 4096, PROT_READ) == 0);
    for (int i = 0; i < 5; i++) {
        wrong += sendfile(e.out, fd, bad_address, 10) != -1 || errno != EFAULT;
        wrong += sendfile(e.out, fd, (off_t *)page, 10) != -1 || errno != EFAULT || !arrived(e.in, 11, 10);
    }
    int left = -1;
    CHECK("bad addresses", wrong == 0 && *(off_t *)page == 11);
    CHECK("and no more was sent", ioctl(e.in, FIONREAD, &left) == 0 && left == 0);
    MUST(munmap(page, 4096) == 0);
    close(fd);
    shut(e);
}

/* Without waiting: each answer says what was sent. */
static void test_nonblock(void)
{
    struct ends e = connect_tcp(0);
    int fd = open_file(), wrong = warm(e, fd);
    size_t sent = 0, received = 0;

    MUST(fcntl(e.out, F_SETFL, O_NONBLOCK) == 0 && fcntl(e.in, F_SETFL, O_NONBLOCK) == 0);
    for (int round = 0; round < 20; round++) {
        ssize_t n;
        do {
            off_t off = (off_t)(sent % SIZE), before = off;
            n = sendfile(e.out, fd, &off, SIZE - (size_t)off);
            wrong += n == 0 || off != before + (n > 0 ? n : 0) || (n < 0 && errno != EAGAIN);
            sent += n > 0 ? (size_t)n : 0;
        } while (n > 0);
        MUST(poll(&(struct pollfd){.fd = e.in, .events = POLLIN}, 1, PATIENCE_MS) == 1);
        while ((n = read(e.in, got, 7000)) > 0)
            for (ssize_t i = 0; i < n; i++)
                wrong += got[i] != content[received++ % SIZE];
    }
    while (received < sent) {
        MUST(poll(&(struct pollfd){.fd = e.in, .events = POLLIN}, 1, PATIENCE_MS) == 1);
        ssize_t n = read(e.in, got, sizeof(got));
        MUST(n > 0);
        for (ssize_t i = 0; i < n; i++)
            wrong += got[i] != content[received++ % SIZE];
    }
    CHECK("what does not wait", wrong == 0 && received == sent);
    close(fd);
    shut(e);
}

#define WHOLE (200UL * SIZE)

/* A child reads all, slowly at first. Its status says whether it was right. */
static pid_t reader(struct ends e)
{
    pid_t pid = fork();
    size_t done = 0;
    int wrong = 0;

    MUST(pid >= 0);
    if (pid)
        return pid;
    close(e.out);
    nap_ms(30);
    for (ssize_t n; (n = read(e.in, got, 30000)) > 0;) {
        for (ssize_t i = 0; i < n; i++)
            wrong += got[i] != content[done++ % SIZE];
        if (done < 10 * SIZE)
            nap_ms(1);
    }
    _exit(wrong == 0 && done == WHOLE ? 0 : 1);
}

static volatile sig_atomic_t caught;

static void on_signal(int signo)
{
    (void)signo;
    caught++;
}

static bool send_whole(struct ends e, int flags, bool storm, int *interrupted)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    struct itimerval every = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    int fd = open_file(), wrong = warm(e, fd), status;
    size_t sent = 0;

    pid_t pid = reader(e);
    MUST(sigaction(SIGALRM, &sa, NULL) == 0);
    MUST(setitimer(ITIMER_REAL, storm ? &every : &never, NULL) == 0);
    while (sent < WHOLE) {
        off_t off = (off_t)(sent % SIZE), before = off;
        size_t want = SIZE - (size_t)off;
        ssize_t n = sendfile(e.out, fd, &off, want);
        if (n < 0 && errno == EINTR) {
            ++*interrupted;
            wrong += off != before;
            continue;
        }
        wrong += n <= 0 || off != before + n || (!storm && (size_t)n != want);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    close(fd);
    shut(e);
    return waitpid(pid, &status, 0) == pid && status == 0 && wrong == 0;
}

static void test_waits(void)
{
    int interrupted = 0;

    CHECK("what waits sends all", send_whole(connect_tcp(0), 0, false, &interrupted) && interrupted == 0);
    CHECK("to a unix socket, too", send_whole(make_unix(), 0, false, &interrupted) && interrupted == 0);
    CHECK("signals that let it go on",
          send_whole(connect_tcp(0), SA_RESTART, true, &interrupted) && interrupted == 0);
    CHECK("signals that do not", send_whole(connect_tcp(0), 0, true, &interrupted));
    CHECK("had something to interrupt", caught > 0);
}

static void fill(struct ends e)
{
    MUST(fcntl(e.out, F_SETFL, O_NONBLOCK) == 0);
    while (write(e.out, content, SIZE) > 0)
        ;
    while (write(e.out, "x", 1) > 0)
        ;
    MUST(errno == EAGAIN && fcntl(e.out, F_SETFL, 0) == 0);
}

/* Nobody reads. */
static void test_interrupted(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
    struct ends e = make_unix();
    int fd = open_file(), wrong = warm(e, fd);

    MUST(sigaction(SIGALRM, &sa, NULL) == 0);
    fill(e);
    for (int i = 0; i < 5; i++) {
        off_t off = 9;
        MUST(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        wrong += sendfile(e.out, fd, &off, 100) != -1 || errno != EINTR || off != 9;
        MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    }
    struct timeval tv = {0, 20000};
    MUST(setsockopt(e.out, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
    wrong += sendfile(e.out, fd, NULL, 100) != -1 || errno != EAGAIN;
    CHECK("EINTR, and a time that is over", wrong == 0);
    close(fd);
    shut(e);
}

static void test_broken(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct ends e = make_unix();
    int fd = open_file(), wrong = warm(e, fd);

    MUST(sigaction(SIGPIPE, &sa, NULL) == 0 && close(e.in) == 0);
    for (int i = 0; i < 5; i++) {
        off_t off = 9;
        caught = 0;
        wrong += sendfile(e.out, fd, &off, 100) != -1 || errno != EPIPE || off != 9 || caught != 1;
    }
    CHECK("nobody is there: one signal each", wrong == 0);
    e = connect_tcp(0);
    wrong = warm(e, fd);
    struct linger hard = {1, 0};
    MUST(setsockopt(e.in, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0 && close(e.in) == 0);
    MUST(poll(&(struct pollfd){.fd = e.out, .events = POLLIN}, 1, PATIENCE_MS) == 1);
    CHECK_ERRNO("a reset is told once", sendfile(e.out, fd, NULL, 100), ECONNRESET);
    CHECK_ERRNO("and then it is broken", sendfile(e.out, fd, NULL, 100), EPIPE);
    MUST(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    close(fd);
    close(e.out);
}

/* Files as a server opens them: used once each. */
static void test_fresh(void)
{
    struct ends e = connect_tcp(0);
    int wrong = 0;

    for (int i = 0; i < 2 * OFTEN; i++) {
        int fd = open_file();
        off_t off = 0;
        wrong += lseek(fd, 0, SEEK_END) != SIZE || write(e.out, "h", 1) != 1;
        wrong += sendfile(e.out, fd, &off, 1000) != 1000 || off != 1000 || close(fd) != 0;
        wrong += read(e.in, got, 1) != 1 || got[0] != 'h' || !arrived(e.in, 0, 1000);
        wrong += i % 50 == 0 && (sendfile(e.out, fd, &off, 10) != -1 || errno != EBADF);
    }
    CHECK("fresh files", wrong == 0);
    shut(e);
}

/* The position is the open file's, whoever moves it, and the end is where it is now. */
static void test_shared(void)
{
    struct ends e = connect_tcp(0);
    int fd = open_file(), wrong = warm(e, fd), again = dup(fd), status;

    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            MUST(lseek(fd, 20 * i, SEEK_SET) == 20 * i && sendfile(e.out, fd, NULL, 10) == 10);
            _exit(0);
        }
        MUST(waitpid(pid, &status, 0) == pid && status == 0);
        wrong += sendfile(e.out, fd, NULL, 10) != 10 || lseek(again, 0, SEEK_CUR) != 20 * i + 20;
        wrong += lseek(again, 5, SEEK_CUR) < 0 || sendfile(e.out, fd, NULL, 1) != 1;
        wrong += !arrived(e.in, 20 * i, 20) || !arrived(e.in, 20 * i + 25, 1);
    }
    CHECK("one position for all", wrong == 0);
    off_t off = SIZE - 100;
    MUST(truncate(name, SIZE - 90) == 0);
    wrong += sendfile(e.out, fd, &off, 100) != 10 || !arrived(e.in, SIZE - 100, 10);
    wrong += sendfile(e.out, fd, &off, 100) != 0;
    int more = open(name, O_WRONLY | O_APPEND);
    MUST(write(more, content + SIZE - 90, 90) == 90 && close(more) == 0);
    wrong += sendfile(e.out, fd, &off, 100) != 90 || off != SIZE || !arrived(e.in, SIZE - 90, 90);
    CHECK("a file that shrinks and grows", wrong == 0);
    /* What was a socket is a file now, and the other way round. */
    int sink = open("/dev/null", O_WRONLY);
    MUST(dup2(e.out, again) == again && dup2(sink, e.out) == e.out);
    off = 3;
    wrong += sendfile(e.out, fd, &off, 9) != 9 || sendfile(again, fd, &off, 9) != 9 || !arrived(e.in, 12, 9);
    MUST(dup2(e.in, fd) == fd);
    wrong += sendfile(again, fd, NULL, 9) != -1 || errno == EBADF;
    CHECK("numbers that change", wrong == 0);
    close(sink);
    close(fd);
    close(again);
    shut(e);
}

static void in_a_child_with_a_filter(void)
{
    struct sock_filter code[] = {
        LOAD(nr),
        IF_CALL(SYS_sendfile, SECCOMP_RET_ERRNO | EXDEV),
        RET(SECCOMP_RET_ALLOW),
    };
    struct ends e = connect_tcp(0);
    int fd = open_file(), wrong = warm(e, fd);

    INSTALL(code, 0);
    wrong += sendfile(e.out, fd, NULL, 9) != -1 || errno != EXDEV;
    CHECK("a filter of its own", wrong == 0);
}

static void in_a_child(void)
{
    test_fresh();
    test_answers("answers in a child", connect_tcp(0));
}

int main(void)
{
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (char)(i * 7 + i / 251);
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    MUST(fd >= 0 && write(fd, content, SIZE) == SIZE && close(fd) == 0);
    test_answers("answers by TCP", connect_tcp(0));
    test_answers("by a unix socket", make_unix());
    test_answers("by a pipe", make_pipe());
    test_addresses();
    test_nonblock();
    test_waits();
    test_interrupted();
    test_broken();
    test_fresh();
    test_shared();
    CHECK("a filter", in_child(in_a_child_with_a_filter) == 0);
    CHECK("a child", in_child(in_a_child) == 0);
    MUST(unlink(name) == 0);
    return check_done();
}
