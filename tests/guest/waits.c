/* Waiting for children that have not ended yet: by what a wait ends, and in which order things are seen. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/guest/check.h"

#define ROUNDS 50

static volatile sig_atomic_t chld_count, usr_count;

static void on_chld(int signo)
{
    (void)signo;
    chld_count++;
}

static void on_usr(int signo)
{
    (void)signo;
    usr_count++;
}

static void handle(int signo, void (*fn)(int), int flags)
{
    struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};
    sigaction(signo, &sa, NULL);
}

/* A child that ends with that status when the parent waits already, most likely. */
static pid_t late_child(int status)
{
    pid_t pid = fork();
    if (pid == 0) {
        nap_ms(15);
        _exit(status);
    }
    return pid;
}

/* The child's end is found before the signal that tells of it. */
static void test_signal_and_end(void)
{
    bool waited = true, handled = true;
    handle(SIGCHLD, on_chld, 0);
    for (int i = 0; i < 5; i++) {
        chld_count = 0;
        pid_t pid = late_child(i);
        int st = 0;
        pid_t got = waitpid(pid, &st, 0);
        waited = waited && got == pid && WEXITSTATUS(st) == i;
        handled = handled && chld_count == 1;
    }
    CHECK("a wait is not interrupted by the SIGCHLD of what it waits for", waited);
    CHECK("whose handler has run when it returns", handled);
    signal(SIGCHLD, SIG_DFL);
}

/* A child that ends with that status when a byte comes. */
static pid_t held_child(int status, const int ends[2])
{
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        _exit(read(ends[0], &c, 1) == 1 ? status : 99);
    }
    return pid;
}

static void test_other_signals(void)
{
    int st, ends[2];
    MUST(pipe(ends) == 0);
    pid_t child = held_child(3, ends), me = getpid();
    handle(SIGUSR1, on_usr, 0);
    usr_count = 0;
    pid_t other = fork();
    while (other == 0) {
        nap_ms(5);
        kill(me, SIGUSR1);
    }
    CHECK_ERRNO("another signal's handler interrupts it", waitpid(child, &st, 0), EINTR);
    CHECK("and has run", usr_count > 0);
    handle(SIGUSR1, on_usr, SA_RESTART);
    kill(other, SIGKILL);
    CHECK("it is not found but by its own end", waitpid(other, &st, 0) == other && WTERMSIG(st) == SIGKILL);
    MUST(write(ends[1], "", 1) == 1);
    CHECK("the child is there to be waited for", waitpid(child, &st, 0) == child && WEXITSTATUS(st) == 3);
    child = held_child(4, ends);
    usr_count = 0;
    other = fork();
    if (other == 0) {
        for (int i = 0; i < 3; i++) {
            nap_ms(2);
            kill(me, SIGUSR1);
        }
        MUST(write(ends[1], "", 1) == 1);
        _exit(0);
    }
    CHECK("SA_RESTART: it goes on", waitpid(child, &st, 0) == child && WEXITSTATUS(st) == 4);
    CHECK("after the handler", usr_count > 0);
    waitpid(other, NULL, 0);
    child = late_child(5);
    handle(SIGUSR1, SIG_IGN, 0);
    kill(me, SIGUSR1);
    CHECK("an ignored signal is no matter", waitpid(child, &st, 0) == child && WEXITSTATUS(st) == 5);
    signal(SIGUSR1, SIG_DFL);
    close(ends[0]);
    close(ends[1]);
}

/* Children that nobody is told of: the wait lasts until the last one is gone. */
static void test_ignored(void)
{
    long begin = now_ms();
    signal(SIGCHLD, SIG_IGN);
    late_child(0);
    pid_t slow = fork();
    if (slow == 0) {
        nap_ms(40);
        _exit(0);
    }
    CHECK_ERRNO("SIGCHLD ignored: no child is ever found", waitpid(-1, NULL, 0), ECHILD);
    CHECK("once all have ended", now_ms() - begin >= 39);
    handle(SIGCHLD, on_chld, SA_NOCLDWAIT | SA_RESTART);
    chld_count = 0;
    late_child(0);
    CHECK_ERRNO("SA_NOCLDWAIT: nor then", waitpid(-1, NULL, 0), ECHILD);
    CHECK("but the handler runs", chld_count == 1);
    signal(SIGCHLD, SIG_DFL);
}

struct waiter {
    pthread_t thread;
    pid_t pid, got;
    int status, err;
};

static void *wait_in_thread(void *arg)
{
    struct waiter *w = arg;
    w->got = waitpid(w->pid, &w->status, 0);
    w->err = errno;
    return NULL;
}

static void test_threads(void)
{
    struct waiter w[4] = {0};
    for (int i = 0; i < 4; i++) {
        w[i].pid = i < 2 ? late_child(40 + i) : w[1].pid;
        pthread_create(&w[i].thread, NULL, wait_in_thread, &w[i]);
    }
    int found = 0, none = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(w[i].thread, NULL);
        found += i > 0 && w[i].got == w[1].pid && WEXITSTATUS(w[i].status) == 41;
        none += i > 0 && w[i].got == -1 && w[i].err == ECHILD;
    }
    CHECK("threads wait each for a child of its own", w[0].got == w[0].pid && WEXITSTATUS(w[0].status) == 40);
    CHECK("of those that wait for the same one gets it, the others hear that it is gone",
          found == 1 && none == 2);
}

