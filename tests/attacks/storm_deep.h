/* What takes several calls in a row to get anywhere: tracing, seccomp agents, System V IPC, queues, timers,
 * terminals, descriptors that travel. Each step may fail, and others may spoil it at any time. */
#ifndef BAILEY_TESTS_STORM_DEEP_H
#define BAILEY_TESTS_STORM_DEEP_H

#include <pty.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/xattr.h>

#include "tests/attacks/storm_args.h"

static inline void deep_child(void)
{
    for (int i = 0; i < 40; i++) {
        (void)getppid();
        (void)!write(any_fd(), arena, 1);
        if (once_in(10))
            raise((int)any_signal());
        if (once_in(30) && fork() == 0)
            _exit(3);
    }
    if (once_in(4))
        execl("/proc/self/exe", "storm", "nothing", NULL);
    _exit(4);
}

/* One request to a tracee that stands somewhere. */
static inline void deep_request(pid_t pid)
{
    struct user_regs_struct regs;
    struct iovec v = {&regs, sizeof(regs)};
    siginfo_t info;
    switch (below(9)) {
    case 0:
        if (ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0 && once_in(4)) {
            ((unsigned long *)&regs)[below(27)] = rnd();
            ptrace(PTRACE_SETREGS, pid, 0, &regs);
        }
        break;
    case 1:
        ptrace(PTRACE_GETREGSET, pid, ONE_OF(1, 2, 0x202), &v);
        break;
    case 2:
        ptrace(PTRACE_POKEDATA, pid, arena + below(4096), rnd());
        break;
    case 3:
        if (ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0)
            ptrace(PTRACE_POKETEXT, pid, regs.rip + (unsigned long)below(16), rnd());
        break;
    case 4:
        ptrace(PTRACE_GETSIGINFO, pid, 0, &info);
        break;
    case 5:
        ptrace(PTRACE_SETOPTIONS, pid, 0, rnd() & 0xff);
        break;
    case 6:
        ptrace(PTRACE_PEEKTEXT, pid, GATE_BASE + (unsigned long)below(4096), 0);
        break;
    case 7:
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        break;
    default:
        kill(pid, (int)any_signal());
    }
}

static inline void deep_trace(int n)
{
    int status, seizes = once_in(2);
    pid_t pid = fork();
    if (pid == 0) {
        if (!seizes)
            ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        deep_child();
    }
    if (pid < 0)
        return;
    if (seizes)
        ptrace(once_in(2) ? PTRACE_ATTACH : PTRACE_SEIZE, pid, 0, rnd() & 0xff);
    for (int i = 0; i < n / 4; i++) {
        pid_t who = waitpid(once_in(2) ? pid : -1, &status, __WALL | (once_in(8) ? 0 : WNOHANG));
        if (who == pid && (WIFEXITED(status) || WIFSIGNALED(status)))
            return;
        if (who > 1 && who != pid)
            ptrace(PTRACE_CONT, who, 0, 0);
        deep_request(pid);
        ptrace((enum __ptrace_request)ONE_OF(PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP, PTRACE_LISTEN),
               pid, 0, once_in(6) ? any_signal() : 0);
        kill(pid, SIGCONT);
    }
    if (once_in(3))
        ptrace(PTRACE_DETACH, pid, 0, 0);
    if (once_in(2))
        kill(pid, SIGKILL);
    if (once_in(2))
        waitpid(pid, &status, __WALL);
}

static inline void deep_answer(int fd)
{
    struct seccomp_notif req = {0};
    struct seccomp_notif_resp resp = {0};
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) != 0)
        return;
    if (once_in(6)) {
        struct seccomp_notif_addfd add = {
            .id = req.id, .srcfd = (uint32_t)any_fd(), .newfd_flags = O_CLOEXEC};
        add.flags = once_in(3) ? SECCOMP_ADDFD_FLAG_SEND : 0;
        ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    }
    resp.id = once_in(10) ? rnd() : req.id;
    resp.error = once_in(3) ? -5 : 0;
    resp.val = (int64_t)below(5);
    resp.flags = once_in(3) ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    if (!once_in(10))
        ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
    ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id);
}

/* A child under an agent, which is its parent, by a descriptor that it takes from it. */
static inline void deep_agent(int n)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K,
            (uint32_t)ONE_OF(SYS_getppid, SYS_write, SYS_openat, SYS_clone, SYS_execve, SYS_rt_sigprocmask),
            0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, code};
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
        (void)dup2(fd, 77);
        deep_child();
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd = -1;
    for (int i = 0; i < 50 && fd < 0; i++) {
        fd = (int)syscall(SYS_pidfd_getfd, pidfd, 77, 0);
        sched_yield();
    }
    for (int i = 0; i < n / 10; i++) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 2) == 1)
            deep_answer(fd);
    }
    close(fd);
    close(pidfd);
    if (once_in(2))
        kill(pid, SIGKILL);
    waitpid(pid, NULL, once_in(2) ? WNOHANG : 0);
}

