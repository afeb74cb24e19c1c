/* Signals: handlers, siginfo, masks, nesting, the alternate stack, restarts, waits for signals. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#include "tests/guest/siginfo.h"

static volatile sig_atomic_t hits, last_signo, last_code, last_pid, last_uid, last_value, depth, max_depth;
static void *volatile last_sp;
static volatile int *shared_hits; /* with children */

static void note(int signo, siginfo_t *info, void *context)
{
    (void)context;
    int here;
    hits++;
    (*shared_hits)++;
    last_sp = &here;
    last_signo = signo;
    last_code = info->si_code;
    last_pid = info->si_pid;
    last_uid = (int)info->si_uid;
    last_value = info->si_value.sival_int;
}

static void set(int signo, void (*fn)(int, siginfo_t *, void *), int flags)
{
    handle_info(signo, fn, flags, 0);
}

static void test_siginfo(void)
{
    set(SIGUSR1, note, 0);
    hits = 0;
    kill(getpid(), SIGUSR1);
    CHECK("kill runs the handler before it returns", hits == 1 && last_signo == SIGUSR1);
    CHECK("kill: SI_USER, own pid and uid",
          last_code == SI_USER && last_pid == getpid() && last_uid == (int)getuid());
    raise(SIGUSR1);
    CHECK("raise: SI_TKILL", hits == 2 && last_code == SI_TKILL && last_pid == getpid());
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 4711});
    CHECK("sigqueue: SI_QUEUE with its value", hits == 3 && last_code == SI_QUEUE && last_value == 4711);
    struct sigaction old;
    sigaction(SIGUSR1, NULL, &old);
    CHECK("sigaction reads back", old.sa_sigaction == note && (old.sa_flags & SA_SIGINFO));
    CHECK_ERRNO("no handler for SIGKILL", sigaction(SIGKILL, &old, NULL), EINVAL);
    CHECK_ERRNO("no handler for SIGSTOP", sigaction(SIGSTOP, &old, NULL), EINVAL);
    CHECK_ERRNO("no signal 65", kill(getpid(), 65), EINVAL);
    CHECK_ERRNO("no such process", kill(99999, 0), ESRCH);
    CHECK("signal 0 to itself", kill(getpid(), 0) == 0);
}

static void test_masks(void)
{
    set(SIGUSR1, note, 0);
    hits = 0;
    block(SIG_BLOCK, SIGUSR1);
    for (int i = 0; i < 3; i++)
        kill(getpid(), SIGUSR1);
    sigset_t pending;
    sigpending(&pending);
    CHECK("a blocked signal is pending", hits == 0 && sigismember(&pending, SIGUSR1));
    block(SIG_UNBLOCK, SIGUSR1);
    CHECK("a standard signal is queued once", hits == 1);
    set(SIGRTMIN + 3, note, 0);
    set(SIGRTMIN + 1, note, 0);
    hits = 0;
    block(SIG_BLOCK, SIGRTMIN + 3);
    for (int i = 0; i < 5; i++)
        sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
    block(SIG_UNBLOCK, SIGRTMIN + 3);
    CHECK("a real-time signal is queued each time", hits == 5);
    CHECK("in the order sent", last_value == 4);
    sigset_t all, none, now;
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigprocmask(SIG_SETMASK, &none, &now);
    CHECK("SIGKILL and SIGSTOP cannot be blocked",
          !sigismember(&now, SIGKILL) && !sigismember(&now, SIGSTOP));
    CHECK("the others can", sigismember(&now, SIGTERM) && sigismember(&now, 64));
    CHECK_ERRNO("an unknown how", sigprocmask(17, &none, NULL), EINVAL);
}

static void nest(int signo, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    if (++depth > max_depth)
        max_depth = depth;
    if (hits++ < 5)
        raise(signo);
    depth--;
}

static void mask_probe(int signo, siginfo_t *info, void *context)
{
    (void)info;
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    ucontext_t *uc = context;
    hits = sigismember(&now, signo) | sigismember(&now, SIGUSR2) << 1 | sigismember(&now, SIGHUP) << 2 |
           sigismember(&uc->uc_sigmask, SIGHUP) << 3;
    sigaddset(&uc->uc_sigmask, SIGWINCH); /* the return restores what stands here */
}

