/* Random system calls from several processes and threads at once, by honest gates and by hostile ones, beside
 * the loops that make the keep lend what it lends. storm SEED ROUNDS [PROCESSES [MS]]: each round has a seed
 * of its own, which is printed. Init only judges: it must be served rightly after each round, and ends
 * with 42. */
#include <ftw.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "tests/attacks/storm_deep.h"
#include "tests/attacks/storm_gate.h"
#include "tests/attacks/storm_loops.h"

#define THREADS 3
#define CALLS_EACH 4000
#define FORKS 24 /* of a round, beyond its first processes */

static struct round {
    pid_t others[OTHERS];
    volatile int forks;
    volatile long calls, found; /* mailboxes */
} * round_now;

static int is_hostile;
static void begin(uint64_t seed, int depth);

static void on_signal(int signo)
{
    if ((signo == SIGSEGV || signo == SIGBUS || signo == SIGILL || signo == SIGSYS || signo == SIGTRAP) &&
        caught)
        siglongjmp(back, 1);
}

static void handle_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL,  SIGSYS, SIGTRAP, SIGUSR1, SIGUSR2,
                                  SIGALRM, SIGIO,  SIGCHLD, 34,     35,      63};
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction sa = {.sa_handler = on_signal, .sa_flags = once_in(3) ? SA_RESTART : 0};
        sigaction(signals[i], &sa, NULL);
    }
}

static void remember(long fd)
{
    if (fd < 0 || fd > 100000)
        return;
    int *at = &fds[below(FDS)];
    if (once_in(2) && *at > 2)
        close(*at);
    *at = (int)fd;
}

static void remember_pid(pid_t pid)
{
    if (pid > 1)
        others[below(OTHERS)] = pid;
}

static void make_fd(void)
{
    int p[2] = {-1, -1};
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, (int)ONE_OF(SIGUSR1, SIGUSR2, SIGCHLD, 35));
    struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};
    int flag = once_in(2) ? O_NONBLOCK : 0;
    switch (below(16)) {
    case 0:
    case 1:
        if (pipe2(p, flag) == 0)
            remember(p[1]);
        break;
    case 2:
    case 3:
        if (socketpair(AF_UNIX, (int)ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET) | flag, 0, p) == 0)
            remember(p[1]);
        break;
    case 4:
        p[0] = socket(AF_INET, (int)ONE_OF(SOCK_STREAM, SOCK_DGRAM) | flag, 0);
        break;
    case 5:
        p[0] = epoll_create1(0);
        break;
    case 6:
        p[0] = eventfd((unsigned)below(3), flag);
        break;
    case 7:
        p[0] = timerfd_create(CLOCK_MONOTONIC, flag);
        break;
    case 8:
        p[0] = signalfd(-1, &s, flag);
        break;
    case 9:
        p[0] = inotify_init1(flag);
        break;
    case 10:
        p[0] = memfd_create("m", MFD_ALLOW_SEALING);
        break;
    case 11:
        p[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | flag);
        break;
    case 12:
        p[0] = mq_open("/q", O_RDWR | O_CREAT | flag, 0600, &attr);
        break;
    case 13:
        p[0] = (int)syscall(SYS_pidfd_open, any_pid(), 0);
        break;
    default:
        p[0] = open(any_path(), (int)ONE_OF(O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_DIRECTORY, O_PATH) | flag,
                    0644);
    }
    remember(p[0]);
}

static void child(int how, int depth)
{
    uint64_t seed = rnd();
    if (round_now->forks >= FORKS || depth > 3)
        return;
    __atomic_add_fetch(&round_now->forks, 1, __ATOMIC_RELAXED);
    long flags = how == 0   ? SIGCHLD
                 : how == 1 ? CLONE_FILES | SIGCHLD
                 : how == 2 ? CLONE_FS | CLONE_PARENT
                            : 0;
    long pid = how == 3 ? (long)fork() : syscall(SYS_clone, flags, 0, 0, 0, 0);
    if (pid == 0) {
        if (once_in(3))
            setpgid(0, 0);
        if (once_in(4)) {
            char number[32];
            snprintf(number, sizeof(number), "%lu", (unsigned long)seed);
            execl("/proc/self/exe", "storm", "child", number, is_hostile ? "1" : "0", NULL);
        }
        begin(seed, depth + 1);
    }
    remember_pid((pid_t)pid);
}

