/* Time: clocks, sleeps, interval timers, POSIX timers, processor time, scheduling calls. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

#include "tests/guest/check.h"

static volatile sig_atomic_t hits, value_seen, code_seen, overrun_seen;

static void on_signal(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    hits++;
    value_seen = info->si_value.sival_int;
    code_seen = info->si_code;
    if (info->si_overrun > overrun_seen)
        overrun_seen = info->si_overrun;
}

static void set(int signo)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(signo, &sa, NULL);
}

static void burn(long ms)
{
    struct timespec ts;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    while (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 < ms);
}

static void test_clocks(void)
{
    static const int clocks[] = {CLOCK_REALTIME,           CLOCK_MONOTONIC,         CLOCK_MONOTONIC_RAW,
                                 CLOCK_REALTIME_COARSE,    CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,
                                 CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI};
    struct timespec a, b, r;
    bool direct = true, call = true, forward = true, res = true;
    for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
        direct = direct && clock_gettime(clocks[i], &a) == 0;
        call = call && syscall(SYS_clock_gettime, clocks[i], &b) == 0;
        forward = forward && (b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
        res = res && clock_getres(clocks[i], &r) == 0 && r.tv_sec == 0 && r.tv_nsec > 0;
    }
    CHECK("every clock, by the vDSO", direct);
    CHECK("and by the call", call);
    CHECK("no clock goes back", forward);
    CHECK("resolutions", res);
    CHECK_ERRNO("no such clock", clock_gettime(77, &a), EINVAL);
    CHECK_ERRNO("nobody sets the time", clock_settime(CLOCK_REALTIME, &(struct timespec){.tv_sec = 1}),
                EPERM);
    struct timeval tv;
    time_t before = time(NULL);
    bool good = gettimeofday(&tv, NULL) == 0;
    time_t after = time(NULL) + 1; /* its clock is a coarse one */
    CHECK("gettimeofday and time", good && before <= tv.tv_sec && tv.tv_sec <= after);
    clockid_t c;
    CHECK("a process's clock", clock_getcpuclockid(0, &c) == 0 && clock_gettime(c, &a) == 0);
}

static void test_sleep(void)
{
    struct timespec ts = {.tv_nsec = 30000000};
    long begin = now_ms();
    CHECK("nanosleep", nanosleep(&ts, NULL) == 0 && now_ms() - begin >= 30);
    ts.tv_nsec = 1000000000;
    CHECK_ERRNO("not a time", nanosleep(&ts, NULL), EINVAL);
    ts = (struct timespec){.tv_sec = -1};
    CHECK_ERRNO("nor this", nanosleep(&ts, NULL), EINVAL);
    CHECK_ERRNO("nor there", nanosleep(bad_address, NULL), EFAULT);
    begin = now_ms();
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += 30000000;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    CHECK("until a time",
          clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0 && now_ms() - begin >= 28);
    CHECK("which has passed", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0);
    CHECK("not on a thread's clock", clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL) != 0);
}

