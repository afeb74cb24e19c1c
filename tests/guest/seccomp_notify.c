/* seccomp_unotify(2): a program's calls put to a supervisor, and what it may do about them. */
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tests/guest/notified.h"

static int ask_parent(void)
{
    long r = syscall(SYS_getppid, 1, 2, 3, 4, 5, 6);
    return r == -1 ? errno : (int)r & 0xff;
}

static void operations(void)
{
    struct seccomp_notif_sizes s = {0};
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    CHECK("sizes", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &s) == 0 &&
                       s.seccomp_notif == sizeof(struct seccomp_notif) &&
                       s.seccomp_notif_resp == sizeof(struct seccomp_notif_resp) &&
                       s.seccomp_data == sizeof(struct seccomp_data));
    CHECK_ERRNO("sizes with flags", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 1, &s), EINVAL);
    CHECK_ERRNO("sizes nowhere", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, bad_address), EFAULT);
    CHECK("the action is there", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
    CHECK_ERRNO("killable without a listener",
                filter_call(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, SYS_getppid), EINVAL);
    CHECK_ERRNO("two kinds of results", filter_call(LISTENS | SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid),
                EINVAL);
    CHECK("without a listener", filter_call(0, SYS_getpgrp) == 0);
    CHECK_ERRNO("nobody hears it", syscall(SYS_getpgrp), ENOSYS);
    int fd = filter_call(LISTENS | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, SYS_getppid);
    CHECK("a listener", fd >= 0);
    CHECK_ERRNO("one is enough", filter_call(LISTENS, SYS_getsid), EBUSY);
    CHECK("a filter without is fine", filter_call(0, SYS_getpriority) == 0);
    CHECK("it is gone", close(fd) == 0);
    CHECK_ERRNO("and nobody hears it", syscall(SYS_getppid), ENOSYS);
    CHECK("then there may be another", (fd = filter_call(LISTENS, SYS_getpgid)) >= 0);
    CHECK_ERRNO("which the first has no part in", syscall(SYS_getppid), ENOSYS);
}

static void descriptor(void)
{
    char name[64] = {0}, byte = 0;
    struct stat st;
    int fd = filter_call(LISTENS, SYS_getppid);
    CHECK("closed on exec", fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK("for both", fcntl(fd, F_GETFL) == O_RDWR);
    CHECK_ERRNO("no reading", read(fd, &byte, 1), EINVAL);
    CHECK_ERRNO("no writing", write(fd, &byte, 1), EINVAL);
    CHECK_ERRNO("no seeking", lseek(fd, 1, SEEK_SET), ESPIPE);
    CHECK("anonymous", fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size == 0);
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK("its name",
          readlink(path, name, sizeof(name) - 1) > 0 && strcmp(name, "anon_inode:seccomp notify") == 0);
    CHECK_ERRNO("an unknown request", ioctl(fd, SECCOMP_IO(77), 0), EINVAL);
    CHECK_ERRNO("unknown flags", ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 4), EINVAL);
    CHECK("flags", ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) == 0);
    int dir = open("/", O_RDONLY);
    CHECK_ERRNO("something else", ioctl(dir, SECCOMP_IOCTL_NOTIF_ID_VALID, &st), ENOTTY);
}

