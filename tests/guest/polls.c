/* poll and ppoll of sockets and pipes that are used so often that a runtime may wait for them in the
 * program's own process: what they say, time-outs, signals, descriptors that come and go, threads and
 * children. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tests/guest/alarmed.h"

#define OFTEN 200

static int one(int fd, short events, int ms)
{
    struct pollfd p = {fd, events, 0x5a};
    int r = poll(&p, 1, ms);
    return r == 1 ? p.revents : r == 0 ? (p.revents == 0 ? 0 : -2) : -1;
}

static int pone(int fd, short events, const struct timespec *ts)
{
    struct pollfd p = {fd, events, 0x5a};
    int r = ppoll(&p, 1, ts, NULL);
    return r == 1 ? p.revents : r;
}

static void warm(int a, int b)
{
    char c;
    for (int i = 0; i < OFTEN; i++) {
        MUST(write(a, "w", 1) == 1 && one(b, POLLIN, -1) == POLLIN && pone(b, POLLIN, NULL) == POLLIN);
        MUST(read(b, &c, 1) == 1);
    }
}

static void make_pair(int s[2])
{
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    warm(s[0], s[1]);
    warm(s[1], s[0]);
}

static void make_pipe(int p[2])
{
    MUST(pipe(p) == 0);
    warm(p[1], p[0]);
}

/* Writes when the parent waits. */
static pid_t later(int fd)
{
    pid_t parent = getpid(), pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        await_sleep(parent);
        _exit(write(fd, "l", 1) == 1 ? 0 : 1);
    }
    return pid;
}

static void test_events(void)
{
    int s[2], p[2];
    char c, big[4096] = {0};
    make_pair(s);
    make_pipe(p);
    CHECK("nothing", one(s[0], POLLIN, 0) == 0 && one(p[0], POLLIN, 0) == 0);
    CHECK("room", one(s[0], POLLOUT, 0) == POLLOUT && one(p[1], POLLOUT, -1) == POLLOUT);
    CHECK("both", one(s[0], POLLIN | POLLOUT, 1000) == POLLOUT);
    MUST(write(s[1], "x", 1) == 1);
    CHECK("all that is asked for",
          one(s[0], POLLIN | POLLOUT | POLLPRI | POLLRDHUP, -1) == (POLLIN | POLLOUT) &&
              one(s[0], POLLOUT, -1) == POLLOUT && one(s[0], 0, 0) == 0);
    CHECK("by other names",
          one(s[0], POLLRDNORM, -1) == POLLRDNORM && one(s[0], POLLIN | POLLNVAL, 0) == POLLIN);
    MUST(read(s[0], &c, 1) == 1 && fcntl(s[0], F_SETFL, O_NONBLOCK) == 0);
    while (write(s[0], big, sizeof(big)) > 0)
        ;
    CHECK("full", one(s[0], POLLOUT, 0) == 0);
    close(p[1]);
    CHECK("hung up", one(p[0], POLLIN, -1) == POLLHUP && one(p[0], 0, -1) == POLLHUP);
    MUST(shutdown(s[1], SHUT_WR) == 0);
    CHECK("half closed", one(s[0], POLLIN | POLLRDHUP, -1) == (POLLIN | POLLRDHUP));
    close(s[1]);
    CHECK("closed", (one(s[0], POLLIN, -1) & POLLHUP) != 0);
    close(s[0]);
    CHECK("no descriptor", one(s[0], POLLIN, -1) == POLLNVAL);
    close(p[0]);
}