static void test_handler_mask(void)
{
    hits = depth = max_depth = 0;
    set(SIGUSR1, nest, 0);
    raise(SIGUSR1);
    CHECK("its own signal is blocked in the handler", max_depth == 1 && hits == 6);
    hits = depth = max_depth = 0;
    set(SIGUSR1, nest, SA_NODEFER);
    raise(SIGUSR1);
    CHECK("SA_NODEFER nests", max_depth == 6);
    struct sigaction sa = {.sa_sigaction = mask_probe, .sa_flags = SA_SIGINFO};
    sigaddset(&sa.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    CHECK("sa_mask and the signal are blocked, others not", hits == 3);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK("uc_sigmask is what the return restores",
          sigismember(&now, SIGWINCH) && !sigismember(&now, SIGUSR1));
    block(SIG_UNBLOCK, SIGWINCH);
    set(SIGUSR1, note, (int)SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &sa);
    CHECK("SA_RESETHAND", sa.sa_handler == SIG_DFL);
}

static char altstack[65536];

static void test_altstack(void)
{
    stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;
    CHECK("sigaltstack", sigaltstack(&ss, &old) == 0 && (old.ss_flags & SS_DISABLE));
    set(SIGUSR1, note, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK("SA_ONSTACK runs there",
          (char *)last_sp > altstack && (char *)last_sp < altstack + sizeof(altstack));
    set(SIGUSR1, note, 0);
    raise(SIGUSR1);
    CHECK("without it not", (char *)last_sp < altstack || (char *)last_sp > altstack + sizeof(altstack));
    sigaltstack(NULL, &old);
    CHECK("reads back", old.ss_sp == altstack && old.ss_size == sizeof(altstack) && old.ss_flags == 0);
    ss.ss_size = 100;
    CHECK_ERRNO("too small a stack", sigaltstack(&ss, NULL), ENOMEM);
    ss.ss_flags = SS_DISABLE;
    sigaltstack(&ss, NULL);
}

/* A thread that sends another one SIGUSR1: again and again, or once when that sleeps. */
static struct {
    pthread_t thread, target;
    pid_t tid;
    bool once;
    volatile bool enough;
    int fd; /* to write to afterwards */
} kicker;

static void *kick(void *arg)
{
    (void)arg;
    if (kicker.once)
        await_sleep_of(getpid(), kicker.tid);
    else
        nap_ms(30);
    do {
        pthread_kill(kicker.target, SIGUSR1);
        nap_ms(10);
    } while (!kicker.once && !kicker.enough);
    if (kicker.fd)
        MUST(write(kicker.fd, "x", 1) == 1);
    return NULL;
}

static void start_kicker(bool once, int fd)
{
    kicker.target = pthread_self();
    kicker.tid = gettid();
    kicker.once = once;
    kicker.enough = false;
    kicker.fd = fd;
    MUST(pthread_create(&kicker.thread, NULL, kick, NULL) == 0);
}

static void kick_often(void)
{
    start_kicker(false, 0);
}

static void kick_once(void)
{
    start_kicker(true, 0);
}

/* The kicker is to end. Returns the call's result, with its errno. */
static long kicked(long r)
{
    int saved = errno;
    kicker.enough = true;
    MUST(pthread_join(kicker.thread, NULL) == 0);
    errno = saved;
    return r;
}

/* A child that ends with 9 when this one sleeps, once it has been kicked if it is to be. */
static pid_t nine_later(bool after_kick)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        await_sleep(parent);
        AWAIT(*shared_hits || !after_kick);
        _exit(9);
    }
    return pid;
}

static void test_restart(void)
{
    int p[2];
    char c = 0;
    MUST(pipe(p) == 0);
    set(SIGUSR1, note, 0);
    kick_often();
    CHECK_ERRNO("read without SA_RESTART", kicked(read(p[0], &c, 1)), EINTR);
    set(SIGUSR1, note, SA_RESTART);
    hits = 0;
    start_kicker(true, p[1]);
    CHECK("read with SA_RESTART goes on", kicked(read(p[0], &c, 1)) == 1 && c == 'x' && hits == 1);
    kick_often();
    struct timespec ts = {.tv_sec = 1000}, rem = {0};
    CHECK_ERRNO("nanosleep is never restarted", kicked(nanosleep(&ts, &rem)), EINTR);
    CHECK("the rest of the time", rem.tv_sec > 900 && rem.tv_sec < 1000 && rem.tv_nsec > 0);
    kick_often();
    fd_set set_;
    FD_ZERO(&set_);
    FD_SET(p[0], &set_);
    CHECK_ERRNO("nor select", kicked(select(p[0] + 1, &set_, NULL, NULL, NULL)), EINTR);
    kick_often();
    CHECK_ERRNO("nor pause", kicked(pause()), EINTR);
    close(p[0]);
    close(p[1]);
}

