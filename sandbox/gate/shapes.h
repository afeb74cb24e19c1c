/* The calls of mailbox.def by their numbers: for mailbox.c alone. */
#ifndef BAILEY_GATE_SHAPES_H
#define BAILEY_GATE_SHAPES_H

#include <asm/unistd.h>
#include <stdint.h>

#include "sandbox/gate/gate.h"

/* As mailbox.def has it. */
struct shape {
    int8_t string, in, out;
    uint8_t in_size;
    uint16_t out_size;
};

static const struct shape shapes[] = {
    {-1, -1, -1, 0, 0},
#define MAILBOX(call, string, in, in_size, out, out_size) {string, in, out, in_size, out_size},
#include "sandbox/gate/mailbox.def"
#undef MAILBOX
};

enum {
    SHAPE_NONE,
#define MAILBOX(call, string, in, in_size, out, out_size) SHAPE_##call,
#include "sandbox/gate/mailbox.def"
#undef MAILBOX
};

INLINE const struct shape *shape_of(uint64_t nr)
{
    switch (nr) {
#define MAILBOX(call, string, in, in_size, out, out_size)                                                    \
    case __NR_##call:                                                                                        \
        return &shapes[SHAPE_##call];
#include "sandbox/gate/mailbox.def"
#undef MAILBOX
    default:
        return &shapes[SHAPE_NONE];
    }
}

#endif
