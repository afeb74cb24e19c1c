/* killat [-c CHILD] N COMMAND [ARG...]: runs the command and kills it (SIGKILL, itself alone) right before
 * its Nth step: a system call that could change anything outside of it. Between two of those it looks the
 * same from outside wherever it dies. With -c the CHILDth process that it makes is killed in the same way,
 * and the command is waited for. Exit status: 99 if somebody was killed so (with -c: 98 if the command's
 * status is 0 all the same); else the command's, which then had fewer steps. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED 99

/* Calls that only look, or only change the process itself, which is about to be gone. */
static const short own[] = {
    SYS_read,
    SYS_pread64,
    SYS_close,
    SYS_close_range,
    SYS_fstat,
    SYS_stat,
    SYS_lstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_rt_sigaction,
    SYS_getpid,
    SYS_rt_sigprocmask,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getrandom,
    SYS_getrlimit,
    SYS_prlimit64,
    SYS_clock_gettime,
    SYS_readlink,
    SYS_readlinkat,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_arch_prctl,
    SYS_prctl,
    SYS_rseq,
    SYS_capget,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_getdents64,
    SYS_uname,
    SYS_umask,
    SYS_fcntl,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    SYS_pidfd_open,
    SYS_poll,
    SYS_ppoll,
    SYS_signalfd4,
    SYS_pipe2,
    SYS_socket,
    SYS_socketpair,
    SYS_memfd_create,
    SYS_statfs,
    SYS_fstatfs,
    SYS_getsockopt,
    SYS_sysinfo,
    SYS_sched_getaffinity,
    SYS_clone3,
    SYS_time,
    SYS_gettimeofday,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_chdir,
    SYS_fchdir,
    SYS_getcwd,
    SYS_sendfile,
    SYS_setsockopt,
    SYS_epoll_wait,
    SYS_futex,
};

static bool is_step(const struct __ptrace_syscall_info *i)
{
    for (size_t k = 0; k < sizeof(own) / sizeof(*own); k++)
        if (i->entry.nr == (uint64_t)own[k])
            return false;
    if (i->entry.nr == SYS_openat)
        return i->entry.args[2] & (O_CREAT | O_TRUNC);
    return true;
}

struct trace {
    pid_t command, victim; /* victim: 0 before it is there */
    long child;            /* which one it is to be; 0: the command itself */
    long left;             /* steps that it may make */
    bool killed;
};

static pid_t start(char **argv)
{
    pid_t pid = fork();

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* At a stop before or after a call: whether it is the time. */
static bool is_time(struct trace *t, pid_t pid)
{
    struct __ptrace_syscall_info i;

    if (pid != t->victim || ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(i), &i) <= 0 ||
        i.op != PTRACE_SYSCALL_INFO_ENTRY)
        return false;
    return is_step(&i) && --t->left == 0;
}

/* A child of the command's, or of the victim's: only one of them is of interest. */
static void new_process(struct trace *t, pid_t parent)
{
    unsigned long pid;

    if (ptrace(PTRACE_GETEVENTMSG, parent, 0, &pid) == 0 && parent == t->command && t->child > 0 &&
        --t->child == 0)
        t->victim = (pid_t)pid;
}

/* What pid, which has stopped, is to go on with: a signal, or -1 where it is let go. */
static int look(struct trace *t, pid_t pid, int status)
{
    if (pid != t->command && pid != t->victim)
        return -1;
    if (status >> 16 == PTRACE_EVENT_EXEC)
        return 0;
    if (status >> 16)
        new_process(t, pid);
    else if (WSTOPSIG(status) != (SIGTRAP | 0x80))
        return WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    else if (is_time(t, pid)) {
        t->killed = true;
        kill(pid, SIGKILL);
    }
    return 0;
}

/* Until the command has ended: its wait status. */
static int follow(struct trace *t)
{
    int status;
    pid_t pid, early = 0;

    for (;;) {
        pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            exit(2);
        if (pid == t->command && !WIFSTOPPED(status))
            return status;
        if (!WIFSTOPPED(status))
            continue;
        /* A child may stop before its parent has said that it is there: it waits. */
        if (pid != t->command && pid != t->victim && t->child > 0 && early == 0) {
            early = pid;
            continue;
        }
        int sig = look(t, pid, status);
        ptrace(sig < 0 ? PTRACE_DETACH : PTRACE_SYSCALL, pid, 0, sig < 0 ? 0 : sig);
        if (early && pid == t->command && status >> 16 && status >> 16 != PTRACE_EVENT_EXEC) {
            ptrace(early == t->victim ? PTRACE_SYSCALL : PTRACE_DETACH, early, 0, 0);
            early = 0;
        }
    }
}

static int result(const struct trace *t, int status)
{
    if (t->killed)
        return t->victim != t->command && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? KILLED - 1 : KILLED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    struct trace t = {0};
    int status;

    if (argc > 2 && strcmp(argv[1], "-c") == 0) {
        t.child = atol(argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (argc < 3)
        return 2;
    t.left = atol(argv[1]);
    t.command = start(argv + 2);
    if (t.command < 0 || waitpid(t.command, &status, 0) != t.command || !WIFSTOPPED(status))
        return 2;
    t.victim = t.child ? 0 : t.command;
    long children =
        t.child ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE : PTRACE_O_EXITKILL;
    ptrace(PTRACE_SETOPTIONS, t.command, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | children);
    ptrace(PTRACE_SYSCALL, t.command, 0, 0);
    return result(&t, follow(&t));
}
