/* Signal masks that change while signals come: none is lost, and none comes in where it is blocked. And
 * robust mutexes, whose owners end.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "tests/guest/masks.h"

#define ROUNDS 120

/* A child sends one at a time, and the next when that one has been handled. */
static pid_t sender(int signo, bool to_thread)
{
    pid_t me = getpid(), tid = gettid(), pid = fork();
    if (pid)
        return pid;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store(&sh->sent, i + 1);
        if (to_thread)
            syscall(SYS_tgkill, me, tid, signo);
        else
            kill(me, signo);
        while (atomic_load(&sh->handled) <= i)
            sched_yield();
    }
    atomic_store(&sh->stop, 1);
    _exit(0);
}

static void clear(void)
{
    memset(sh, 0, sizeof(*sh));
    is_blocked = 0;
    came = 0;
}

/* Nothing but masks: a signal that is overlooked once stays so, and the sender waits for ever. */
static void against_another(const char *label, bool to_thread)
{
    clear();
    on(SIGUSR1, count, 0, 0);
    pid_t pid = sender(SIGUSR1, to_thread);
    while (!atomic_load(&sh->stop)) {
        set_mask(BIT(SIGUSR1));
        is_blocked = 1;
        for (volatile int i = 0; i < 50; i++)
            ;
        is_blocked = 0;
        set_mask(0);
    }
    waitpid(pid, NULL, 0);
    CHECK(label, atomic_load(&sh->handled) == ROUNDS && atomic_load(&sh->bad) == 0);
}

/* Blocked but while it waits, as event loops are. */
static void against_sigsuspend(void)
{
    sigset_t none;
    sigemptyset(&none);
    clear();
    set_mask(BIT(SIGUSR1));
    on(SIGUSR1, count, 0, 0);
    pid_t pid = sender(SIGUSR1, false);
    while (!atomic_load(&sh->stop)) {
        if (atomic_load(&sh->handled) == ROUNDS) {
            sched_yield();
            continue;
        }
        sigsuspend(&none);
        is_blocked = 1;
        mask_now();
        is_blocked = 0;
    }
    waitpid(pid, NULL, 0);
    CHECK("sigsuspend, each seen", atomic_load(&sh->handled) == ROUNDS && atomic_load(&sh->bad) == 0);
    set_mask(0);
}

static void *toggles(void *arg)
{
    (void)arg;
    while (!atomic_load(&sh->stop)) {
        set_mask(BIT(SIGUSR1));
        for (volatile int i = 0; i < 20; i++)
            ;
        set_mask(0);
    }
    return NULL;
}

static void against_threads(void)
{
    pthread_t t[3];
    clear();
    on(SIGUSR1, count, 0, 0);
    set_mask(BIT(SIGUSR1));
    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&t[i], NULL, toggles, NULL) == 0);
    pid_t pid = sender(SIGUSR1, false);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    waitpid(pid, NULL, 0);
    CHECK("a thread takes what others block", atomic_load(&sh->handled) == ROUNDS);
    set_mask(0);
}

static void *waits(void *arg)
{
    sigset_t set;
    int signo;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    for (int i = 0; i < ROUNDS; i++) {
        MUST(sigwait(&set, &signo) == 0 && signo == SIGUSR1);
        atomic_fetch_add(&sh->handled, 1);
    }
    return arg;
}

static void against_sigwait(void)
{
    pthread_t t;
    clear();
    on(SIGUSR1, count, 0, 0);
    set_mask(BIT(SIGUSR1));
    MUST(pthread_create(&t, NULL, waits, NULL) == 0);
    pid_t pid = sender(SIGUSR1, false);
    while (!atomic_load(&sh->stop)) {
        set_mask(BIT(SIGUSR1) | BIT(SIGUSR2));
        set_mask(BIT(SIGUSR1));
        mask_now();
    }
    pthread_join(t, NULL);
    waitpid(pid, NULL, 0);
    CHECK("sigwait beside threads that block", came == 0 && atomic_load(&sh->handled) == ROUNDS);
    set_mask(0);
}

static void *lives_shortly(void *arg)
{
    set_mask(0);
    for (volatile int i = 0; i < 1000; i++)
        ;
    return arg;
}

/* The thread that is to take it may be gone before it does. */
static void against_ends(void)
{
    clear();
    on(SIGUSR1, count, SA_RESTART, 0);
    set_mask(BIT(SIGUSR1));
    pid_t pid = sender(SIGUSR1, false);
    while (!atomic_load(&sh->stop)) {
        pthread_t t;
        if (pthread_create(&t, NULL, lives_shortly, NULL) == 0)
            pthread_join(t, NULL);
    }
    waitpid(pid, NULL, 0);
    CHECK("threads that come and go", atomic_load(&sh->handled) == ROUNDS);
    set_mask(0);
}

static atomic_int tid_now;

static void *says_tid(void *arg)
{
    atomic_store(&tid_now, gettid());
    return arg;
}

