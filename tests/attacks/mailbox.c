/* Makes calls by its mailboxes until they are there, then writes what it likes into them, from other threads
 * and (made to be inherited) other processes, while the calls go on, and posts calls that no gate would.
 * Init, whose own are whole, must be served rightly all the while; it ends with 42. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/gate/mailbox.h"
#include "tests/attacks/mailbox_find.h"

#define SIZE (MAILBOX_PAGES * MAILBOX_PAGE)
#define KINDS 7

static volatile char *box;
static char name[64], other[64];

static int call_all(void)
{
    char text[64];
    struct stat st;
    int wrong = 0, fd = open(name, O_CREAT | O_RDWR, 0600);

    wrong += fd < 0 || write(fd, "x", 1) != 1 || pread(fd, text, 1, 0) != 1 || text[0] != 'x';
    wrong += fstat(fd, &st) != 0 || st.st_size != 1 || lseek(fd, 0, SEEK_SET) != 0 || close(fd) != 0;
    wrong += stat(name, &st) != 0 || st.st_size != 1 || access(other, F_OK) == 0 || rename(name, other) != 0;
    wrong += symlink("goal", name) != 0 || readlink(name, text, sizeof(text)) != 4 || unlink(name) != 0;
    wrong += unlink(other) != 0 || stat(name, &st) == 0;
    return wrong;
}

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void *noise(void *arg)
{
    uint64_t x = 88172645463325252 + (uint64_t)arg * 977;
    for (;;) {
        uint64_t r = next(&x);
        *(volatile uint32_t *)(box + r % SIZE / 4 * 4) = (uint32_t)(r >> 32) >> (r >> 59);
    }
    return NULL;
}

/* Calls as a gate writes them, but with any number and any bounds, on the pages of all threads. */
static void *forge(void *arg)
{
    uint64_t x = 362436069 + (uint64_t)arg;
    for (;;) {
        uint64_t r = next(&x);
        volatile struct gate_mailbox *m = (volatile struct gate_mailbox *)(box + r % 4 * MAILBOX_PAGE);
        m->nr = (uint32_t)(r >> 8) % 460;
        for (int i = 0; i < 6; i++)
            m->arg[i] = next(&x) >> (next(&x) % 64);
        if (m->nr == SYS_close || m->nr == SYS_getdents64)
            m->arg[0] = 1000;
        m->out_addr = m->arg[r % 3];
        for (int i = 0; i < 2; i++) {
            m->part[i].addr = m->arg[i + (r >> 20) % 2];
            m->part[i].off = (uint32_t)next(&x) >> (next(&x) % 32);
            m->part[i].size = (uint32_t)next(&x) >> (next(&x) % 32);
        }
        m->served = 1;
        m->state = MAILBOX_POSTED;
        for (int i = 0; i < 200 && m->state == MAILBOX_POSTED; i++)
            ;
    }
    return NULL;
}

/* Turns the bounds and the bytes while the keep reads them. */
static void *turn(void *arg)
{
    volatile struct gate_mailbox *m = (volatile struct gate_mailbox *)box;
    (void)arg;
    for (unsigned i = 0;; i++) {
        m->part[0].size = i % 2 ? 8 : 0xffffffff;
        m->part[0].off = i % 3 ? 8 : MAILBOX_IN - 1;
        m->in[8 + i % 40] = i % 5 ? 'x' : 0;
        m->out_size = i;
        m->result = i;
    }
    return NULL;
}

/* Closes of any descriptor, by any count. */
static void *tell(void *arg)
{
    volatile struct gate_later *l = (volatile struct gate_later *)(box + MAILBOX_THREADS * MAILBOX_PAGE);
    uint64_t x = 521288629 + (uint64_t)arg;
    for (;;) {
        for (unsigned i = 0; i < LATER_MOST; i++)
            l->fd[i] = (int32_t)(next(&x) >> (next(&x) % 64));
        l->may[next(&x) % (GATE_LANE_FDS / 64)] = next(&x);
        l->closing = next(&x) % 2;
        l->told += next(&x) % 64 ? 1 + next(&x) % LATER_MOST : next(&x);
    }
    return NULL;
}

static void attack(int kind)
{
    static void *(*const how[])(void *) = {noise, forge, turn, tell};
    pthread_t t;

    for (int i = 0; i < 3000; i++)
        (void)call_all();
    box = find_mailboxes();
    if (!box)
        _exit(7);
    alarm(2);
    if (kind < 4) {
        for (long i = 0; i < 2; i++)
            pthread_create(&t, NULL, how[kind], (void *)i);
    } else if (kind == 4) {
        munmap((void *)box, SIZE / 2);
    } else if (kind == 5) { /* shared with a child all the same */
        madvise((void *)box, SIZE, MADV_DOFORK);
        if (fork() == 0) {
            alarm(2);
            noise(NULL);
        }
    } else {
        mmap((void *)box, SIZE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    for (int i = 0; i < 2000; i++)
        (void)call_all();
    _exit(0);
}

int main(void)
{
    int wrong = 0, found = 0;

    for (int kind = 0; kind < KINDS; kind++) {
        pid_t pid = fork();
        int status = 0;
        snprintf(name, sizeof(name), "/tmp/mailbox-%d-%d", kind, pid == 0);
        snprintf(other, sizeof(other), "/tmp/other-%d-%d", kind, pid == 0);
        if (pid == 0)
            attack(kind);
        while (waitpid(pid, &status, WNOHANG) == 0)
            wrong += call_all();
        found += !WIFEXITED(status) || WEXITSTATUS(status) != 7;
        printf("%d: %x\n", kind, (unsigned)status);
        fflush(stdout);
        kill(-1, SIGKILL);
        while (waitpid(-1, NULL, 0) > 0)
            ;
    }
    printf("%d wrong, %d of %d with mailboxes\n", wrong, found, KINDS);
    return wrong == 0 && found == KINDS ? 42 : 1;
}
