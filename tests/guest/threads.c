/* Threads: mutexes, conditions, semaphores, barriers, robust locks, cancellation, exit and exec with threads.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define THREADS 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter, turn;
static __thread long mine;

static void *count(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
        mine++;
    }
    *(pid_t *)arg = gettid();
    return (void *)mine;
}

static void test_many(void)
{
    pthread_t t[THREADS];
    pid_t tids[THREADS];
    long sum = 0;
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&t[i], NULL, count, &tids[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    bool distinct = true;
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < i; j++)
            distinct = distinct && tids[i] != tids[j];
    CHECK("a mutex keeps the count", counter == 1000 * THREADS && sum == counter);
    CHECK("each has an id of its own", distinct && tids[0] != getpid());
    CHECK("thread-local state", mine == 0);
}

static void *take_turns(void *arg)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 4 != (long)arg)
            pthread_cond_wait(&cond, &lock);
        turn++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void test_cond(void)
{
    pthread_t t[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, take_turns, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK("conditions hand over in order", turn == 2000);
    struct timespec ts;
    long begin = now_ms();
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 50000000;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    pthread_mutex_lock(&lock);
    CHECK("a timed wait ends",
          pthread_cond_timedwait(&cond, &lock, &ts) == ETIMEDOUT && now_ms() - begin >= 45);
    pthread_mutex_unlock(&lock);
}

static void *post(void *arg)
{
    nap_ms(30);
    sem_post(arg);
    return NULL;
}

static void *meet(void *arg)
{
    return (void *)(long)(pthread_barrier_wait(arg) == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void test_others(void)
{
    sem_t sem;
    pthread_t t[8];
    sem_init(&sem, 0, 0);
    pthread_create(&t[0], NULL, post, &sem);
    CHECK("a semaphore", sem_trywait(&sem) == -1 && errno == EAGAIN && sem_wait(&sem) == 0);
    pthread_join(t[0], NULL);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 8);
    long serial = 0;
    for (int i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, meet, &barrier);
    for (int i = 0; i < 8; i++) {
        void *r;
        pthread_join(t[i], &r);
        serial += (long)r;
    }
    CHECK("a barrier", serial == 1);
    pthread_mutexattr_t attr;
    pthread_mutex_t check;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&check, &attr);
    pthread_mutex_lock(&check);
    CHECK("an error-checking mutex knows its owner", pthread_mutex_lock(&check) == EDEADLK);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_t heir;
    int r = pthread_mutex_init(&heir, &attr);
    CHECK("priority inheritance, or the word that there is none",
          r == ENOTSUP || (r == 0 && pthread_mutex_lock(&heir) == 0 && pthread_mutex_unlock(&heir) == 0));
}

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int word, n;
};

static void *die_holding(void *arg)
{
    pthread_mutex_lock(arg);
    return NULL;
}

static void test_robust(void)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    struct shared *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(&s->mutex, &attr);
    pthread_t t;
    pthread_create(&t, NULL, die_holding, &s->mutex);
    pthread_join(t, NULL);
    CHECK("a robust mutex of a dead thread", pthread_mutex_lock(&s->mutex) == EOWNERDEAD);
    pthread_mutex_consistent(&s->mutex);
    pthread_mutex_unlock(&s->mutex);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(&s->mutex);
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
    CHECK("of a killed process", pthread_mutex_lock(&s->mutex) == EOWNERDEAD);
    pthread_mutex_consistent(&s->mutex);
    pthread_mutex_unlock(&s->mutex);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 1000; i++) {
            pthread_mutex_lock(&s->mutex);
            s->n++;
            pthread_mutex_unlock(&s->mutex);
        }
        _exit(0);
    }
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&s->mutex);
        s->n++;
        pthread_mutex_unlock(&s->mutex);
    }
    waitpid(pid, NULL, 0);
    CHECK("between processes", s->n == 2000);
}

static long futex(int *word, int op, int val, const struct timespec *ts, int *word2, int val3)
{
    return syscall(SYS_futex, word, op, val, ts, word2, val3);
}

static int words[2];

static void *wait_on(void *arg)
{
    *(volatile pid_t *)arg = gettid();
    return (void *)futex(&words[0], FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void test_futex(void)
{
    struct timespec ts = {.tv_nsec = 30000000};
    CHECK_ERRNO("a changed word", futex(&words[0], FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO("the time-out", futex(&words[0], FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
    CHECK("nobody to wake", futex(&words[0], FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    CHECK_ERRNO("a bad address", futex((int *)16, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO("not aligned", futex((int *)((char *)words + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO("no such operation", futex(words, 99, 0, NULL, NULL, 0), ENOSYS);
    pthread_t t[3];
    volatile pid_t tid[3] = {0};
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, wait_on, (void *)&tid[i]);
    for (int i = 0; i < 3; i++) {
        AWAIT(tid[i]);
        await_sleep_of(getpid(), tid[i]);
    }
    long r = futex(&words[0], FUTEX_CMP_REQUEUE, 1, (void *)2L, &words[1], 0);
    CHECK("requeue", r == 3);
    CHECK("wake the requeued", futex(&words[1], FUTEX_WAKE, 10, NULL, NULL, 0) == 2);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

static void *sleep_long(void *arg)
{
    (void)arg;
    nap_ms(100000);
    return NULL;
}

static void *spin(void *arg)
{
    volatile long *n = arg;
    for (;;)
        ++*n;
    return NULL;
}

static void exit_with_threads(void)
{
    static long n;
    pthread_t t;
    pthread_create(&t, NULL, sleep_long, NULL);
    pthread_create(&t, NULL, spin, &n);
    nap_ms(30);
    exit(17);
}

static void *exec_thread(void *arg)
{
    (void)arg;
    char pid[20];
    snprintf(pid, sizeof(pid), "%d", getpid());
    execl("/bin/sh", "sh", "-c", "test $$ = $0 && exit 19; exit 20", pid, NULL);
    return NULL;
}

static void exec_from_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, sleep_long, NULL);
    pthread_create(&t, NULL, exec_thread, NULL);
    nap_ms(100000);
}

static void leader_first(void)
{
    pthread_t t;
    pthread_create(&t, NULL, take_turns, (void *)0L);
    pthread_detach(t);
    syscall(SYS_exit, 0);
}

static void *killed(void *arg)
{
    (void)arg;
    raise(SIGTERM);
    return NULL;
}

static void killed_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, killed, NULL);
    nap_ms(100000);
}

static void test_ends(void)
{
    int st = in_child(exit_with_threads);
    CHECK("exit ends all threads", WIFEXITED(st) && WEXITSTATUS(st) == 17);
    st = in_child(exec_from_thread);
    CHECK("exec from a thread keeps the pid", WIFEXITED(st) && WEXITSTATUS(st) == 19);
    st = in_child(killed_thread);
    CHECK("a thread's signal kills all", WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
    pid_t pid = fork();
    if (pid == 0)
        leader_first();
    AWAIT(state_of(pid, pid) == 'Z');
    CHECK("a process lives after its first thread",
          state_of(pid, pid) == 'Z' && waitpid(pid, &st, WNOHANG) == 0 && kill(pid, SIGKILL) == 0);
    CHECK("and is reaped", waitpid(pid, &st, 0) == pid);
}

/* More than a runtime may have prepared something for: to the last they can do what threads do. */
#define CROWD 540

