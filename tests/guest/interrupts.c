/* Every call that can sleep: ended by a handler, restarted with SA_RESTART, stopped and continued, killed. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "tests/guest/loopback.h"

#define TICK_MS 20
#define WAIT_S 60 /* of calls with a time-out */
#define TICKS 6   /* by which a call that is interrupted has been so */

static char buf[1 << 20];
/* Shared with the child. */
static volatile struct {
    int handled, returned;
} * seen;
static int p[2], stream[2], dgram[2], packet[2], ready[2];

static void on_alarm(int signo)
{
    (void)signo;
    seen->handled++;
}

static int unix_listener(int backlog)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = sprintf(a.sun_path + 1, "interrupts-%d", (int)getpid());
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    MUST(bind(l, (struct sockaddr *)&a, (socklen_t)(3 + n)) == 0 && listen(l, backlog) == 0);
    return l;
}

static sigset_t just(int signo)
{
    sigset_t set;
    sigemptyset(&set);
    if (signo)
        sigaddset(&set, signo);
    return set;
}

static long pipe_read(void)
{
    return read(p[0], buf, 1);
}
static long pipe_write(void)
{
    return write(p[1], buf, sizeof(buf));
}
static long stream_recv(void)
{
    return recv(stream[0], buf, 1, 0);
}
static long stream_waitall(void)
{
    (void)send(stream[1], "ab", 2, 0);
    return recv(stream[0], buf, 5, MSG_WAITALL);
}
static long stream_timeout(void)
{
    struct timeval tv = {.tv_sec = WAIT_S};
    setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    return recv(stream[0], buf, 1, 0);
}
static long dgram_recv(void)
{
    return recv(dgram[0], buf, 1, 0);
}
static long packet_recv(void)
{
    return recv(packet[0], buf, 1, 0);
}
static long unix_accept(void)
{
    return accept(unix_listener(1), NULL, NULL);
}
static long unix_connect(void)
{
    int l = unix_listener(0);
    struct sockaddr_un a;
    socklen_t n = sizeof(a);
    getsockname(l, (struct sockaddr *)&a, &n);
    (void)connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, n);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, n);
}
static long tcp_accept(void)
{
    struct sockaddr_in in;
    return accept(listen_here(0, 1, &in), NULL, NULL);
}
static long tcp_recv(void)
{
    struct sockaddr_in in;
    int c = socket(AF_INET, SOCK_STREAM, 0);
    (void)listen_here(0, 1, &in);
    MUST(connect(c, (struct sockaddr *)&in, sizeof(in)) == 0);
    return recv(c, buf, 1, 0);
}
static long call_poll(void)
{
    struct pollfd fd = {.fd = p[0], .events = POLLIN};
    return poll(&fd, 1, -1);
}
static long call_ppoll(void)
{
    struct pollfd fd = {.fd = p[0], .events = POLLIN};
    return ppoll(&fd, 1, NULL, NULL);
}
static long call_select(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    return select(p[0] + 1, &set, NULL, NULL, NULL);
}
static long call_pselect(void)
{
    struct timespec ts = {.tv_sec = WAIT_S};
    return pselect(0, NULL, NULL, NULL, &ts, NULL);
}
static long call_epoll_wait(void)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int e = epoll_create1(0);
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev);
    return epoll_wait(e, &ev, 1, -1);
}
static long call_epoll_pwait(void)
{
    struct epoll_event ev;
    sigset_t none = just(0);
    return epoll_pwait(epoll_create1(0), &ev, 1, WAIT_S * 1000, &none);
}
static long eventfd_get(void)
{
    return read(eventfd(0, 0), buf, 8);
}
static long eventfd_put(void)
{
    uint64_t v = UINT64_MAX - 1;
    int e = eventfd(0, 0);
    (void)!write(e, &v, sizeof(v));
    v = 1;
    return write(e, &v, sizeof(v));
}
static long timerfd_get(void)
{
    return read(timerfd_create(CLOCK_MONOTONIC, 0), buf, 8);
}
static long signalfd_get(void)
{
    sigset_t set = just(SIGUSR2);
    return read(signalfd(-1, &set, 0), buf, 1024);
}
static long inotify_get(void)
{
    return read(inotify_init(), buf, 4096);
}
static long call_flock(void)
{
    return flock(open("/tmp/interrupts.lock", O_RDWR), LOCK_EX);
}
static long record_lock(void)
{
    struct flock l = {.l_type = F_WRLCK};
    return fcntl(open("/tmp/interrupts.lock", O_RDWR), F_SETLKW, &l);
}
static long fifo_to_read(void)
{
    return open("/tmp/interrupts.fifo", O_RDONLY);
}
static long fifo_to_write(void)
{
    return open("/tmp/interrupts.fifo", O_WRONLY);
}
static long call_nanosleep(void)
{
    struct timespec ts = {.tv_sec = WAIT_S};
    return nanosleep(&ts, NULL);
}
static long call_pause(void)
{
    return pause();
}
static long call_sigsuspend(void)
{
    sigset_t none = just(0);
    return sigsuspend(&none);
}
static long call_sigtimedwait(void)
{
    sigset_t set = just(SIGUSR2);
    struct timespec ts = {.tv_sec = WAIT_S};
    return sigtimedwait(&set, NULL, &ts);
}

