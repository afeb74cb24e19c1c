/* clocks: waits until a time of each clock in each way there is, then prints "ok MONOTONIC BOOTTIME"
 * (seconds), or what did not end when it should. */
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static struct timespec soon(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    t.tv_nsec += 50000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* Neither before it was time, nor much later. */
static void check(const char *how, clockid_t clock, const struct timespec *until)
{
    struct timespec now;

    clock_gettime(clock, &now);
    long long late = (now.tv_sec - until->tv_sec) * 1000000000LL + (now.tv_nsec - until->tv_nsec);
    if (late < 0 || late > 20000000000LL) {
        printf("%s on clock %d: %lld ns late\n", how, (int)clock, late);
        exit(1);
    }
}

static void sleep_until(clockid_t clock)
{
    struct timespec t = soon(clock);

    clock_nanosleep(clock, TIMER_ABSTIME, &t, NULL);
    check("clock_nanosleep", clock, &t);
}

static void timerfd_until(clockid_t clock)
{
    struct itimerspec it = {.it_value = soon(clock)};
    int fd = timerfd_create(clock, 0);
    uint64_t n;

    if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL) || read(fd, &n, sizeof(n)) != sizeof(n)) {
        perror("timerfd");
        exit(1);
    }
    check("timerfd", clock, &it.it_value);
    close(fd);
}

static void timer_until(clockid_t clock)
{
    struct itimerspec it = {.it_value = soon(clock)};
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    sigset_t set;
    timer_t id;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (timer_create(clock, &ev, &id) || timer_settime(id, TIMER_ABSTIME, &it, NULL) ||
        sigwaitinfo(&set, NULL) != SIGUSR1) {
        perror("timer");
        exit(1);
    }
    check("timer_settime", clock, &it.it_value);
    timer_delete(id);
}

static void futex_until(void)
{
    struct timespec t = soon(CLOCK_MONOTONIC);
    int word = 0;

    syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &t, NULL, FUTEX_BITSET_MATCH_ANY);
    check("futex", CLOCK_MONOTONIC, &t);
}

int main(void)
{
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    struct timespec mono, boot;

    for (int i = 0; i < 2; i++) {
        sleep_until(clocks[i]);
        timerfd_until(clocks[i]);
        timer_until(clocks[i]);
    }
    futex_until();
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    printf("ok %lld %lld\n", (long long)mono.tv_sec, (long long)boot.tv_sec);
    return 0;
}
