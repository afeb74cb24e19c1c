/* Asynchronous I/O by the bare calls: io_setup(2), io_submit(2), io_getevents(2), io_cancel(2),
 * io_destroy(2).
 *
 * Also run with: --strace */
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/time_types.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/guest/check.h"

#define MAGIC 0xa10a10a1U
#define MANY 20000 /* more than whatever else may run on the reference's host has */

struct ring {
    uint32_t id, nr, head, tail, magic, compat, incompat, header;
    struct io_event events[];
};

static aio_context_t ctx;

static long setup(unsigned n, aio_context_t *c)
{
    return syscall(SYS_io_setup, n, c);
}

static long destroy(aio_context_t c)
{
    return syscall(SYS_io_destroy, c);
}

static long submit(aio_context_t c, long n, struct iocb **list)
{
    return syscall(SYS_io_submit, c, n, list);
}

static long submit1(struct iocb *cb)
{
    return submit(ctx, 1, &cb);
}

static long events(long min, long most, struct io_event *e, struct timespec *ts)
{
    return syscall(SYS_io_getevents, ctx, min, most, e, ts);
}

static struct iocb request(int opcode, int fd, void *buf, size_t len, off_t off)
{
    return (struct iocb){.aio_lio_opcode = (uint16_t)opcode,
                         .aio_fildes = (uint32_t)fd,
                         .aio_buf = (uintptr_t)buf,
                         .aio_nbytes = len,
                         .aio_offset = off};
}

/* Submits it, and waits for its result; 12345: it was refused. */
static long result(struct iocb cb)
{
    struct io_event e = {0};
    cb.aio_data = 77;
    if (submit1(&cb) != 1)
        return 12345;
    if (events(1, 1, &e, NULL) != 1 || e.data != 77 || e.obj != (uintptr_t)&cb || e.res2 != 0)
        return 54321;
    return (long)e.res;
}

static int temporary(void)
{
    char name[] = "/tmp/aio-XXXXXX";
    int fd = mkstemp(name);
    MUST(fd >= 0 && unlink(name) == 0);
    return fd;
}

