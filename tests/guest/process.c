/* Processes: fork, vfork, clone, wait in its forms, stop and continue, groups, sessions, orphans, zombies. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

static int shared_value = 1;

static void test_fork(void)
{
    pid_t me = getpid(), pid = fork();
    if (pid == 0) {
        shared_value = 2;
        _exit(getppid() == me && getpid() != me && (pid_t)syscall(SYS_gettid) == getpid() ? 7 : 8);
    }
    int st;
    CHECK("fork and wait", waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 7);
    CHECK("memory is the child's own", shared_value == 1);
    CHECK_ERRNO("no child is left", waitpid(-1, &st, 0), ECHILD);
    CHECK_ERRNO("not a child", waitpid(1 << 20, &st, 0), ECHILD);
    volatile int v = 0;
    pid = vfork();
    if (pid == 0) {
        v = 5;
        _exit(3);
    }
    CHECK("vfork shares memory and waits", v == 5);
    waitpid(pid, &st, 0);
    CHECK("vfork's child ended", WEXITSTATUS(st) == 3);
    pid = vfork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 11", NULL);
        _exit(1);
    }
    CHECK("vfork and exec", waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 11);
}

static char stack[65536] __attribute__((aligned(16)));
static int tid_word = 77;

static int clone_body(void *arg)
{
    *(int *)arg = (int)getpid();
    return 21;
}

static void test_clone(void)
{
    int seen = 0, st, parent_tid = 0, child_tid = 0;
    pid_t pid = clone(clone_body, stack + sizeof(stack), CLONE_VM | SIGCHLD, &seen);
    CHECK("clone with shared memory", waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 21 && seen == pid);
    pid = clone(clone_body, stack + sizeof(stack),
                CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_VM | CLONE_VFORK | SIGCHLD, &seen,
                &parent_tid, NULL, &child_tid);
    CHECK("the ids are stored", parent_tid == pid && child_tid == pid);
    waitpid(pid, &st, 0);
    pid = clone(clone_body, stack + sizeof(stack), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, &seen, NULL,
                NULL, &tid_word);
    waitpid(pid, &st, 0);
    CHECK("the id is cleared at the end", tid_word == 0);
    pid = clone(clone_body, stack + sizeof(stack), CLONE_VM, &seen);
    CHECK_ERRNO("a child without a signal is a clone", waitpid(pid, &st, WNOHANG), ECHILD);
    CHECK("waited for with __WCLONE", waitpid(pid, &st, __WCLONE) == pid);
    pid = clone(clone_body, stack + sizeof(stack), CLONE_VM, &seen);
    CHECK("or with __WALL", waitpid(pid, &st, __WALL) == pid);
    CHECK_ERRNO("CLONE_SIGHAND needs CLONE_VM",
                clone(clone_body, stack + sizeof(stack), CLONE_SIGHAND | SIGCHLD, NULL), EINVAL);
    CHECK_ERRNO("CLONE_THREAD needs CLONE_SIGHAND",
                clone(clone_body, stack + sizeof(stack), CLONE_THREAD | CLONE_VM, NULL), EINVAL);
}

static int fd_body(void *arg)
{
    close(*(int *)arg);
    MUST(chdir("/tmp") == 0);
    return 0;
}

static void test_clone_files(void)
{
    int fd = dup(1), st;
    char cwd[100];
    MUST(chdir("/") == 0);
    waitpid(clone(fd_body, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, &fd), &st, 0);
    CHECK_ERRNO("CLONE_FILES: closed for both", fcntl(fd, F_GETFD), EBADF);
    CHECK("CLONE_FS: moved both", getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/tmp") == 0);
    MUST(chdir("/") == 0);
    fd = dup(1);
    waitpid(clone(fd_body, stack + sizeof(stack), CLONE_VM | SIGCHLD, &fd), &st, 0);
    CHECK("without: open here", fcntl(fd, F_GETFD) >= 0 && getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
    close(fd);
}

static void test_waitid(void)
{
    siginfo_t info = {0};
    pid_t pid = fork();
    if (pid == 0)
        _exit(33);
    CHECK("WNOWAIT", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 33);
    CHECK("CLD_EXITED of the pid",
          info.si_code == CLD_EXITED && info.si_pid == pid && info.si_signo == SIGCHLD);
    CHECK("a zombie can be signalled", kill(pid, SIGTERM) == 0);
    CHECK("it is still there", waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_status == 33);
    CHECK_ERRNO("and gone", waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    info.si_pid = 99;
    CHECK("WNOHANG with nothing to tell",
          waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    CHECK("wait4 with WNOHANG", waitpid(pid, NULL, WNOHANG) == 0);
    kill(pid, SIGKILL);
    CHECK("CLD_KILLED", waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_code == CLD_KILLED &&
                            info.si_status == SIGKILL);
    CHECK_ERRNO("waitid wants to know for what", waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
    CHECK_ERRNO("unknown options", waitpid(-1, NULL, 0x100), EINVAL);
}

static volatile sig_atomic_t chld_code, chld_status, chld_pid, chld_count;

static void on_chld(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    chld_code = info->si_code;
    chld_status = info->si_status;
    chld_pid = info->si_pid;
    chld_count++;
}

/* Waits until the handler has seen n signals. */
static bool chld_seen(int n)
{
    AWAIT(chld_count >= n);
    return chld_count >= n;
}

