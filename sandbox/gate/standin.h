/* The stand-in: a process beside the guests that puts their calls to a seccomp agent (SCMP_ACT_NOTIFY). The
 * kernel gives a process one listener, and the guests' is the keep's; so for each call a child of the
 * stand-in makes it again, under a filter whose listener the agent has.
 *
 * The keep sends a request with its pages behind it and one end of a socket pair, on which the child says
 * that it is there (one byte), then gives the reply and waits for the keep to close. It is the gate's image
 * that runs as a stand-in, so that nothing but the guest's own pages lies above GATE_LIMIT. */
#ifndef BAILEY_GATE_STANDIN_H
#define BAILEY_GATE_STANDIN_H

#include "sandbox/gate/abi.h"

/* Where the call that the agent sees returns to: by this the filter knows it. */
#define STANDIN_IP (GATE_BASE + 0x42)

#define STANDIN_SOCKET 1 /* the stand-in's: requests */
/* What takes the numbers that the guest has in use: a path descriptor of an empty directory */
#define STANDIN_FILLER 2
#define STANDIN_FILE 3     /* what the guest's mmap maps: a file of the memory */
#define STANDIN_REPLY 1000 /* the child's: its end of the pair; behind it, the above two */
#define STANDIN_PAGES 40
#define STANDIN_FDS 32

/* A page of the child's that its clones share. */
#define STANDIN_MARK 0xff000UL
struct standin_mark {
    volatile uint32_t cloned; /* a clone was here */
    int32_t tid;              /* the child's */
    uint64_t sp;
};

struct standin_request {
    int32_t nr;
    uint32_t npages;
    uint32_t next_fd; /* the lowest that the guest has free; below STANDIN_REPLY */
    uint32_t pad;
    uint64_t args[6];
    uint64_t page[STANDIN_PAGES]; /* addresses; the child has them without any access, which /proc/PID/mem
                                     ignores */
};

struct standin_reply {
    int64_t result;
    uint32_t fds;     /* bit n: descriptor next_fd + n was put there by the agent */
    uint32_t cloexec; /* likewise */
    uint32_t went_on; /* the agent let the child make the call, as far as that can be told (standin_call.c) */
    uint32_t pad;
};

/* The parts of the gate's image that make up the stand-in. */

/* Makes the child's memory and descriptors such that the call, if it is made, succeeds where the guest's
 * would, and leaves a trace. on_trace: where a call that can not come back goes to. */
void standin_prepare(const struct standin_request *q, void (*on_trace)(void));
/* The call came back with result: whether it was made, or answered. */
int standin_went_on(const struct standin_request *q, long result);

#endif
