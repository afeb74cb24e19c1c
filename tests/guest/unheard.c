/* Children that make no call after a fork: what others do to them, and see of them. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/guest/check.h"

static volatile struct {
    int up, go, caught;
    pid_t pid;
} * shared;

static void spin_until_go(void)
{
    shared->up = 1;
    while (!shared->go)
        ;
}

/* A child that is at work. */
static pid_t spinner(void)
{
    shared->up = shared->go = shared->caught = 0;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid)
        return pid;
    spin_until_go();
    _exit(7);
}

static void await_up(void)
{
    while (!shared->up)
        sched_yield();
}

static bool ended_by(pid_t pid, int signo)
{
    int st = -1;
    return waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == signo;
}

static bool ended_with(pid_t pid, int code)
{
    int st = -1;
    return waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == code;
}

static void on_signal(int signo)
{
    shared->caught = signo;
    shared->go = 1;
}

static void killed(void)
{
    pid_t pid = spinner();
    await_up();
    CHECK("SIGKILL to one at work", kill(pid, SIGKILL) == 0 && ended_by(pid, SIGKILL));
    pid = spinner();
    CHECK("SIGKILL to one just made", kill(pid, SIGKILL) == 0 && ended_by(pid, SIGKILL));
    pid = spinner();
    await_up();
    CHECK("SIGTERM to one at work", kill(pid, SIGTERM) == 0 && ended_by(pid, SIGTERM));
    int wrong = 0;
    for (int i = 0; i < 20; i++) {
        pid = spinner();
        wrong += kill(pid, i % 2 ? SIGKILL : SIGTERM) != 0 || !ended_by(pid, i % 2 ? SIGKILL : SIGTERM);
    }
    CHECK("some that were just made", wrong == 0);
}

static void handled(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    MUST(sigaction(SIGUSR1, &sa, NULL) == 0);
    pid_t pid = spinner();
    await_up();
    CHECK("a handler runs in one at work", kill(pid, SIGUSR1) == 0 && ended_with(pid, 7));
    CHECK("for that signal", shared->caught == SIGUSR1);
    int wrong = 0;
    for (int i = 0; i < 20; i++) {
        pid = spinner();
        wrong += kill(pid, SIGUSR1) != 0 || !ended_with(pid, 7) || shared->caught != SIGUSR1;
    }
    CHECK("and in some that were just made", wrong == 0);
}

/* One that is blocked, as it was by the parent, and unblocked by the child without a word else. */
static void blocked(void)
{
    sigset_t set;
    int wrong = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    for (int i = 0; i < 20; i++) {
        shared->up = shared->go = shared->caught = 0;
        sigprocmask(SIG_BLOCK, &set, NULL);
        pid_t pid = fork();
        if (pid == 0) {
            spin_until_go();
            bool early = shared->caught;
            sigprocmask(SIG_UNBLOCK, &set, NULL);
            _exit(early || shared->caught != SIGUSR1);
        }
        if (i % 2)
            await_up();
        kill(pid, SIGUSR1);
        shared->go = 1;
        wrong += !ended_with(pid, 0);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    CHECK("a signal that is blocked comes when it is unblocked", wrong == 0);
}

static void stopped(void)
{
    int st = -1;
    pid_t pid = spinner();
    await_up();
    CHECK("it is stopped", kill(pid, SIGSTOP) == 0 && waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st));
    shared->go = 1;
    CHECK("and stays so", waitpid(pid, &st, WNOHANG) == 0);
    CHECK("until it is continued", kill(pid, SIGCONT) == 0 && ended_with(pid, 7));
}