static void test_job_control(void)
{
    int st, ends[2];
    char c;
    MUST(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        nap_ms(10);
        raise(SIGSTOP);
        _exit(read(ends[0], &c, 1) == 1 ? 9 : 1);
    }
    CHECK("a stop ends a wait for it", waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st));
    pid_t other = fork();
    if (other == 0) {
        nap_ms(10);
        kill(pid, SIGCONT);
        _exit(0);
    }
    CHECK("so does SIGCONT", waitpid(pid, &st, WCONTINUED) == pid && WIFCONTINUED(st));
    waitpid(other, NULL, 0);
    MUST(write(ends[1], "", 1) == 1);
    siginfo_t info = {0};
    CHECK("waitid", waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_pid == pid &&
                        info.si_status == 9 && info.si_code == CLD_EXITED);
    struct rusage ru = {0};
    pid = late_child(1);
    ru.ru_maxrss = -1;
    CHECK("wait4 with usage", wait4(pid, &st, 0, &ru) == pid && ru.ru_maxrss >= 0);
    late_child(1);
    CHECK_ERRNO("a bad address", waitpid(-1, bad_address, 0), EFAULT);
    CHECK_ERRNO("costs the child", waitpid(-1, &st, 0), ECHILD);
    close(ends[0]);
    close(ends[1]);
}

/* A process that is stopped, or killed, while it waits. */
static void test_waiter_itself(void)
{
    int st, ends[2];
    volatile pid_t *child = shared_zeroes(sizeof(*child));
    MUST(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        *child = held_child(17, ends);
        _exit(waitpid(*child, &st, 0) == *child ? WEXITSTATUS(st) : 1);
    }
    AWAIT(*child);
    await_sleep(pid);
    kill(pid, SIGSTOP);
    CHECK("a waiting process is stopped", waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st));
    MUST(write(ends[1], "", 1) == 1);
    AWAIT(state_of(*child, *child) == 'Z');
    kill(pid, SIGCONT);
    CHECK("and finds afterwards what has ended meanwhile",
          waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 17);
    pid = fork();
    if (pid == 0) {
        late_child(0);
        waitpid(-1, NULL, 0);
        if (fork() == 0)
            for (;;)
                pause();
        MUST(write(ends[1], "x", 1) == 1);
        waitpid(-1, NULL, 0);
        _exit(0);
    }
    char c;
    MUST(read(ends[0], &c, 1) == 1);
    await_sleep(pid);
    kill(pid, SIGKILL);
    CHECK("one that waits can be killed", waitpid(pid, &st, 0) == pid && WTERMSIG(st) == SIGKILL);
    close(ends[0]);
    close(ends[1]);
}

static void *exec_in_thread(void *arg)
{
    (void)arg;
    nap_ms(10);
    execl("/bin/sh", "sh", "-c", "exit 5", NULL);
    return NULL;
}

static void test_exec_beside(void)
{
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
        }
        pthread_create(&thread, NULL, exec_in_thread, NULL);
        waitpid(-1, NULL, 0);
        _exit(1);
    }
    CHECK("another thread's exec ends a wait", waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 5);
}

/* A child writes much into a pipe and ends, or is killed. True: when that is heard of, the pipe ends, too. */
static bool pipe_ends(bool killed)
{
    static const char text[64];
    int ends[2], st;
    char buf[6400];
    ssize_t n = 0;
    MUST(pipe2(ends, O_NONBLOCK) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (int k = 0; k < 100; k++)
            MUST(write(ends[1], text, sizeof(text)) == sizeof(text));
        while (killed)
            pause();
        _exit(0);
    }
    close(ends[1]);
    for (size_t had = 0; killed && had<sizeof(buf); had += n> 0 ? (size_t)n : 0)
        n = read(ends[0], buf, sizeof(buf));
    if (killed)
        kill(pid, SIGKILL);
    MUST(waitpid(pid, &st, 0) == pid);
    while ((n = read(ends[0], buf, sizeof(buf))) > 0)
        ;
    close(ends[0]);
    return n == 0;
}

/* What the child held is free when its parent hears of its end. */
static void test_released(void)
{
    bool ended = true, killed = true;
    for (int i = 0; i < ROUNDS; i++) {
        ended = pipe_ends(false) && ended;
        killed = pipe_ends(true) && killed;
    }
    CHECK("a pipe's end that the child had is closed", ended);
    CHECK("and if it was killed", killed);
}

static char stack[65536] __attribute__((aligned(16)));

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void test_cleared_id(void)
{
    static volatile int word;
    bool cleared = true;
    for (int i = 0; i < ROUNDS; i++) {
        word = 77;
        pid_t pid = clone(nothing, stack + sizeof(stack), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL,
                          NULL, NULL, &word);
        MUST(waitpid(pid, NULL, 0) == pid);
        cleared = cleared && word == 0;
    }
    CHECK("CLONE_CHILD_CLEARTID's word is zero", cleared);
}

int main(void)
{
    test_signal_and_end();
    test_other_signals();
    test_ignored();
    test_threads();
    test_job_control();
    test_waiter_itself();
    test_exec_beside();
    test_released();
    test_cleared_id();
    return check_done();
}