static inline void deep_sysv(int n)
{
    struct sembuf ops[2] = {{0, 1, (short)(once_in(2) ? SEM_UNDO : 0)}, {1, -1, IPC_NOWAIT}};
    struct {
        long type;
        char text[64];
    } m = {1, ""};
    int shm = shmget((key_t)below(4), 8192, IPC_CREAT | 0600),
        sem = semget((key_t)below(4), 2, IPC_CREAT | 0600), msg = msgget((key_t)below(4), IPC_CREAT | 0600);
    char *at = shmat(shm, NULL, once_in(4) ? SHM_RDONLY : 0);
    pid_t pid = once_in(3) ? fork() : -1;
    for (int i = 0; i < n / 4; i++) {
        ops[0].sem_op = (short)(below(3) - 1);
        (void)semop(sem, ops, 1 + (size_t)below(2));
        (void)msgsnd(msg, &m, (size_t)below(64), IPC_NOWAIT);
        (void)msgrcv(msg, &m, 64, below(3) - 1, once_in(20) ? 0 : IPC_NOWAIT);
        if (once_in(8) && at != (char *)-1) {
            shmdt(at);
            at = shmat(shm, once_in(3) ? wild + (below(64) << 12) : NULL, once_in(2) ? SHM_REMAP : 0);
        }
    }
    if (once_in(2))
        shmctl(shm, IPC_RMID, NULL);
    if (once_in(2))
        semctl(sem, 0, IPC_RMID);
    if (once_in(2))
        msgctl(msg, IPC_RMID, NULL);
    if (at != (char *)-1 && once_in(2))
        shmdt(at);
    if (pid == 0)
        _exit(0);
}

static inline void deep_queue(int n)
{
    struct mq_attr attr = {.mq_maxmsg = 1 + below(8), .mq_msgsize = 64};
    struct sigevent ev = {.sigev_notify = (int)ONE_OF(SIGEV_SIGNAL, SIGEV_NONE), .sigev_signo = SIGUSR1};
    struct timespec past = {1, 0};
    char text[64];
    mqd_t q =
        mq_open(once_in(2) ? "/q" : "/r", O_RDWR | O_CREAT | (once_in(2) ? O_NONBLOCK : 0), 0600, &attr);
    for (int i = 0; i < n / 6; i++) {
        (void)mq_notify(q, once_in(3) ? NULL : &ev);
        (void)mq_timedsend(q, text, (size_t)below(65), (unsigned)below(3), &past);
        (void)mq_timedreceive(q, text, sizeof(text), NULL, &past);
    }
    mq_close(q);
}

static inline void deep_timers(int n)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = (int)ONE_OF(SIGUSR1, 35, SIGALRM)};
    struct itimerspec it = {{0, 1 + below(2000000)}, {0, 1 + below(2000000)}};
    timer_t id[4];
    int made = 0;
    for (; made < 4 && timer_create(once_in(2) ? CLOCK_MONOTONIC : CLOCK_REALTIME, &ev, &id[made]) == 0;
         made++)
        timer_settime(id[made], 0, &it, NULL);
    for (int i = 0; i < n / 10 && made; i++) {
        struct timespec ts = {0, below(500000)};
        (void)nanosleep(&ts, NULL);
        (void)timer_getoverrun(id[below(made)]);
        (void)timer_gettime(id[below(made)], &it);
    }
    while (made > 0 && !once_in(10))
        timer_delete(id[--made]);
}

static inline void deep_pty(int n)
{
    int m = -1, s = -1;
    char text[64] = "a\n\003\004\021\023\032\177";
    if (openpty(&m, &s, NULL, NULL, NULL) != 0)
        return;
    pid_t pid = once_in(3) ? fork() : -1;
    if (pid == 0) {
        setsid();
        ioctl(s, TIOCSCTTY, 0);
        close(m);
        (void)!read(s, text, sizeof(text));
        _exit(0);
    }
    fcntl(m, F_SETFL, O_NONBLOCK);
    fcntl(s, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < n / 6; i++) {
        struct termios t;
        (void)!write(m, text + below(8), (size_t)below(8));
        (void)!read(s, text + 32, 16);
        (void)!read(m, text + 32, 16);
        if (once_in(6) && tcgetattr(s, &t) == 0) {
            t.c_lflag ^= (tcflag_t)(1U << below(16));
            tcsetattr(s, (int)below(3), &t);
        }
        if (once_in(10))
            ioctl(m, (unsigned long)ONE_OF(TIOCPKT, TIOCSWINSZ, TCXONC, TCFLSH, TIOCGPTPEER), 1);
    }
    close(once_in(2) ? m : s);
}