static void test_restart_more(void)
{
    int status = 0, go[2];
    char c;
    MUST(pipe(go) == 0);
    set(SIGUSR1, note, SA_RESTART);
    *shared_hits = 0;
    pid_t pid = nine_later(true);
    kick_once();
    CHECK("wait4 goes on", kicked(waitpid(pid, &status, 0)) == pid && WEXITSTATUS(status) == 9);
    set(SIGUSR1, note, 0);
    pid = fork();
    if (pid == 0)
        _exit(read(go[0], &c, 1) == 1 ? 9 : 1);
    kick_often();
    CHECK_ERRNO("or not", kicked(waitpid(pid, &status, 0)), EINTR);
    MUST(write(go[1], "", 1) == 1);
    CHECK("and later", waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
    kick_often();
    struct timespec ts = {.tv_sec = 1000};
    long r = kicked(syscall(SYS_futex, &status, 128 /* private wait */, status, &ts, NULL, 0));
    CHECK("futex", r == -1 && errno == EINTR);
    int sp[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sp);
    set(SIGUSR1, note, SA_RESTART);
    struct timeval tv = {.tv_sec = 1000}, soon = {.tv_usec = 60000};
    setsockopt(sp[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    kick_often();
    CHECK_ERRNO("recv with a time-out is not restarted", kicked(recv(sp[0], &c, 1, 0)), EINTR);
    setsockopt(sp[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    CHECK_ERRNO("its time-out", recv(sp[0], &c, 1, 0), EAGAIN);
    signal(SIGUSR1, SIG_IGN);
    kick_often();
    CHECK("an ignored signal interrupts nothing",
          kicked((ts = (struct timespec){.tv_nsec = 150000000}, nanosleep(&ts, NULL))) == 0);
    close(go[0]);
    close(go[1]);
}

static void test_waits(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGRTMIN + 5);
    sigprocmask(SIG_BLOCK, &s, NULL);
    signal(SIGUSR1, SIG_DFL);
    siginfo_t info;
    struct timespec ts = {.tv_nsec = 50000000};
    CHECK_ERRNO("sigtimedwait's time-out", sigtimedwait(&s, &info, &ts), EAGAIN);
    sigqueue(getpid(), SIGRTMIN + 5, (union sigval){.sival_int = 12});
    kill(getpid(), SIGUSR1);
    CHECK("the lower signal first", sigwaitinfo(&s, &info) == SIGUSR1 && info.si_code == SI_USER);
    CHECK("then the other with its value",
          sigwaitinfo(&s, &info) == SIGRTMIN + 5 && info.si_value.sival_int == 12);
    kick_once();
    int signo = 0;
    CHECK("sigwait of what comes later", kicked(sigwait(&s, &signo)) == 0 && signo == SIGUSR1);
    set(SIGUSR1, note, 0);
    kill(getpid(), SIGUSR1);
    sigset_t none;
    sigemptyset(&none);
    hits = 0;
    CHECK_ERRNO("sigsuspend", sigsuspend(&none), EINTR);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK("ran the handler and put the mask back", hits == 1 && sigismember(&now, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &s, NULL);
}

static void default_kill(void)
{
    signal(SIGUSR1, SIG_DFL);
    raise(SIGUSR1);
    nap_ms(1000);
}

static void default_abort(void)
{
    abort();
}

static void ignored(void)
{
    raise(SIGCHLD);
    raise(SIGWINCH);
    raise(SIGURG);
    raise(SIGCONT);
    signal(SIGTERM, SIG_IGN);
    raise(SIGTERM);
}

static void kill_self(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        nap_ms(1000);
}

static void exec_dispositions(void)
{
    signal(SIGUSR1, SIG_IGN);
    set(SIGUSR2, note, 0);
    block(SIG_BLOCK, SIGHUP);
    raise(SIGHUP);
    execl("/bin/sh", "sh", "-c", "kill -USR1 $$; kill -USR2 $$; exit 1", NULL);
}

static void test_defaults(void)
{
    int st = in_child(default_kill);
    CHECK("SIGUSR1 kills", WIFSIGNALED(st) && WTERMSIG(st) == SIGUSR1 && !WCOREDUMP(st));
    st = in_child(default_abort);
    CHECK("abort is SIGABRT", WIFSIGNALED(st) && WTERMSIG(st) == SIGABRT);
    st = in_child(ignored);
    CHECK("what is ignored does nothing", WIFEXITED(st) && WEXITSTATUS(st) == 0);
    st = in_child(kill_self);
    CHECK("SIGKILL", WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
    st = in_child(exec_dispositions);
    CHECK("exec keeps ignored signals and resets handlers", WIFSIGNALED(st) && WTERMSIG(st) == SIGUSR2);
}

static sigjmp_buf back;

static void jump_out(int signo, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    siglongjmp(back, signo);
}

static void test_jump(void)
{
    set(SIGUSR1, jump_out, 0);
    int r = sigsetjmp(back, 1);
    if (r == 0)
        raise(SIGUSR1);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK("siglongjmp out of a handler", r == SIGUSR1 && !sigismember(&now, SIGUSR1));
    set(SIGALRM, note, 0);
    hits = 0;
    alarms_begin(2);
    long sum = 0, calls = 0, end = now_ms() + PATIENCE_MS;
    for (; hits < 100 && now_ms() < end; calls++)
        sum += getppid() == 0;
    (void)alarms_end(0);
    CHECK("a storm of timers over calls", hits >= 100 && sum == calls);
}

int main(void)
{
    shared_hits = shared_zeroes(sizeof(*shared_hits));
    test_siginfo();
    test_masks();
    test_handler_mask();
    test_altstack();
    test_restart();
    test_restart_more();
    test_waits();
    test_defaults();
    test_jump();
    return check_done();
}
