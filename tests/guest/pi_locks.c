/* Locks with priority inheritance: as locks. */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

static pthread_mutex_t mutex;
static long counter;
static volatile sig_atomic_t alarms;

static void on_alarm(int signo)
{
    (void)signo;
    alarms++;
}

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *hold(void *arg)
{
    pthread_mutex_lock(&mutex);
    pthread_barrier_wait(arg);
    AWAIT(alarms >= 3);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *die_holding(void *arg)
{
    pthread_mutex_lock(&mutex);
    pthread_barrier_wait(arg);
    await_sleep(getpid());
    return NULL;
}

static void test_contended(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, count, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK("one at a time", counter == 80000);
}

static void test_waiting(pthread_barrier_t *b)
{
    pthread_t t;
    struct timespec soon;
    pthread_create(&t, NULL, hold, b);
    pthread_barrier_wait(b);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 50000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    CHECK("try", pthread_mutex_trylock(&mutex) == EBUSY);
    CHECK("the time-out", pthread_mutex_timedlock(&mutex, &soon) == ETIMEDOUT);
    signal(SIGALRM, on_alarm);
    alarms_begin(60);
    CHECK("locked in the end", alarms_end(pthread_mutex_lock(&mutex)) == 0);
    CHECK("a handler ran meanwhile", alarms >= 3);
    CHECK("unlock", pthread_mutex_unlock(&mutex) == 0);
    pthread_join(t, NULL);
}

static void test_robust(pthread_mutexattr_t *attr, pthread_barrier_t *b)
{
    pthread_t t;
    pthread_mutexattr_setrobust(attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, attr);
    pthread_create(&t, NULL, die_holding, b);
    pthread_barrier_wait(b);
    CHECK("the owner dies while one waits", pthread_mutex_lock(&mutex) == EOWNERDEAD);
    CHECK("consistent again", pthread_mutex_consistent(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    CHECK("and usable", pthread_mutex_lock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    pthread_join(t, NULL);
}

int main(void)
{
    static int word = 77;
    pthread_mutexattr_t attr;
    pthread_barrier_t b;
    pthread_barrier_init(&b, NULL, 2);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    CHECK("init", pthread_mutex_init(&mutex, &attr) == 0);
    test_contended();
    test_waiting(&b);
    test_robust(&attr, &b);
    CHECK_ERRNO("a bad address", syscall(SYS_futex, bad_address, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO("a bad time-out", syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, bad_address, NULL, 0), EFAULT);
    CHECK_ERRNO("not the owner", syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
    return check_done();
}
