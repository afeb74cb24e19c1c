/* The bare price of a seccomp user notification: a child calls getppid behind a filter, the parent answers in
 * the tightest loop there is. Prints "name microseconds" lines like micro.c. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define CALLS 50000
#define ROUNDS 5

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int listen_to_getppid(void)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof(f) / sizeof(f[0]), f};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
}

static void child(volatile int *shared)
{
    double best = 1e9;

    shared[0] = listen_to_getppid() + 1;
    while (!shared[1])
        usleep(1000);
    for (int r = 0; r < ROUNDS; r++) {
        double begin = now();
        for (int i = 0; i < CALLS; i++)
            syscall(SYS_getppid);
        double each = (now() - begin) / CALLS;
        if (each < best)
            best = each;
    }
    printf("roundtrip %.4f\n", best);
    exit(0);
}

static void serve(int fd)
{
    struct seccomp_notif n;

    for (;;) {
        memset(&n, 0, sizeof(n));
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
            return;
        struct seccomp_notif_resp r = {.id = n.id, .val = 1};
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r) < 0)
            return;
    }
}

int main(void)
{
    volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        return 1;
    pid_t pid = fork();
    if (pid == 0)
        child(shared);
    while (!shared[0])
        usleep(1000);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, shared[0] - 1, 0);
    if (fd < 0)
        return 1;
    (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1UL);
    shared[1] = 1;
    serve(fd);
    return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}
