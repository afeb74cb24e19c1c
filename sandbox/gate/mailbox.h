/* The mailbox: memory that a thread's gate and the keep share, for calls that take paths and give small
 * results.
 *
 * A call from a patched site whose number is in mailbox.def is written down in the thread's page by the gate
 * (mailbox.c), together with the bytes that its pointers lead to. Then either the doorbell rings, and the
 * keep finds those bytes in the page instead of fetching them, or, while the keep looks at the page by itself
 * (`served`), there is no doorbell at all. What the keep would write to the guest's memory it leaves in the
 * page, and the gate copies it.
 *
 * The page is the process's own: not its children's (MADV_DONTFORK), nor the next program's. The keep reads
 * each field once and believes none: what a guest writes here is what it could have asked for by the call
 * itself. */
#ifndef BAILEY_GATE_MAILBOX_H
#define BAILEY_GATE_MAILBOX_H

#include <stdint.h>

#include "sandbox/gate/abi.h"

#define MAILBOX_THREADS 32 /* of a process, by their slots; those above have none */
#define MAILBOX_PAGE 4096U
#define MAILBOX_PAGES (MAILBOX_THREADS + 1) /* the last one is struct gate_later */
#define MAILBOX_IN 2944U
#define MAILBOX_OUT 1024U

enum mailbox_state {
    MAILBOX_FREE,
    MAILBOX_POSTED,   /* by the gate: a call is there to be taken */
    MAILBOX_TAKEN,    /* by the keep */
    MAILBOX_SLEEPING, /* by the gate: taken, and a thread sleeps on this word (futex) until it is done */
    MAILBOX_DONE,     /* by the keep: `result` is there */
};

/* Instead of a result: the call is to be made by its own instruction, or natively where it stands (close). */
#define MAILBOX_RING (-0x72696e67L)
#define MAILBOX_NATIVE (-0x6e617469L)

/* What a pointer leads to: size bytes of `in` from off on, which are those at addr in the guest's memory. */
struct mailbox_part {
    uint64_t addr;
    uint32_t off, size;
};

struct gate_mailbox {
    uint32_t state;  /* enum mailbox_state */
    uint32_t served; /* the keep's: it looks at state; the gate's 0: it does not, it seems */
    uint32_t nr;
    uint32_t out_size; /* the keep's: bytes of `out` that are meant for out_addr */
    uint64_t arg[6];
    int64_t result;
    uint64_t out_addr;
    struct mailbox_part part[2];
    char in[MAILBOX_IN];
    char out[MAILBOX_OUT];
};

_Static_assert(sizeof(struct gate_mailbox) <= MAILBOX_PAGE, "a mailbox is a page");

/* Closes that the gate of a process with one thread has made natively, and the O_NONBLOCK of a socket that it
 * has just got, which the keep hears of with the process's next call, or by looking here by itself
 * (sandbox/keep/lanes/later.c has the rules). */
#define LATER_MOST 16U

/* A file that the process opens, closes and opens again all the time (sandbox/keep/lanes/kept.c has the
 * rules): the gate has it at GATE_HOME_FD, and gives it out by the lowest number that is free when the same
 * call opens it: nothing of the host's is at that number. */
#define KEPT_PATH 256U

enum kept_state {
    KEPT_NONE,
    KEPT_OPEN,    /* as fd */
    KEPT_DORMANT, /* closed, as far as anybody is concerned */
};

struct gate_kept {
    uint32_t granted; /* the keep's: what follows is true */
    uint32_t state;   /* enum kept_state; the gate's, where it is granted */
    uint32_t fd;      /* the keep's, and then the gate's */
    uint32_t flags;   /* of its open(2) */
    uint32_t size;    /* of path, with its end */
    uint32_t asking;  /* the gate's: it asks GATE_KEPT_FD whether something has changed, and has no answer */
    uint32_t lowest;  /* all descriptors below are in use, */
    uint32_t exact;   /* and this one is not. The keep's, and then the gate's */
    uint32_t opened, closed, asked; /* the gate's counts, of open, close and stat */
    uint32_t limit;                 /* the keep's: RLIMIT_NOFILE */
    uint32_t any, plain;            /* the gate's: fd's bits of struct gate_lanes before */
    char path[KEPT_PATH];
};

/* Values of the event descriptor that a signalfd is (signalfd.h). */
#define SIGNALFD_ASK 1U /* there are signals: the keep is to be asked */
#define SIGNALFD_TOKEN 2U
#define SIGNALFD_INFO 128U /* struct signalfd_siginfo */

struct gate_later {
    uint64_t may[GATE_LANE_FDS / 64];   /* the keep's: a bit for each descriptor that may be closed so */
    uint32_t closing;                   /* the gate's: it acts on what it finds in may */
    uint32_t told;                      /* the gate's: closes so far, the last ones in fd */
    uint32_t heard;                     /* the keep's: those that it knows of */
    int32_t fd[LATER_MOST];             /* by their number, modulo LATER_MOST */
    uint64_t sends[GATE_LANE_FDS / 64]; /* the keep's: lanes that are stream sockets, for sendfile */
    uint32_t changes;                   /* the keep's: counts numbers whose lane is, or becomes, another */
    uint32_t fresh;        /* the keep's: 1 + a socket that nobody but this gate knows yet; 0: none */
    uint32_t nonblock;     /* the gate's: whether that is O_NONBLOCK, as it was made or by F_SETFL since */
    struct gate_kept kept; /* `closing` is 1 while the gate changes its state */
    uint32_t signalfd;     /* the keep's: 1 + a signalfd whose tokens are the gate's to take; 0: none */
    uint32_t pad;
    char signal[2][SIGNALFD_INFO]; /* the keep's: what token SIGNALFD_TOKEN + n stands for */
    /* The keep's: a bit for each socket whose connect(2) goes on. The gate takes it away as it finds it
     * connected; where it finds an error instead, which is then gone, that is in `refused`, for `refuses`: 1
     * + its number. */
    uint64_t joins[GATE_LANE_FDS / 64];
    uint32_t refuses;
    int32_t refused;
};

_Static_assert(sizeof(struct gate_later) <= MAILBOX_PAGE, "so is what comes behind them");

/* Bytes of a sendfile by the gate: to copy more costs more than the doorbell. */
#define SENDFILE_MOST 32768U

#endif
