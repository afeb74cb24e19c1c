/* Supervisors and targets that mean ill: answers to calls that are not theirs, all requests at once from
 * several threads while the target dies, replaces what it is given or becomes another program; listeners that
 * are passed around in circles, outlive their filters, or are their own target; targets that nobody ever
 * answers. Ends with 42 where only they themselves were harmed, and leaves some waiting. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "tests/guest/notified.h"

enum { LEFT = 20, UNANSWERED = 150, LISTENERS = 400, ROUNDS = 60, CROWD = 300 };

static int asks(void)
{
    return syscall(SYS_getppid) < 0 ? errno : 0;
}

static int asks_for_ever(void)
{
    int p[2], status;
    for (;;) {
        (void)syscall(SYS_getppid);
        if (pipe(p) == 0) { /* at numbers that may be taken away */
            (void)!write(p[1], "x", 1);
            close(p[0]);
            close(p[1]);
        }
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid > 0)
            waitpid(pid, &status, 0);
    }
    return 0;
}

/* Whoever is killed dies, though it waits for an answer that never comes. */
static int unanswered(void)
{
    static struct target t[UNANSWERED];
    for (int i = 0; i < UNANSWERED; i++)
        t[i] = target_new(asks, i % 2 ? KILLABLE : LISTENS, SYS_getppid);
    for (int i = 0; i < UNANSWERED; i += 3)
        notif_recv(t[i].fd);
    for (int i = 0; i < UNANSWERED; i++)
        kill(t[i].pid, SIGKILL);
    for (int i = 0; i < UNANSWERED; i++)
        if (end_of(t[i].pid) != SIGKILL)
            return 1;
    return 0;
}

/* No id is good for anybody else's call. */
static int strangers(void)
{
    struct target a = target_new(asks, LISTENS, SYS_getppid), b = target_new(asks, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(a.fd), m = notif_recv(b.fd);
    int r = 0;
    for (long d = -3; d <= 3; d++) {
        if (d && notif_send(a.fd, n.id + (uint64_t)d, 1, 0, 0) == 0)
            r = 1;
        if (m.id + (uint64_t)d != n.id && notif_send(a.fd, m.id + (uint64_t)d, 1, 0, 0) == 0)
            r = 2;
    }
    kill(a.pid, SIGKILL);
    kill(b.pid, SIGKILL);
    end_of(a.pid);
    end_of(b.pid);
    return r;
}

/* All at once. */
static _Atomic uint64_t last;
static atomic_int listener, stop;

static void *hammers(void *arg)
{
    long kind = (long)arg;
    while (!stop) {
        struct seccomp_notif n;
        memset(&n, 0, sizeof(n));
        if (kind == 0) {
            struct pollfd p = {.fd = listener, .events = POLLIN};
            if (poll(&p, 1, 10) == 1 && (p.revents & POLLIN) &&
                ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0)
                last = n.id;
        } else if (kind == 1) {
            (void)notif_addfd(listener, last, listener, SECCOMP_ADDFD_FLAG_SETFD, (int)(last % 8), 0);
        } else if (kind == 2) {
            (void)notif_addfd(listener, last, 0, SECCOMP_ADDFD_FLAG_SEND, 0, 0);
        } else if (kind == 3) {
            (void)notif_go_on(listener, last);
        } else {
            (void)notif_send(listener, last, -1, -EINTR, 0);
            sched_yield();
        }
    }
    return NULL;
}

static int all_at_once(void)
{
    static const long calls[][2] = {{SYS_getppid, SYS_pipe}, {SYS_clone, SYS_fork}, {SYS_write, SYS_close}};
    for (int i = 0; i < ROUNDS / 4; i++) {
        pthread_t th[5];
        struct target t =
            target_of(asks_for_ever, i % 2 ? KILLABLE : LISTENS, calls[i % 3][0], calls[i % 3][1]);
        listener = t.fd;
        stop = 0;
        for (long k = 0; k < 5; k++)
            pthread_create(&th[k], NULL, hammers, (void *)k);
        nap_ms(30);
        if (i % 5)
            kill(t.pid, SIGKILL);
        else
            close(t.fd); /* while it is in use */
        stop = 1;
        for (int k = 0; k < 5; k++)
            pthread_join(th[k], NULL);
        kill(t.pid, SIGKILL);
        end_of(t.pid);
        if (i % 5)
            close(t.fd);
    }
    return 0;
}

/* More threads than anybody counts give one target what it does not want, until it is killed. */
static atomic_int crowd;

static void *adds(void *arg)
{
    crowd++;
    while (!stop)
        (void)notif_addfd(listener, last, 0, SECCOMP_ADDFD_FLAG_SETFD, 30 + (int)((long)arg % 4), 0);
    return NULL;
}

static int crowded(void)
{
    static pthread_t th[CROWD];
    struct target t = target_new(asks, LISTENS, SYS_getppid);
    listener = t.fd;
    last = notif_recv(t.fd).id;
    stop = 0;
    for (long k = 0; k < CROWD; k++)
        if (pthread_create(&th[k], NULL, adds, (void *)k) != 0)
            return 1;
    AWAIT(crowd == CROWD);
    nap_ms(50);
    kill(t.pid, SIGKILL);
    stop = 1;
    for (int k = 0; k < CROWD; k++)
        pthread_join(th[k], NULL);
    close(t.fd);
    return end_of(t.pid) == SIGKILL ? 0 : 1;
}

/* Let go on and killed in the same moment. */
static int executes(void)
{
    execl("/proc/self/exe", "x", "0", NULL);
    return 1;
}

static int gone_on(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct target t = i % 2 ? target_new(executes, LISTENS, SYS_execve)
                                : target_of(asks_for_ever, LISTENS, SYS_clone, SYS_fork);
        struct seccomp_notif n = notif_recv(t.fd);
        if (i % 4 < 2)
            notif_go_on(t.fd, n.id);
        kill(t.pid, SIGKILL);
        if (i % 4 >= 2)
            (void)notif_go_on(t.fd, n.id);
        close(t.fd);
        int status = end_of(t.pid);
        if (status != SIGKILL && status != 0)
            return 1;
    }
    return 0;
}

