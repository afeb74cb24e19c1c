/* Names of flags and constants for --strace. */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <asm/ioctls.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/trace/strace.h"

/* clang-format off */
#define N(x) {(uint64_t)(x), #x}
#define END {0, NULL}

static const struct strace_name open_names[] = {
    N(O_RDONLY), N(O_WRONLY), N(O_RDWR), N(O_CREAT), N(O_EXCL), N(O_NOCTTY), N(O_TRUNC), N(O_APPEND),
    N(O_NONBLOCK), N(O_TMPFILE), N(O_SYNC), N(O_DSYNC), N(O_ASYNC), N(O_DIRECT), N(O_DIRECTORY), N(O_NOFOLLOW),
    N(O_NOATIME), N(O_CLOEXEC), N(O_PATH), {0100000, "O_LARGEFILE"}, END};
static const struct strace_name prot_names[] = {
    N(PROT_NONE), N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), N(PROT_GROWSDOWN), N(PROT_GROWSUP), END};
static const struct strace_name map_names[] = {
    N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_SHARED_VALIDATE), N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_GROWSDOWN),
    N(MAP_DENYWRITE), N(MAP_EXECUTABLE), N(MAP_LOCKED), N(MAP_NORESERVE), N(MAP_POPULATE), N(MAP_NONBLOCK),
    N(MAP_STACK), N(MAP_HUGETLB), N(MAP_SYNC), N(MAP_FIXED_NOREPLACE), END};
static const struct strace_name clone_names[] = {
    N(SIGCHLD), N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), N(CLONE_PIDFD), N(CLONE_PTRACE),
    N(CLONE_VFORK), N(CLONE_PARENT), N(CLONE_THREAD), N(CLONE_NEWNS), N(CLONE_SYSVSEM), N(CLONE_SETTLS),
    N(CLONE_PARENT_SETTID), N(CLONE_CHILD_CLEARTID), N(CLONE_DETACHED), N(CLONE_UNTRACED), N(CLONE_CHILD_SETTID),
    N(CLONE_NEWCGROUP), N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET),
    N(CLONE_IO), END};
static const struct strace_name at_names[] = {
    N(AT_SYMLINK_NOFOLLOW), N(AT_REMOVEDIR), N(AT_SYMLINK_FOLLOW), N(AT_NO_AUTOMOUNT), N(AT_EMPTY_PATH),
    N(AT_STATX_FORCE_SYNC), N(AT_STATX_DONT_SYNC), END};
static const struct strace_name wait_names[] = {
    N(WNOHANG), N(WUNTRACED), N(WEXITED), N(WCONTINUED), N(WNOWAIT), {0x20000000, "__WNOTHREAD"},
    {0x40000000, "__WALL"}, {0x80000000, "__WCLONE"}, END};
static const struct strace_name family_names[] = {
    N(AF_UNSPEC), N(AF_UNIX), N(AF_INET), N(AF_INET6), N(AF_NETLINK), N(AF_PACKET), N(AF_VSOCK), N(AF_ALG),
    N(AF_BLUETOOTH), END};
static const struct strace_name type_names[] = {
    N(SOCK_STREAM), N(SOCK_DGRAM), N(SOCK_RAW), N(SOCK_RDM), N(SOCK_SEQPACKET), N(SOCK_PACKET), N(SOCK_CLOEXEC),
    N(SOCK_NONBLOCK), END};
static const struct strace_name msg_names[] = {
    N(MSG_OOB), N(MSG_PEEK), N(MSG_DONTROUTE), N(MSG_CTRUNC), N(MSG_TRUNC), N(MSG_DONTWAIT), N(MSG_EOR),
    N(MSG_WAITALL), N(MSG_CONFIRM), N(MSG_ERRQUEUE), N(MSG_NOSIGNAL), N(MSG_MORE), N(MSG_CMSG_CLOEXEC), END};
static const struct strace_name how_names[] = {N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK), END};
static const struct strace_name whence_names[] = {
    N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), N(SEEK_DATA), N(SEEK_HOLE), END};
