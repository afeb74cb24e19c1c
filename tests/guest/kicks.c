/* What ends a call with a time-out before its time: a handler, and for some a stop; never a wake-up in which
 * there is nothing to deliver, as the end of who holds robust locks gives all others.
 *
 * Also run with: --lanes=off */
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define TIME_MS 400
#define LONG_MS 4000 /* for those that are stopped meanwhile */

static long time_ms;
static volatile uint32_t word;
static int p[2], s[2];

static struct timespec length(void)
{
    return (struct timespec){.tv_sec = time_ms / 1000, .tv_nsec = time_ms % 1000 * 1000000};
}

static struct timespec end_by(clockid_t clock)
{
    struct timespec now, l = length();
    clock_gettime(clock, &now);
    now.tv_sec += l.tv_sec;
    now.tv_nsec += l.tv_nsec;
    if (now.tv_nsec >= 1000000000) {
        now.tv_nsec -= 1000000000;
        now.tv_sec++;
    }
    return now;
}

static long sleep_plain(void)
{
    struct timespec ts = length();
    return syscall(SYS_nanosleep, &ts, NULL);
}
static long sleep_remainder(void)
{
    struct timespec ts = length(), rem;
    return syscall(SYS_nanosleep, &ts, &rem);
}
static long sleep_in_place(void)
{
    struct timespec ts = length();
    return syscall(SYS_nanosleep, &ts, &ts);
}
static long clock_relative(void)
{
    struct timespec ts = length(), rem;
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, &rem);
}
static long clock_real(void)
{
    struct timespec ts = length();
    return syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &ts, NULL);
}
static long clock_absolute(void)
{
    struct timespec ts = end_by(CLOCK_MONOTONIC);
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}
/* It may be woken for nothing. */
static long futex_relative(void)
{
    long end = now_ms() + time_ms, r = 0;
    while (r == 0 && now_ms() < end) {
        struct timespec ts = length();
        r = syscall(SYS_futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0);
    }
    if (r == 0)
        errno = ETIMEDOUT;
    return -1;
}
static long semaphore(void)
{
    sem_t sem;
    struct timespec ts = end_by(CLOCK_REALTIME);
    sem_init(&sem, 0, 0);
    return sem_timedwait(&sem, &ts);
}
static long call_poll(void)
{
    struct pollfd fd = {.fd = p[0], .events = POLLIN};
    return poll(&fd, 1, (int)time_ms);
}
static long call_ppoll(void)
{
    struct timespec ts = length();
    return syscall(SYS_ppoll, NULL, 0, &ts, NULL, 8);
}
static long call_select(void)
{
    struct timeval tv = {.tv_sec = time_ms / 1000, .tv_usec = time_ms % 1000 * 1000};
    return select(0, NULL, NULL, NULL, &tv);
}
static long call_pselect(void)
{
    struct timespec ts = length();
    return pselect(0, NULL, NULL, NULL, &ts, NULL);
}
static long call_epoll_wait(void)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int e = epoll_create1(0);
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev);
    return epoll_wait(e, &ev, 1, (int)time_ms);
}
static long call_recv(void)
{
    struct timeval tv = {.tv_sec = time_ms / 1000, .tv_usec = time_ms % 1000 * 1000};
    char c;
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    return recv(s[0], &c, 1, 0);
}
static long call_sigtimedwait(void)
{
    sigset_t set;
    struct timespec ts = length();
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return sigtimedwait(&set, NULL, &ts);
}
static long call_semtimedop(void)
{
    struct timespec ts = length();
    int id = semget(IPC_PRIVATE, 1, 0600);
    long r = semtimedop(id, &(struct sembuf){.sem_op = -1}, 1, &ts);
    int saved = errno;
    semctl(id, 0, IPC_RMID);
    errno = saved;
    return r;
}
static long call_mq(void)
{
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    struct timespec ts = end_by(CLOCK_REALTIME);
    char name[32], m[8];
    snprintf(name, sizeof(name), "/kicks-%d", (int)getpid());
    mqd_t q = mq_open(name, O_RDONLY | O_CREAT, 0600, &attr);
    mq_unlink(name);
    return mq_timedreceive(q, m, sizeof(m), NULL, &ts);
}

