/* epoll, and sockets that are watched, across processes: forks, programs, descriptors that are passed,
 * filters, and a server's life.
 *
 * Also run with: --lanes=off */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/guest/filtered.h"
#include "tests/guest/scm.h"
#include "tests/guest/watched.h"

static int shared_ep;
static struct ends shared;

static void child_works(void)
{
    struct ends own = make_tcp();
    warm(shared_ep, own);
    MUST(add(shared_ep, own.in, 1000) == 0);
    feed(own);
    CHECK("a child's own", says(shared_ep, 1, 1000));
    CHECK("the parent's, changed by it", ctl(shared_ep, EPOLL_CTL_MOD, shared.in, EPOLLIN, 2) == 0);
    CHECK_ERRNO("not added twice", add(shared_ep, shared.in, 1), EEXIST);
    feed(shared);
    CHECK("both", says(shared_ep, 2, 1002));
    drain(shared);
}

static void child_takes_out(void)
{
    CHECK("taken out by a child", del(shared_ep, shared.in) == 0);
}

static void test_fork(struct ends e)
{
    shared_ep = make_epoll();
    shared = e;
    warm(shared_ep, e);
    MUST(add(shared_ep, e.in, 1) == 0);
    in_child(child_works);
    CHECK("what was the child's has gone with it", says(shared_ep, 0, 0));
    feed(e);
    CHECK("what it changed has stayed so", says(shared_ep, 1, 2));
    in_child(child_takes_out);
    CHECK("so has what it took out",
          says(shared_ep, 0, 0) && add(shared_ep, e.in, 3) == 0 && says(shared_ep, 1, 3));
    int number = e.in, p[2];
    char c;
    MUST(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[1]);
        _exit(read(p[0], &c, 1) == 0 ? 0 : 1);
    }
    MUST(close(e.in) == 0);
    CHECK("a child has it yet", says(shared_ep, 1, 3));
    CHECK_ERRNO("we have not", del(shared_ep, number), EBADF);
    close(p[1]);
    waitpid(pid, NULL, 0);
    CHECK("nobody has", says(shared_ep, 0, 0));
    close(p[0]);
    close(e.out);
    close(shared_ep);
}

static void test_in_flight(struct ends e)
{
    struct ends u = make_unix();
    int ep = make_epoll();
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    feed(e);
    MUST(send_fds(u.out, &e.in, 1) == 0);
    MUST(close(e.in) == 0);
    CHECK("in flight", says(ep, 1, 1));
    int fd = receive_fd(u.in, 0);
    CHECK("arrived", says(ep, 1, 1));
    MUST(fd == e.in || dup2(fd, e.in) == e.in);
    CHECK("at the number it was", del(ep, e.in) == 0 && add(ep, e.in, 2) == 0 && says(ep, 1, 2));
    if (fd != e.in)
        close(fd);
    close(e.in);
    CHECK("closed", says(ep, 0, 0));
    close(e.out);
    close(ep);
    shut(u);
}

/* An epoll for another process, which has other files under the same numbers. */
static void test_passed(struct ends e)
{
    struct ends u = make_unix();
    int ep = make_epoll();
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        int got = receive_fd(u.in, 0);
        struct ends own = make_tcp();
        MUST(dup2(own.in, e.in) == e.in);
        CHECK_ERRNO("another file", del(got, e.in), ENOENT);
        CHECK("at that number", add(got, e.in, 40) == 0);
        feed(own);
        CHECK("is seen", says(got, 1, 40));
        drain(own);
        warm(make_epoll(), own);
        feed(own);
        MUST(send_fds(u.in, &got, 1) == 0);
        MUST(read(u.in, &got, 1) == 1);
        _exit(check_failures ? 1 : 0);
    }
    MUST(send_fds(u.out, &ep, 1) == 0);
    close(ep);
    ep = receive_fd(u.out, 0);
    CHECK("by all who have it", says(ep, 1, 40));
    feed(e);
    CHECK("with ours", says(ep, 2, 41));
    int status;
    MUST(write(u.out, "x", 1) == 1 && waitpid(pid, &status, 0) == pid);
    CHECK("the child's checks", status == 0);
    CHECK("and then alone", says(ep, 1, 1) && del(ep, e.in) == 0 && says(ep, 0, 0));
    close(ep);
    shut(e);
    shut(u);
}