static const struct {
    const char *name;
    long (*run)(void);
} calls[] = {
    {"read of a pipe", pipe_read},
    {"write into a pipe", pipe_write},
    {"recv of a stream", stream_recv},
    {"recv with MSG_WAITALL", stream_waitall},
    {"recv with a time-out", stream_timeout},
    {"recv of a datagram", dgram_recv},
    {"recv of a packet", packet_recv},
    {"accept", unix_accept},
    {"connect", unix_connect},
    {"accept of TCP", tcp_accept},
    {"recv of TCP", tcp_recv},
    {"poll", call_poll},
    {"ppoll", call_ppoll},
    {"select", call_select},
    {"pselect", call_pselect},
    {"epoll_wait", call_epoll_wait},
    {"epoll_pwait", call_epoll_pwait},
    {"read of an eventfd", eventfd_get},
    {"write to a full eventfd", eventfd_put},
    {"read of a timerfd", timerfd_get},
    {"read of a signalfd", signalfd_get},
    {"read of inotify", inotify_get},
    {"flock", call_flock},
    {"a record lock", record_lock},
    {"open of a FIFO to read", fifo_to_read},
    {"open of a FIFO to write", fifo_to_write},
    {"nanosleep", call_nanosleep},
    {"pause", call_pause},
    {"sigsuspend", call_sigsuspend},
    {"sigtimedwait", call_sigtimedwait},
};

static void prepare(void)
{
    MUST(pipe(p) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0);
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, dgram) == 0);
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet) == 0);
    MUST(write(ready[1], "", 1) == 1);
}

/* In the child: the call, and what it returned. */
static _Noreturn void run_call(unsigned i)
{
    long r = calls[i].run();
    int e = errno;
    seen->returned = 1;
    (void)alarms_end(r);
    value("  returned", r < 0 ? -e : r);
    value("  handled", seen->handled > 0);
    _exit(0);
}

/* As await_sleep, but for a call that ends: then until its child has ended, too. */
static void await_call(pid_t pid)
{
    await_sleep(pid);
    if (seen->returned)
        AWAIT(state_of(pid, pid) == 'Z');
}

/* A child that is in the call; with a handler, that is called again and again meanwhile. */
static pid_t begin_call(unsigned i, const struct sigaction *handler)
{
    seen->handled = seen->returned = 0;
    pid_t pid = fork();
    if (pid == 0) {
        prepare();
        if (handler) {
            sigaction(SIGALRM, handler, NULL);
            alarms_begin(TICK_MS);
        }
        run_call(i);
    }
    MUST(read(ready[0], buf, 1) == 1);
    await_call(pid);
    return pid;
}

/* With a handler: what the call returns, or that it never does. */
static void by_handler(unsigned i, int flags)
{
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = flags};
    pid_t pid = begin_call(i, &sa);
    int st;
    int before = seen->handled;
    AWAIT(seen->returned || ((flags & SA_RESTART) && seen->handled >= before + TICKS));
    if (!seen->returned)
        kill(pid, SIGTERM);
    waitpid(pid, &st, 0);
    value("  ended", st);
}

/* An ignored signal and a stop leave most calls be; SIGKILL ends them at once. */
static void by_stop_and_kill(unsigned i)
{
    pid_t pid = begin_call(i, NULL);
    int st;
    kill(pid, SIGUSR1);
    await_call(pid);
    kill(pid, SIGSTOP);
    waitpid(pid, &st, WUNTRACED);
    value("  stopped", WIFSTOPPED(st));
    kill(pid, SIGCONT);
    await_call(pid);
    long begin = now_ms();
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    value("  killed", st);
    CHECK("  long before its time", now_ms() - begin < WAIT_S * 1000 / 2);
}

/* A stop that is undone at once has ended what a longer one does. */
static void by_undone_stop(unsigned i)
{
    pid_t pid = begin_call(i, NULL);
    int st;
    kill(pid, SIGSTOP);
    kill(pid, SIGCONT);
    await_call(pid);
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    value("  an undone stop", st);
}

/* Who is woken does not sleep any more, whether or not it has been let go on yet. */
static void test_woken(void)
{
    unsigned asleep = 0, ended = 0, i = 0;
    while (calls[i].run != call_sigtimedwait)
        i++;
    for (int round = 0; round < 30; round++) {
        int st;
        pid_t pid = begin_call(i, NULL);
        kill(pid, SIGSTOP);
        kill(pid, SIGCONT);
        await_sleep(pid); /* which it never does again */
        asleep += !seen->returned;
        waitpid(pid, &st, 0);
        ended += st == 0;
    }
    value("  awake, but said to sleep", asleep);
    value("  returned", ended);
}

int main(void)
{
    struct flock l = {.l_type = F_WRLCK};
    int fd = open("/tmp/interrupts.lock", O_RDWR | O_CREAT, 0600);
    signal(SIGUSR1, SIG_IGN);
    seen = shared_zeroes(sizeof(*seen));
    MUST(pipe(ready) == 0);
    MUST(mkfifo("/tmp/interrupts.fifo", 0600) == 0);
    MUST(flock(fd, LOCK_EX) == 0 && fcntl(fd, F_SETLKW, &l) == 0);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        dprintf(1, "%s\n", calls[i].name);
        by_handler(i, 0);
        by_handler(i, SA_RESTART);
        by_stop_and_kill(i);
        by_undone_stop(i);
    }
    test_woken();
    unlink("/tmp/interrupts.fifo");
    unlink("/tmp/interrupts.lock");
    return check_done();
}