static long aio_nr(void)
{
    char text[32] = "";
    int fd = open("/proc/sys/fs/aio-nr", O_RDONLY);
    MUST(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return atol(text);
}

static void contexts(void)
{
    aio_context_t c = 0, d = 1;
    CHECK_ERRNO("no events", setup(0, &c), EINVAL);
    CHECK_ERRNO("an id that is one", setup(8, &d), EINVAL);
    CHECK_ERRNO("no place for the id", setup(8, bad_address), EFAULT);
    CHECK_ERRNO("far too many", setup(0x7fffffff, &c), EINVAL);
    CHECK_ERRNO("more than there may be", setup(4000000, &c), EAGAIN);
    CHECK("io_setup", setup(100, &c) == 0 && c != 0);
    const struct ring *r = (const struct ring *)c;
    CHECK("the ring", r->magic == MAGIC && r->nr > 100 && r->head == r->tail && r->header == sizeof(*r) &&
                          r->incompat == 0);
    d = 0;
    CHECK("another", setup(1, &d) == 0 && d != c);
    CHECK("they are counted", aio_nr() >= 101);
    CHECK("io_destroy", destroy(d) == 0);
    CHECK_ERRNO("once", destroy(d), EINVAL);
    CHECK("and the other", destroy(c) == 0);
    CHECK_ERRNO("none", destroy(0), EINVAL);
    CHECK_ERRNO("nor that", destroy(4096), EINVAL);
    struct io_event e;
    ctx = c;
    CHECK_ERRNO("io_getevents of none", events(0, 1, &e, NULL), EINVAL);
    CHECK_ERRNO("io_submit to none", submit(c, 0, NULL), EINVAL);
}

static void files(void)
{
    char buf[8192], back[8192];
    struct iovec v[2] = {{back, 4000}, {back + 4000, 4192}};
    int fd = temporary();
    memset(buf, 'x', sizeof(buf));
    strcpy(buf, "begin");
    CHECK("write", result(request(IOCB_CMD_PWRITE, fd, buf, sizeof(buf), 100)) == sizeof(buf));
    CHECK("where it was to go", lseek(fd, 0, SEEK_END) == 100 + sizeof(buf) && lseek(fd, 7, SEEK_SET) == 7);
    CHECK("read", result(request(IOCB_CMD_PREAD, fd, back, sizeof(back), 100)) == sizeof(back) &&
                      memcmp(buf, back, sizeof(buf)) == 0);
    memset(back, 0, sizeof(back));
    CHECK("vectors", result(request(IOCB_CMD_PREADV, fd, v, 2, 100)) == sizeof(back) &&
                         memcmp(buf, back, sizeof(buf)) == 0);
    CHECK("and out", result(request(IOCB_CMD_PWRITEV, fd, v, 2, 0)) == sizeof(back));
    CHECK("the position stays", lseek(fd, 0, SEEK_CUR) == 7);
    CHECK("at the end", result(request(IOCB_CMD_PREAD, fd, back, 10, 1 << 20)) == 0);
    CHECK("nothing", result(request(IOCB_CMD_PREAD, fd, back, 0, 0)) == 0);
    CHECK("fsync", result(request(IOCB_CMD_FSYNC, fd, NULL, 0, 0)) == 0);
    CHECK("fdatasync", result(request(IOCB_CMD_FDSYNC, fd, NULL, 0, 0)) == 0);
    CHECK("a buffer that is none", result(request(IOCB_CMD_PREAD, fd, bad_address, 10, 0)) == -EFAULT);
    struct iocb a = request(IOCB_CMD_PWRITE, fd, "AA", 2, 0), b = request(IOCB_CMD_PREAD, fd, back, 4, 0);
    struct iocb *list[3] = {&a, &b, bad_address};
    struct io_event e[4];
    CHECK("as far as it goes", submit(ctx, 3, list) == 2);
    CHECK("in order", events(2, 4, e, NULL) == 2 && e[0].obj == (uintptr_t)&a && e[1].obj == (uintptr_t)&b &&
                          memcmp(back, "AA", 2) == 0);
    a.aio_rw_flags = RWF_DSYNC;
    CHECK("RWF_DSYNC", result(a) == 2);
    a.aio_rw_flags = 1 << 30;
    CHECK_ERRNO("flags that are none", submit1(&a), EOPNOTSUPP);
    close(fd);
}

static void direct(void)
{
    char name[] = "/tmp/aio-XXXXXX", *buf;
    MUST(posix_memalign((void **)&buf, 4096, 8192) == 0);
    int fd = mkstemp(name);
    MUST(fd >= 0);
    int d = open(name, O_RDWR | O_DIRECT);
    MUST(unlink(name) == 0);
    memset(buf, 'd', 8192);
    bool here = d >= 0; /* not every file system can */
    CHECK("O_DIRECT write", !here || result(request(IOCB_CMD_PWRITE, d, buf, 8192, 4096)) == 8192);
    CHECK("O_DIRECT read",
          !here || (result(request(IOCB_CMD_PREAD, d, buf, 8192, 0)) == 8192 && !buf[0] && buf[4096] == 'd'));
    CHECK("and by read", !here || (pread(d, buf, 4096, 4096) == 4096 && buf[0] == 'd'));
    if (here)
        close(d);
    close(fd);
    free(buf);
}

static void refusals(void)
{
    char buf[16];
    int fd = open("/proc/self/exe", O_RDONLY), dir = open("/", O_RDONLY | O_DIRECTORY), p[2];
    MUST(pipe(p) == 0);
    struct iocb cb = request(IOCB_CMD_PREAD, 999, buf, 1, 0), *list[1] = {&cb};
    CHECK_ERRNO("no such descriptor", submit1(&cb), EBADF);
    cb.aio_fildes = (uint32_t)fd;
    cb.aio_reserved2 = 1;
    CHECK_ERRNO("what is reserved", submit1(&cb), EINVAL);
    cb.aio_reserved2 = 0;
    cb.aio_nbytes = 1UL << 63;
    CHECK_ERRNO("too long", submit1(&cb), EINVAL);
    cb.aio_nbytes = 1;
    cb.aio_offset = -1;
    CHECK_ERRNO("before the beginning", submit1(&cb), EINVAL);
    cb.aio_offset = 0;
    cb.aio_lio_opcode = 99;
    CHECK_ERRNO("no such request", submit1(&cb), EINVAL);
    cb.aio_lio_opcode = IOCB_CMD_NOOP;
    CHECK_ERRNO("nor this", submit1(&cb), EINVAL);
    cb.aio_lio_opcode = IOCB_CMD_PWRITE;
    CHECK_ERRNO("not for writing", submit1(&cb), EBADF);
    cb.aio_fildes = (uint32_t)dir;
    cb.aio_lio_opcode = IOCB_CMD_PREAD;
    CHECK_ERRNO("a directory", submit1(&cb), EINVAL);
    cb.aio_fildes = (uint32_t)fd;
    cb.aio_buf = UINT64_MAX - 100;
    CHECK_ERRNO("no address", submit1(&cb), EFAULT);
    cb.aio_buf = (uintptr_t)buf;
    cb.aio_flags = IOCB_FLAG_RESFD;
    cb.aio_resfd = 999;
    CHECK_ERRNO("no such eventfd", submit1(&cb), EBADF);
    cb.aio_resfd = (uint32_t)fd;
    CHECK_ERRNO("no eventfd", submit1(&cb), EINVAL);
    cb.aio_flags = IOCB_FLAG_IOPRIO;
    cb.aio_reqprio = 2 << 13 | 4;
    CHECK("a priority", result(cb) == 1);
    cb.aio_reqprio = 5;
    CHECK_ERRNO("which is none", submit1(&cb), EINVAL);
    cb = request(IOCB_CMD_FSYNC, p[0], NULL, 0, 0);
    CHECK_ERRNO("no fsync of pipes", submit1(&cb), EINVAL);
    cb = request(IOCB_CMD_FSYNC, fd, buf, 0, 0);
    CHECK_ERRNO("nor with a buffer", submit1(&cb), EINVAL);
    CHECK_ERRNO("fewer than none", submit(ctx, -1, list), EINVAL);
    CHECK_ERRNO("a list that is none", submit(ctx, 1, bad_address), EFAULT);
    list[0] = bad_address;
    CHECK_ERRNO("a request that is none", submit(ctx, 1, list), EFAULT);
    CHECK("no request", submit(ctx, 0, list) == 0);
    struct io_event e;
    struct timespec zero = {0};
    CHECK_ERRNO("fewer events than none", events(-1, 1, &e, NULL), EINVAL);
    CHECK_ERRNO("more than most", events(2, 1, &e, NULL), EINVAL);
    CHECK("and nothing came of it", events(0, 1, &e, &zero) == 0);
    close(fd);
    close(dir);
    close(p[0]);
    close(p[1]);
}

static void streams(void)
{
    char buf[16] = "";
    int p[2], s[2];
    MUST(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK("into a pipe", result(request(IOCB_CMD_PWRITE, p[1], "hello", 5, 0)) == 5);
    CHECK("out of it", result(request(IOCB_CMD_PREAD, p[0], buf, 16, 0)) == 5 && !strcmp(buf, "hello"));
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    CHECK("empty", result(request(IOCB_CMD_PREAD, p[0], buf, 16, 0)) == -EAGAIN);
    CHECK("into a socket", result(request(IOCB_CMD_PWRITE, s[1], "abc", 3, 0)) == 3);
    CHECK("which has no positions", result(request(IOCB_CMD_PREAD, s[0], buf, 16, 1)) == -ESPIPE);
    CHECK("out of a socket", result(request(IOCB_CMD_PREAD, s[0], buf, 16, 0)) == 3);
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK("nobody reads", result(request(IOCB_CMD_PWRITE, p[1], "x", 1, 0)) == -EPIPE);
    close(p[1]);
    close(s[0]);
    close(s[1]);
}

static void notification(void)
{
    char buf[4];
    uint64_t n = 0;
    int fd = open("/proc/self/exe", O_RDONLY), ev = eventfd(0, EFD_NONBLOCK);
    struct iocb cb[3], *list[3];
    struct io_event e[3];
    for (int i = 0; i < 3; i++) {
        cb[i] = request(IOCB_CMD_PREAD, fd, buf, 4, 0);
        cb[i].aio_flags = IOCB_FLAG_RESFD;
        cb[i].aio_resfd = (uint32_t)ev;
        list[i] = &cb[i];
    }
    CHECK("three", submit(ctx, 3, list) == 3);
    CHECK("three events", events(3, 3, e, NULL) == 3);
    CHECK("and the eventfd says so", read(ev, &n, 8) == 8 && n == 3);
    close(fd);
    close(ev);
}

static void full(void)
{
    char buf[1];
    aio_context_t c = 0;
    struct io_event e[64];
    int fd = open("/proc/self/exe", O_RDONLY);
    long n = 0, got = 0, k;
    MUST(setup(1, &c) == 0);
    struct iocb cb = request(IOCB_CMD_PREAD, fd, buf, 1, 0), *list = &cb;
    for (; n < 100000 && submit(c, 1, &list) == 1; n++)
        ;
    CHECK("it is full", n >= 1 && n < 100000 && errno == EAGAIN);
    while ((k = syscall(SYS_io_getevents, c, 0, 64, e, NULL)) > 0)
        got += k;
    CHECK("all are there", got == n);
    CHECK("and there is room again", submit(c, 1, &list) == 1);
    CHECK("with an event left", destroy(c) == 0);
    close(fd);
}

/* What a program writes there is its own trouble: the next calls say something, and no more. */
static void scribbled(void)
{
    char buf[1];
    aio_context_t c = 0;
    struct io_event e[8];
    struct timespec zero = {0};
    int fd = open("/proc/self/exe", O_RDONLY);
    struct iocb cb = request(IOCB_CMD_PREAD, fd, buf, 1, 0), *list = &cb;
    const uint32_t heads[] = {1, 126, 127, 128, 0x7fffffff, 0x80000000, UINT32_MAX};
    MUST(setup(8, &c) == 0);
    struct ring *r = (struct ring *)c;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        r->head = heads[i];
        r->tail = ~heads[i];
        r->nr = heads[i];
        long n = submit(c, 1, &list), got = syscall(SYS_io_getevents, c, 0, 8, e, &zero);
        MUST(n >= -1 && n <= 1 && got >= -1 && got <= 8);
    }
    CHECK("a ring that was written to", destroy(c) == 0);
    close(fd);
}

/* Events are taken without a call, as libaio and qemu do. */
static void own_eyes(void)
{
    char buf[1];
    struct ring *r = (struct ring *)ctx;
    struct io_event e;
    int fd = open("/proc/self/exe", O_RDONLY);
    struct iocb cb = request(IOCB_CMD_PREAD, fd, buf, 1, 0);
    cb.aio_data = 4711;
    MUST(submit1(&cb) == 1);
    AWAIT(r->head != r->tail);
    CHECK("in the ring", r->events[r->head].data == 4711 && r->events[r->head].res == 1);
    r->head = (r->head + 1) % r->nr;
    struct timespec zero = {0};
    CHECK("and taken", events(0, 1, &e, &zero) == 0);
    close(fd);
}

static void polls(void)
{
    uint64_t n;
    struct io_event e[2];
    struct timespec zero = {0}, soon = {.tv_nsec = 20000000};
    int p[2], ev = eventfd(0, 0), fd = temporary();
    MUST(pipe(p) == 0);
    struct iocb cb = request(IOCB_CMD_POLL, p[0], NULL, 0, 0), out = request(IOCB_CMD_POLL, p[1], NULL, 0, 0);
    cb.aio_buf = POLLIN;
    out.aio_buf = POLLOUT;
    cb.aio_flags = IOCB_FLAG_RESFD;
    cb.aio_resfd = (uint32_t)ev;
    CHECK("ready", result(out) == POLLOUT);
    CHECK("not ready", submit1(&cb) == 1 && events(0, 1, e, &zero) == 0);
    CHECK("nor soon", events(1, 1, e, &soon) == 0);
    MUST(write(p[1], "x", 1) == 1);
    CHECK("the eventfd", read(ev, &n, 8) == 8 && n == 1);
    CHECK("now", events(1, 2, e, NULL) == 1 && (e[0].res & POLLIN) && e[0].obj == (uintptr_t)&cb);
    MUST(read(p[0], &n, 1) == 1);
    CHECK("again", submit1(&cb) == 1);
    CHECK_ERRNO("io_cancel", syscall(SYS_io_cancel, ctx, &cb, e), EINPROGRESS);
    CHECK("an event all the same", events(1, 1, e, NULL) == 1 && e[0].res == 0);
    CHECK("and notice", read(ev, &n, 8) == 8 && n == 1);
    CHECK_ERRNO("it is gone", syscall(SYS_io_cancel, ctx, &cb, e), EINVAL);
    cb.aio_key = 1;
    CHECK_ERRNO("not one of ours", syscall(SYS_io_cancel, ctx, &cb, e), EINVAL);
    CHECK_ERRNO("nor this", syscall(SYS_io_cancel, ctx, bad_address, e), EFAULT);
    CHECK("its file is closed", submit1(&cb) == 1 && close(p[0]) == 0 && write(p[1], "y", 1) == 1 &&
                                    events(1, 1, e, NULL) == 1 && (e[0].res & POLLIN));
    out.aio_buf = POLLIN;
    CHECK("hung up", result(out) == POLLERR);
    out.aio_buf = 0x10001;
    CHECK_ERRNO("no such events", submit1(&out), EINVAL);
    out.aio_buf = POLLIN;
    out.aio_nbytes = 1;
    CHECK_ERRNO("with a length", submit1(&out), EINVAL);
    out = request(IOCB_CMD_POLL, fd, NULL, 0, 0);
    out.aio_buf = POLLIN;
    CHECK("a file is ready", result(out) == POLLIN);
    close(p[1]);
    close(ev);
    close(fd);
}

static void on_alarm(int signo)
{
    (void)signo;
}

static void waits(void)
{
    struct io_event e;
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigset_t none, alarm;
    sigemptyset(&none);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigaction(SIGALRM, &sa, NULL);
    alarms_begin(20);
    CHECK_ERRNO("a signal", alarms_end(events(1, 1, &e, NULL)), EINTR);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    struct {
        const sigset_t *mask;
        size_t size;
    } sig = {&none, 8};
    alarms_begin(20);
    CHECK_ERRNO("io_pgetevents", alarms_end(syscall(SYS_io_pgetevents, ctx, 1L, 1L, &e, NULL, &sig)), EINTR);
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    CHECK("its mask is gone", sigismember(&now, SIGALRM));
    sig.size = 4;
    CHECK_ERRNO("a mask of no size", syscall(SYS_io_pgetevents, ctx, 0L, 1L, &e, NULL, &sig), EINVAL);
    sigtimedwait(&alarm, NULL, &(struct timespec){0});
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    struct timespec past = {.tv_sec = -1}; /* never, as it turns out */
    alarms_begin(20);
    CHECK_ERRNO("before now", alarms_end(events(1, 1, &e, &past)), EINTR);
    CHECK_ERRNO("a time that is none", events(1, 1, &e, bad_address), EFAULT);
}

static _Atomic int waiter;
static int pipe_read;

static void *wait_thread(void *arg)
{
    struct io_event e;
    waiter = (int)syscall(SYS_gettid);
    long r = events(1, 1, &e, NULL);
    *(int *)arg = r < 0 ? errno : (int)r;
    return NULL;
}

static void *submit_thread(void *arg)
{
    struct iocb cb = request(IOCB_CMD_PREAD, pipe_read, arg, 4, 0);
    waiter = (int)syscall(SYS_gettid);
    MUST(submit1(&cb) == 1);
    return NULL;
}

static void threads(void)
{
    pthread_t th;
    int said = 0, p[2];
    char got[4] = "";
    struct io_event e;
    aio_context_t all = ctx;
    ctx = 0;
    MUST(setup(4, &ctx) == 0 && pipe(p) == 0);
    pipe_read = p[0];
    pthread_create(&th, NULL, submit_thread, got);
    AWAIT(waiter != 0);
    await_sleep_of(getpid(), waiter);
    CHECK("it waits in io_submit", events(0, 1, &e, NULL) == 0);
    MUST(write(p[1], "hey", 4) == 4);
    pthread_join(th, NULL);
    CHECK("for that", events(1, 1, &e, NULL) == 1 && e.res == 4 && !strcmp(got, "hey"));
    waiter = 0;
    pthread_create(&th, NULL, wait_thread, &said);
    AWAIT(waiter != 0);
    await_sleep_of(getpid(), waiter);
    struct iocb cb = request(IOCB_CMD_POLL, p[0], NULL, 0, 0);
    cb.aio_buf = POLLIN;
    MUST(submit1(&cb) == 1 && write(p[1], "x", 1) == 1);
    pthread_join(th, NULL);
    CHECK("another thread's event", said == 1);
    waiter = 0;
    pthread_create(&th, NULL, wait_thread, &said);
    AWAIT(waiter != 0);
    await_sleep_of(getpid(), waiter);
    CHECK("destroyed under it", destroy(ctx) == 0);
    pthread_join(th, NULL);
    value("what the waiter hears", said);
    ctx = all;
    close(p[0]);
    close(p[1]);
}

static void forked(void)
{
    struct io_event e;
    CHECK_ERRNO("a child has none", events(0, 1, &e, NULL), EINVAL);
    CHECK("nor any of its ring", ((struct ring *)ctx)->magic == MAGIC);
    aio_context_t c = 0;
    CHECK("but can have", setup(MANY, &c) == 0 && aio_nr() >= MANY);
}

static int beside(void *arg)
{
    struct io_event e;
    struct timespec zero = {0};
    *(long *)arg = events(0, 1, &e, &zero);
    return 0;
}

static void ends(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    long r = -2;
    CHECK("fork", in_child(forked) == 0);
    AWAIT(aio_nr() < MANY);
    CHECK("its own ended with it", aio_nr() < MANY);
    pid_t pid = clone(beside, stack + sizeof(stack), CLONE_VM | SIGCHLD, &r);
    MUST(pid > 0 && waitpid(pid, NULL, 0) == pid);
    CHECK("the same memory, the same contexts", r == 0);
    int p[2];
    MUST(pipe(p) == 0);
    aio_context_t c = 0;
    MUST(setup(4, &c) == 0);
    struct iocb cb = request(IOCB_CMD_POLL, p[0], NULL, 0, 0), *list = &cb;
    cb.aio_buf = POLLIN;
    MUST(submit(c, 1, &list) == 1);
    CHECK("destroyed with a poll", destroy(c) == 0);
    close(p[1]);
    close(p[0]);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        AWAIT(aio_nr() < MANY);
        CHECK("exec ends them", aio_nr() < MANY);
        ctx = strtoul(argv[1], NULL, 0);
        CHECK_ERRNO("a program begins with none", destroy(ctx), EINVAL);
        return check_done();
    }
    contexts();
    ctx = 0;
    MUST(setup(64, &ctx) == 0);
    files();
    direct();
    refusals();
    streams();
    notification();
    full();
    own_eyes();
    scribbled();
    polls();
    waits();
    threads();
    ends();
    char id[32];
    snprintf(id, sizeof(id), "%#lx", (unsigned long)ctx);
    aio_context_t more = 0;
    MUST(setup(MANY, &more) == 0);
    if (check_failures == 0)
        execl("/proc/self/exe", "aio", id, NULL);
    return check_done();
}
