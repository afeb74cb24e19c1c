/* What runtime, keep and porter say to each other: fixed-size messages on SOCK_SEQPACKET sockets. */
#ifndef BAILEY_PLATFORM_MESSAGES_H
#define BAILEY_PLATFORM_MESSAGES_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* Runtime and keep. */
enum control_type {
    /* While a sandbox is made, on the socket that both were born with. */
    CONTROL_IN_USERNS = 1, /* keep: my user namespace wants its mappings */
    CONTROL_MAPPED,        /* runtime: they are written */
    CONTROL_MOUNTED,       /* keep: mounts made, before pivot_root: now the hooks */
    CONTROL_HOOKS_DONE,    /* runtime: they ran. CONTROL_CGROUP has come before it */
    CONTROL_READY,         /* keep: the program was found and checked; send the first process */
    CONTROL_FAILED,        /* keep, porter: no; err says why */
    CONTROL_JOINED,        /* porter, on its own socket: its namespaces are as config.json wants them */

    /* Requests, there and on any connection to the sandbox's socket. Each gets one answer. */
    CONTROL_START,       /* let the container's program run -> STARTED once it was loaded, FAILED */
    CONTROL_STARTED,     /* answer */
    CONTROL_EXEC,        /* descriptors: porter's socket, packed spec, stdio or terminal -> STARTED, FAILED.
                            value: 1 for a hook, which runs before START; 0 for a program, which runs after it */
    CONTROL_STATUS,      /* -> STATUS with value: 1 once the program runs, and the sets of signals that init
                            takes (has a handler for, or keeps blocked), and that it ignores */
    CONTROL_PIDS,        /* -> PIDS with value: how many, and one descriptor: a file of int32_t host pids */
    CONTROL_SIGNAL,      /* value: signal number, to every process of the container -> DONE, FAILED */
    CONTROL_SIGNAL_INIT, /* the same to the first process alone */
    CONTROL_CGROUP, /* descriptors: a text with a line "DIRECTORY VERSION HIERARCHY CONTROLLERS:PATH" for each
                       hierarchy (DIRECTORY: the number of its descriptor among those that follow, or -1), and
                       the container's directories, which are the roots of detached mounts -> DONE, FAILED;
                       none while the sandbox is made */
    CONTROL_DEVICES, /* one descriptor: a directory of the devices of the host that the container has, named
                        as hostdev_name says -> DONE, FAILED */
    CONTROL_FREEZE,  /* value: 1 once the host has frozen the guests, 0 before it lets them go on -> DONE */
    CONTROL_PIDS_ANSWER,
    CONTROL_COUNTERS, /* -> COUNTERS and a descriptor: the text of keep/counters.h */
    CONTROL_DONE,
    CONTROL_JOIN,   /* a container for this sandbox; descriptors: enum join_fd of keep/container_init.h, the
                       last   `value` of them as those of CONTROL_CGROUP -> READY, FAILED. From then on the
                       connection is about that container */
    CONTROL_DETACH, /* runtime: what I made on this connection (on that of its making the container, on others
                       programs of EXEC) is known now, live on without me. No answer */
};

struct control_msg {
    uint32_t type;
    int32_t value;
    uint64_t handled, ignored; /* STATUS: bit n - 1 is signal n */
    struct err err;
};

#define MSG_FDS 48
#define CGROUP_FDS 21 /* of CONTROL_CGROUP: the text, and one for each hierarchy */

/* Porter and keep. */
enum porter_type {
    PORTER_GO = 1,   /* runtime: make the first guest. Descriptors: the sandbox's user and mount namespace */
    PORTER_STANDIN,  /* porter: the stand-in's socket, one descriptor with it; before LISTENER */
    PORTER_LISTENER, /* porter: the guests' listener, one descriptor with it */
    PORTER_SIGNAL,   /* porter: somebody sent a: signo, b: si_code, c: pid, d: uid */
    PORTER_EXIT,     /* keep: the program ended with wait status a: end with it */
};

struct porter_msg {
    uint32_t type;
    int32_t a, b, c;
    uint32_t d;
};

/* One message with at most one descriptor (-1: none). 0; -EPIPE when the other side is gone; -errno. */
int msg_send(int sock, const void *msg, size_t len, int fd);
/* The same with nfds descriptors, at most MSG_FDS. */
int msg_send_fds(int sock, const void *msg, size_t len, const int *fds, unsigned nfds);
/* Receives one message of exactly len bytes; *ret_fd (may be NULL) gets its descriptor or -1. 0; -EPIPE when
 * the other side is gone; -EBADMSG for anything else than such a message; -errno. */
int msg_recv(int sock, void *msg, size_t len, int *ret_fd);
/* The same with up to MSG_FDS descriptors: those that did not come are -1. */
int msg_recv_fds(int sock, void *msg, size_t len, int fds[MSG_FDS]);

/* *e for a message to or from who ("the sandbox") that came to r < 0: who is gone has ended, and sys_errno is
 * EPIPE then. Returns -1. */
int msg_failed(int r, const char *who, struct err *e);

#endif
