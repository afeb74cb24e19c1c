/* killat N COMMAND [ARG...]: runs the command and kills it (SIGKILL, itself alone) right before its Nth step:
 * a system call that could change anything outside of it. Between two of those it looks the same from outside
 * wherever it dies. Exit status: 99 if it was killed so; else the command's, which then had fewer steps. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
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
static bool is_time(pid_t pid, long *left)
{
    struct __ptrace_syscall_info i;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(i), &i) <= 0 || i.op != PTRACE_SYSCALL_INFO_ENTRY)
        return false;
    return is_step(&i) && --*left == 0;
}

int main(int argc, char **argv)
{
    int status, sig = 0;

    if (argc < 3)
        return 2;
    long left = atol(argv[1]);
    pid_t pid = start(argv + 2);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return 2;
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    for (;; sig = 0) {
        ptrace(PTRACE_SYSCALL, pid, 0, sig);
        if (waitpid(pid, &status, 0) != pid)
            return 2;
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (WIFSIGNALED(status))
            return 128 + WTERMSIG(status);
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            sig = status >> 16 ? 0 : WSTOPSIG(status);
            continue;
        }
        if (is_time(pid, &left)) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            return KILLED;
        }
    }
}