static void test_many(void)
{
    int s[2], p[2], q[2];
    make_pair(s);
    make_pipe(p);
    make_pipe(q);
    struct pollfd f[12] = {
        {s[0], POLLIN, 1}, {-1, POLLIN, 1}, {p[0], POLLIN, 1}, {q[0], POLLIN, 1}, {q[1], POLLOUT, 1}};
    CHECK("one of them", poll(f, 5, -1) == 1 && !f[0].revents && !f[1].revents && !f[2].revents &&
                             !f[3].revents && f[4].revents == POLLOUT);
    MUST(write(p[1], "p", 1) == 1);
    CHECK("another", poll(f, 4, -1) == 1 && f[2].revents == POLLIN && !f[0].revents);
    reap(later(s[1]));
    CHECK("several",
          poll(f, 5, -1) == 3 && f[0].revents == POLLIN && f[2].revents == POLLIN && f[4].revents == POLLOUT);
    f[1].fd = s[0];
    CHECK("one of them twice", poll(f, 3, -1) == 3 && f[0].revents == POLLIN && f[1].revents == POLLIN);
    f[1].fd = 1;
    f[1].events = POLLOUT;
    CHECK("a file, too", poll(f, 3, -1) == 3 && f[1].revents == POLLOUT);
    f[1].fd = 900;
    CHECK("none at all, too", poll(f, 3, 0) == 3 && f[1].revents == POLLNVAL);
    for (int i = 0; i < 12; i++)
        f[i] = (struct pollfd){i % 2 ? s[0] : p[0], POLLIN, 0};
    CHECK("a dozen", poll(f, 12, -1) == 12 && f[11].revents == POLLIN);
    CHECK("no more than that", poll(f, 0, 1) == 0);
    CHECK_ERRNO("nowhere", poll(bad_address, 2, 0), EFAULT);
    f[0].fd = f[1].fd = -5;
    CHECK("nobody", poll(f, 2, 10) == 0 && !f[0].revents);
    close(s[0]), close(s[1]), close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

static void test_times(void)
{
    int s[2];
    make_pair(s);
    long begin = now_ms();
    CHECK("a time-out", one(s[0], POLLIN, 60) == 0 && now_ms() - begin >= 59);
    struct timespec ts = {0, 60000000}, none = {0, 0};
    begin = now_ms();
    CHECK("and of ppoll", pone(s[0], POLLIN, &ts) == 0 && now_ms() - begin >= 59);
    CHECK("no time", pone(s[0], POLLIN, &none) == 0);
    struct pollfd p = {s[0], POLLIN, 0};
    CHECK_ERRNO("no time that there is", ppoll(&p, 1, &(struct timespec){0, -1}, NULL), EINVAL);
    handle_alarms(30, 0);
    CHECK("interrupted", alarms_end(one(s[0], POLLIN, -1)) == -1 && errno == EINTR && *caught == SIGALRM);
    handle_alarms(30, SA_RESTART);
    CHECK("whatever the handler's flags",
          alarms_end(one(s[0], POLLIN, -1)) == -1 && errno == EINTR && *caught == SIGALRM);
    handle_alarms(30, SA_RESTART);
    CHECK("in its time",
          alarms_end(one(s[0], POLLIN, PATIENCE_MS)) == -1 && errno == EINTR && *caught == SIGALRM);
    sigset_t block, empty;
    sigemptyset(&empty);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    handle_alarms(20, 0);
    CHECK("blocked", one(s[0], POLLIN, 60) == 0 && !*caught);
    CHECK("let in", alarms_end(ppoll(&p, 1, NULL, &empty)) == -1 && errno == EINTR && *caught == SIGALRM);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    pid_t pid = later(s[1]);
    CHECK("afterwards", one(s[0], POLLIN, -1) == POLLIN);
    reap(pid);
    close(s[0]);
    close(s[1]);
}

/* A wait that is stopped goes on when the process does. */
static void test_stopped(void)
{
    int s[2], status;
    make_pair(s);
    pid_t pid = fork();
    if (pid == 0) {
        warm(s[0], s[1]);
        _exit(one(s[0], POLLIN, -1) == POLLIN ? 0 : 1);
    }
    await_sleep(pid);
    kill(pid, SIGSTOP);
    MUST(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    kill(pid, SIGCONT);
    await_sleep(pid);
    MUST(write(s[1], "s", 1) == 1);
    reap(pid);
    close(s[0]);
    close(s[1]);
}

/* What a signal cut short leaves nothing behind. */
static void test_cut_short(void)
{
    int s[2], p[2];
    char c;
    make_pair(s);
    long wrong = 0;
    struct itimerval often = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
    handle_alarms(1, 0);
    MUST(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 1500; i++) {
        int r = one(s[0], POLLIN, 1);
        wrong += r != 0 && !(r == -1 && errno == EINTR);
        if (i % 10 == 0) {
            ssize_t w;
            while ((w = write(s[1], "i", 1)) < 0 && errno == EINTR)
                ;
            while ((r = one(s[0], POLLIN, PATIENCE_MS)) == -1 && errno == EINTR)
                ;
            wrong += r != POLLIN;
            while (read(s[0], &c, 1) < 0 && errno == EINTR)
                ;
        }
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK("a rain of signals", wrong == 0);
    close(s[0]);
    MUST(pipe(p) == 0);
    int again = dup2(p[0], s[0]);
    MUST(again == s[0]);
    CHECK("another file at that number", one(s[0], POLLIN, 20) == 0);
    MUST(write(p[1], "n", 1) == 1);
    CHECK("is what counts", one(s[0], POLLIN, -1) == POLLIN);
    close(s[0]), close(s[1]), close(p[0]), close(p[1]);
}

static void *ask(void *arg)
{
    int s[2];
    long good = 0;
    char c;
    (void)arg;
    make_pair(s);
    for (int i = 0; i < 300; i++) {
        good += one(s[0], POLLIN, 0) == 0;
        MUST(write(s[1], "t", 1) == 1);
        good += one(s[0], POLLIN, -1) == POLLIN && read(s[0], &c, 1) == 1;
    }
    close(s[0]);
    close(s[1]);
    return (void *)good;
}

static void ask_here(void)
{
    CHECK("in a child", (long)ask(NULL) == 600);
}

static void test_threads(void)
{
    pthread_t t[20];
    long sum = 0;
    void *r;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20; i++)
            MUST(pthread_create(&t[i], NULL, ask, NULL) == 0);
        for (int i = 0; i < 20; i++) {
            pthread_join(t[i], &r);
            sum += (long)r;
        }
        CHECK("a child", in_child(ask_here) == 0);
    }
    CHECK("threads", sum == 2L * 20 * 600);
}

/* Where a runtime may keep its own descriptors. */
static void test_numbers(void)
{
    int s[2], wrong = 0;
    make_pair(s);
    for (int fd = 1000; fd < 1024; fd++) {
        MUST(write(s[1], "a", 1) == 1);
        wrong += fcntl(fd, F_GETFD) != -1 || one(s[0], POLLIN, -1) != POLLIN;
        MUST(dup2(s[0], fd) == fd);
        for (int i = 0; i < 20; i++)
            wrong += one(fd, POLLIN, -1) != POLLIN || one(s[0], POLLIN, 0) != POLLIN;
        char c;
        wrong += read(fd, &c, 1) != 1 || one(s[0], POLLIN, 0) != 0;
    }
    for (int fd = 1000; fd < 1024; fd++)
        wrong += close(fd) != 0 || one(s[0], POLLIN, 0) != 0;
    CHECK("every number is the program's", wrong == 0);
    close(s[0]);
    close(s[1]);
}

/* What was waited for once is nobody's event later, nor another file's. */
static void test_left_behind(void)
{
    int s[2], t[2], u[2];
    char c;
    make_pair(s);
    make_pair(t);
    struct pollfd both[2] = {{s[0], POLLIN, 0}, {t[0], POLLIN, 0}};
    CHECK("two are quiet", poll(both, 2, 0) == 0);
    MUST(write(s[1], "x", 1) == 1);
    CHECK("one that is not asked for", one(t[0], POLLIN, 20) == 0 && one(t[0], POLLIN, 0) == 0);
    CHECK("until it is", poll(both, 2, -1) == 1 && both[0].revents == POLLIN && both[1].revents == 0);
    CHECK("again and again", one(s[0], POLLIN, -1) == POLLIN && one(s[0], POLLIN, -1) == POLLIN);
    CHECK("for something else", one(s[0], POLLOUT, -1) == POLLOUT && one(s[0], POLLPRI, 0) == 0);
    MUST(read(s[0], &c, 1) == 1);
    CHECK("not any more", one(s[0], POLLIN, 0) == 0 && poll(both, 2, 0) == 0);

    int kept = dup(s[0]);
    MUST(kept >= 0 && dup2(t[0], s[0]) == s[0] && write(s[1], "o", 1) == 1);
    CHECK("another file by dup2", one(s[0], POLLIN, 20) == 0 && poll(both, 2, 0) == 0);
    MUST(write(t[1], "n", 1) == 1);
    CHECK("has its own events", poll(both, 2, -1) == 2 && one(kept, POLLIN, -1) == POLLIN);
    MUST(read(t[0], &c, 1) == 1 && c == 'n' && read(kept, &c, 1) == 1 && c == 'o');
    MUST(close(s[0]) == 0 && one(t[0], POLLIN, 0) == 0);
    CHECK("closed", poll(both, 2, 0) == 1 && both[0].revents == POLLNVAL);
    make_pair(u);
    CHECK("the number is used again", u[0] == s[0] && poll(both, 2, 0) == 0);
    MUST(write(s[1], "o", 1) == 1);
    CHECK("a new file by its number", poll(both, 2, 20) == 0 && one(kept, POLLIN, -1) == POLLIN);
    MUST(write(u[1], "u", 1) == 1);
    CHECK("waits for itself", poll(both, 2, -1) == 1 && both[0].revents == POLLIN);
    close(kept), close(s[1]), close(t[0]), close(t[1]), close(u[0]), close(u[1]);
}

/* A child has what its parent closes, and uses. */
static void test_child_keeps(void)
{
    int s[2], u[2], go[2], status;
    char c;
    make_pair(s);
    MUST(pipe(go) == 0 && one(s[0], POLLIN, 0) == 0);
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        int good = read(go[0], &c, 1) == 1 && one(s[0], POLLIN, -1) == POLLIN && read(s[0], &c, 1) == 1;
        good = good && one(s[0], POLLIN, 0) == 0;
        _exit(good ? 0 : 1);
    }
    close(s[0]);
    make_pair(u);
    MUST(u[0] == s[0] && write(s[1], "x", 1) == 1);
    CHECK("a child's events are its own", one(u[0], POLLIN, 20) == 0);
    MUST(write(go[1], "g", 1) == 1);
    CHECK("and there they come",
          waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    MUST(write(u[1], "u", 1) == 1);
    CHECK("here the other's", one(u[0], POLLIN, -1) == POLLIN);
    close(s[1]), close(u[0]), close(u[1]), close(go[0]), close(go[1]);
}

/* More than are watched at a time, in turns. */
static void test_turns(void)
{
    int s[11][2], wrong = 0;
    char c;
    for (int i = 0; i < 11; i++)
        make_pair(s[i]);
    for (int i = 0; i < 300; i++) {
        int k = i * 7 % 11;
        struct pollfd p[3] = {
            {s[k][0], POLLIN, 0}, {s[(k + 3) % 11][0], POLLIN, 0}, {s[(k + 5) % 11][0], POLLOUT, 0}};
        MUST(write(s[k][1], "t", 1) == 1);
        wrong += poll(p, 3, -1) != 2 || p[0].revents != POLLIN || p[1].revents || p[2].revents != POLLOUT;
        wrong += read(s[k][0], &c, 1) != 1 || poll(p, 2, 0) != 0;
    }
    CHECK("in turns", wrong == 0);
    for (int i = 0; i < 11; i++)
        close(s[i][0]), close(s[i][1]);
}

struct changer {
    int s[2], u[2];
};

static void *change(void *arg)
{
    struct changer *x = arg;
    close(x->s[0]);
    make_pair(x->u);
    return NULL;
}

static void test_changed_by_thread(void)
{
    struct changer x;
    pthread_t t;
    make_pair(x.s);
    int kept = dup(x.s[0]);
    for (int i = 0; i < 20; i++)
        MUST(one(x.s[0], POLLIN, 0) == 0);
    MUST(pthread_create(&t, NULL, change, &x) == 0 && pthread_join(t, NULL) == 0);
    MUST(x.u[0] == x.s[0] && write(x.s[1], "x", 1) == 1);
    CHECK("a thread has changed it", one(x.u[0], POLLIN, 20) == 0 && one(kept, POLLIN, -1) == POLLIN);
    MUST(write(x.u[1], "u", 1) == 1);
    CHECK("to what it is now", one(x.u[0], POLLIN, -1) == POLLIN);
    close(kept), close(x.s[1]), close(x.u[0]), close(x.u[1]);
}

int main(void)
{
    caught = shared_zeroes(sizeof(*caught));
    test_events();
    test_many();
    test_times();
    test_stopped();
    test_cut_short();
    test_threads();
    test_left_behind();
    test_child_keeps();
    test_turns();
    test_changed_by_thread();
    test_numbers();
    return check_done();
}
