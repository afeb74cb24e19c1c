/* leak ROUNDS: in each round a child makes things that the kernel has to give back, of every kind, until it
 * is killed at a time by chance. At last everything is gone that was the children's. Then it says "done" and
 * sleeps, to be looked at. */
#include <dirent.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "tests/guest/filtered.h"
#include "tests/guest/scm.h"

/* Descriptors in a socket that nobody reads, the socket's own among them. */
static void parcels(void)
{
    int a[2], b[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) || socketpair(AF_UNIX, SOCK_DGRAM, 0, b))
        return;
    (void)send_fds(a[0], (int[]){b[0], b[1], open("/test/file", O_RDONLY)}, 3);
    (void)send_fds(a[0], a, 2);
    (void)send_fds(b[0], (int[]){open("/bin", O_RDONLY | O_DIRECTORY), eventfd(0, 0)}, 2);
}

static void sockets(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "/test/sock-%d-%d", getpid(), s);
    (void)bind(s, (struct sockaddr *)&addr, sizeof(addr));
    (void)listen(s, 5);
    (void)connect(c, (struct sockaddr *)&addr, sizeof(addr)); /* never accepted */
    (void)unlink(addr.sun_path);
    (void)socket(AF_INET, SOCK_STREAM, 0);
    (void)socket(AF_INET, SOCK_DGRAM, 0);
}

static void files(void)
{
    int p[2], fd = open("/test/file", O_RDWR | O_CREAT, 0600);

    (void)ftruncate(fd, 65536);
    (void)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)flock(fd, 2 | 4);
    (void)lockf(fd, F_TLOCK, 10);
    (void)pipe(p);
    (void)open("/proc/self/maps", O_RDONLY);
    (void)open("/dev/null", O_RDWR);
    (void)open("/dev/ptmx", O_RDWR | O_NOCTTY);
    (void)dup(fd);
    int gone = open("/test/gone", O_RDWR | O_CREAT, 0600);
    (void)unlink("/test/gone");
    (void)dup(gone);
}

static void events(void)
{
    sigset_t set;
    int ep = epoll_create1(0), ev = eventfd(0, 0), t = timerfd_create(CLOCK_MONOTONIC, 0),
        i = inotify_init1(0);
    struct epoll_event e = {.events = EPOLLIN};
    struct itimerspec its = {.it_value = {.tv_nsec = 1000000}, .it_interval = {.tv_nsec = 1000000}};
    timer_t timer;
    struct sigevent se = {.sigev_notify = SIGEV_NONE};

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    (void)epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e);
    (void)epoll_ctl(ep, EPOLL_CTL_ADD, t, &e);
    (void)epoll_ctl(ep, EPOLL_CTL_ADD, signalfd(-1, &set, 0), &e);
    (void)timerfd_settime(t, 0, &its, NULL);
    (void)inotify_add_watch(i, "/test", IN_ALL_EVENTS);
    if (timer_create(CLOCK_MONOTONIC, &se, &timer) == 0)
        (void)timer_settime(timer, 0, &its, NULL);
    (void)syscall(SYS_pidfd_open, getpid(), 0);
    (void)memfd_create("leak", 0);
}

static void shared(void)
{
    char name[40];
    int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);

    (void)shmat(id, NULL, 0);
    (void)shmctl(id, IPC_RMID, NULL);
    snprintf(name, sizeof(name), "/leak-%d", getpid());
    (void)mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
    (void)mq_unlink(name);
}

static int other_table(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        (void)open("/bin", O_RDONLY | O_DIRECTORY);
    pause();
    return 0;
}

static void children(void)
{
    static char stack[65536] __attribute__((aligned(16)));

    (void)clone(other_table, stack + sizeof(stack), CLONE_FILES | CLONE_VM, NULL);
    if (fork() == 0) {
        execl("/bin/sleep", "sleep", "1000", (char *)NULL);
        _exit(127);
    }
}

/* Calls that wait for a supervisor that is their own, or has become another program. */
static void notified(void)
{
    const struct sock_filter f[] = {LOAD(nr), IF_CALL(SYS_getppid, SECCOMP_RET_USER_NOTIF),
                                    RET(SECCOMP_RET_ALLOW)};

    if (fork() != 0)
        return;
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = TRY(f, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    if (fork() == 0) {
        (void)syscall(SYS_getppid);
        _exit(0);
    }
    if (fork() == 0) {
        struct seccomp_notif n = {0};
        (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
        (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
        pause();
    }
    execl("/bin/sleep", "sleep", "1000", (char *)NULL);
    _exit(127);
}

static void child(void)
{
    static void (*const all[])(void) = {parcels, sockets, files, events, shared, children, notified};

    (void)setpgid(0, 0);
    srand((unsigned)getpid());
    for (int i = 0; i < 30; i++)
        all[(unsigned)rand() % (sizeof(all) / sizeof(*all))]();
    execl("/bin/sleep", "sleep", "1000", (char *)NULL);
    _exit(127);
}

static void round_of(unsigned n)
{
    pid_t pid = fork();

    if (pid == 0)
        child();
    usleep(n * 997 % 20000);
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0 || waitpid(pid, NULL, 0) == pid)
        ;
}

/* Segments whose maker was killed before it had removed them stay, as on Linux. The calls also let go of
 * removed ones. */
static void remove_segments(void)
{
    struct shmid_ds ds;
    struct shm_info info;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);

    for (int i = 0; i <= last; i++) {
        int id = shmctl(i, SHM_STAT, &ds);
        if (id >= 0)
            (void)shmctl(id, IPC_RMID, NULL);
    }
}

/* Of those that were killed before they had taken the name away. */
static void remove_queues(void)
{
    DIR *d = opendir("/dev/mqueue");
    const struct dirent *e;
    char name[300];

    while (d && (e = readdir(d))) {
        snprintf(name, sizeof(name), "/%s", e->d_name);
        (void)mq_unlink(name);
    }
    if (d)
        closedir(d);
}

/* Lost sockets are looked for when others are closed. */
static void stir(void)
{
    int s[2];

    for (int i = 0; i < 2000 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0; i++) {
        close(s[0]);
        close(s[1]);
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 10;

    for (int i = 0; i < rounds; i++)
        round_of((unsigned)i);
    /* Those that moved out of their group in time. */
    (void)kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    remove_segments();
    remove_queues();
    stir();
    puts("done");
    fflush(stdout);
    for (;;)
        pause();
}
