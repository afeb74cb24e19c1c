/* What programs do often, and the keep then lends to their gates: each loop long enough for that. */
#ifndef BAILEY_TESTS_STORM_LOOPS_H
#define BAILEY_TESTS_STORM_LOOPS_H

#include <pthread.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "tests/attacks/storm_args.h"

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#define SEM_STAT_ANY 20
#define MSG_STAT_ANY 13
#endif

static inline void shmctl_remove(int i)
{
    struct shmid_ds shm;
    struct msqid_ds msg;
    struct semid_ds sem;
    int id = shmctl(i, SHM_STAT_ANY, &shm);
    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
    if ((id = msgctl(i, MSG_STAT_ANY, &msg)) >= 0)
        msgctl(id, IPC_RMID, NULL);
    if ((id = semctl(i, 0, SEM_STAT, &sem)) >= 0)
        semctl(id, 0, IPC_RMID);
}

static inline void loop_open(int n)
{
    struct stat st;
    char text[64];
    const char *path = paths[below(PATHS)];
    for (int i = 0; i < n; i++) {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        (void)fstat(fd, &st);
        (void)!read(fd, text, sizeof(text));
        (void)stat(path, &st);
        if (once_in(100))
            fd = dup(fd);
        close(fd);
    }
}

static inline void loop_pipe(int n)
{
    int p[2];
    char c = 'x';
    if (pipe2(p, O_NONBLOCK) != 0)
        return;
    for (int i = 0; i < n; i++)
        (void)!(write(p[1], &c, 1) + read(p[0], &c, 1));
    close(p[0]);
    if (once_in(2))
        close(p[1]);
}

static inline void loop_socket(int n)
{
    int p[2], type = (int)ONE_OF(SOCK_STREAM, SOCK_SEQPACKET);
    char c = 'x';
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, p) != 0)
        return;
    int epfd = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT};
    epoll_ctl(epfd, EPOLL_CTL_ADD, p[0], &e);
    for (int i = 0; i < n; i++) {
        struct pollfd q[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
        (void)!(send(p[0], &c, 1, 0) + recv(p[1], &c, 1, 0));
        (void)poll(q, 2, 0);
        (void)epoll_wait(epfd, &e, 1, 0);
        if (once_in(64))
            dup2(any_fd(), p[once_in(2)]);
    }
    close(epfd);
    close(p[0]);
    close(p[1]);
}

static inline void loop_signalfd(int n)
{
    struct signalfd_siginfo si;
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    sigprocmask(SIG_BLOCK, &s, NULL);
    int fd = signalfd(-1, &s, SFD_NONBLOCK);
    for (int i = 0; i < n; i++) {
        kill(getpid(), SIGUSR2);
        (void)!read(fd, &si, sizeof(si));
    }
    if (once_in(2))
        close(fd);
    sigprocmask(SIG_UNBLOCK, &s, NULL);
}

static inline void loop_signals(int n)
{
    sigset_t s, old;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    for (int i = 0; i < n; i++) {
        sigprocmask(SIG_BLOCK, &s, &old);
        raise(SIGUSR1);
        sigprocmask(SIG_SETMASK, &old, NULL);
    }
}

static inline void loop_send(int n, int to)
{
    int fd = open("a", O_RDWR | O_CREAT, 0644);
    (void)!write(fd, paths, 256);
    for (int i = 0; i < n; i++) {
        off_t at = 0;
        (void)sendfile(to, fd, once_in(2) ? &at : NULL, 100);
        (void)lseek(fd, 0, SEEK_SET);
    }
    close(fd);
}

static __attribute__((noinline)) pid_t quick_child(void)
{
    pid_t pid = once_in(3) ? vfork() : fork();
    if (pid == 0)
        _exit(0);
    return pid;
}

static inline void loop_fork(int n)
{
    for (int i = 0; i < n / 30; i++) {
        pid_t pid = quick_child();
        if (!once_in(10))
            waitpid(pid, NULL, once_in(10) ? WNOHANG : 0);
    }
}

static void *nothing(void *arg)
{
    return arg;
}

static inline void loop_threads(int n)
{
    pthread_t t;
    for (int i = 0; i < n / 20; i++)
        if (pthread_create(&t, NULL, nothing, NULL) == 0)
            pthread_detach(t);
}

static inline void loop_names(int n)
{
    char text[64];
    struct stat st;
    for (int i = 0; i < n / 4; i++) {
        (void)mkdir("d", 0755);
        (void)symlink("a", "loop");
        (void)!readlink("loop", text, sizeof(text));
        (void)stat(paths[below(14)], &st);
        (void)rename("b", "c");
        (void)link("a", "b");
        (void)unlink("loop");
        (void)access("d/a", R_OK);
    }
}

static inline void loop_inet(int n)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(7000 + below(4)))};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, at = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(at, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    (void)bind(at, (struct sockaddr *)&in, sizeof(in));
    (void)listen(at, 4);
    for (int i = 0; i < n / 8; i++) {
        char c = 'x';
        int to = socket(AF_INET, SOCK_STREAM, 0);
        fcntl(to, F_SETFL, O_NONBLOCK);
        (void)connect(to, (struct sockaddr *)&in, sizeof(in));
        int from = accept4(at, NULL, NULL, SOCK_NONBLOCK);
        (void)!(write(to, &c, 1) + read(from, &c, 1));
        close(to);
        close(from);
    }
    close(at);
}

static inline void loop(int a, int b)
{
    int n = 50 + (int)below(300);
    char c = 0;
    switch (below(12)) {
    case 0:
    case 1:
        return loop_open(n);
    case 2:
        return loop_pipe(n);
    case 3:
        return loop_socket(n);
    case 4:
        return loop_signalfd(n);
    case 5:
        return loop_signals(n);
    case 6:
        return loop_send(n, a);
    case 7:
        return loop_fork(n);
    case 8:
        return loop_threads(n);
    case 9:
        return loop_names(n);
    case 10:
        return loop_inet(n);
    default:
        fcntl(a, F_SETFL, O_NONBLOCK);
        for (int i = 0; i < n; i++)
            (void)!(read(a, &c, 1) + write(b, &c, 1));
    }
}

#endif
