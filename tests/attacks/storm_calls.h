/* One random system call: which, and with what kinds of arguments. */
#ifndef BAILEY_TESTS_STORM_CALLS_H
#define BAILEY_TESTS_STORM_CALLS_H

#include "tests/attacks/storm_args.h"

static const struct call {
    short nr, none;
    const char *kinds;
} calls[] = {
#define SYS(number, name, level, args) {number, 0, args},
#define SYS_ALIAS(number, name, level, args, fn) {number, 0, args},
#define SYS_NONE(number, name, args) {number, 1, args},
#include "sandbox/keep/syscalls.def"
#undef SYS
#undef SYS_ALIAS
#undef SYS_NONE
};
#define CALLS (long)(sizeof(calls) / sizeof(calls[0]))

/* Where the table's letters say too little. c: a context of io_setup; z, Z: memory that nobody needs. */
static const struct call better[] = {
    {SYS_readv, 0, "fvn"},
    {SYS_writev, 0, "fvn"},
    {SYS_preadv, 0, "fvnl"},
    {SYS_pwritev, 0, "fvnl"},
    {SYS_preadv2, 0, "fvnlx"},
    {SYS_pwritev2, 0, "fvnlx"},
    {SYS_vmsplice, 0, "fvnx"},
    {SYS_poll, 0, "Pnd"},
    {SYS_ppoll, 0, "PntS8"},
    {SYS_select, 0, "dpppt"},
    {SYS_pselect6, 0, "dppptp"},
    {SYS_connect, 0, "fAu"},
    {SYS_bind, 0, "fAu"},
    {SYS_sendto, 0, "fpuxAu"},
    {SYS_sendmsg, 0, "fmx"},
    {SYS_recvmsg, 0, "fmx"},
    {SYS_sendmmsg, 0, "fmnx"},
    {SYS_recvmmsg, 0, "fmnxt"},
    {SYS_epoll_ctl, 0, "fdfE"},
    {SYS_epoll_wait, 0, "fpnd"},
    {SYS_epoll_pwait, 0, "fpndS8"},
    {SYS_epoll_pwait2, 0, "fpntS8"},
    {SYS_kill, 0, "ig"},
    {SYS_tkill, 0, "ig"},
    {SYS_tgkill, 0, "iig"},
    {SYS_rt_sigqueueinfo, 0, "igp"},
    {SYS_rt_tgsigqueueinfo, 0, "iigp"},
    {SYS_pidfd_open, 0, "ix"},
    {SYS_ptrace, 0, "dipp"},
    {SYS_wait4, 0, "ipxp"},
    {SYS_waitid, 0, "dipxp"},
    {SYS_process_vm_readv, 0, "ivnvn0"},
    {SYS_process_vm_writev, 0, "ivnvn0"},
    {SYS_prlimit64, 0, "idpp"},
    {SYS_setpgid, 0, "ii"},
    {SYS_getpgid, 0, "i"},
    {SYS_getsid, 0, "i"},
    {SYS_setpriority, 0, "did"},
    {SYS_sched_setaffinity, 0, "iup"},
    {SYS_sched_getaffinity, 0, "iup"},
    {SYS_sched_setattr, 0, "ip0"},
    {SYS_sched_getattr, 0, "ipu0"},
    {SYS_sched_setscheduler, 0, "idp"},
    {SYS_sched_setparam, 0, "ip"},
    {SYS_get_robust_list, 0, "ipp"},
    {SYS_seccomp, 0, "dxB"},
    {SYS_fcntl, 0, "fdL"},
    {SYS_io_submit, 0, "cnk"},
    {SYS_io_getevents, 0, "cnnpt"},
    {SYS_io_pgetevents, 0, "cnnptp"},
    {SYS_io_cancel, 0, "ckp"},
    {SYS_io_destroy, 0, "c"},
    {SYS_io_setup, 0, "np"},
    {SYS_timerfd_settime, 0, "fxtp"},
    {SYS_timer_settime, 0, "nxtp"},
    {SYS_setitimer, 0, "dtp"},
    {SYS_nanosleep, 0, "tp"},
    {SYS_clock_nanosleep, 0, "ndtp"},
    {SYS_futex, 0, "pxdtpx"},
    {SYS_futex_waitv, 0, "pnxt0"},
    {SYS_mq_open, 0, "qxop"},
    {SYS_mq_unlink, 0, "q"},
    {SYS_mq_timedsend, 0, "fpnnt"},
    {SYS_mq_timedreceive, 0, "fpupt"},
    {SYS_signalfd4, 0, "fS8x"},
    {SYS_signalfd, 0, "fS8"},
    {SYS_rt_sigprocmask, 0, "nSp8"},
    {SYS_rt_sigsuspend, 0, "S8"},
    {SYS_rt_sigtimedwait, 0, "Spt8"},
    {SYS_openat2, 0, "aswu"},
    {SYS_mmap, 0, "zZdxfl"},
    {SYS_munmap, 0, "zZ"},
    {SYS_mprotect, 0, "zZd"},
    {SYS_madvise, 0, "zZd"},
    {SYS_mremap, 0, "zZZdz"},
    {462, 0, "zZ0"},
    {SYS_msync, 0, "zZd"},
    {SYS_mincore, 0, "zZp"},
    {SYS_mlock, 0, "zZ"},
    {SYS_mount, 0, "ssyxp"},
    {SYS_shmget, 0, "nZx"},
    {SYS_shmat, 0, "nzx"},
    {SYS_shmctl, 0, "ndp"},
    {SYS_semget, 0, "nnx"},
    {SYS_semop, 0, "npn"},
    {SYS_semtimedop, 0, "npnt"},
    {SYS_semctl, 0, "nndx"},
    {SYS_msgget, 0, "nx"},
    {SYS_msgsnd, 0, "npnx"},
    {SYS_msgrcv, 0, "npunx"},
    {SYS_msgctl, 0, "ndp"},
    {SYS_fallocate, 0, "fdnl"},
    {SYS_utimensat, 0, "astx"},
};
#define BETTERS (long)(sizeof(better) / sizeof(better[0]))