static void answers(void)
{
    struct target t = target_new(ask_parent, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    const __u64 *a = n.data.args;
    CHECK("who and what", n.pid == (__u32)t.pid && n.flags == 0 && n.data.nr == SYS_getppid &&
                              n.data.arch == AUDIT_ARCH_X86_64 && n.data.instruction_pointer != 0);
    CHECK("with what", a[0] == 1 && a[1] == 2 && a[2] == 3 && a[3] == 4 && a[4] == 5 && a[5] == 6);
    CHECK("it waits", notif_valid(t.fd, n.id) == 0);
    CHECK("a value", notif_send(t.fd, n.id, 77, 0, 0) == 0);
    CHECK_ERRNO("once", notif_valid(t.fd, n.id), ENOENT);
    CHECK("is what it gets", exit_of(t.pid) == 77);
    CHECK_ERRNO("too late", notif_send(t.fd, n.id, 1, 0, 0), ENOENT);
    close(t.fd);
    t = target_new(ask_parent, LISTENS, SYS_getppid);
    n = notif_recv(t.fd);
    CHECK("an error", notif_send(t.fd, n.id, 0, -EXFULL, 0) == 0 && exit_of(t.pid) == EXFULL);
    close(t.fd);
    t = target_new(ask_parent, LISTENS, SYS_getppid);
    n = notif_recv(t.fd);
    CHECK("go on", notif_go_on(t.fd, n.id) == 0 && exit_of(t.pid) == (getpid() & 0xff));
    close(t.fd);
}

/* What the supervisor says is no word of the keep's. */
static int odd_values(void)
{
    for (int i = 0; i < 8; i++)
        if (syscall(SYS_getppid) != INT64_MIN + i)
            return 10 + i;
    return syscall(SYS_getppid) == -1 && errno == 512 ? 0 : 1;
}

static void values(void)
{
    struct target t = target_new(odd_values, LISTENS, SYS_getppid);
    for (int i = 0; i < 8; i++)
        MUST(notif_send(t.fd, notif_recv(t.fd).id, INT64_MIN + i, 0, 0) == 0);
    MUST(notif_send(t.fd, notif_recv(t.fd).id, 0, -512, 0) == 0);
    value("odd values", exit_of(t.pid));
    close(t.fd);
}

static void bad_requests(void)
{
    struct target t = target_new(ask_parent, LISTENS, SYS_getppid);
    struct seccomp_notif n;
    char big[sizeof(struct seccomp_notif_addfd) + 8] = {0};
    AWAIT(revents_of(t.fd) & POLLIN);
    memset(&n, 0, sizeof(n));
    n.data.args[5] = 1;
    CHECK_ERRNO("rubbish", ioctl(t.fd, SECCOMP_IOCTL_NOTIF_RECV, &n), EINVAL);
    CHECK_ERRNO("nowhere", ioctl(t.fd, SECCOMP_IOCTL_NOTIF_RECV, bad_address), EFAULT);
    void *fixed = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO("read-only", ioctl(t.fd, SECCOMP_IOCTL_NOTIF_RECV, fixed), EFAULT);
    CHECK("after which it is still there", revents_of(t.fd) == POLLIN);
    n = notif_recv(t.fd);
    CHECK_ERRNO("unknown flags", notif_send(t.fd, n.id, 0, 0, 2), EINVAL);
    CHECK_ERRNO("a value, and go on", notif_send(t.fd, n.id, 1, 0, 1), EINVAL);
    CHECK_ERRNO("an error, and go on", notif_send(t.fd, n.id, 0, -1, 1), EINVAL);
    CHECK_ERRNO("somebody else's", notif_send(t.fd, n.id + 1, 0, 0, 0), ENOENT);
    CHECK_ERRNO("nobody's", notif_send(t.fd, 0, 0, 0, 0), ENOENT);
    CHECK_ERRNO("an answer from nowhere", ioctl(t.fd, SECCOMP_IOCTL_NOTIF_SEND, bad_address), EFAULT);
    CHECK_ERRNO("an id from nowhere", ioctl(t.fd, SECCOMP_IOCTL_NOTIF_ID_VALID, bad_address), EFAULT);
    CHECK_ERRNO("add: unknown flags", notif_addfd(t.fd, n.id, 1, 4, 0, 0), EINVAL);
    CHECK_ERRNO("add: flags of the new one", notif_addfd(t.fd, n.id, 1, 0, 0, O_NONBLOCK), EINVAL);
    CHECK_ERRNO("add: a number for nothing", notif_addfd(t.fd, n.id, 1, 0, 7, 0), EINVAL);
    CHECK_ERRNO("add: what is not open", notif_addfd(t.fd, n.id, 999, 0, 0, 0), EBADF);
    CHECK_ERRNO("add: to nobody", notif_addfd(t.fd, n.id + 1, 1, 0, 0, 0), ENOENT);
    CHECK_ERRNO("add: too high", notif_addfd(t.fd, n.id, 1, SECCOMP_ADDFD_FLAG_SETFD, 1 << 30, 0), EBADF);
    CHECK_ERRNO("add: too small", ioctl(t.fd, _IOC(_IOC_WRITE, '!', 3, 16), big), EINVAL);
    CHECK_ERRNO("add: as large as a page", ioctl(t.fd, _IOC(_IOC_WRITE, '!', 3, 4096), big), EINVAL);
    big[sizeof(big) - 1] = 1;
    CHECK_ERRNO("add: from the future", ioctl(t.fd, _IOC(_IOC_WRITE, '!', 3, sizeof(big)), big), E2BIG);
    CHECK("it is still there", notif_valid(t.fd, n.id) == 0);
    notif_send(t.fd, n.id, 5, 0, 0);
    CHECK("and fine", exit_of(t.pid) == 5);
    close(t.fd);
}

static int ask_twice(void)
{
    if (fork() == 0)
        _exit(ask_parent());
    int first = ask_parent(), st;
    wait(&st);
    return first == 1 && WEXITSTATUS(st) == 1 ? 0 : 1;
}

/* Ids count up: the next one's is known before it is received. */
static void not_received(void)
{
    struct target t = target_new(ask_twice, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    AWAIT(revents_of(t.fd) & POLLIN);
    CHECK_ERRNO("not valid before", notif_valid(t.fd, n.id + 1), ENOENT);
    CHECK_ERRNO("nor to be answered", notif_send(t.fd, n.id + 1, 1, 0, 0), EINPROGRESS);
    CHECK_ERRNO("nor to be given anything", notif_addfd(t.fd, n.id + 1, 1, 0, 0, 0), EINPROGRESS);
    CHECK("both ready", revents_of(t.fd) == (POLLIN | POLLOUT));
    struct seccomp_notif second = notif_recv(t.fd);
    CHECK("the next", second.id == n.id + 1 && second.pid != n.pid);
    CHECK("one waits for its answer", revents_of(t.fd) == POLLOUT);
    CHECK("in any order", notif_send(t.fd, second.id, 1, 0, 0) == 0 && notif_send(t.fd, n.id, 1, 0, 0) == 0);
    CHECK("both go on", exit_of(t.pid) == 0);
    close(t.fd);
}

static int two_files(void)
{
    struct stat a, b;
    int fd = (int)syscall(SYS_getppid);
    if (fd < 0 || fstat(fd, &a) < 0 || fstat(50, &b) < 0 || a.st_ino != b.st_ino)
        return 1;
    if (fcntl(fd, F_GETFD) != 0 || fcntl(50, F_GETFD) != FD_CLOEXEC)
        return 2;
    return write(fd, "x", 1) == 1 ? 0 : 3;
}

static void descriptors(void)
{
    int p[2];
    char c = 0;
    MUST(pipe(p) == 0);
    struct target t = target_new(two_files, LISTENS, SYS_getppid);
    struct seccomp_notif n = notif_recv(t.fd);
    int fd = notif_addfd(t.fd, n.id, p[1], 0, 0, 0);
    CHECK("the lowest number", fd >= 3 && fd < 20);
    CHECK("one of ours", notif_addfd(t.fd, n.id, p[0], SECCOMP_ADDFD_FLAG_SETFD, 50, 0) == 50);
    CHECK("in place of another",
          notif_addfd(t.fd, n.id, p[1], SECCOMP_ADDFD_FLAG_SETFD, 50, O_CLOEXEC) == 50);
    notif_send(t.fd, n.id, fd, 0, 0);
    CHECK("they are there", exit_of(t.pid) == 0);
    CHECK("and the same", read(p[0], &c, 1) == 1 && c == 'x');
    close(t.fd);
    t = target_new(ask_parent, LISTENS, SYS_getppid);
    n = notif_recv(t.fd);
    fd = notif_addfd(t.fd, n.id, p[1], SECCOMP_ADDFD_FLAG_SEND, 0, 0);
    CHECK("its number is the answer", exit_of(t.pid) == fd);
    close(t.fd);
    t = target_new(ask_parent, LISTENS, SYS_getppid);
    n = notif_recv(t.fd);
    CHECK_ERRNO("where it does not fit",
                notif_addfd(t.fd, n.id, p[1], SECCOMP_ADDFD_FLAG_SEND | SECCOMP_ADDFD_FLAG_SETFD, 1 << 30, 0),
                EBADF);
    CHECK("there is no answer", notif_valid(t.fd, n.id) == 0);
    CHECK("so another is given", notif_send(t.fd, n.id, 9, 0, 0) == 0 && exit_of(t.pid) == 9);
    close(t.fd);
}

static int ready(int ep)
{
    struct epoll_event ev[4];
    int all = 0, n = epoll_wait(ep, ev, 4, 0);
    for (int i = 0; i < n; i++)
        all |= (int)ev[i].events;
    return all;
}

static void readiness(void)
{
    struct target t = target_new(ask_parent, LISTENS, SYS_getppid);
    int ep = epoll_create1(0), in = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT}, only = {.events = EPOLLIN};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, t.fd, &ev) == 0 && epoll_ctl(in, EPOLL_CTL_ADD, t.fd, &only) == 0);
    struct pollfd p = {.fd = in, .events = POLLIN};
    CHECK("somebody calls", poll(&p, 1, PATIENCE_MS) == 1);
    CHECK("there is one", revents_of(t.fd) == POLLIN && ready(ep) == EPOLLIN && ready(in) == EPOLLIN);
    struct seccomp_notif n = notif_recv(t.fd);
    CHECK("it waits", revents_of(t.fd) == POLLOUT && ready(ep) == EPOLLOUT && ready(in) == 0);
    ev.events = EPOLLIN;
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, t.fd, &ev) == 0);
    CHECK("not asked for", ready(ep) == 0);
    ev.events = EPOLLOUT;
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, t.fd, &ev) == 0);
    CHECK("asked for", ready(ep) == EPOLLOUT);
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(t.fd, &r);
    FD_SET(t.fd, &w);
    CHECK("by select", select(t.fd + 1, &r, &w, NULL, &(struct timeval){0}) == 1 && FD_ISSET(t.fd, &w));
    notif_send(t.fd, n.id, 1, 0, 0);
    CHECK("its end", exit_of(t.pid) == 1);
    AWAIT(revents_of(t.fd) & POLLHUP);
    CHECK("nobody is left", revents_of(t.fd) == POLLHUP && ready(ep) == EPOLLHUP && ready(in) == EPOLLHUP);
    MUST(epoll_ctl(ep, EPOLL_CTL_DEL, t.fd, NULL) == 0);
    CHECK("not asked", ready(ep) == 0);
    memset(&n, 0, sizeof(n));
    CHECK_ERRNO("nothing will come", ioctl(t.fd, SECCOMP_IOCTL_NOTIF_RECV, &n), ENOENT);
    close(t.fd);
}