static int after_exec(int ep, struct ends e)
{
    feed(e);
    CHECK("kept over an exec", says(ep, 1, 9));
    CHECK_ERRNO("not twice", add(ep, e.in, 5), EEXIST);
    CHECK("changed", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 6) == 0 && says(ep, 1, 6));
    CHECK("taken out", del(ep, e.in) == 0 && says(ep, 0, 0));
    drain(e);
    warm(ep, e);
    return check_failures ? 1 : 0;
}

static void test_exec(struct ends e)
{
    struct ends gone = make_tcp(), told = make_pipe();
    char arg[3][16], c;
    int ep = make_epoll();
    warm(ep, e);
    warm(ep, gone);
    fcntl(gone.in, F_SETFD, FD_CLOEXEC);
    MUST(add(ep, e.in, 9) == 0 && add(ep, gone.in, 90) == 0);
    feed(gone);
    pid_t pid = fork();
    if (pid == 0) {
        snprintf(arg[0], 16, "%d", ep);
        snprintf(arg[1], 16, "%d", e.in);
        snprintf(arg[2], 16, "%d", e.out);
        close(told.out);
        MUST(read(told.in, &c, 1) == 0);
        execl("/test/epoll_shared", "epoll_shared", arg[0], arg[1], arg[2], (char *)NULL);
        _exit(127);
    }
    close(gone.in);
    shut(told);
    int status;
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK("after the exec", status == 0);
    CHECK("closed by both", says(ep, 0, 0));
    close(gone.out);
    shut(e);
    close(ep);
}

/* A server's life: each connection has the number of the one before. */
static void test_connections(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    int l = listen_here(SOCK_NONBLOCK, 8, &a), ep = make_epoll(), bad = 0;
    struct epoll_event got[4];
    MUST(add(ep, l, 1) == 0);
    for (int i = 0; i < OFTEN; i++) {
        int out = socket(AF_INET, SOCK_STREAM, 0);
        MUST(connect(out, (struct sockaddr *)&a, len) == 0);
        bad += epoll_wait(ep, got, 4, PATIENCE_MS) != 1 || got[0].data.u64 != 1;
        int in = accept4(l, NULL, NULL, SOCK_NONBLOCK);
        MUST(in >= 0 && ctl(ep, EPOLL_CTL_ADD, in, EPOLLIN | EPOLLET | EPOLLRDHUP, 2) == 0);
        struct ends e = {in, out};
        feed(e);
        bad += epoll_wait(ep, got, 4, PATIENCE_MS) != 1 || got[0].data.u64 != 2;
        drain(e);
        MUST(shutdown(out, SHUT_WR) == 0);
        bad += epoll_wait(ep, got, 4, PATIENCE_MS) != 1 || got[0].events != (EPOLLIN | EPOLLRDHUP);
        bad += i % 2 ? del(ep, in) != 0 : 0;
        shut(e);
    }
    CHECK("one connection after the other", bad == 0);
    CHECK("and nothing is left of them", says(ep, 0, 0));
    close(l);
    close(ep);
}

static void on_alarm(int signo)
{
    (void)signo;
}

/* Sockets that wait, and are watched all the same. */
static void test_blocking(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0), ep = make_epoll(), out = socket(AF_INET, SOCK_STREAM, 0),
        error = -1;
    char c;
    MUST(add(ep, l, 1) == 0 && bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 0) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0 && add(ep, out, 2) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(ctl(ep, EPOLL_CTL_MOD, l, EPOLLIN, 1) == 0 && ctl(ep, EPOLL_CTL_MOD, out, EPOLLIN, 2) == 0);
    MUST(sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL) == 0);
    alarms_begin(40);
    CHECK_ERRNO("accept waits, and is interrupted", alarms_end(accept(l, NULL, NULL)), EINTR);
    CHECK("connected", connect(out, (struct sockaddr *)&a, len) == 0);
    int in = accept(l, NULL, NULL);
    MUST(in >= 0 && write(in, "x", 1) == 1);
    CHECK("and used", read(out, &c, 1) == 1 && c == 'x');
    alarms_begin(40);
    CHECK_ERRNO("a read of it waits", alarms_end(read(out, &c, 1)), EINTR);
    int full[3];
    for (int i = 0; i < 3; i++)
        MUST((full[i] = socket(AF_INET, SOCK_STREAM, 0)) >= 0 && add(ep, full[i], 4) == 0);
    for (int i = 0; i < 3 && error; i++) {
        alarms_begin(60);
        error = alarms_end(connect(full[i], (struct sockaddr *)&a, len)) == 0;
    }
    CHECK_ERRNO("where nobody accepts, connect waits", -!error, EINTR);
    for (int i = 0; i < 3; i++)
        close(full[i]);
    MUST(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
    while ((error = accept(l, NULL, NULL)) >= 0)
        close(error);
    CHECK_ERRNO("nobody is there", accept(l, NULL, NULL), EAGAIN);
    MUST(fcntl(l, F_SETFL, 0) == 0);
    alarms_begin(40);
    CHECK_ERRNO("and waited for", alarms_end(accept(l, NULL, NULL)), EINTR);
    close(l);
    close(in);
    close(out);
    close(ep);
}