/* Numbers that matter, for one argument. */
static const struct hint {
    short nr, arg;
    char sum; /* '|': some of them */
    long of[20];
} hints[] = {
    {SYS_ioctl, 1, 0, {TCGETS,    TCSETS,    TIOCGPTN,  TIOCSPTLCK, FIONREAD,   FIONBIO,     FIOASYNC,
                       TIOCSCTTY, TIOCNOTTY, TIOCSPGRP, TIOCGWINSZ, TIOCSWINSZ, TIOCGPTPEER, FIOCLEX,
                       TIOCGSID,  TIOCEXCL,  TCXONC,    TIOCSTI,    0x8912,     0x8933}},
    {SYS_fcntl, 1, 0, {F_DUPFD,         F_GETFD,  F_SETFD,      F_GETFL,     F_SETFL,
                       F_SETLK,         F_SETLKW, F_GETLK,      F_SETOWN,    F_SETSIG,
                       F_SETLEASE,      F_NOTIFY, F_SETPIPE_SZ, F_ADD_SEALS, F_OFD_SETLKW,
                       F_DUPFD_CLOEXEC, F_GETOWN, F_GET_SEALS,  F_SETOWN_EX, F_OFD_SETLK}},
    {SYS_open,
     1,
     '|',
     {0, 1, 2, O_CREAT, O_TRUNC, O_NONBLOCK, O_DIRECTORY, O_PATH, O_APPEND, O_TMPFILE, O_CLOEXEC, O_NOFOLLOW,
      O_EXCL, 0x2000}},
    {SYS_openat,
     2,
     '|',
     {0, 1, 2, O_CREAT, O_TRUNC, O_NONBLOCK, O_DIRECTORY, O_PATH, O_APPEND, O_TMPFILE, O_CLOEXEC, O_NOFOLLOW,
      O_EXCL}},
    {SYS_mq_open, 1, '|', {0, 1, 2, O_CREAT, O_NONBLOCK}},
    {SYS_socket, 0, 0, {AF_UNIX, AF_INET, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}},
    {SYS_socket, 1, '|', {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_NONBLOCK, SOCK_CLOEXEC}},
    {SYS_socket, 2, 0, {0, 0, 0, IPPROTO_TCP, IPPROTO_UDP}},
    {SYS_socketpair, 0, 0, {AF_UNIX, AF_UNIX, AF_UNIX, AF_INET}},
    {SYS_socketpair, 1, '|', {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_NONBLOCK}},
    {SYS_socketpair, 2, 0, {0, 0, 0, 1}},
    {SYS_connect, 2, 0, {16, 8, 28, 110}},
    {SYS_bind, 2, 0, {16, 8, 28, 110, 2}},
    {SYS_setsockopt, 1, 0, {SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, 41}},
    {SYS_getsockopt, 1, 0, {SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, 41}},
    {SYS_setsockopt, 2, 0, {2, 6, 7, 8, 9, 12, 13, 15, 16, 18, 20, 21, 1, 5, 26, 42, 27, 60, 13, 44}},
    {SYS_setsockopt, 4, 0, {4, 8, 16, 0, 1}},
    {SYS_epoll_ctl, 1, 0, {1, 2, 3, 1}},
    {SYS_ptrace, 0, 0, {0,  1,  3,      4,      7,      8,      9,      12,     13,     16,
                        17, 24, 0x4200, 0x4202, 0x4204, 0x4206, 0x4206, 0x4207, 0x4208, 0x420e}},
    {SYS_wait4, 2, '|', {0, WNOHANG, WUNTRACED, WCONTINUED, __WALL, __WNOTHREAD, __WCLONE}},
    {SYS_waitid, 0, 0, {P_ALL, P_PID, P_PGID, P_PIDFD}},
    {SYS_waitid, 3, '|', {WEXITED, WNOHANG, WSTOPPED, WCONTINUED, WNOWAIT, __WALL}},
    {SYS_prctl, 0, 0, {1, 2, 4, 8, 15, 16, 22, 23, 24, 25, 26, 28, 29, 35, 36, 37, 38, 47, 53, 0x53564d41}},
    {SYS_seccomp,
     0,
     0,
     {SECCOMP_SET_MODE_FILTER, SECCOMP_SET_MODE_FILTER, SECCOMP_SET_MODE_STRICT, SECCOMP_GET_ACTION_AVAIL,
      3}},
    {SYS_seccomp, 1, '|', {0, 0, 1, 2, 4, 8, 16, 32}},
    {SYS_mmap,
     3,
     '|',
     {MAP_PRIVATE, MAP_SHARED, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_POPULATE, MAP_GROWSDOWN,
      MAP_STACK}},
    {SYS_mremap, 3, 0, {0, 1, 3, 4, 5, 7}},
    {SYS_madvise, 2, 0, {0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 14, 17, 18, 20, 21, 22, 23, 100}},
    {SYS_unshare,
     0,
     '|',
     {CLONE_FILES, CLONE_FS, CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWIPC}},
    {SYS_futex, 1, 0, {0, 1, 128, 129, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 134, 137}},
    {SYS_timerfd_create, 0, 0, {0, 1, 7, 8, 9}},
    {SYS_eventfd2, 1, '|', {0, 1, EFD_NONBLOCK, EFD_CLOEXEC}},
    {SYS_signalfd4, 3, '|', {0, SFD_NONBLOCK, SFD_CLOEXEC}},
    {SYS_pipe2, 1, '|', {0, O_NONBLOCK, O_CLOEXEC, O_DIRECT}},
    {SYS_accept4, 3, '|', {0, SOCK_NONBLOCK, SOCK_CLOEXEC}},
    {SYS_splice, 5, '|', {0, 1, 2, 4, 8}},
    {SYS_inotify_add_watch, 2, '|', {IN_ALL_EVENTS, IN_ONESHOT, IN_CREATE, IN_MODIFY, IN_MASK_ADD}},
    {SYS_sendto, 3, '|', {0, 0, MSG_DONTWAIT, MSG_OOB, MSG_NOSIGNAL, MSG_MORE, MSG_ZEROCOPY, MSG_EOR}},
    {SYS_recvfrom, 3, '|', {0, 0, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_OOB, MSG_ERRQUEUE}},
    {SYS_sendmsg, 2, '|', {0, 0, MSG_DONTWAIT, MSG_OOB, MSG_NOSIGNAL}},
    {SYS_recvmsg, 2, '|', {0, 0, MSG_DONTWAIT, MSG_PEEK, MSG_CMSG_CLOEXEC, MSG_TRUNC}},
    {SYS_semctl, 2, 0, {0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}},
    {SYS_shmctl, 1, 0, {0, 1, 2, 3, 11, 12, 13, 14, 15}},
    {SYS_msgctl, 1, 0, {0, 1, 2, 3, 11, 12, 13}},
    {SYS_shmget, 2, '|', {IPC_CREAT, IPC_EXCL, 0600, 04000}},
    {SYS_semget, 2, '|', {IPC_CREAT, IPC_EXCL, 0600}},
    {SYS_msgget, 1, '|', {IPC_CREAT, IPC_EXCL, 0600}},
    {SYS_memfd_create, 1, '|', {0, 1, 2, 4, 8, 16}},
    {SYS_openat2, 3, 0, {24, 24, 32, 23, 0}},
    {SYS_membarrier, 0, 0, {0, 1, 2, 4, 8, 16, 32, 64}},
};
#define HINTS (long)(sizeof(hints) / sizeof(hints[0]))

