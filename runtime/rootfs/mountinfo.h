/* /proc/self/mountinfo, line by line (proc_pid_mountinfo(5)). */
#ifndef BAILEY_RUNTIME_MOUNTINFO_H
#define BAILEY_RUNTIME_MOUNTINFO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What is between open and close; the strings are the line's, and good until the next one. */
struct mountinfo {
    FILE *f;
    char *line;
    size_t size;
    uint64_t id;
    char *root, *point, *type; /* without the escapes */
    unsigned master;           /* the peer group it is a slave of; 0: none */
};

#define MOUNTINFO_INIT                                                                                       \
    {                                                                                                        \
        .f = NULL, .line = NULL                                                                              \
    }

/* False, with errno: it cannot be read. To be closed in either case. */
bool mountinfo_open(struct mountinfo *i);
/* False: there are no more. */
bool mountinfo_next(struct mountinfo *i);
void mountinfo_close(struct mountinfo *i);

#endif