/* Large filters whose tasks are gone, but not their listeners. */
static int large(void)
{
    static struct sock_filter f[BPF_MAXINSNS];
    struct sock_fprog p = {.len = BPF_MAXINSNS, .filter = f};
    for (int i = 0; i < BPF_MAXINSNS; i++)
        f[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, LISTENS, &p);
}

static int outlived(void)
{
    struct rlimit all = {LISTENERS + 20, LISTENERS + 20};
    setrlimit(RLIMIT_NOFILE, &all);
    for (int i = 0; i < LISTENERS; i++) {
        int sv[2];
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            send_fd(sv[1], large());
            _exit(0);
        }
        int fd = receive_fd(sv[0], MSG_CMSG_CLOEXEC);
        end_of(pid);
        close(sv[0]);
        close(sv[1]);
        if (revents_of(fd) != POLLHUP)
            return 1;
    }
    return 0;
}

/* A listener in the queue of a socket that is in its own, with nobody left who could answer. */
static int in_circles(void)
{
    int sv[2], status;
    pid_t pid = fork();
    if (pid == 0) {
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
        int fd = filter_call(KILLABLE, SYS_getppid);
        send_fd(sv[0], fd);
        send_fd(sv[0], sv[0]);
        send_fd(sv[0], sv[1]);
        close(fd);
        close(sv[0]);
        close(sv[1]);
        _exit(asks());
    }
    nap_ms(50);
    kill(pid, SIGKILL);
    return waitpid(pid, &status, 0) == pid ? 0 : 1;
}

/* Its own supervisor, in as many threads as it likes. */
static void *own_call(void *arg)
{
    (void)syscall(SYS_ioctl, *(int *)arg, SECCOMP_IOCTL_NOTIF_RECV, NULL);
    return NULL;
}

static int own(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        static int fd;
        fd = filter_call(KILLABLE | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, SYS_ioctl);
        for (int i = 0; i < 8; i++)
            pthread_create(&t, NULL, own_call, &fd);
        own_call(&fd);
    }
    nap_ms(50);
    kill(pid, SIGKILL);
    return end_of(pid) == SIGKILL ? 0 : 1;
}

int main(int argc, char **argv)
{
    static int (*const attacks[])(void) = {unanswered, strangers, all_at_once, crowded,
                                           gone_on,    outlived,  in_circles,  own};
    (void)argv;
    if (argc == 2)
        return 0;
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(attacks[i]());
        int status = end_of(pid);
        dprintf(1, "attack %zu: %x\n", i, (unsigned)status);
        if (status)
            return 1;
    }
    for (int i = 0; i < LEFT; i++) {
        struct target t = target_new(asks, i % 2 ? KILLABLE : LISTENS, SYS_getppid);
        if (i % 3)
            notif_recv(t.fd);
    }
    return 42;
}