static void test_itimer(void)
{
    set(SIGALRM);
    hits = 0;
    struct itimerval it = {.it_value.tv_usec = 20000, .it_interval.tv_usec = 10000}, old;
    CHECK("setitimer", setitimer(ITIMER_REAL, &it, NULL) == 0);
    while (hits < 4)
        pause();
    CHECK("its rest", getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 10000 &&
                          old.it_value.tv_usec <= 10000);
    it = (struct itimerval){0};
    setitimer(ITIMER_REAL, &it, &old);
    CHECK("the old one", old.it_interval.tv_usec == 10000);
    hits = 0;
    nap_ms(40);
    CHECK("disarmed", hits == 0);
    CHECK("alarm", alarm(1000) == 0 && alarm(1) > 900);
    AWAIT(hits);
    CHECK("fires", hits == 1);
    set(SIGVTALRM);
    set(SIGPROF);
    hits = 0;
    it.it_value.tv_usec = 20000;
    CHECK("ITIMER_VIRTUAL", setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
    for (long end = now_ms() + PATIENCE_MS; !hits && now_ms() < end;)
        ;
    CHECK("counts processor time", hits == 1);
    hits = 0;
    CHECK("ITIMER_PROF", setitimer(ITIMER_PROF, &it, NULL) == 0);
    for (long end = now_ms() + PATIENCE_MS; !hits && now_ms() < end;)
        ;
    CHECK("too", hits == 1);
    CHECK_ERRNO("no such timer", getitimer(7, &old), EINVAL);
    it.it_value.tv_usec = 2000000;
    CHECK_ERRNO("not a time", setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(alarm(0) == 0 ? 0 : 1);
    int st;
    waitpid(pid, &st, 0);
    CHECK("a child has no timer", st == 0);
}

static void *thread_end(void *arg)
{
    nap_ms(20);
    return arg;
}

static void test_posix(void)
{
    set(SIGRTMIN + 2);
    struct sigevent ev = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 31};
    struct itimerspec it = {.it_value.tv_nsec = 20000000, .it_interval.tv_nsec = 5000000}, old;
    timer_t t, u;
    CHECK("timer_create", timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
    hits = 0;
    CHECK("timer_settime", timer_settime(t, 0, &it, NULL) == 0);
    while (hits < 3)
        pause();
    CHECK("SI_TIMER with its value", code_seen == SI_TIMER && value_seen == 31);
    CHECK("timer_gettime", timer_gettime(t, &old) == 0 && old.it_interval.tv_nsec == 5000000);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &s, NULL);
    overrun_seen = 0; /* the next one may be there before it is looked at */
    nap_ms(60);
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    CHECK("what was missed is counted", overrun_seen > 3 && timer_getoverrun(t) >= 0);
    CHECK("timer_delete", timer_delete(t) == 0);
    CHECK_ERRNO("gone", timer_gettime(t, &old), EINVAL);
    ev.sigev_notify = SIGEV_NONE;
    CHECK("SIGEV_NONE", timer_create(CLOCK_REALTIME, &ev, &u) == 0 && timer_settime(u, 0, &it, NULL) == 0);
    ev.sigev_notify = SIGEV_SIGNAL;
    ev.sigev_signo = 99;
    CHECK_ERRNO("no such signal", timer_create(CLOCK_MONOTONIC, &ev, &t), EINVAL);
    hits = 0;
    ev.sigev_signo = SIGRTMIN + 2;
    timer_create(CLOCK_MONOTONIC, &ev, &t);
    clock_gettime(CLOCK_MONOTONIC, &it.it_value);
    it.it_interval.tv_nsec = 0;
    timer_settime(t, TIMER_ABSTIME, &it, NULL);
    AWAIT(hits);
    CHECK("a time that has passed", hits == 1);
    pthread_t th;
    pthread_create(&th, NULL, thread_end, NULL);
    pthread_join(th, NULL);
}

static int64_t clock_ns(clockid_t c)
{
    struct timespec ts = {0};
    MUST(clock_gettime(c, &ts) == 0);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Whether the timer fires, and not before 20 ms of c. */
static bool fires_in_time(clockid_t c, const struct sigevent *ev)
{
    struct itimerspec it = {.it_value.tv_nsec = 20000000};
    timer_t t;
    hits = 0;
    MUST(timer_create(c, (struct sigevent *)(uintptr_t)ev, &t) == 0);
    int64_t before = clock_ns(c);
    MUST(timer_settime(t, 0, &it, NULL) == 0);
    for (long end = now_ms() + PATIENCE_MS; !hits && now_ms() < end;)
        ;
    bool good = hits == 1 && clock_ns(c) - before >= 20000000;
    return timer_delete(t) == 0 && good;
}

static sem_t ready, go_on;

/* Its timer does not run while it sleeps. */
static void *own_clock(void *arg)
{
    struct sigevent *ev = arg;
    struct itimerspec it = {.it_value.tv_nsec = 40000000};
    timer_t t;
    MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, ev, &t) == 0 && timer_settime(t, 0, &it, NULL) == 0);
    hits = 0;
    sem_post(&ready);
    while (sem_wait(&go_on) < 0)
        ;
    bool quiet = hits == 0;
    timer_delete(t);
    return quiet && fires_in_time(CLOCK_THREAD_CPUTIME_ID, ev) ? arg : NULL;
}