/* Without a number for it a connection stays where it is. */
static void test_full_table(void)
{
    struct sockaddr_in a;
    struct rlimit full, was;
    char c = 0;
    int l = listen_here(0, 4, &a), out = socket(AF_INET, SOCK_STREAM, 0);
    MUST(connect(out, (struct sockaddr *)&a, sizeof(a)) == 0);
    MUST(getrlimit(RLIMIT_NOFILE, &was) == 0);
    full = was;
    full.rlim_cur = (rlim_t)out + 1;
    MUST(setrlimit(RLIMIT_NOFILE, &full) == 0);
    CHECK_ERRNO("no number is left", accept(l, NULL, NULL), EMFILE);
    MUST(setrlimit(RLIMIT_NOFILE, &was) == 0);
    int in = accept(l, NULL, NULL);
    CHECK("the connection is", in >= 0 && write(out, "r", 1) == 1 && read(in, &c, 1) == 1 && c == 'r');
    close(l);
    shut((struct ends){in, out});
}

/* A filter that looks at the call: from then on nothing may bypass it, and all is as it was. */
static void filtered(void)
{
    const struct sock_filter code[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 3),
        LOAD(args[1]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, EPOLL_CTL_MOD, 0, 1),
        RET(SECCOMP_RET_ERRNO | EDOM),
        RET(SECCOMP_RET_ALLOW),
    };
    struct ends late = make_tcp();
    INSTALL(code, 0);
    CHECK_ERRNO("the filter's word", ctl(shared_ep, EPOLL_CTL_MOD, shared.in, EPOLLIN, 2), EDOM);
    CHECK_ERRNO("what was there is there", add(shared_ep, shared.in, 3), EEXIST);
    feed(shared);
    CHECK("and tells", says(shared_ep, 1, 1));
    CHECK("and goes", del(shared_ep, shared.in) == 0 && says(shared_ep, 0, 0));
    drain(shared);
    CHECK("and comes again", add(shared_ep, shared.in, 3) == 0);
    CHECK("beside another", add(shared_ep, late.in, 4) == 0);
    feed(late);
    CHECK("which tells", says(shared_ep, 1, 4));
}

static void test_filter(struct ends e)
{
    shared_ep = make_epoll();
    shared = e;
    warm(shared_ep, e);
    MUST(add(shared_ep, e.in, 1) == 0);
    in_child(filtered);
    feed(e);
    CHECK("the child's doing", says(shared_ep, 1, 3));
    CHECK("changed without a filter",
          ctl(shared_ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 5) == 0 && says(shared_ep, 1, 5));
    close(shared_ep);
    shut(e);
}

/* Memory without the table: each has its own descriptors. */
static int vm_child(void *arg)
{
    struct ends e = make_pipe();
    int ep = *(int *)arg;
    MUST(close(shared.in) == 0);
    for (int i = 0; i < OFTEN; i++)
        MUST(add(ep, e.in, 1) == 0 && del(ep, e.in) == 0);
    shut(e);
    return 0;
}

static void test_shared_memory(struct ends e)
{
    static char stack[65536] __attribute__((aligned(16)));
    int ep = make_epoll(), status;
    shared = e;
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    pid_t pid = clone(vm_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &ep);
    MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK("the other's checks", status == 0);
    feed(e);
    CHECK("ours is open", says(ep, 1, 1) && ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 2) == 0 && says(ep, 1, 2));
    drain(e);
    MUST(del(ep, e.in) == 0);
    warm(ep, e);
    close(ep);
    shut(e);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return after_exec(atoi(argv[1]), (struct ends){atoi(argv[2]), atoi(argv[3])});
    test_fork(make_tcp());
    test_fork(make_pipe());
    test_in_flight(make_tcp());
    test_in_flight(make_pipe());
    test_passed(make_tcp());
    test_exec(make_tcp());
    test_exec(make_pipe());
    test_connections();
    test_blocking();
    test_full_table();
    test_filter(make_tcp());
    test_shared_memory(make_tcp());
    return check_done();
}