/* These end the thread or blind it, or are slow, or hurt the judge: made now and then, or (0) never. */
static const struct {
    short nr;
    int once_in;
} rare[] = {
    {SYS_exit, 40},         {SYS_exit_group, 60}, {SYS_rt_sigreturn, 60},
    {SYS_arch_prctl, 30},   {SYS_brk, 10},        {SYS_sigaltstack, 10},
    {SYS_reboot, 0},        {SYS_sync, 0},        {SYS_syncfs, 20},
    {SYS_seccomp, 8},       {SYS_setrlimit, 8},   {SYS_prlimit64, 4},
    {SYS_close_range, 20},  {SYS_fork, 4},        {SYS_clone, 4},
    {SYS_vfork, 0},         {SYS_execve, 8},      {SYS_execveat, 8},
    {SYS_rt_sigaction, 10}, {SYS_pause, 4},       {462, 10},
    {SYS_setuid, 4},        {SYS_setgid, 4},      {SYS_chroot, 10},
    {SYS_munmap, 2},        {SYS_ptrace, 2},      {SYS_fsync, 10},
    {SYS_fdatasync, 10},
};

static volatile unsigned long context;

static inline int is_allowed(int nr)
{
    for (unsigned i = 0; i < sizeof(rare) / sizeof(rare[0]); i++)
        if (rare[i].nr == nr)
            return rare[i].once_in && once_in(rare[i].once_in);
    return 1;
}

