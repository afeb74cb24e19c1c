/* What runtime, keep and porter say to each other: fixed-size messages on SOCK_SEQPACKET sockets. */
#ifndef BAILEY_PLATFORM_MESSAGES_H
#define BAILEY_PLATFORM_MESSAGES_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* Runtime and keep. */
enum control_type {
    CONTROL_IN_USERNS = 1, /* keep: my user namespace wants its mappings */
    CONTROL_MAPPED,        /* runtime: they are written */
    CONTROL_READY,         /* keep: the program was found and checked; send the first process */
    CONTROL_FAILED,        /* keep: err says why; I am ending */
    CONTROL_START,         /* runtime: let the program run */
    CONTROL_STARTED,       /* keep: it does */
};

struct control_msg {
    uint32_t type;
    struct err err;
};

/* Porter and keep. */
enum porter_type {
    PORTER_LISTENER = 1, /* porter: the guests' listener, one descriptor with it */
    PORTER_SIGNAL,       /* porter: somebody sent a: signo, b: si_code, c: pid, d: uid */
    PORTER_DEATH,        /* porter: some guest process was killed by native signal a */
    PORTER_EXIT,         /* keep: the container's init ended with wait status a: end with it */
};

struct porter_msg {
    uint32_t type;
    int32_t a, b, c;
    uint32_t d;
};

/* One message with at most one descriptor (-1: none). 0 or -errno. */
int msg_send(int sock, const void *msg, size_t len, int fd);
/* Receives one message of exactly len bytes; *ret_fd (may be NULL) gets its descriptor or -1. 0; -EPIPE when the other side is
 * gone; -EBADMSG for anything else than such a message; -errno. */
int msg_recv(int sock, void *msg, size_t len, int *ret_fd);

#endif
