/* Terminals: ptys made inside, line discipline, sessions, foreground groups, signals of keys, hang-up. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "tests/guest/check.h"

static int master, slave;
static char buf[4096], name[100];

static ssize_t take(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    memset(buf, 0, sizeof(buf));
    return poll(&p, 1, PATIENCE_MS) == 1 ? read(fd, buf, sizeof(buf) - 1) : -2;
}

static bool says(int fd, const char *text)
{
    size_t have = 0;
    static char all[4096];
    while (have < strlen(text)) {
        ssize_t n = take(fd);
        if (n <= 0)
            break;
        memcpy(all + have, buf, (size_t)n);
        have += (size_t)n;
    }
    if (have == strlen(text) && memcmp(all, text, have) == 0)
        return true;
    dprintf(2, "got %zu bytes: \"%.*s\"\n", have, (int)have, all);
    return false;
}

static void type(const char *keys)
{
    MUST(write(master, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

static void open_pair(void)
{
    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 &&
         ptsname_r(master, name, sizeof(name)) == 0);
    slave = open(name, O_RDWR | O_NOCTTY);
    MUST(slave >= 0);
}

static void test_names(void)
{
    struct stat st;
    CHECK("a name in /dev/pts", strncmp(name, "/dev/pts/", 9) == 0);
    CHECK("its node", stat(name, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == 136 &&
                          (st.st_mode & 0777) == 0620 && st.st_gid == 5);
    CHECK("isatty and ttyname",
          isatty(slave) && isatty(master) && ttyname(slave) && strcmp(ttyname(slave), name) == 0);
    CHECK("not a terminal", !isatty(open("/dev/null", O_RDONLY)) && errno == ENOTTY);
    int locked = posix_openpt(O_RDWR | O_NOCTTY);
    char other[100];
    ptsname_r(locked, other, sizeof(other));
    CHECK("another number", strcmp(other, name) != 0);
    CHECK_ERRNO("locked at first", open(other, O_RDWR | O_NOCTTY), EIO);
    close(locked);
    CHECK_ERRNO("gone with its master", open(other, O_RDWR | O_NOCTTY), ENOENT);
}

static void test_lines(void)
{
    type("a line\r");
    CHECK("a line is read whole", take(slave) == 7 && strcmp(buf, "a line\n") == 0);
    CHECK("and echoed", says(master, "a line\r\n"));
    type("abc\177\177X\r");
    CHECK("erase", take(slave) == 3 && strcmp(buf, "aX\n") == 0);
    says(master, "abc\b \b\b \bX\r\n");
    type("killed\025kept\r");
    CHECK("kill", take(slave) == 5 && strcmp(buf, "kept\n") == 0);
    take(master);
    type("part\004");
    CHECK("^D ends a read", take(slave) == 4);
    type("\004");
    CHECK("^D alone is the end of file", take(slave) == 0);
    take(master);
    MUST(write(slave, "out\n", 4) == 4);
    CHECK("newlines go out as two", says(master, "out\r\n"));
    struct termios t, old;
    CHECK("tcgetattr", tcgetattr(slave, &old) == 0 &&
                           (old.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG) &&
                           old.c_cc[VINTR] == 3);
    t = old;
    cfmakeraw(&t);
    CHECK("raw", tcsetattr(slave, TCSANOW, &t) == 0);
    type("\003x");
    CHECK("keys as they come", take(slave) == 2 && buf[0] == 3);
    MUST(write(slave, "\n", 1) == 1);
    CHECK("nothing added", says(master, "\n"));
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 1;
    tcsetattr(slave, TCSANOW, &t);
    long begin = now_ms();
    CHECK("VTIME", read(slave, buf, 1) == 0 && now_ms() - begin >= 80);
    CHECK("seen by the master", tcgetattr(master, &t) == 0 && t.c_cc[VTIME] == 1);
    tcsetattr(slave, TCSAFLUSH, &old);
    int n = -1;
    type("xy\r");
    AWAIT(ioctl(slave, FIONREAD, &n) == 0 && n == 3);
    CHECK("FIONREAD and TCIFLUSH", ioctl(slave, FIONREAD, &n) == 0 && n == 3 &&
                                       tcflush(slave, TCIFLUSH) == 0 && ioctl(slave, FIONREAD, &n) == 0 &&
                                       n == 0);
    take(master);
    struct winsize w = {.ws_row = 12, .ws_col = 34};
    CHECK("the window's size", ioctl(master, TIOCSWINSZ, &w) == 0 &&
                                   (w.ws_row = 0, ioctl(slave, TIOCGWINSZ, &w)) == 0 && w.ws_row == 12 &&
                                   w.ws_col == 34);
}

static volatile sig_atomic_t got;

static void on_signal(int signo)
{
    got = signo;
}

static bool gets(int signo)
{
    AWAIT(got == signo);
    bool r = got == signo;
    got = 0;
    return r;
}

static void handle(int signo)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(signo, &sa, NULL);
}

/* In a session of its own with the slave as its terminal. */
static void session(void)
{
    MUST(setsid() > 0);
    CHECK_ERRNO("no terminal at first", open("/dev/tty", O_RDWR), ENXIO);
    CHECK("TIOCSCTTY", ioctl(slave, TIOCSCTTY, 0) == 0);
    int tty = open("/dev/tty", O_RDWR);
    CHECK("/dev/tty", tty >= 0 && tcgetsid(tty) == getpid() && tcgetpgrp(tty) == getpgrp());
    for (int *s = (int[]){SIGINT, SIGQUIT, SIGTSTP, SIGWINCH, SIGTTOU, SIGTTIN, SIGHUP, SIGCONT, 0}; *s; s++)
        handle(*s);
    type("\003");
    CHECK("^C", gets(SIGINT));
    type("\034");
    CHECK("^\\", gets(SIGQUIT));
    type("\032");
    CHECK("^Z", gets(SIGTSTP));
    struct winsize w = {.ws_row = 50, .ws_col = 60};
    ioctl(master, TIOCSWINSZ, &w);
    CHECK("SIGWINCH", gets(SIGWINCH));
    tcflush(master, TCIOFLUSH);
}

