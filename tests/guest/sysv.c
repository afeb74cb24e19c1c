/* System V and POSIX IPC: sysvipc(7), mq_overview(7). */
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "tests/guest/check.h"

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
};

static int op(int id, int num, int n, int flags)
{
    struct sembuf b = {.sem_num = (unsigned short)num, .sem_op = (short)n, .sem_flg = (short)flags};
    return semop(id, &b, 1);
}

static void semaphores(void)
{
    int id = semget(IPC_PRIVATE, 3, 0600);
    CHECK("semget", id >= 0);
    unsigned short all[3] = {1, 2, 3}, got[3] = {0};
    CHECK("SETALL", semctl(id, 0, SETALL, (union semun){.array = all}) == 0);
    CHECK("GETALL",
          semctl(id, 0, GETALL, (union semun){.array = got}) == 0 && memcmp(all, got, sizeof(all)) == 0);
    CHECK("take one",
          op(id, 0, -1, 0) == 0 && semctl(id, 0, GETVAL) == 0 && semctl(id, 0, GETPID) == getpid());
    CHECK_ERRNO("no more", op(id, 0, -1, IPC_NOWAIT), EAGAIN);
    CHECK_ERRNO("no such number", op(id, 3, 1, 0), EFBIG);
    CHECK_ERRNO("too big", op(id, 0, 32767, 0) || op(id, 0, 1, 0) ? -1 : 0, ERANGE);
    semctl(id, 0, SETVAL, (union semun){.val = 0});
    struct sembuf both[2] = {{.sem_num = 1, .sem_op = -2},
                             {.sem_num = 0, .sem_op = -1, .sem_flg = IPC_NOWAIT}};
    CHECK_ERRNO("all or nothing", semop(id, both, 2), EAGAIN);
    CHECK("nothing", semctl(id, 1, GETVAL) == 2);
    CHECK_ERRNO("time-out", semtimedop(id, both + 1, 0, NULL) == -1 ? -1 : 0, EINVAL);
    both[1].sem_flg = 0;
    CHECK_ERRNO("time is up", semtimedop(id, both + 1, 1, &(struct timespec){.tv_nsec = 20000000}), EAGAIN);
    pid_t pid = fork();
    if (pid == 0)
        _exit(op(id, 0, -1, SEM_UNDO) || op(id, 1, -1, SEM_UNDO) ? 1 : 0);
    AWAIT(semctl(id, 0, GETNCNT) == 1);
    CHECK("someone waits", semctl(id, 0, GETNCNT) == 1);
    op(id, 0, 1, 0);
    int st;
    CHECK("it went on", waitpid(pid, &st, 0) == pid && st == 0);
    CHECK("and gave back", semctl(id, 0, GETVAL) == 1 && semctl(id, 1, GETVAL) == 2);
    pid = fork();
    if (pid == 0)
        _exit(op(id, 2, 0, 0) == -1 && errno == EIDRM ? 7 : 8);
    AWAIT(semctl(id, 2, GETZCNT) == 1);
    struct semid_ds ds;
    CHECK("IPC_STAT", semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}) == 0 && ds.sem_nsems == 3 &&
                          ds.sem_otime && (ds.sem_perm.mode & 0777) == 0600);
    CHECK("IPC_RMID", semctl(id, 0, IPC_RMID) == 0);
    CHECK("EIDRM", waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 7);
    CHECK_ERRNO("gone", semctl(id, 0, GETVAL), EINVAL);
}

static volatile sig_atomic_t signalled;

static void on_signal(int s)
{
    signalled = s;
}