/* Sockets within sockets, cycles too. */
static inline void deep_travel(int n)
{
    int p[2], type = (int)ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET);
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, p) != 0)
        return;
    for (int i = 0; i < n / 10; i++) {
        char c = 'x', space[CMSG_SPACE(8 * sizeof(int))] = {0};
        struct iovec v = {&c, 1};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = space};
        struct cmsghdr *h = (struct cmsghdr *)space;
        int many = 1 + (int)below(3);
        *h = (struct cmsghdr){CMSG_LEN((size_t)many * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        for (int k = 0; k < many; k++)
            ((int *)CMSG_DATA(h))[k] = once_in(2) ? any_fd() : p[below(2)];
        m.msg_controllen = CMSG_SPACE((size_t)many * sizeof(int));
        (void)sendmsg(p[once_in(2)], &m, 0);
        m.msg_controllen = sizeof(space);
        if (once_in(2) && recvmsg(p[once_in(2)], &m, once_in(4) ? MSG_PEEK : 0) >= 0 && m.msg_controllen)
            close(((int *)CMSG_DATA(h))[0]);
    }
    close(p[0]);
    close(p[1]);
}

static inline void deep_watch(int n)
{
    int fd = inotify_init1(IN_NONBLOCK), wd = -1;
    char text[512];
    for (int i = 0; i < n / 10; i++) {
        wd = inotify_add_watch(fd, paths[below(14)],
                               (uint32_t)ONE_OF(IN_ALL_EVENTS, IN_CREATE | IN_ONESHOT, IN_OPEN));
        close(open(paths[below(14)], O_RDWR | O_CREAT, 0644));
        (void)!read(fd, text, sizeof(text));
        if (once_in(3))
            inotify_rm_watch(fd, wd);
    }
    close(fd);
}

static inline void deep_files(int n)
{
    int a = open("a", O_RDWR | O_CREAT, 0644), b = open("b", O_RDWR | O_CREAT, 0644), p[2] = {-1, -1};
    (void)!pipe2(p, O_NONBLOCK);
    for (int i = 0; i < n / 10; i++) {
        struct flock l = {.l_type = (short)below(3), .l_start = below(9), .l_len = 1 + below(9)};
        (void)!pwrite(a, arena, 512, below(4096));
        (void)copy_file_range(a, NULL, b, NULL, 256, 0);
        (void)splice(a, NULL, p[1], NULL, 64, SPLICE_F_NONBLOCK);
        (void)tee(p[0], p[1], 16, SPLICE_F_NONBLOCK);
        (void)splice(p[0], NULL, b, NULL, 64, SPLICE_F_NONBLOCK);
        fcntl(a, (int)ONE_OF(F_SETLK, F_OFD_SETLK, F_GETLK), &l);
        fsetxattr(a, "user.a", arena, 8, 0);
        (void)fgetxattr(a, "user.a", arena, 8);
        char *at = mmap(NULL, 4096, PROT_READ, once_in(2) ? MAP_SHARED : MAP_PRIVATE, a, 0);
        if (at != MAP_FAILED)
            munmap(at, 4096);
    }
    close(a);
    close(b);
    close(p[0]);
    close(p[1]);
}

static inline void deep_aio(int n)
{
    aio_context_t ctx = 0;
    struct io_event got[8];
    if (syscall(SYS_io_setup, 16, &ctx) != 0)
        return;
    for (int i = 0; i < n / 10; i++) {
        (void)syscall(SYS_io_submit, ctx, 1 + below(4), blocks());
        if (once_in(4))
            (void)syscall(SYS_io_cancel, ctx, *(void **)blocks(), got);
        struct timespec ts = {0, below(100000)};
        (void)syscall(SYS_io_getevents, ctx, below(2), 8L, got, &ts);
    }
    if (!once_in(5))
        (void)syscall(SYS_io_destroy, ctx);
}

static inline void deep(void)
{
    static void (*const all[])(int) = {deep_trace,  deep_agent, deep_sysv,  deep_queue, deep_timers, deep_pty,
                                       deep_travel, deep_watch, deep_files, deep_aio,   deep_trace};
    all[below(11)](40 + (int)below(160));
}

#endif