static int open_it(void)
{
    static const char name[] = "/etc/passwd";
    char c;
    int fd = open(name, O_RDONLY);
    return fd < 0 ? errno : read(fd, &c, 1) == 1 ? 0 : 200;
}

static void memory(void)
{
    struct target t = target_new(open_it, LISTENS, SYS_openat);
    struct seccomp_notif n = notif_recv(t.fd);
    char name[12] = {0}, again[12] = {0}, path[64];
    struct iovec l = {name, sizeof(name)}, r = {(void *)(uintptr_t)n.data.args[1], sizeof(name)};
    CHECK("by process_vm_readv", process_vm_readv((pid_t)n.pid, &l, 1, &r, 1, 0) == sizeof(name));
    snprintf(path, sizeof(path), "/proc/%u/mem", n.pid);
    int mem = open(path, O_RDWR);
    CHECK("by mem", pread(mem, again, sizeof(again), (off_t)n.data.args[1]) == sizeof(again));
    CHECK("what it wants", strcmp(name, "/etc/passwd") == 0 && strcmp(again, name) == 0);
    CHECK("another name", pwrite(mem, "/etc/absent", 12, (off_t)n.data.args[1]) == 12);
    CHECK("is what goes on", notif_go_on(t.fd, n.id) == 0 && exit_of(t.pid) == ENOENT);
    close(t.fd);
}

int main(void)
{
    in_child(operations);
    in_child(descriptor);
    in_child(answers);
    in_child(values);
    in_child(bad_requests);
    in_child(not_received);
    in_child(descriptors);
    in_child(readiness);
    in_child(memory);
    return check_done();
}