static void test_stop(void)
{
    struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGCHLD, &sa, NULL);
    chld_count = 0;
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    int st;
    kill(pid, SIGSTOP);
    CHECK("a stop is reported",
          waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
    CHECK("SIGCHLD: CLD_STOPPED",
          chld_seen(1) && chld_code == CLD_STOPPED && chld_status == SIGSTOP && chld_pid == pid);
    CHECK("once", waitpid(pid, &st, WUNTRACED | WNOHANG) == 0);
    kill(pid, SIGTERM);
    nap_ms(50);
    CHECK("what is stopped does not die of SIGTERM", waitpid(pid, &st, WNOHANG) == 0);
    kill(pid, SIGCONT);
    CHECK("until it goes on", waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0); /* the group of an orphan would ignore it */
        raise(SIGTSTP);
        _exit(4);
    }
    CHECK("it stops itself",
          waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTSTP);
    siginfo_t info = {0};
    kill(pid, SIGCONT);
    CHECK("it ends after it went on", waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_status == 4);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    kill(pid, SIGSTOP);
    waitpid(pid, &st, WUNTRACED);
    kill(pid, SIGCONT);
    CHECK("WCONTINUED", waitpid(pid, &st, WCONTINUED) == pid && WIFCONTINUED(st));
    kill(pid, SIGSTOP);
    waitpid(pid, &st, WUNTRACED);
    kill(pid, SIGKILL);
    CHECK("SIGKILL kills what is stopped", waitpid(pid, &st, 0) == pid && WTERMSIG(st) == SIGKILL);
    signal(SIGCHLD, SIG_DFL);
}