static void test_cpu_timers(void)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
    pthread_t th;
    clockid_t c;
    void *good;
    CHECK("a process's time", fires_in_time(CLOCK_PROCESS_CPUTIME_ID, &ev));
    sem_init(&ready, 0, 0);
    sem_init(&go_on, 0, 0);
    pthread_create(&th, NULL, own_clock, &ev);
    sem_wait(&ready);
    burn(120);
    CHECK("a thread's clock is its own",
          pthread_getcpuclockid(th, &c) == 0 && clock_ns(c) < clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 2);
    sem_post(&go_on);
    pthread_join(th, &good);
    CHECK("and so is its timer's", good);
}

static void cpu_limit(void)
{
    struct rlimit r = {1, 2};
    setrlimit(RLIMIT_CPU, &r);
    for (;;)
        ;
}

static void test_usage(void)
{
    struct rusage a, b;
    struct tms tms;
    getrusage(RUSAGE_SELF, &a);
    burn(60);
    getrusage(RUSAGE_SELF, &b);
    CHECK("getrusage",
          b.ru_utime.tv_usec + b.ru_utime.tv_sec * 1000000 + b.ru_stime.tv_usec >= 20000 && b.ru_maxrss > 0);
    CHECK("RUSAGE_THREAD", getrusage(RUSAGE_THREAD, &a) == 0 && a.ru_utime.tv_usec + a.ru_stime.tv_usec > 0);
    CHECK_ERRNO("no such", getrusage(5, &a), EINVAL);
    CHECK("times", times(&tms) > 0 && tms.tms_utime + tms.tms_stime >= 2);
    CHECK("clock", clock() >= 50000);
    int st = in_child(cpu_limit);
    CHECK("RLIMIT_CPU", WIFSIGNALED(st) && WTERMSIG(st) == SIGXCPU);
}

static void test_sched(void)
{
    struct sched_param p;
    cpu_set_t set_;
    struct timespec ts;
    CHECK("sched_getscheduler",
          sched_getscheduler(0) == SCHED_OTHER && sched_getparam(0, &p) == 0 && p.sched_priority == 0);
    CHECK("sched_getaffinity", sched_getaffinity(0, sizeof(set_), &set_) == 0);
    value("CPUs", CPU_COUNT(&set_)); /* the reference was started with the same ones */
    cpu_set_t first;
    int cpu0 = 0;
    while (!CPU_ISSET(cpu0, &set_))
        cpu0++;
    CPU_ZERO(&first);
    CPU_SET(cpu0, &first);
    CHECK("sched_setaffinity", sched_setaffinity(0, sizeof(first), &first) == 0 &&
                                   sched_getaffinity(0, sizeof(first), &first) == 0 &&
                                   CPU_COUNT(&first) == 1 && sched_getcpu() == cpu0);
    sched_setaffinity(0, sizeof(set_), &set_);
    CHECK("priorities", sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1);
    CHECK("sched_rr_get_interval", sched_rr_get_interval(0, &ts) == 0);
    CHECK("sched_yield", sched_yield() == 0);
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0), more = now + 3 < 19 ? now + 3 : 19;
    CHECK("nice", nice(3) == more && getpriority(PRIO_PROCESS, 0) == more);
    CHECK("not back", nice(-3) == -1 || getpriority(PRIO_PROCESS, 0) == more - 3);
    p.sched_priority = 10;
    value("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &p) == 0 ? 0 : -errno);
    unsigned cpu = 99;
    CHECK("getcpu", getcpu(&cpu, NULL) == 0 && cpu < 1024);
}

int main(void)
{
    test_clocks();
    test_sleep();
    test_itimer();
    test_posix();
    test_cpu_timers();
    test_usage();
    test_sched();
    return check_done();
}
