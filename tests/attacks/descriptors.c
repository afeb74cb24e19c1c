/* A guest that has the host's end of a unix socket pair, and jumps at the gate's system call instruction to
 * send or receive descriptors by it without the keep. It looks for descriptors in its own process, by the
 * same way. Ends with 42 if it finds none that it should not have. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define GATE_FROM 0x20000UL
#define GATE_TO 0x100000UL
#define FDS 200
#define OFTEN 300

long jump(long nr, long a, long b, long c, long d, long e, long f, const void *site);
__asm__(".text\n"
        "jump:\n"
        "  mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n"
        "  mov %r8, %r10\n mov %r9, %r8\n mov 8(%rsp), %r9\n mov 16(%rsp), %r11\n"
        "  push %rbx\n lea thread(%rip), %rbx\n"
        "  jmp *%r11\n");

/* What the gate's code behind the instruction writes to, before it pops rbx and returns. */
char thread[4096] __attribute__((used));

static sigjmp_buf back;
static const unsigned char *site;
static int bad;
static bool before[FDS];
static char said[65536];

static void on_fault(int signo)
{
    siglongjmp(back, signo);
}

/* syscall; mov %rax, n(%rbx) (sandbox/gate/x86_64/mailbox.S) */
static void find_site(void)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    for (volatile uintptr_t page = GATE_FROM; page < GATE_TO && !site; page += 4096) {
        const volatile unsigned char *p = (const unsigned char *)page;
        if (sigsetjmp(back, 1))
            continue;
        for (int i = 0; i < 4091 && !site; i++)
            if (p[i] == 0x0f && p[i + 1] == 0x05 && p[i + 2] == 0x48 && p[i + 3] == 0x89 && p[i + 4] == 0x83)
                site = (const unsigned char *)page + i;
    }
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
}

static long gate(long nr, long a, long b, long c, long d, long e, long f)
{
    return jump(nr, a, b, c, d, e, f, site);
}

/* Something that can be read or written is natively there. */
static bool is_native(int fd)
{
    return gate(SYS_preadv2, fd, 0, 0, -1, -1, 0) != -EBADF ||
           gate(SYS_pwritev2, fd, 0, 0, -1, -1, 0) != -EBADF;
}

static void look(const char *after)
{
    int had = 0;
    for (int fd = 0; fd < FDS; fd++) {
        had += before[fd];
        if (is_native(fd) && !before[fd]) {
            printf("REACHED: descriptor %d, by %s\n", fd, after);
            bad++;
        }
    }
    printf("%s: %d lanes, as before\n", after, had);
}

static void remember(void)
{
    for (int fd = 0; fd < FDS; fd++)
        before[fd] = is_native(fd);
}

union control {
    struct cmsghdr align;
    char buf[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message(union control *c, struct iovec *v, int fd)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 1, .msg_control = c->buf, .msg_controllen = sizeof(*c)};
    c->align = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&c->align), &fd, sizeof(fd));
    return m;
}

static void warm(int a, int b)
{
    char c = 'w';
    for (int i = 0; i < OFTEN; i++)
        if (write(a, &c, 1) != 1 || read(b, &c, 1) != 1 || send(b, &c, 1, 0) != 1 || recv(a, &c, 1, 0) != 1)
            exit(3);
}

