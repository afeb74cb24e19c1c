#include "sandbox/platform/porter.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/log.h"
#include "sandbox/platform/guest.h"
#include "sandbox/platform/keep_filter.h"
#include "sandbox/platform/messages.h"
#include "sandbox/platform/porter_parts.h"

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Takes the listener out of the child, which can tell its number only through memory: behind its filter every
 * call would wait for an answer that needs the listener first. */
static int take_listener(pid_t child, struct guest_boot *b, bool wakes)
{
    /* Who can not wake us is looked for often; else this is for a child that has ended without a word. */
    const struct timespec moment = {.tv_nsec = wakes ? 10000000 : 100000};
    int pidfd = open_pidfd(child), fd = -1;

    while (pidfd >= 0 && !b->listener && !b->failed) {
        siginfo_t si = {0};
        if (waitid(P_PID, (id_t)child, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid)
            break;
        (void)syscall(SYS_futex, &b->listener, FUTEX_WAIT, 0, &moment, NULL, 0);
    }
    if (b->failed)
        errno = b->failed;
    else if (b->listener)
        fd = (int)syscall(SYS_pidfd_getfd, pidfd, b->listener - 1, 0);
    if (pidfd >= 0)
        close(pidfd);
    return fd;
}

static void first_guest(const struct porter *p)
{
    struct guest_boot *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct porter_msg m = {.type = PORTER_LISTENER};

    if (b == MAP_FAILED)
        _exit(PORTER_BROKEN);
    pid_t child = fork();
    if (child == 0) {
        (void)setsid(); /* the host's terminal signals the porter alone; who is in front, the keep knows */
        guest_become(p, b);
        _exit(PORTER_BROKEN);
    }
    int listener = child > 0 ? take_listener(child, b, guest_wakes(p)) : -1;
    if (listener < 0) {
        const char *field = b->field;
        if (field)
            log_error("config.json: %s: %s", field, strerror(errno));
        else
            log_error("cannot make the first guest process (step %d): %s", b->step, strerror(errno));
        _exit(PORTER_BROKEN);
    }
    int r = msg_send(p->keep_fd, &m, sizeof(m), listener);
    close(listener);
    munmap(b, sizeof(*b));
    if (r < 0)
        _exit(PORTER_BROKEN);
}

/* Before there are guests, who may call for it at once. */
static void start_standin(const struct porter *p)
{
    struct guest_boot *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct porter_msg m = {.type = PORTER_STANDIN};
    int sv[2];

    if (b == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        _exit(PORTER_BROKEN);
    pid_t child = fork();
    if (child == 0) {
        standin_become(p, sv[1], b);
        _exit(PORTER_BROKEN);
    }
    int listener = child > 0 ? take_listener(child, b, false) : -1;
    b->taken = 1;
    if (listener < 0) {
        log_error("cannot make the seccomp agent's stand-in (step %d): %s", b->step, strerror(errno));
        _exit(PORTER_BROKEN);
    }
    if (msg_send(p->keep_fd, &m, sizeof(m), sv[0]) < 0 || msg_send(p->agent_fd, &m, sizeof(m), listener) < 0)
        _exit(PORTER_BROKEN);
    (void)close(listener);
    (void)close(sv[0]);
    (void)close(sv[1]);
    (void)munmap(b, sizeof(*b));
}

bool porter_take_signal(int sigfd, int keep_fd)
{
    struct signalfd_siginfo si;

    if (read(sigfd, &si, sizeof(si)) != sizeof(si))
        return false;
    if (si.ssi_signo == SIGCHLD &&
        (si.ssi_code == CLD_EXITED || si.ssi_code == CLD_KILLED || si.ssi_code == CLD_DUMPED ||
         si.ssi_code == CLD_STOPPED || si.ssi_code == CLD_CONTINUED))
        return true;
    struct porter_msg m = {
        .type = PORTER_SIGNAL,
        .a = (int)si.ssi_signo,
        .b = si.ssi_code,
        .c = (int)si.ssi_pid,
        .d = si.ssi_uid,
    };
    (void)msg_send(keep_fd, &m, sizeof(m), -1);
    return false;
}

static void on_keep(int keep_fd)
{
    struct porter_msg m;

    /* Without its keep the container ends, and with its pid 1 every guest. */
    if (msg_recv(keep_fd, &m, sizeof(m), NULL) < 0 || m.type != PORTER_EXIT)
        _exit(PORTER_BROKEN);
    _exit(WIFEXITED(m.a) ? WEXITSTATUS(m.a) : 128 + WTERMSIG(m.a));
}

static void take_terminal(int tty_fd)
{
    (void)setsid();
    if (tty_fd >= 0)
        (void)ioctl(tty_fd, TIOCSCTTY, 0);
}

int porter_begin(const struct porter *p)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    take_terminal(p->tty_fd);
    /* Nobody's directory is to be kept in use. */
    if (p->enter_mntns ? setns(p->mntns_fd, CLONE_NEWNS) < 0 : chdir("/") < 0)
        return -1;
    return signalfd(-1, &all, SFD_CLOEXEC);
}

_Noreturn void porter_main(const struct porter *p)
{
    int keep_fd = p->keep_fd, sigfd = porter_begin(p);

    if (sigfd < 0)
        _exit(PORTER_BROKEN);
    (void)porter_drop_bounding(); /* for the child, too; both see later that it is done */
    if (p->agent_fd >= 0)
        start_standin(p);
    first_guest(p);
    const int needed[] = {keep_fd, sigfd, log_fd()};
    (void)fds_close_others(needed, sizeof(needed) / sizeof(needed[0]));
    /* The host reaps by itself then; the keep sees to who dies unexpectedly. */
    if (signal(SIGCHLD, SIG_IGN) == SIG_ERR)
        _exit(PORTER_BROKEN);
    porter_confine();

    struct pollfd fds[2] = {{.fd = sigfd, .events = POLLIN}, {.fd = keep_fd, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            _exit(PORTER_BROKEN);
        if (fds[0].revents)
            (void)porter_take_signal(sigfd, keep_fd);
        if (fds[1].revents)
            on_keep(keep_fd);
    }
}
