/* What porter and relay have in common. */
#ifndef BAILEY_PLATFORM_PORTER_PARTS_H
#define BAILEY_PLATFORM_PORTER_PARTS_H

#include <stdbool.h>

struct porter;

/* As after a SIGKILL: the sandbox broke. */
#define PORTER_BROKEN 137

/* Blocks all signals, takes the terminal, enters the keep's mount namespace where it is to. A signalfd for
 * all signals, or -1 with errno. */
int porter_begin(const struct porter *p);

/* Takes one signal, and tells the keep of it. True: it is the end of a child, or the like, and the keep need
 * not know. */
bool porter_take_signal(int sigfd, int keep_fd);

#endif