static const struct strace_name access_names[] = {{F_OK, "F_OK"}, N(R_OK), N(W_OK), N(X_OK), END};
static const struct strace_name fcntl_names[] = {
    N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL), {5, "F_GETLK"}, {6, "F_SETLK"}, {7, "F_SETLKW"},
    N(F_SETOWN), N(F_GETOWN), N(F_SETSIG), N(F_GETSIG), N(F_SETOWN_EX), N(F_GETOWN_EX), N(F_OFD_GETLK),
    N(F_OFD_SETLK), N(F_OFD_SETLKW), N(F_SETLEASE), N(F_GETLEASE), N(F_NOTIFY), N(F_DUPFD_CLOEXEC),
    N(F_SETPIPE_SZ), N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS), END};
static const struct strace_name futex_names[] = {
    N(FUTEX_WAIT), N(FUTEX_WAKE), N(FUTEX_FD), N(FUTEX_REQUEUE), N(FUTEX_CMP_REQUEUE), N(FUTEX_WAKE_OP),
    N(FUTEX_LOCK_PI), N(FUTEX_UNLOCK_PI), N(FUTEX_TRYLOCK_PI), N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET),
    N(FUTEX_WAIT_REQUEUE_PI), N(FUTEX_CMP_REQUEUE_PI), N(FUTEX_LOCK_PI2), N(FUTEX_PRIVATE_FLAG),
    N(FUTEX_CLOCK_REALTIME), END};
static const struct strace_name clock_names[] = {
    N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID), N(CLOCK_THREAD_CPUTIME_ID),
    N(CLOCK_MONOTONIC_RAW), N(CLOCK_REALTIME_COARSE), N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME),
    N(CLOCK_REALTIME_ALARM), N(CLOCK_BOOTTIME_ALARM), N(CLOCK_TAI), END};
static const struct strace_name rlimit_names[] = {
    N(RLIMIT_CPU), N(RLIMIT_FSIZE), N(RLIMIT_DATA), N(RLIMIT_STACK), N(RLIMIT_CORE), N(RLIMIT_RSS), N(RLIMIT_NPROC),
    N(RLIMIT_NOFILE), N(RLIMIT_MEMLOCK), N(RLIMIT_AS), N(RLIMIT_LOCKS), N(RLIMIT_SIGPENDING), N(RLIMIT_MSGQUEUE),
    N(RLIMIT_NICE), N(RLIMIT_RTPRIO), N(RLIMIT_RTTIME), END};
static const struct strace_name epoll_names[] = {N(EPOLL_CTL_ADD), N(EPOLL_CTL_DEL), N(EPOLL_CTL_MOD), END};
static const struct strace_name poll_names[] = {
    N(POLLIN), N(POLLPRI), N(POLLOUT), N(POLLERR), N(POLLHUP), N(POLLNVAL), N(POLLRDNORM), N(POLLRDBAND),
    N(POLLWRNORM), N(POLLWRBAND), N(POLLMSG), N(POLLRDHUP), END};
static const struct strace_name ioctl_names[] = {
    N(TCGETS), N(TCSETS), N(TCSETSW), N(TCSETSF), {0x802c542a, "TCGETS2"}, {0x402c542b, "TCSETS2"}, N(TCSBRK), N(TCXONC),
    N(TCFLSH), N(TIOCSCTTY), N(TIOCNOTTY), N(TIOCGPGRP), N(TIOCSPGRP), N(TIOCGSID), N(TIOCOUTQ), N(TIOCSTI),
    N(TIOCGWINSZ), N(TIOCSWINSZ), N(FIONREAD), N(FIONBIO), N(FIOASYNC), N(FIOCLEX), N(FIONCLEX), N(TIOCGPTN),
    N(TIOCSPTLCK), {0x5441, "TIOCGPTPEER"}, N(SECCOMP_IOCTL_NOTIF_RECV), N(SECCOMP_IOCTL_NOTIF_SEND),
    N(SECCOMP_IOCTL_NOTIF_ID_VALID), N(SECCOMP_IOCTL_NOTIF_ADDFD), {0x40082104, "SECCOMP_IOCTL_NOTIF_SET_FLAGS"}, END};