static inline const char *kinds_of(const struct call *c)
{
    for (long i = 0; i < BETTERS && !once_in(30); i++)
        if (better[i].nr == c->nr)
            return better[i].kinds;
    return c->kinds;
}

static inline long of_kind(char kind)
{
    static const char *const types[] = {"proc",   "tmpfs",   "sysfs",   "devpts",
                                        "mqueue", "cgroup2", "overlay", "nothing"};
    static const char *const queues[] = {"q", "r", "q/r", ""};
    switch (kind) {
    case 'c':
        return once_in(10) ? any_size() : (long)context;
    case 'z':
        return once_in(3) ? 0 : once_in(30) ? (long)any_pointer(64) : (long)wild + (below(WILD) & ~4095L);
    case 'Z':
        return once_in(40) ? any_size() : 4096 * (1 + below(16));
    case 'y':
        return (long)types[below(8)];
    case 'q':
        return (long)queues[below(4)];
    default:
        return argument(kind);
    }
}

static inline void hinted(const struct call *c, long a[6])
{
    for (long i = 0; i < HINTS; i++) {
        const struct hint *h = &hints[i];
        int n = 20;
        if (h->nr != c->nr || once_in(20))
            continue;
        while (n > 1 && h->of[n - 1] == 0)
            n--;
        a[h->arg] = h->of[below(n)];
        while (h->sum && once_in(2))
            a[h->arg] |= h->of[below(n)];
    }
}

/* No call may do to init what any parent could: it is the judge. */
static inline void spare_init(long nr, long a[6])
{
    int at = nr == SYS_ptrace || nr == SYS_setpriority ? 1 : 0;
    switch (nr) {
    case SYS_ptrace:
    case SYS_setpriority:
    case SYS_process_vm_writev:
    case SYS_process_vm_readv:
    case SYS_prlimit64:
    case SYS_pidfd_open:
    case SYS_sched_setaffinity:
    case SYS_sched_setattr:
    case SYS_sched_setparam:
    case SYS_sched_setscheduler:
        if ((int)a[at] == 1)
            a[at] = 2;
    }
}

static inline void arguments(const struct call *c, long a[6])
{
    const char *kinds = kinds_of(c);
    for (int i = 0; i < 6; i++)
        a[i] = *kinds ? of_kind(*kinds++) : once_in(4) ? (long)rnd() : 0;
    hinted(c, a);
    spare_init(c->nr, a);
}

/* A number and its arguments; what made new descriptors is remembered by the caller. */
static inline long any_call(long a[6])
{
    static const short often[] = {
        SYS_read,       SYS_write,     SYS_openat,       SYS_close,   SYS_fcntl,          SYS_dup3,
        SYS_sendmsg,    SYS_recvmsg,   SYS_epoll_ctl,    SYS_ptrace,  SYS_kill,           SYS_wait4,
        SYS_socketpair, SYS_io_submit, SYS_splice,       SYS_connect, SYS_accept4,        SYS_ioctl,
        SYS_epoll_wait, SYS_signalfd4, SYS_io_getevents, SYS_poll,    SYS_rt_sigprocmask, SYS_mmap};
    const struct call *c;
    do {
        int nr = once_in(3) ? often[below(24)] : -1;
        c = &calls[below(CALLS)];
        while (nr >= 0 && c->nr != nr)
            c = c == calls + CALLS - 1 ? calls : c + 1;
    } while (!is_allowed(c->nr) || (c->none && !once_in(12)));
    arguments(c, a);
    return c->nr;
}

#endif