/* Descriptors that the keep sends along, taken by calls that know of none. */
static void receive(int a, int b)
{
    static const char *const how[] = {"preadv2", "recvfrom", "a look", "recvmsg", "recvmmsg", "readv"};
    int file = open("/etc/passwd", O_RDONLY);
    char byte[8], text[1] = "p";
    for (int i = 0; i < 6; i++) {
        union control c, in = {{0}};
        struct iovec v = {text, 1}, w = {byte, sizeof(byte)};
        struct msghdr m = message(&c, &v, file);
        struct mmsghdr mm = {
            {.msg_iov = &w, .msg_iovlen = 1, .msg_control = in.buf, .msg_controllen = sizeof(in)}, 0};
        if (sendmsg(a, &m, 0) != 1)
            exit(4);
        long r = i == 0   ? gate(SYS_preadv2, b, (long)&w, 1, -1, -1, 0)
                 : i == 1 ? gate(SYS_recvfrom, b, (long)byte, 8, MSG_CMSG_CLOEXEC, 0, 0)
                 : i == 2 ? gate(SYS_recvfrom, b, (long)byte, 8, MSG_PEEK, 0, 0)
                 : i == 3 ? gate(SYS_recvmsg, b, (long)&mm.msg_hdr, 0, 0, 0, 0)
                 : i == 4 ? gate(SYS_recvmmsg, b, (long)&mm, 1, 0, 0, 0)
                          : gate(SYS_readv, b, (long)&w, 1, 0, 0, 0);
        printf("%s: %ld\n", how[i], r);
        bad += r < 1;
        look(how[i]);
    }
    close(file);
}

/* Numbers that are lanes, or nothing, as descriptors to be sent: only what the keep calls one goes. */
static void give(int a, int b)
{
    char byte[8];
    struct iovec v = {byte, 1};
    union control c;
    for (int fd = 0; fd < FDS; fd++) {
        struct msghdr m = message(&c, &v, fd);
        bool known = fcntl(fd, F_GETFD) >= 0;
        long r = gate(SYS_sendmsg, a, (long)&m, MSG_DONTWAIT, 0, 0, 0);
        if ((r == 1) != known) {
            printf("REACHED: %d is sent: %ld\n", fd, r);
            bad++;
        }
    }
    while (recv(b, byte, sizeof(byte), MSG_DONTWAIT) > 0)
        ;
    look("sendmsg");
}

/* Other roads, and flags that mean more than bytes. */
static void others(int a)
{
    static const struct {
        const char *name;
        long nr, arg[6];
    } rows[] = {
        {"io_uring_setup", SYS_io_uring_setup, {8, 0, 0, 0, 0, 0}},
        {"pidfd_getfd", SYS_pidfd_getfd, {0, 0, 0, 0, 0, 0}},
        {"splice", SYS_splice, {0, 0, 1, 0, 10, 0}},
        {"urgent data", SYS_sendto, {0, (long)"u", 1, MSG_OOB, 0, 0}},
        {"zero copy", SYS_sendto, {0, (long)"u", 1, 0x4000000, 0, 0}},
        {"urgent data in", SYS_recvfrom, {0, (long)GATE_FROM, 1, MSG_OOB | MSG_DONTWAIT, 0, 0}},
        {"errors", SYS_recvfrom, {0, (long)GATE_FROM, 1, MSG_ERRQUEUE, 0, 0}},
        {"fcntl", SYS_fcntl, {0, F_DUPFD, 100, 0, 0, 0}},
        {"dup", SYS_dup, {0, 0, 0, 0, 0, 0}},
        {"accept", SYS_accept4, {0, 0, 0, SOCK_NONBLOCK, 0, 0}},
        {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, 0, 0, 0}},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const long *x = rows[i].arg;
        printf("%s: %ld\n", rows[i].name, gate(rows[i].nr, x[0] ? x[0] : a, x[1], x[2], x[3], x[4], x[5]));
        look(rows[i].name);
    }
}

static void wait_for_watchers(void)
{
    while (access("/test/go", F_OK) != 0) {
        struct timespec ts = {.tv_nsec = 10000000};
        nanosleep(&ts, NULL);
    }
}

int main(void)
{
    int p[2];
    setvbuf(stdout, said, _IOFBF, sizeof(said)); /* what it is written to would become a lane, too */
    wait_for_watchers();
    find_site();
    if (!site || socketpair(AF_UNIX, SOCK_STREAM, 0, p) != 0)
        return 2;
    warm(p[0], p[1]);
    if (!is_native(p[0]) || !is_native(p[1])) {
        printf("the ends are no lanes\n");
        return 5;
    }
    remember();
    receive(p[0], p[1]);
    give(p[0], p[1]);
    others(p[0]);
    printf("survived\n");
    return bad ? 1 : 42;
}
