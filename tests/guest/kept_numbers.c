/* A file that is opened, used and closed again and again, by numbers that differ as connections come and go:
 * whatever is done at its number, or beside it, counts from the next call on.
 *
 * Also run with: --lanes=off */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/guest/loopback.h"

#define PATH "/tmp/kept_numbers"
#define SIZE ((ssize_t)sizeof(text) - 1)
#define FLAGS (O_RDONLY | O_NONBLOCK)
#define PAIRS 12
#define ROUNDS 600
#define HIGH 1000 /* from here to HIGH_END the sandbox may have uses of its own for what is free */
#define HIGH_END 1024

static const char text[] = "0123456789abcdef";
static int listener, clients[PAIRS], conns[PAIRS];
static struct sockaddr_in addr;

static void make_file(void)
{
    int fd = open(PATH, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    MUST(fd >= 0 && write(fd, text, SIZE) == SIZE && close(fd) == 0);
}

/* The lowest number that nothing stands for, by asking for each. */
static int lowest(void)
{
    struct stat st;
    int fd = 0;

    while (fstat(fd, &st) == 0)
        fd++;
    return fd;
}

static void connect_one(int i)
{
    if (conns[i] >= 0) {
        MUST(close(conns[i]) == 0 && close(clients[i]) == 0);
        conns[i] = clients[i] = -1;
        return;
    }
    MUST((clients[i] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    MUST(connect(clients[i], (struct sockaddr *)&addr, sizeof(addr)) == 0);
    MUST((conns[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
}

static int opened(void)
{
    struct stat st;

    return stat(PATH, &st) == 0 && st.st_size == SIZE ? open(PATH, FLAGS) : -1;
}

/* Each way to read, of fd, whose position is 0. */
static int use(int fd)
{
    char a[8] = "", b[8] = "", c[8] = "", d[8] = "";
    struct iovec v[2] = {{c, 2}, {d, 2}};
    struct stat st;
    int wrong = 0;

    wrong += fstat(fd, &st) != 0 || st.st_size != SIZE || !S_ISREG(st.st_mode);
    wrong += read(fd, a, 3) != 3 || memcmp(a, text, 3) != 0 || lseek(fd, 0, SEEK_CUR) != 3;
    wrong += pread(fd, b, 2, 7) != 2 || memcmp(b, text + 7, 2) != 0 || lseek(fd, 1, SEEK_CUR) != 4;
    wrong += readv(fd, v, 2) != 4 || memcmp(c, text + 4, 2) != 0 || memcmp(d, text + 6, 2) != 0;
    wrong += preadv(fd, v, 2, 1) != 4 || memcmp(c, text + 1, 2) != 0 || lseek(fd, 0, SEEK_CUR) != 8;
    wrong += lseek(fd, -1, SEEK_END) != SIZE - 1 || read(fd, a, 3) != 1 || read(fd, a, 3) != 0;
    return wrong;
}

/* By sendfile to conns[i], from where the file is and from an offset. */
static int serve(int fd, int i)
{
    char got[64] = "";
    off_t off = 4;
    int wrong = 0;

    wrong += lseek(fd, 2, SEEK_SET) != 2 || sendfile(conns[i], fd, NULL, 3) != 3;
    wrong += lseek(fd, 0, SEEK_CUR) != 5 || sendfile(conns[i], fd, &off, 64) != SIZE - 4 || off != SIZE;
    wrong += lseek(fd, 0, SEEK_CUR) != 5 || sendfile(conns[i], fd, &off, 64) != 0;
    wrong += recv(clients[i], got, sizeof(got), MSG_WAITALL | MSG_DONTWAIT) != SIZE - 1;
    wrong += memcmp(got, text + 2, 3) != 0 || memcmp(got + 3, text + 4, SIZE - 4) != 0;
    return wrong;
}

static int send_back(int i)
{
    char c[4] = "";

    return write(clients[i], "abc", 3) != 3 || read(conns[i], c, 4) != 3 || write(conns[i], c, 3) != 3 ||
           recv(clients[i], c, 3, 0) != 3 || memcmp(c, "abc", 3) != 0;
}

/* Connections come and go in an order that is always the same. */
static void test_among_connections(void)
{
    unsigned seed = 12345;
    int wrong[4] = {0};

    for (int i = 0; i < PAIRS; i++)
        conns[i] = clients[i] = -1;
    for (int n = 0; n < ROUNDS; n++) {
        seed = seed * 1103515245 + 12345;
        int i = (int)(seed >> 16) % PAIRS;
        connect_one(i);
        int free_one = n % 7 == 0 ? lowest() : -1, fd = opened();
        wrong[0] += fd < 0 || (free_one >= 0 && fd != free_one);
        wrong[1] += use(fd);
        if (conns[i] >= 0) {
            wrong[2] += serve(fd, i);
            wrong[3] += send_back(i);
        }
        if (n % 3 == 0) { /* one comes, or goes, while it is open */
            connect_one((i + 5) % PAIRS);
            wrong[1] += lseek(fd, 0, SEEK_SET) != 0 || use(fd);
        }
        wrong[0] += close(fd) != 0;
    }
    for (int i = 0; i < PAIRS; i++)
        if (conns[i] >= 0)
            connect_one(i);
    CHECK("the lowest number", wrong[0] == 0);
    CHECK("reads at it", wrong[1] == 0);
    CHECK("sendfile from it", wrong[2] == 0);
    CHECK("connections at it, before and after", wrong[3] == 0);
}

static int child_status(pid_t pid)
{
    int status;

    MUST(pid >= 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static int warm(void)
{
    int fd = -1;

    for (int i = 0; i < 150; i++) {
        MUST((fd = opened()) >= 0 && use(fd) == 0 && close(fd) == 0);
    }
    return fd;
}

/* What else can be done at the number: each leaves the file open there, at position 3, and says what was
 * wrong.
 */

static int duplicate(int fd)
{
    int n = dup(fd);

    return n < 0 || lseek(n, 0, SEEK_CUR) != 3 || lseek(n, 5, SEEK_SET) != 5 ||
           lseek(fd, -2, SEEK_CUR) != 3 || close(n) != 0;
}

static int fork_and_read(int fd)
{
    char c;
    pid_t pid = fork();

    if (pid == 0)
        _exit(read(fd, &c, 1) == 1 && c == '3' && close(fd) == 0 && opened() == fd && use(fd) == 0 ? 0 : 1);
    return child_status(pid) != 0 || lseek(fd, -1, SEEK_CUR) != 3;
}

static int map(int fd)
{
    char *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

    return m == MAP_FAILED || memcmp(m, text, (size_t)SIZE) != 0 || munmap(m, 4096) != 0;
}

static int wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct epoll_event e = {.events = EPOLLIN};
    int ep = epoll_create1(0), wrong = poll(&p, 1, 0) != 1 || p.revents != POLLIN;

    wrong |= epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) != -1 || errno != EPERM;
    return wrong | (close(ep) != 0);
}

static int misuse(int fd)
{
    char c;

    return write(fd, "x", 1) != -1 || errno != EBADF || read(fd, bad_address, 1) != -1 || errno != EFAULT ||
           pread(fd, &c, 1, -1) != -1 || errno != EINVAL || read(fd, &c, 0) != 0 ||
           fstat(fd, bad_address) != -1 || errno != EFAULT || lseek(fd, -1, SEEK_SET) != -1 ||
           errno != EINVAL || recv(fd, &c, 1, 0) != -1 || errno != ENOTSOCK;
}

static int replace(int fd)
{
    int pair[2];
    char c;

    return pipe2(pair, O_NONBLOCK) != 0 || dup2(pair[0], fd) != fd || read(fd, &c, 1) != -1 ||
           errno != EAGAIN || close(pair[0]) != 0 || close(pair[1]) != 0 || read(fd, &c, 1) != 0 ||
           close(fd) != 0 || opened() != fd || lseek(fd, 3, SEEK_SET) != 3;
}

static int mark(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_GETFD) != FD_CLOEXEC;
}

static int open_twice(int fd)
{
    int n = open(PATH, FLAGS);

    return n != fd + 1 || lseek(n, 0, SEEK_CUR) != 0 || use(n) != 0 || close(n) != 0;
}

static int close_in_a_range(int fd)
{
    char c;

    return syscall(SYS_close_range, fd, fd, 0) != 0 || read(fd, &c, 1) != -1 || errno != EBADF ||
           opened() != fd || lseek(fd, 3, SEEK_SET) != 3;
}

static int send_it(int fd)
{
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } u = {.h = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    char c = 'x';
    struct iovec v = {&c, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)};
    int pair[2], n;

    memcpy(CMSG_DATA(&u.h), &fd, sizeof(fd));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && sendmsg(pair[0], &m, 0) == 1);
    MUST(close(fd) == 0 && opened() == fd && recvmsg(pair[1], &m, 0) == 1);
    memcpy(&n, CMSG_DATA(&u.h), sizeof(n));
    int wrong = lseek(n, 0, SEEK_CUR) != 3 || use(fd) != 0 || lseek(fd, 3, SEEK_SET) != 3;
    return wrong || close(n) != 0 || close(pair[0]) != 0 || close(pair[1]) != 0;
}

static int remove_it(int fd)
{
    char c;
    pid_t pid = fork();

    if (pid == 0)
        _exit(unlink(PATH) == 0 ? 0 : 1);
    int wrong = child_status(pid) != 0 || read(fd, &c, 1) != 1 || c != '3' || opened() != -1;
    make_file();
    return wrong || lseek(fd, 3, SEEK_SET) != 3;
}

static const struct {
    const char *label;
    int (*fn)(int fd);
} others[] = {
    {"dup", duplicate}, {"fork", fork_and_read},      {"mmap", map},
    {"poll", wait_for}, {"what is refused", misuse},  {"dup2 over it", replace},
    {"fcntl", mark},    {"opened twice", open_twice}, {"close_range", close_in_a_range},
    {"sent", send_it},  {"removed", remove_it},
};

/* At another number each time, which a connection had before. */
static void test_others(void)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        int n = warm(), wrong = 0;
        connect_one(0);
        connect_one(0);
        int fd = opened();
        wrong += fd != n || lseek(fd, 3, SEEK_SET) != 3 || others[i].fn(fd) != 0;
        wrong += lseek(fd, 0, SEEK_CUR) != 3 || close(fd) != 0;
        wrong += opened() != fd || use(fd) != 0 || close(fd) != 0;
        CHECK(others[i].label, wrong == 0);
    }
}

static void test_limit(void)
{
    int wrong = 0, n = warm();
    pid_t pid = fork();

    if (pid == 0) {
        for (int low = 0; low < 4; low++) {
            struct rlimit l = {(rlim_t)(n + low), 4096};
            warm();
            MUST(setrlimit(RLIMIT_NOFILE, &l) == 0);
            for (int i = 0; i < low; i++)
                wrong += dup(0) != n + i;
            wrong += opened() != -1 || errno != EMFILE;
            for (int i = 0; i < low; i++)
                wrong += close(n + i) != 0;
            wrong += low && opened() != n;
            l.rlim_cur = 1024;
            MUST(setrlimit(RLIMIT_NOFILE, &l) == 0 && (low == 0 || close(n) == 0));
        }
        _exit(wrong != 0);
    }
    CHECK("a limit", child_status(pid) == 0);
}

/* Numbers that few use, as long as something is there. */
static void test_high(void)
{
    char c;
    int wrong = 0, n = warm(), other = open("/dev/zero", O_RDONLY), pair[2];

    MUST(other == n && pipe2(pair, O_NONBLOCK) == 0);
    for (int high = HIGH; high < HIGH_END; high++) {
        int fd = opened();
        wrong += fd != n + 3 || lseek(fd, 3, SEEK_SET) != 3;
        wrong += dup2(high % 2 ? other : pair[0], high) != high;
        wrong += high % 2 ? read(high, &c, 1) != 1 || c != 0 : read(high, &c, 1) != -1 || errno != EAGAIN;
        wrong += read(fd, &c, 1) != 1 || c != '3' || close(fd) != 0 || opened() != fd || use(fd) != 0;
        wrong += close(fd) != 0;
        if (high % 3)
            wrong += close(high) != 0 || read(high, &c, 1) != -1 || errno != EBADF;
        if (high % 8 == 0)
            warm();
    }
    wrong += syscall(SYS_close_range, n, HIGH_END, 0) != 0 || warm() != n;
    CHECK("high numbers", wrong == 0);
}

/* All numbers but the highest are in use, so that the file comes to those. */
static void test_crowded(void)
{
    char c;
    int wrong = 0, n = warm();
    struct rlimit l = {HIGH_END + 8, 4096};

    MUST(setrlimit(RLIMIT_NOFILE, &l) == 0);
    for (int i = n; i < HIGH; i++)
        MUST(dup(0) == i);
    for (int i = HIGH; i < HIGH_END + 8; i++) {
        int fd = opened();
        wrong += fd != i || use(fd) != 0 || close(fd) != 0 || read(fd, &c, 1) != -1 || errno != EBADF;
        fd = i % 3 == 0 ? dup(listener) : socket(AF_INET, i % 3 == 1 ? SOCK_STREAM : SOCK_DGRAM, 0);
        wrong += fd != i || recv(fd, &c, 1, MSG_DONTWAIT) != -1 || errno == EBADF || errno == ENOTSOCK;
        if (i % 4 == 0) {
            MUST(close(n) == 0);
            warm();
            MUST(dup(0) == n);
        }
    }
    wrong += opened() != -1 || errno != EMFILE || syscall(SYS_close_range, n, HIGH_END + 8, 0) != 0;
    CHECK("the highest", wrong == 0 && warm() == n);
}

int main(int argc, char **argv)
{
    char c;

    if (argc > 1) /* the program that it is left to */
        return read(atoi(argv[1]), &c, 1) == 1 && c == '3' && warm() == atoi(argv[1]) + 1 ? 0 : 1;
    make_file();
    listener = listen_here(0, PAIRS, &addr);
    test_among_connections();
    test_others();
    test_limit();
    pid_t pid = fork();
    if (pid == 0) {
        char number[16];
        int fd = (warm(), opened());
        MUST(lseek(fd, 3, SEEK_SET) == 3);
        snprintf(number, sizeof(number), "%d", fd);
        execl("/proc/self/exe", argv[0], number, NULL);
        _exit(99);
    }
    CHECK("another program goes on with it", child_status(pid) == 0);
    test_high();
    test_crowded();
    MUST(unlink(PATH) == 0);
    return check_failures != 0;
}