static void background(void)
{
    open_pair();
    session();
    int go[2], st;
    MUST(pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGTTIN, SIG_DFL);
        signal(SIGTTOU, SIG_DFL);
        signal(SIGCONT, SIG_DFL);
        MUST(read(go[0], buf, 1) == 1);
        ssize_t n = read(slave, buf, 10);
        _exit(n == 3 ? 5 : 6);
    }
    setpgid(pid, pid);
    CHECK("the foreground is ours", tcgetpgrp(slave) == getpgrp());
    MUST(write(go[1], "x", 1) == 1);
    CHECK("a read in the background stops",
          waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTIN);
    CHECK("tcsetpgrp", tcsetpgrp(slave, pid) == 0 && tcgetpgrp(slave) == pid);
    kill(pid, SIGCONT);
    type("ok\r");
    CHECK("in the foreground it goes on",
          waitpid(pid, &st, WUNTRACED) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 5);
    signal(SIGTTOU, SIG_IGN);
    CHECK("back", tcsetpgrp(slave, getpgrp()) == 0);
    CHECK_ERRNO("not to a group that is none", tcsetpgrp(slave, 99999), ESRCH);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGTTOU, SIG_DFL);
        struct termios t;
        tcgetattr(slave, &t);
        tcsetattr(slave, TCSANOW, &t);
        _exit(0);
    }
    CHECK("a change in the background stops",
          waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTOU);
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    handle(SIGHUP);
    close(master);
    CHECK("the master's close hangs up", gets(SIGHUP));
    CHECK("nothing more to read", read(slave, buf, 1) == 0);
    CHECK_ERRNO("nor to write", write(slave, "x", 1), EIO);
}

static void leader_ends(void)
{
    int m, p[2];
    MUST(pipe(p) == 0);
    pid_t pid = forkpty(&m, NULL, NULL, NULL);
    if (pid == 0) {
        signal(SIGHUP, SIG_IGN);
        if (fork() == 0) {
            setpgid(0, 0);
            pause();
        }
        if (fork() == 0) {
            handle(SIGHUP);
            MUST(write(p[1], "r", 1) == 1);
            bool good = gets(SIGHUP);
            MUST(write(p[1], good ? "y" : "n", 1) == 1);
            _exit(0);
        }
        MUST(read(p[0], buf, 1) == 1);
        nap_ms(50);
        _exit(3);
    }
    int st;
    CHECK("forkpty", waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 3);
    CHECK("the leader's end hangs the foreground up", take(p[0]) == 1 && buf[0] == 'y');
    close(m);
}

static void test_master_end(void)
{
    int m, s;
    MUST(openpty(&m, &s, NULL, NULL, NULL) == 0);
    MUST(write(s, "last words", 10) == 10);
    close(s);
    CHECK("what was written is read", take(m) == 10);
    CHECK_ERRNO("then EIO", read(m, buf, 10), EIO);
    struct pollfd p = {.fd = m, .events = POLLIN};
    CHECK("POLLHUP", poll(&p, 1, PATIENCE_MS) == 1 && (p.revents & POLLHUP));
    s = open(ptsname(m), O_RDWR | O_NOCTTY);
    CHECK("until it is opened again", s >= 0 && write(s, "!", 1) == 1 && take(m) == 1);
    close(m);
    close(s);
}

int main(void)
{
    open_pair();
    test_names();
    test_lines();
    close(master);
    close(slave);
    CHECK("a session", in_child(background) == 0);
    leader_ends();
    test_master_end();
    return check_done();
}