static void seen(void)
{
    char path[64], line[256];
    pid_t pid = spinner();
    await_up();
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *f = fopen(path, "r");
    CHECK("its maps are shown", f && fgets(line, sizeof(line), f));
    if (f)
        fclose(f);
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int own = 0;
    f = fopen(path, "r");
    CHECK("its state is", f && fscanf(f, "%d %*s %c", &own, line) == 2 && own == pid && line[0] == 'R');
    if (f)
        fclose(f);
    int up = 0;
    struct iovec l = {&up, sizeof(up)}, r = {(void *)&shared->up, sizeof(up)};
    CHECK("its memory is read", process_vm_readv(pid, &l, 1, &r, 1, 0) == sizeof(up) && up == 1);
    cpu_set_t set;
    CHECK("it has processors", sched_getaffinity(pid, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0);
    CHECK("it is made nice",
          setpriority(PRIO_PROCESS, (id_t)pid, 5) == 0 && getpriority(PRIO_PROCESS, (id_t)pid) == 5);
    struct rlimit lim = {10, 10};
    CHECK("its limits are set", prlimit(pid, RLIMIT_CORE, &lim, NULL) == 0);
    shared->go = 1;
    CHECK("and it ends", ended_with(pid, 7));
}

static void traced(void)
{
    int st = -1;
    pid_t pid = spinner();
    await_up();
    CHECK("it is traced", ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0 && waitpid(pid, &st, 0) == pid &&
                              WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
    shared->go = 1;
    CHECK("and let go", ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0 && ended_with(pid, 7));
}

/* Its parent is gone at once. */
static void orphaned(void)
{
    int st = -1;
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    shared->up = shared->go = shared->pid = 0;
    pid_t pid = fork();
    if (pid == 0) {
        pid_t own = fork();
        if (own)
            _exit(0);
        spin_until_go();
        shared->pid = getpid();
        _exit(7);
    }
    MUST(waitpid(pid, &st, 0) == pid);
    await_up();
    shared->go = 1;
    pid_t orphan = wait(&st);
    CHECK("an orphan is waited for", orphan > 0 && orphan == shared->pid && WEXITSTATUS(st) == 7);
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

/* What each kind of first call tells. */
static void first_calls(void)
{
    int ends[2];
    pid_t pid, seen_pid = 0;
    MUST(pipe(ends) == 0);
    pid = fork();
    if (pid == 0) {
        pid_t own = getpid();
        _exit(write(ends[1], &own, sizeof(own)) != sizeof(own));
    }
    CHECK("its id is its own",
          ended_with(pid, 0) && read(ends[0], &seen_pid, sizeof(pid)) == sizeof(pid) && seen_pid == pid);
    pid = fork();
    if (pid == 0) {
        pid_t own = fork();
        if (own == 0)
            _exit(3);
        _exit(ended_with(own, 3) ? 4 : 5);
    }
    CHECK("a fork first", ended_with(pid, 4));
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "unheard", "end", NULL);
        _exit(1);
    }
    CHECK("an execve first", ended_with(pid, 9));
    pid = fork();
    if (pid == 0)
        *(volatile int *)bad_address = 1;
    CHECK("a fault first", ended_by(pid, SIGSEGV));
}

#define SETTID 0x01000000UL

/* The word for its id may be nowhere. */
static void bad_words(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SETTID | SIGCHLD, 0, NULL, bad_address, 0);
    if (pid == 0)
        syscall(SYS_exit_group, 6);
    CHECK("an id that can not be written", ended_with(pid, 6));
    volatile pid_t own = 0;
    pid = (pid_t)syscall(SYS_clone, SETTID | SIGCHLD, 0, NULL, &own, 0);
    if (pid == 0)
        syscall(SYS_exit_group, own == (pid_t)syscall(SYS_getpid) ? 0 : 1);
    CHECK("one that can", ended_with(pid, 0) && own == 0);
}

/* Many at once that only work, and end when all is told to. */
static void many(void)
{
    pid_t pids[30];
    int wrong = 0;
    shared->go = 0;
    for (int i = 0; i < 30; i++)
        if ((pids[i] = fork()) == 0) {
            while (!shared->go)
                ;
            _exit(i);
        }
    usleep(60000);
    for (int i = 0; i < 30; i += 2)
        wrong += kill(pids[i], SIGKILL) != 0;
    shared->go = 1;
    for (int i = 0; i < 30; i++)
        wrong += i % 2 ? !ended_with(pids[i], i) : !ended_by(pids[i], SIGKILL);
    CHECK("many at once", wrong == 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 9;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED);
    killed();
    handled();
    blocked();
    stopped();
    seen();
    traced();
    orphaned();
    first_calls();
    bad_words();
    many();
    return check_failures != 0;
}
