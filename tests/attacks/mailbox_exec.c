/* A process without rights makes its mailboxes inheritable, has a child post calls there that it may not
 * make, and becomes a program that has the right to (its file is root's, and set-user-id): what the child
 * posts then is nobody's any more. Ends with 42 if the child got nothing by it. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/gate/mailbox.h"
#include "tests/attacks/mailbox_find.h"

#define SIZE (MAILBOX_PAGES * MAILBOX_PAGE)
#define SECRET "/test/secret"
#define PROGRAM "/test/program"
#define NOBODY 1000
#define ROUNDS 60
#define SERVED 20 /* of them, where somebody looked as the program was executed */
#define TRIES 50
#define RUN_NS 30000000L

struct shared {
    int found, begun, ready;
    long done; /* calls that somebody made for the child */
};
static volatile struct shared *shared;

/* By no call: in one, nobody would make another. */
static void run_a_while(void)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < RUN_NS);
}

static void post_chmod(volatile struct gate_mailbox *m)
{
    m->nr = SYS_chmod;
    m->arg[0] = 0x1000000;
    m->arg[1] = 0666;
    m->part[0].addr = 0x1000000;
    m->part[0].off = 8;
    m->part[0].size = sizeof(SECRET);
    m->part[1].size = 0;
    memcpy((char *)m->in + 8, SECRET, sizeof(SECRET));
    m->served = 1;
    __atomic_store_n(&m->state, MAILBOX_POSTED, __ATOMIC_RELEASE);
}

static void post_for_ever(volatile struct gate_mailbox *m)
{
    alarm(60);
    while (!shared->begun)
        sched_yield();
    for (int tries = 0;; tries++) {
        post_chmod(m);
        for (int i = 0; i < 100 && __atomic_load_n(&m->state, __ATOMIC_ACQUIRE) != MAILBOX_DONE; i++)
            sched_yield(); /* to who looks */
        if (m->state == MAILBOX_DONE && m->result != MAILBOX_RING)
            shared->done++;
        shared->ready |= shared->done || tries == TRIES;
    }
}

static void attack(void)
{
    struct stat st;

    alarm(120);
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        _exit(1);
    for (int i = 0; i < 300; i++)
        (void)stat("/test", &st);
    volatile char *box = find_mailboxes();
    shared->found = box != NULL;
    if (!box)
        _exit(1);
    madvise((void *)box, SIZE, MADV_DOFORK);
    pid_t pid = fork();
    if (pid == 0)
        post_for_ever((volatile struct gate_mailbox *)box);
    for (int i = 0; i < 3000 && !((volatile struct gate_mailbox *)box)->served; i++)
        (void)stat("/test", &st);
    shared->begun = 1;
    while (!shared->ready)
        sched_yield();
    execl(PROGRAM, PROGRAM, "run", NULL);
    _exit(1);
}

static int prepare(void)
{
    struct stat st;
    int from = open("/proc/self/exe", O_RDONLY), to = open(PROGRAM, O_CREAT | O_WRONLY, 0755);
    int secret = open(SECRET, O_CREAT | O_WRONLY, 0600);

    for (int n = from; n >= 0 && (n = (int)sendfile(to, from, NULL, 1 << 20)) > 0;)
        ;
    return secret < 0 || fchmod(to, 04755) != 0 || fstat(to, &st) != 0 || st.st_size == 0 || close(to) != 0;
}

/* The secret's mode after one try. */
static unsigned round_of(void)
{
    struct stat st;
    int status;

    *shared = (struct shared){0};
    pid_t pid = fork();
    if (pid == 0)
        attack();
    waitpid(pid, &status, 0);
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    return stat(SECRET, &st) == 0 && status == 0 ? st.st_mode & 07777 : 0;
}

int main(int argc, char **argv)
{
    unsigned mode = 0600;
    int served = 0;

    if (argc > 1 && strcmp(argv[1], "run") == 0) {
        run_a_while();
        return geteuid() != 0;
    }
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || prepare())
        return 1;
    for (int i = 0; i < ROUNDS && served < SERVED && mode == 0600; i++) {
        mode = round_of();
        served += shared->done > 0;
    }
    printf("found %d, served %d, mode %o\n", shared->found, served, mode);
    return mode == 0600 && shared->found ? 42 : 1;
}