static pthread_barrier_t crowd_is_here;

static void *blocks_a_signal(void *arg)
{
    sigset_t set, now;
    pthread_barrier_wait(&crowd_is_here);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    bool good = pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 &&
                pthread_sigmask(SIG_SETMASK, NULL, &now) == 0 && sigismember(&now, SIGUSR2);
    *(int *)arg = good && gettid() != getpid();
    return NULL;
}

static void test_crowd(void)
{
    static pthread_t t[CROWD];
    static int good[CROWD];
    pthread_attr_t small;
    int all = 0;

    MUST(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 64 * 1024) == 0);
    MUST(pthread_barrier_init(&crowd_is_here, NULL, CROWD) == 0);
    for (int i = 0; i < CROWD; i++)
        MUST(pthread_create(&t[i], &small, blocks_a_signal, &good[i]) == 0);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(t[i], NULL);
        all += good[i];
    }
    CHECK("as many threads as there are", all == CROWD);
    pthread_attr_destroy(&small);
    pthread_barrier_destroy(&crowd_is_here);
}

static void *cancelled(void *arg)
{
    sleep_long(arg);
    return NULL;
}

static volatile sig_atomic_t handler_tid;

static void on_usr1(int signo)
{
    (void)signo;
    handler_tid = gettid();
}

static void *unblocked(void *arg)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    *(pid_t *)arg = gettid();
    while (!handler_tid)
        nap_ms(1);
    return NULL;
}

static void test_signals(void)
{
    pthread_t t;
    void *r;
    pthread_create(&t, NULL, cancelled, NULL);
    nap_ms(30);
    pthread_cancel(t);
    pthread_join(t, &r);
    CHECK("cancellation", r == PTHREAD_CANCELED);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    signal(SIGUSR1, on_usr1);
    pid_t tid = 0;
    pthread_create(&t, NULL, unblocked, &tid);
    nap_ms(30);
    kill(getpid(), SIGUSR1);
    pthread_join(t, NULL);
    CHECK("a process's signal goes to the thread that takes it", handler_tid == tid && tid != 0);
    CHECK_ERRNO("tgkill with another group", syscall(SYS_tgkill, getpid() + 1, gettid(), 0), ESRCH);
    CHECK("names", pthread_setname_np(pthread_self(), "a name") == 0);
    char name[20];
    pthread_getname_np(pthread_self(), name, sizeof(name));
    CHECK("read back", strcmp(name, "a name") == 0);
}

static void *ids(void *arg)
{
    *(int *)arg = getpid() == (pid_t)(intptr_t)((int *)arg)[1] && setuid(1234) == 0;
    return NULL;
}

static void setuid_all(void)
{
    pthread_t t;
    int out[2] = {0, getpid()};
    pthread_create(&t, NULL, ids, out);
    pthread_join(t, NULL);
    CHECK("setuid in one thread is everyone's", out[0] && getuid() == 1234 && geteuid() == 1234);
}

int main(void)
{
    test_many();
    test_cond();
    test_others();
    test_robust();
    test_crowd();
    test_futex();
    test_ends();
    test_signals();
    CHECK("setuid", in_child(setuid_all) == 0);
    return check_done();
}