static const struct strace_name prctl_names[] = {
    N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE), N(PR_GET_KEEPCAPS),
    N(PR_SET_KEEPCAPS), N(PR_SET_NAME), N(PR_GET_NAME), N(PR_GET_SECCOMP), N(PR_SET_SECCOMP), N(PR_CAPBSET_READ),
    N(PR_CAPBSET_DROP), N(PR_GET_TSC), N(PR_SET_TSC), N(PR_GET_SECUREBITS), N(PR_SET_SECUREBITS),
    N(PR_SET_TIMERSLACK), N(PR_GET_TIMERSLACK), N(PR_SET_CHILD_SUBREAPER), N(PR_GET_CHILD_SUBREAPER),
    N(PR_SET_NO_NEW_PRIVS), N(PR_GET_NO_NEW_PRIVS), N(PR_SET_THP_DISABLE), N(PR_GET_THP_DISABLE),
    N(PR_CAP_AMBIENT), {0x53564d41, "PR_SET_VMA"}, END};
static const struct strace_name arch_prctl_names[] = {
    {0x1001, "ARCH_SET_GS"}, {0x1002, "ARCH_SET_FS"}, {0x1003, "ARCH_GET_FS"}, {0x1004, "ARCH_GET_GS"},
    {0x3001, "ARCH_CET_STATUS"}, END};
static const struct strace_name sa_names[] = {
    {0x04000000, "SA_RESTORER"}, N(SA_ONSTACK), N(SA_RESTART), N(SA_NODEFER), {0x80000000, "SA_RESETHAND"},
    N(SA_SIGINFO), N(SA_NOCLDSTOP), N(SA_NOCLDWAIT), END};
static const struct strace_name madvise_names[] = {
    N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_FREE),
    N(MADV_REMOVE), N(MADV_DONTFORK), N(MADV_DOFORK), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE), N(MADV_DONTDUMP), END};

static const struct strace_names all[] = {
    {'O', true, O_ACCMODE, open_names},
    {'P', true, 0, prot_names},
    {'m', true, 3, map_names},
    {'c', true, 0xff, clone_names},
    {'A', true, 0, at_names},
    {'w', true, 0, wait_names},
    {'F', false, 0, family_names},
    {'T', true, 0xf, type_names},
    {'G', true, 0, msg_names},
    {'h', false, 0, how_names},
    {'Q', false, 0, whence_names},
    {'j', true, 0, access_names},
    {'q', false, 0, fcntl_names},
    {'y', true, 0x7f, futex_names},
    {'C', false, 0, clock_names},
    {'L', false, 0, rlimit_names},
    {'e', false, 0, epoll_names},
    {'E', true, 0, poll_names},
    {'I', false, 0, ioctl_names},
    {'N', false, 0, prctl_names},
    {'H', false, 0, arch_prctl_names},
    {'r', true, 0, sa_names},
    {'U', false, 0, madvise_names},
};
/* clang-format on */

const struct strace_names *strace_names_find(char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i].letter == letter)
            return &all[i];
    }
    return NULL;
}