static void *aims(void *arg)
{
    while (!atomic_load(&sh->stop)) {
        int tid = atomic_load(&tid_now);
        if (tid && syscall(SYS_tgkill, getpid(), tid, SIGUSR2) != 0 && errno != ESRCH)
            atomic_fetch_add(&sh->bad, 1);
    }
    return arg;
}

static void at_the_dying(void)
{
    pthread_t t, archer;
    clear();
    on(SIGUSR2, count, 0, 0);
    MUST(pthread_create(&archer, NULL, aims, NULL) == 0);
    for (int i = 0; i < 300; i++) {
        MUST(pthread_create(&t, NULL, says_tid, NULL) == 0);
        pthread_join(t, NULL);
    }
    atomic_store(&sh->stop, 1);
    pthread_join(archer, NULL);
    CHECK("signals to threads at their end", atomic_load(&sh->bad) == 0);
}

/* Two of them: one's handler blocks the other. */
static void nested(void)
{
    clear();
    on(SIGUSR1, count, 0, BIT(SIGUSR2));
    on(SIGUSR2, count, 0, BIT(SIGUSR1));
    pid_t a = sender(SIGUSR1, true), me = getpid(), b = fork();
    if (b == 0) {
        while (!atomic_load(&sh->stop)) {
            kill(me, SIGUSR2);
            atomic_fetch_add(&sh->sent, 1);
            sched_yield();
        }
        _exit(0);
    }
    while (!atomic_load(&sh->stop)) {
        set_mask(BIT(SIGUSR1) | BIT(SIGUSR2));
        is_blocked = 1;
        is_blocked = 0;
        set_mask(BIT(SIGUSR1));
        set_mask(0);
    }
    waitpid(a, NULL, 0);
    waitpid(b, NULL, 0);
    CHECK("two at once", atomic_load(&sh->bad) == 0);
}

/* Robust mutexes
 * ---------------------------------------------------------------------------------------------- */

static pthread_mutex_t *robust_new(void)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    MUST(pthread_mutex_init(m, &attr) == 0);
    return m;
}

static void *locks(void *m)
{
    pthread_mutex_lock(m);
    return NULL;
}

static void owners_die(void)
{
    pthread_mutex_t *m = robust_new();
    pthread_t t;
    MUST(pthread_create(&t, NULL, locks, m) == 0);
    pthread_join(t, NULL);
    CHECK("a thread ends with it", pthread_mutex_lock(m) == EOWNERDEAD && pthread_mutex_consistent(m) == 0);
    pthread_mutex_unlock(m);
    clear();
    pid_t pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(m);
        atomic_store(&sh->stop, 1);
        for (;;)
            pause();
    }
    while (!atomic_load(&sh->stop))
        sched_yield();
    kill(pid, SIGKILL);
    CHECK("a process is killed with it",
          pthread_mutex_lock(m) == EOWNERDEAD && pthread_mutex_consistent(m) == 0);
    pthread_mutex_unlock(m);
    waitpid(pid, NULL, 0);
    pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(m);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK("a process exits with it", pthread_mutex_lock(m) == EOWNERDEAD);
}

#define OWNER_DIED 0x40000000U

/* A list of the program's own, with one lock; nowhere, if `list` is NULL. */
static void die_with(struct robust_list_head *list, uint32_t *lock)
{
    static struct robust_list held;
    if (list) {
        held.next = &list->list;
        list->list.next = &held;
        list->futex_offset = (char *)lock - (char *)&held;
        *lock = (uint32_t)syscall(SYS_gettid);
    }
    MUST(syscall(SYS_set_robust_list, list, sizeof(*list)) == 0);
    _exit(0);
}

/* One process after the other has its list where the last one had it, or somewhere else. */
static void lists_differ(void)
{
    static struct robust_list_head here;
    struct robust_list_head *gone =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t *lock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_t *m = robust_new();
    int right = 0;
    for (int i = 0; i < 24; i++) {
        struct robust_list_head *list = i % 4 == 1 ? &here : i % 4 == 2 ? gone : NULL;
        *lock = 0;
        if (i == 12)
            munmap(gone, 4096);
        pid_t pid = fork();
        if (pid == 0 && i % 4 == 3) {
            pthread_mutex_lock(m);
            _exit(0);
        }
        if (pid == 0)
            die_with(list == gone && i > 12 ? NULL : list, lock);
        waitpid(pid, NULL, 0);
        if (i % 4 == 3)
            right += pthread_mutex_lock(m) == EOWNERDEAD && pthread_mutex_consistent(m) == 0 &&
                     pthread_mutex_unlock(m) == 0;
        else
            right += *lock == (list && !(list == gone && i > 12) ? OWNER_DIED : 0);
    }
    CHECK("lists in turns", right == 24);
}

static void all(void)
{
    alarm(PATIENCE);
    against_another("signals to the process", false);
    against_another("signals to the thread", true);
    against_sigsuspend();
    against_threads();
    against_sigwait();
    against_ends();
    at_the_dying();
    nested();
    owners_die();
    lists_differ();
}

int main(void)
{
    run_watched(all);
    return check_done();
}