static void *thread(void *arg);

static void one(int depth)
{
    long a[6], nr, r;
    caught = 1;
    if (sigsetjmp(back, 1)) {
        if (once_in(50))
            _exit(1);
    }
    __atomic_add_fetch(&round_now->calls, 1, __ATOMIC_RELAXED);
    if (once_in(12))
        make_fd();
    else if (once_in(150))
        child((int)below(4), depth);
    else if (once_in(60))
        loop(any_fd(), any_fd());
    else if (once_in(120))
        deep();
    else if (once_in(300))
        handle_signals();
    else if (once_in(60) && context == 0)
        (void)syscall(SYS_io_setup, below(64), &context);
    else if (is_hostile && once_in(3))
        hostile();
    else {
        nr = any_call(a);
        if (nr == SYS_fork || nr == SYS_clone) {
            child((int)below(4), depth);
            return;
        }
        r = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (nr == SYS_openat || nr == SYS_dup || nr == SYS_accept4 || nr == SYS_socket || nr == SYS_open)
            remember(r);
    }
}

static void calls_of(uint64_t seed, int depth)
{
    state = seed;
    for (int i = 0; i < CALLS_EACH; i++)
        one(depth);
}

struct start {
    uint64_t seed;
    int depth;
};

static void *thread(void *arg)
{
    struct start *s = arg;
    calls_of(s->seed, s->depth);
    return NULL;
}

/* Nothing waits for ever: each thread is interrupted again and again, by whatever it does with the signal. */
static void *ticks(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        struct timespec ts = {.tv_nsec = 3000000};
        nanosleep(&ts, NULL);
        for (pid_t tid = getpid(); tid < getpid() + 6; tid++)
            syscall(SYS_tgkill, getpid(), tid, once_in(2) ? SIGUSR1 : SIGALRM);
    }
    return arg;
}

/* There are some once their calls have been made often. */
static void look_for_mailboxes(void)
{
    if (once_in(4))
        return;
    loop_names(300);
    find_shared();
    round_now->found += boxes != NULL;
}

static void begin(uint64_t seed, int depth)
{
    static struct start starts[THREADS];
    pthread_t t;
    state = seed;
    handle_signals();
    if (is_hostile)
        look_for_mailboxes();
    for (int i = 0; i < 4; i++)
        make_fd();
    int threads = once_in(2) ? 0 : 1 + (int)below(THREADS);
    struct itimerval often = {{0, 4000}, {0, 4000}};
    if (threads)
        pthread_create(&t, NULL, ticks, NULL);
    else
        setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < threads; i++) {
        starts[i] = (struct start){rnd(), depth};
        pthread_create(&t, NULL, thread, &starts[i]);
    }
    calls_of(rnd(), depth);
    _exit(0);
}

static void memory(void)
{
    arena = mmap(NULL, ARENA + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wild = mmap(NULL, WILD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED || wild == MAP_FAILED)
        _exit(9);
    mprotect(arena + ARENA, 4096, PROT_READ);
    munmap(arena + ARENA + 4096, 4096);
    for (int i = 0; i < FDS; i++)
        fds[i] = (int)(3 + rnd() % 20);
}

/* The file that an executed child finds its round by. */
#define ROUND_FD 900

static void join_round(void)
{
    round_now = mmap(NULL, sizeof(*round_now), PROT_READ | PROT_WRITE, MAP_SHARED, ROUND_FD, 0);
    if (round_now == MAP_FAILED)
        _exit(9);
    others = round_now->others;
}

static void pack(uint64_t seed, int hostile_too)
{
    int null = open("/dev/null", O_RDWR); /* unless an earlier round has removed it */
    for (int fd = 0; fd < 3; fd++)
        if (null < 0 || dup2(null, fd) < 0)
            close(fd);
    close(null);
    setsid();
    state = seed;
    is_hostile = hostile_too;
    memory();
    begin(seed, 0);
}

static void wait_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) != 0)
        ;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st;
    (void)kind;
    if (f->level > 0)
        (void)remove(path);
    return 0;
}

