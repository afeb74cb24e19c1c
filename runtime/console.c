#include "runtime/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "common/cleanup.h"
#include "runtime/sendfd.h"

int console_open(struct console *c, unsigned short height, unsigned short width, bool shown_here,
                 struct err *e)
{
    struct winsize ws = {.ws_row = height, .ws_col = width};

    c->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (c->master < 0)
        return err_set(e, ERR_SYS, errno, "/dev/ptmx");
    if (unlockpt(c->master))
        return err_set(e, ERR_SYS, errno, "unlocking the terminal");
    /* By the master, not by the name of the slave: what stands at that name is another matter. */
    c->slave = ioctl(c->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (c->slave < 0)
        return err_set(e, ERR_SYS, errno, "opening the terminal's slave");
    /* Our caller's terminal makes of \n what is needed. An engine gets what a terminal usually does: it shows
     * the output on one that does nothing. */
    struct termios tio;
    if (shown_here && tcgetattr(c->slave, &tio) == 0) {
        tio.c_oflag &= ~(tcflag_t)ONLCR;
        (void)tcsetattr(c->slave, TCSANOW, &tio);
    }
    if (!height && !width && ioctl(STDIN_FILENO, TIOCGWINSZ, &ws))
        return 0;
    (void)ioctl(c->master, TIOCSWINSZ, &ws);
    return 0;
}

int console_send(struct console *c, const char *path, struct err *e)
{
    char name[64] = "";

    if (ptsname_r(c->master, name, sizeof(name)))
        return err_set(e, ERR_SYS, errno, "the terminal's name");
    /* Who receives it expects it as open(2) gives it. */
    (void)fcntl(c->master, F_SETFL, fcntl(c->master, F_GETFL) & ~O_NONBLOCK);
    if (sendfd("console-socket", path, name, c->master, e))
        return -1;
    close(c->master);
    c->master = -1;
    return 0;
}

int console_attach(struct console *c, struct err *e)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &c->saved))
        return err_set(e, ERR_SYS, errno, "the terminal at stdin");
    raw = c->saved;
    cfmakeraw(&raw);
    raw.c_oflag = c->saved.c_oflag | OPOST; /* makes of \n what the container's side does not */
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
        return err_set(e, ERR_SYS, errno, "the terminal at stdin");
    c->raw = true;
    c->to_container.in = STDIN_FILENO;
    c->to_container.out = c->master;
    c->to_caller.in = c->master;
    c->to_caller.out = STDOUT_FILENO;
    return 0;
}

void console_resize(struct console *c)
{
    struct winsize ws;

    if (c->master >= 0 && c->raw && ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0)
        (void)ioctl(c->master, TIOCSWINSZ, &ws);
}

void console_poll_fds(const struct console *c, struct pollfd fds[3])
{
    const struct console_flow *in = &c->to_container, *out = &c->to_caller;

    fds[0] = (struct pollfd){.fd = in->len == 0 ? in->in : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = out->len > 0 ? out->out : -1, .events = POLLOUT};
    fds[2] = (struct pollfd){.fd = out->len == 0 || in->len > 0 ? c->master : -1};
    if (out->len == 0 && out->in >= 0)
        fds[2].events |= POLLIN;
    if (in->len > 0 && in->out >= 0)
        fds[2].events |= POLLOUT;
    if (fds[2].events == 0)
        fds[2].fd = -1;
}

static bool is_transient(void)
{
    return errno == EINTR || errno == EAGAIN;
}

/* A side that has ended (the terminal was hung up, or nobody holds the slave) is not asked again. */
static void fill(struct console_flow *f)
{
    ssize_t n = read(f->in, f->buf, sizeof(f->buf));

    if (n > 0) {
        f->off = 0;
        f->len = (size_t)n;
    } else if (n == 0 || !is_transient()) {
        f->in = -1;
    }
}

static void flush(struct console_flow *f)
{
    ssize_t n = write(f->out, f->buf + f->off, f->len);

    if (n >= 0) {
        f->off += (size_t)n;
        f->len -= (size_t)n;
    } else if (!is_transient()) {
        f->len = 0;
        f->in = f->out = -1;
    }
}

void console_copy(struct console *c, const struct pollfd fds[3])
{
    const short readable = POLLIN | POLLHUP | POLLERR;

    if (fds[0].fd >= 0 && (fds[0].revents & readable))
        fill(&c->to_container);
    if (fds[1].fd >= 0 && (fds[1].revents & (POLLOUT | POLLHUP | POLLERR)))
        flush(&c->to_caller);
    if (fds[2].fd < 0)
        return;
    if ((fds[2].events & POLLIN) && (fds[2].revents & readable))
        fill(&c->to_caller);
    if ((fds[2].events & POLLOUT) && (fds[2].revents & (POLLOUT | POLLHUP | POLLERR)))
        flush(&c->to_container);
}

void console_drain(struct console *c)
{
    struct console_flow *f = &c->to_caller;

    /* The master does not block, so this ends where the container's output ends. */
    while (f->out >= 0) {
        while (f->len > 0)
            flush(f);
        if (f->in < 0)
            return;
        fill(f);
        if (f->len == 0)
            return;
    }
}

void console_close(struct console *c)
{
    if (c->raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &c->saved);
    c->raw = false;
    cleanup_close_p(&c->master);
    cleanup_close_p(&c->slave);
    c->master = c->slave = -1;
}