static void keys(void)
{
    key_t key = 0x6b01;
    int id = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
    CHECK("by key", id >= 0 && msgget(key, 0) == id);
    CHECK_ERRNO("there already", msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK_ERRNO("no such key", msgget(key + 1, 0), ENOENT);
    CHECK("removed", msgctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERRNO("no more", msgget(key, 0), ENOENT);
}

static void messages(void)
{
    struct {
        long type;
        char text[64];
    } m = {.type = 2, .text = "two"};
    int id = msgget(IPC_PRIVATE, 0600), st;
    CHECK("msgsnd", msgsnd(id, &m, 4, 0) == 0);
    m.type = 1;
    strcpy(m.text, "one");
    CHECK("another", msgsnd(id, &m, 4, 0) == 0);
    CHECK("by type", msgrcv(id, &m, 64, 1, 0) == 4 && m.type == 1 && strcmp(m.text, "one") == 0);
    CHECK_ERRNO("too long", msgrcv(id, &m, 2, 0, 0), E2BIG);
    const int copy = 040000 | IPC_NOWAIT; /* MSG_COPY */
    CHECK("a copy", msgrcv(id, &m, 64, 0, copy) > 0);
    printf("the first: type %ld, the second: %zd", m.type, msgrcv(id, &m, 64, 1, copy));
    printf(", type %ld\n", m.type);
    CHECK_ERRNO("no such place", msgrcv(id, &m, 64, 99, copy), ENOMSG);
    CHECK_ERRNO("nor below", msgrcv(id, &m, 64, -1, copy), ENOMSG);
    CHECK_ERRNO("a copy that is too long", msgrcv(id, &m, 1, 0, copy), E2BIG);
    CHECK_ERRNO("or would be cut", msgrcv(id, &m, 1, 0, copy | MSG_NOERROR), EINVAL);
    CHECK_ERRNO("never waits", msgrcv(id, &m, 64, 0, 040000), EINVAL);
    CHECK_ERRNO("never all but one", msgrcv(id, &m, 64, 0, copy | MSG_EXCEPT), EINVAL);
    CHECK("cut", msgrcv(id, &m, 2, -5, MSG_NOERROR) == 2 && m.type == 2);
    CHECK_ERRNO("none", msgrcv(id, &m, 64, 0, IPC_NOWAIT), ENOMSG);
    m.type = 0;
    CHECK_ERRNO("no type", msgsnd(id, &m, 1, 0), EINVAL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(msgrcv(id, &m, 64, 9, 0) == 3 && memcmp(m.text, "abc", 3) == 0 ? 3 : 4);
    await_sleep(pid);
    m.type = 9;
    memcpy(m.text, "abc", 3);
    msgsnd(id, &m, 3, 0);
    CHECK("woken", waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 3);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
    alarms_begin(30);
    CHECK_ERRNO("a signal ends it", alarms_end(msgrcv(id, &m, 64, 0, 0)), EINTR);
    struct msqid_ds ds;
    CHECK("IPC_STAT", msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 0 && ds.msg_qbytes == 16384 &&
                          ds.msg_lrpid == pid && ds.msg_lspid == getpid());
    while (msgsnd(id, &m, 64, IPC_NOWAIT) == 0)
        ;
    CHECK("full", errno == EAGAIN && msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 256);
    CHECK("IPC_RMID", msgctl(id, IPC_RMID, NULL) == 0);
}

static void shared_memory(void)
{
    struct shmid_ds ds;
    int id = shmget(IPC_PRIVATE, 10000, 0600), st;
    CHECK("shmget", id >= 0);
    char *p = shmat(id, NULL, 0);
    CHECK("shmat", p != (void *)-1);
    strcpy(p, "hello");
    pid_t pid = fork();
    if (pid == 0) {
        char *q = shmat(id, NULL, SHM_RDONLY);
        if (strcmp(q, "hello"))
            _exit(1);
        if (mprotect(q, 4096, PROT_READ | PROT_WRITE) == 0)
            _exit(2);
        p[9999] = 'x';
        if (shmctl(id, IPC_STAT, &ds) || ds.shm_nattch != 3)
            _exit(3);
        _exit(shmdt(q) || shmdt(q) != -1 || errno != EINVAL ? 4 : 0);
    }
    CHECK("shared with a child", waitpid(pid, &st, 0) == pid && st == 0);
    CHECK("both ways", p[9999] == 'x');
    CHECK("IPC_STAT", shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_segsz == 10000 && ds.shm_nattch == 1 &&
                          ds.shm_cpid == getpid());
    CHECK_ERRNO("not there", (long)shmat(id, p, 0), EINVAL);
    CHECK_ERRNO("not aligned", (long)shmat(id, p + 1, 0), EINVAL);
    char *at = mmap(NULL, 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(at, 16384);
    CHECK("at an address", shmat(id, at, 0) == at && at[0] == 'h');
    CHECK("rounded down", shmdt(at) == 0 && shmat(id, at + 5, SHM_RND) == at && shmdt(at) == 0);
    CHECK("SHM_LOCK", shmctl(id, SHM_LOCK, NULL) == 0 && shmctl(id, IPC_STAT, &ds) == 0 &&
                          (ds.shm_perm.mode & SHM_LOCKED));
    CHECK("SHM_UNLOCK", shmctl(id, SHM_UNLOCK, NULL) == 0 && shmctl(id, IPC_STAT, &ds) == 0 &&
                            !(ds.shm_perm.mode & SHM_LOCKED));
    CHECK("removed with someone there", shmctl(id, IPC_RMID, NULL) == 0 && shmctl(id, IPC_STAT, &ds) == 0 &&
                                            (ds.shm_perm.mode & SHM_DEST) && p[0] == 'h');
    CHECK("the last one", shmdt(p) == 0);
    CHECK_ERRNO("gone", shmctl(id, IPC_STAT, &ds), EINVAL);
    CHECK_ERRNO("no size", shmget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERRNO("not attached", shmdt(at), EINVAL);
    int fd = open("/dev/null", O_RDONLY);
    CHECK("no descriptor is left", fd == 3);
    close(fd);
}

static void queues(void)
{
    char buf[64];
    unsigned prio;
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 16};
    mq_unlink("/bailey");
    mqd_t q = mq_open("/bailey", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attr);
    CHECK("mq_open", q >= 0);
    CHECK_ERRNO("there already", mq_open("/bailey", O_RDWR | O_CREAT | O_EXCL, 0600, &attr), EEXIST);
    struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};
    CHECK("room", poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
    CHECK("mq_send", mq_send(q, "low", 3, 1) == 0 && mq_send(q, "high", 4, 5) == 0);
    CHECK("full to poll", poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    CHECK_ERRNO("full", mq_send(q, "x", 1, 1), EAGAIN);
    CHECK_ERRNO("too long", mq_send(q, buf, 17, 1), EMSGSIZE);
    CHECK_ERRNO("too short a buffer", mq_receive(q, buf, 15, NULL), EMSGSIZE);
    CHECK("the highest first",
          mq_receive(q, buf, 16, &prio) == 4 && prio == 5 && memcmp(buf, "high", 4) == 0);
    CHECK("both to poll", poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
    CHECK("then the other", mq_receive(q, buf, 16, &prio) == 3 && prio == 1);
    CHECK_ERRNO("empty", mq_receive(q, buf, 16, NULL), EAGAIN);
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    CHECK("mq_notify", mq_notify(q, &ev) == 0);
    CHECK_ERRNO("one only", mq_notify(q, &ev), EBUSY);
    mq_send(q, "", 0, 0);
    CHECK("told", signalled == SIGUSR1);
    struct mq_attr now, block = {0};
    CHECK("mq_setattr", mq_setattr(q, &block, &now) == 0 && now.mq_flags == O_NONBLOCK &&
                            now.mq_curmsgs == 1 && now.mq_maxmsg == 2 && now.mq_msgsize == 16);
    mq_receive(q, buf, 16, NULL);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    CHECK_ERRNO("time is up", mq_timedreceive(q, buf, 16, NULL, &until), ETIMEDOUT);
    int st;
    pid_t pid = fork();
    if (pid == 0)
        _exit(mq_receive(q, buf, 16, NULL) == 2 ? 0 : 1);
    await_sleep(pid);
    mq_send(q, "go", 2, 0);
    CHECK("woken", waitpid(pid, &st, 0) == pid && st == 0);
    CHECK("mq_unlink", mq_unlink("/bailey") == 0 && mq_close(q) == 0);
    CHECK_ERRNO("no name", mq_open("/bailey", O_RDWR), ENOENT);
    CHECK_ERRNO("not a queue", mq_send(1, "x", 1, 0), EBADF);
}

int main(void)
{
    semaphores();
    keys();
    messages();
    shared_memory();
    queues();
    return check_done();
}