/* What is shared by the container, and would be there in the next round. */
static void tidy(void)
{
    for (int i = 0; i < 40; i++) {
        shmctl_remove(i);
        mq_unlink("/q");
        mq_unlink("/r");
    }
    (void)nftw("/tmp/storm", remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)nftw("/dev/shm", remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static pid_t launch(uint64_t seed, int i)
{
    pid_t pid = fork();
    if (pid == 0)
        pack((seed << 8) + (uint64_t)i, i & 1);
    others[i % OTHERS] = pid;
    return pid;
}

/* As many processes as there are to be, until the time is over; who was stopped goes on. */
static void play(uint64_t seed, int processes, long ms)
{
    pid_t mine[OTHERS] = {0}, pid;
    int launched = 0;
    memset(round_now, 0, sizeof(*round_now));
    for (long left = ms; left > 0; left -= 20) {
        for (int i = 0; i < processes; i++)
            if (mine[i] == 0)
                mine[i] = launch(seed, launched++ * processes + i);
        wait_ms(20);
        while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
            for (int i = 0; i < processes; i++)
                mine[i] = mine[i] == pid ? 0 : mine[i];
        if (left / 20 % 8 == 0)
            kill(-1, SIGCONT);
    }
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
}

/* Whether init is still served as it should be. */
static int well(void)
{
    int p[2], status = 0, wrong = 0;
    char c = 0;
    wrong += pipe(p) != 0 || write(p[1], "x", 1) != 1 || read(p[0], &c, 1) != 1 || c != 'x';
    pid_t pid = fork();
    if (pid == 0)
        _exit(getpid() > 1 && getppid() == 1 ? 7 : 8);
    wrong += waitpid(pid, &status, 0) != pid || status != 7 << 8;
    wrong += close(p[0]) != 0 || close(p[1]) != 0 || getpid() != 1 || kill(pid, 0) == 0;
    return !wrong;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "child") == 0) {
        state = strtoul(argv[2], NULL, 10);
        is_hostile = argv[3][0] == '1';
        join_round();
        find_sites();
        memory();
        begin(state, 2);
    }
    if (argc == 2 && strcmp(argv[1], "nothing") == 0)
        return 0;
    uint64_t seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    int rounds = argc > 2 ? atoi(argv[2]) : 1, processes = argc > 3 ? atoi(argv[3]) : 4;
    long ms = argc > 4 ? atol(argv[4]) : 1500;
    int fd = memfd_create("round", MFD_ALLOW_SEALING);
    struct rlimit most = {16 << 20, 16 << 20};
    if (fd < 0 || dup2(fd, ROUND_FD) < 0 || close(fd) != 0 || ftruncate(ROUND_FD, sizeof(*round_now)) != 0 ||
        fcntl(ROUND_FD, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return 1;
    join_round();
    find_sites();
    setrlimit(RLIMIT_FSIZE, &most);
    mkdir("/tmp/storm", 0777);
    if (processes > OTHERS || chdir("/tmp/storm") != 0)
        return 1;
    for (int i = 0; i < rounds; i++) {
        printf("seed %lu\n", (unsigned long)(seed + (uint64_t)i));
        fflush(stdout);
        play(seed + (uint64_t)i, processes, ms);
        tidy();
        if (!well())
            return 2;
        printf("%ld calls, %d forks, %ld mailboxes\n", round_now->calls, round_now->forks, round_now->found);
        fflush(stdout);
        if (getenv("STORM_STEPS"))
            (void)!read(0, &fd, 1);
    }
    printf("survived\n");
    return 42;
}