static const struct {
    const char *name;
    long (*run)(void);
    bool anew; /* after a stop: what was left then */
} calls[] = {
    {"nanosleep", sleep_plain, false},
    {"nanosleep with a remainder", sleep_remainder, false},
    {"nanosleep with the remainder in its place", sleep_in_place, false},
    {"clock_nanosleep", clock_relative, false},
    {"clock_nanosleep by the real-time clock", clock_real, false},
    {"clock_nanosleep until a time", clock_absolute, false},
    {"a futex", futex_relative, false},
    {"sem_timedwait", semaphore, false},
    {"poll", call_poll, false},
    {"ppoll", call_ppoll, true},
    {"select", call_select, true},
    {"pselect", call_pselect, true},
    {"epoll_wait", call_epoll_wait, false},
    {"recv", call_recv, false},
    {"sigtimedwait", call_sigtimedwait, false},
    {"semtimedop", call_semtimedop, false},
    {"mq_timedreceive", call_mq, false},
};
#define CALLS (sizeof(calls) / sizeof(*calls))

/* Shared with the children. */
static struct shared {
    volatile int over;
    struct {
        volatile long r, error, began, ended;
    } call[CALLS];
} * shared;

static pid_t begin(unsigned i)
{
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        shared->call[i].began = now_ms();
        shared->call[i].r = calls[i].run();
        shared->call[i].error = errno;
        shared->call[i].ended = now_ms();
        __atomic_add_fetch(&shared->over, 1, __ATOMIC_SEQ_CST);
        _exit(0);
    }
    return pid;
}

static void end(const pid_t *pids)
{
    int st;
    for (unsigned i = 0; i < CALLS; i++) {
        MUST(waitpid(pids[i], &st, 0) == pids[i]);
        dprintf(1, "%s\n", calls[i].name);
        value("  ended", st);
        value("  returned", shared->call[i].r);
        value("  errno", shared->call[i].r < 0 ? shared->call[i].error : 0);
    }
}

/* Whoever waits for a robust lock of one that has died is woken. */
static void die_with_lock(void)
{
    static struct {
        struct robust_list node;
        uint32_t word;
    } lock;
    static struct robust_list_head head;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        lock.word = (uint32_t)syscall(SYS_gettid) | FUTEX_WAITERS;
        lock.node.next = &head.list;
        head.list.next = &lock.node;
        head.futex_offset = (char *)&lock.word - (char *)&lock.node;
        syscall(SYS_set_robust_list, &head, sizeof(head));
        syscall(SYS_exit_group, 0);
    }
    int st;
    waitpid(pid, &st, 0);
}

static void test_nothing(void)
{
    pid_t pids[CALLS];
    bool in_time = true;
    time_ms = TIME_MS;
    for (unsigned i = 0; i < CALLS; i++)
        pids[i] = begin(i);
    while (shared->over < (int)CALLS) {
        die_with_lock();
        for (unsigned i = 0; i < CALLS; i++)
            kill(pids[i], SIGUSR1);
        nap_ms(7);
    }
    end(pids);
    for (unsigned i = 0; i < CALLS; i++)
        in_time &= shared->call[i].ended - shared->call[i].began >= TIME_MS;
    CHECK("none before its time", in_time);
}

/* By a stop that lasts longer than the call: those that it does not end are over when they go on. */
static void test_stops(void)
{
    pid_t pids[CALLS];
    bool late = false;
    int st;
    shared->over = 0;
    time_ms = LONG_MS;
    for (unsigned i = 0; i < CALLS; i++)
        pids[i] = begin(i);
    for (unsigned i = 0; i < CALLS; i++)
        await_sleep(pids[i]);
    for (unsigned i = 0; i < CALLS; i++) {
        kill(pids[i], SIGSTOP);
        MUST(waitpid(pids[i], &st, WUNTRACED) == pids[i] && WIFSTOPPED(st));
    }
    long stopped = now_ms();
    AWAIT(now_ms() > stopped + LONG_MS);
    for (unsigned i = 0; i < CALLS; i++)
        kill(pids[i], SIGCONT);
    long on = now_ms();
    end(pids);
    for (unsigned i = 0; i < CALLS; i++) {
        late |= !calls[i].anew && shared->call[i].ended - on > LONG_MS * 3 / 4;
    }
    CHECK("none waits all its time again", !late);
}

int main(void)
{
    shared = shared_zeroes(sizeof(*shared));
    signal(SIGUSR1, SIG_IGN);
    MUST(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    test_nothing();
    test_stops();
    return check_done();
}