/* For the usual calls, and for what the gate rings on behalf of some of them. */
static const struct strace_usual usual[] = {
    {SYS_read, NULL, "fBu", false},
    {SYS_write, NULL, "fbu", false},
    {SYS_pread64, NULL, "fBul", false},
    {SYS_pwrite64, NULL, "fbul", false},
    {SYS_open, NULL, "sOo", false},
    {SYS_openat, NULL, "asOo", false},
    {SYS_stat, NULL, "sz", false},
    {SYS_lstat, NULL, "sz", false},
    {SYS_fstat, NULL, "fz", false},
    {SYS_newfstatat, NULL, "aszA", false},
    {SYS_statx, NULL, "asAxp", false},
    {SYS_unlinkat, NULL, "asA", false},
    {SYS_linkat, NULL, "asasA", false},
    {SYS_fchownat, NULL, "asddA", false},
    {SYS_utimensat, NULL, "aspA", false},
    {SYS_faccessat, NULL, "asj", false},
    {SYS_faccessat2, NULL, "asjA", false},
    {SYS_access, NULL, "sj", false},
    {SYS_readlink, NULL, "sBu", false},
    {SYS_readlinkat, NULL, "asBu", false},
    {SYS_getcwd, NULL, "pu", false},
    {SYS_poll, NULL, "Dud", false},
    {SYS_ppoll, NULL, "DutS", false},
    {SYS_lseek, NULL, "flQ", false},
    {SYS_mmap, NULL, "puPmfx", true},
    {SYS_mprotect, NULL, "puP", false},
    {SYS_munmap, NULL, "pu", false},
    {SYS_mremap, NULL, "puuxp", true},
    {SYS_madvise, NULL, "puU", false},
    {SYS_brk, NULL, "p", true},
    {SYS_rt_sigaction, NULL, "gXXu", false},
    {SYS_rt_sigprocmask, NULL, "hSSu", false},
    {SYS_ioctl, NULL, "fIp", false},
    {SYS_fcntl, NULL, "fqx", false},
    {SYS_pipe, NULL, "2", false},
    {SYS_pipe2, NULL, "2O", false},
    {SYS_nanosleep, NULL, "tp", false},
    {SYS_clock_nanosleep, NULL, "Cxtp", false},
    {SYS_clock_gettime, NULL, "Cp", false},
    {SYS_socket, NULL, "FTd", false},
    {SYS_socketpair, NULL, "FTd2", false},
    {SYS_connect, NULL, "fku", false},
    {SYS_bind, NULL, "fku", false},
    {SYS_accept, NULL, "fKi", false},
    {SYS_accept4, NULL, "fKiT", false},
    {SYS_getsockname, NULL, "fKi", false},
    {SYS_getpeername, NULL, "fKi", false},
    {SYS_sendto, NULL, "fbuGku", false},
    {SYS_recvfrom, NULL, "fBuGKp", false},
    {SYS_sendmsg, NULL, "fpG", false},
    {SYS_recvmsg, NULL, "fpG", false},
    {SYS_wait4, NULL, "dWwp", false},
    {SYS_waitid, NULL, "ddpwp", false},
    {SYS_getrlimit, NULL, "LR", false},
    {SYS_setrlimit, NULL, "LR", false},
    {SYS_prlimit64, NULL, "dLRR", false},
    {SYS_prctl, NULL, "Nxxxx", false},
    {SYS_arch_prctl, NULL, "Hp", false},
    {SYS_futex, NULL, "pydppx", false},
    {SYS_epoll_ctl, NULL, "fefJ", false},
    {SYS_unshare, NULL, "c", false},
    {SYS_clone, "clone", "cxpp", false},
    {SYS_execve, NULL, "svV", false},
    {GATE_ATTACH, "gate_attach", "x", false},
    {GATE_EXEC, "execveat", "asvVA", false},
    {GATE_EXEC_DONE, "gate_exec_done", "ppp", false},
    {GATE_SIGNAL, "gate_signal", "p", false},
    {GATE_FAULT, "gate_fault", "ppx", false},
    {GATE_SIGRETURN, "rt_sigreturn", "x", false},
    {GATE_SHMAT, "shmat", "dpxp", false},
    {GATE_SHM_DONE, "gate_shm_done", "f", false},
    {GATE_SHMDT, "shmdt", "pp", false},
    {GATE_AIO_SETUP, "io_setup", "up", false},
    {GATE_AIO_DONE, "gate_aio_done", "fpp", false},
    {GATE_AIO_DESTROY, "io_destroy", "p", false},
};

const struct strace_usual *strace_usual_find(int nr)
{
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
        if (usual[i].nr == nr)
            return &usual[i];
    }
    return NULL;
}