static void test_ignored_chld(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            _exit(0);
    CHECK_ERRNO("ignored SIGCHLD: no zombies, wait blocks till the last", waitpid(-1, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    struct sigaction sa = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &sa, NULL);
    if (fork() == 0)
        _exit(0);
    CHECK_ERRNO("SA_NOCLDWAIT", waitpid(-1, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static void groups_child(void)
{
    CHECK("setsid", setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
    CHECK_ERRNO("not twice", setsid(), EPERM);
    pid_t a = fork();
    if (a == 0)
        for (;;)
            pause();
    CHECK("setpgid of a child", setpgid(a, 0) == 0 && getpgid(a) == a);
    pid_t b = fork();
    if (b == 0)
        for (;;)
            pause();
    CHECK("into that group", setpgid(b, a) == 0 && getpgid(b) == a && getsid(b) == getpid());
    CHECK_ERRNO("no such group", setpgid(b, 99999), EPERM);
    CHECK_ERRNO("not a negative one", setpgid(b, -3), EINVAL);
    CHECK_ERRNO("a leader stays", setpgid(0, a), EPERM);
    CHECK("killpg", killpg(a, SIGTERM) == 0);
    int st, n = 0;
    while (waitpid(-a, &st, 0) > 0)
        n += WTERMSIG(st) == SIGTERM;
    CHECK("both died", n == 2);
    CHECK_ERRNO("the group is gone", killpg(a, 0), ESRCH);
    if (fork() == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    wait(&st);
}

static void orphan_child(void)
{
    int p[2];
    MUST(pipe(p) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t middle = fork();
    if (middle == 0) {
        pid_t parent = getpid();
        pid_t grandchild = fork();
        if (grandchild == 0) {
            while (getppid() == parent)
                nap_ms(5);
            pid_t now = getppid();
            MUST(write(p[1], &now, sizeof(now)) == sizeof(now));
            _exit(12);
        }
        _exit(0);
    }
    int st;
    pid_t adopted = 0;
    waitpid(middle, &st, 0);
    MUST(read(p[0], &adopted, sizeof(adopted)) == sizeof(adopted));
    CHECK("an orphan falls to the subreaper", adopted == getpid());
    CHECK("which waits for it", wait(&st) > 0 && WEXITSTATUS(st) == 12);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        pid_t parent = getpid();
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (getppid() == parent)
                nap_ms(5);
            for (;;)
                pause();
        }
        nap_ms(50);
        _exit(0);
    }
    wait(&st);
    CHECK("a parent's end", WEXITSTATUS(st) == 0);
}

static void orphaned_group(void)
{
    int p[2];
    MUST(pipe(p) == 0 && setsid() > 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        pid_t stopped = fork();
        if (stopped == 0) {
            raise(SIGSTOP);
            MUST(write(p[1], "continued", 9) == 9);
            _exit(0);
        }
        waitpid(stopped, NULL, WUNTRACED);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(p[1]);
    char buf[10];
    CHECK("a stopped orphaned group gets SIGHUP and SIGCONT", read(p[0], buf, sizeof(buf)) == 0);
    close(p[0]);
}

static long micros(const struct rusage *ru)
{
    return (ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000 + ru->ru_utime.tv_usec +
           ru->ru_stime.tv_usec;
}

static void test_rusage(void)
{
    struct rusage one, all;
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        while (clock() < CLOCKS_PER_SEC / 20) /* of the processor's time */
            ;
        _exit(0);
    }
    CHECK("wait4 with usage", wait4(pid, &st, 0, &one) == pid && micros(&one) > 20000);
    CHECK("RUSAGE_CHILDREN", getrusage(RUSAGE_CHILDREN, &all) == 0 && micros(&all) >= micros(&one));
}

/* pidfd_send_signal(2) takes an open /proc/PID, too. */
static void test_proc_dir(void)
{
    char name[32];
    int status = 0;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    (void)snprintf(name, sizeof(name), "/proc/%d", pid);
    int dir = open(name, O_RDONLY | O_DIRECTORY), path = open(name, O_PATH), other = open("/proc", O_RDONLY);
    CHECK_ERRNO("by O_PATH", syscall(SYS_pidfd_send_signal, path, SIGKILL, NULL, 0), EBADF);
    CHECK_ERRNO("by another directory", syscall(SYS_pidfd_send_signal, other, SIGKILL, NULL, 0), EBADF);
    CHECK("by /proc/PID", syscall(SYS_pidfd_send_signal, dir, SIGKILL, NULL, 0) == 0);
    CHECK("it has it", waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
    CHECK_ERRNO("it is gone", syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0), ESRCH);
    close(dir), close(path), close(other);
}

int main(void)
{
    test_fork();
    test_clone();
    test_clone_files();
    test_waitid();
    test_stop();
    test_ignored_chld();
    CHECK("groups", in_child(groups_child) == 0);
    CHECK("orphans", in_child(orphan_child) == 0);
    CHECK("orphaned group", in_child(orphaned_group) == 0);
    test_rusage();
    test_proc_dir();
    return check_done();
}
