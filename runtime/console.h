/* The host's side of a container's terminal: a pty, whose master is handed to the caller or copied to its own
 * terminal. */
#ifndef BAILEY_RUNTIME_CONSOLE_H
#define BAILEY_RUNTIME_CONSOLE_H

#include <poll.h>
#include <stddef.h>
#include <termios.h>

#include "common/err.h"

struct console_flow {
    int in, out; /* -1: ended */
    size_t off, len;
    char buf[8192];
};

struct console {
    int master, slave;
    bool raw; /* the caller's terminal is in raw mode; saved is how it was */
    struct termios saved;
    struct console_flow to_container, to_caller;
};

#define CONSOLE_INIT                                                                                         \
    {                                                                                                        \
        .master = -1, .slave = -1, .to_container = {.in = -1, .out = -1}, .to_caller = {                     \
            .in = -1,                                                                                        \
            .out = -1                                                                                        \
        }                                                                                                    \
    }

/* Makes the pty, with a window of height x width (0: that of the terminal at stdin, if it is one).
 * shown_here: by console_attach, not by who gets the master. */
int console_open(struct console *c, unsigned short height, unsigned short width, bool shown_here,
                 struct err *e);

/* Sends the master over the unix stream socket at path, as runc does, and closes it here. */
int console_send(struct console *c, const char *path, struct err *e);

/* Puts the caller's terminal (stdin) into raw mode and begins to copy between it and the master. */
int console_attach(struct console *c, struct err *e);

/* Takes the window size of the caller's terminal over; at SIGWINCH. */
void console_resize(struct console *c);

/* The copying, in a poll loop: fills fds[0..2] before poll, and moves bytes after it. */
void console_poll_fds(const struct console *c, struct pollfd fds[3]);
void console_copy(struct console *c, const struct pollfd fds[3]);

/* Writes what the container's side still holds, after its last process is gone. */
void console_drain(struct console *c);

/* Restores the caller's terminal and closes everything. */
void console_close(struct console *c);

#endif
