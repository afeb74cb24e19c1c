/* struct gate_shared as the assembly knows it; sandbox/gate/patch.c asserts all of it. */
#ifndef BAILEY_GATE_X86_64_SLOTS_H
#define BAILEY_GATE_X86_64_SLOTS_H

#define LANES 0xe0000
#define SOCKETS 0xe0080
#define PLAIN 0xe0100
#define LANE_FDS 1024
#define SLOTS 0xe0600
#define SLOTS_SIZE 0x10000
#define SLOT_SIZE 128
#define SLOT_RET 0
#define SLOT_NR 8
#define SLOT_VALID 12
#define VALID_IDS 1  /* GATE_VALID_IDS */
#define VALID_SELF 8 /* GATE_VALID_SELF */
#define ACTIONS 0xf0600
#define SLOT_PID 16
#define SLOT_TID 20
#define SLOT_UID 24
#define SLOT_EUID 28
#define SLOT_GID 32
#define SLOT_EGID 36
#define SLOT_UNTOUCHED 40
#define SLOT_ANSWERED 48
#define SLOT_TRANSFERS 56
#define SLOT_SI 64
#define SLOT_DX 72
#define SLOT_R10 80
#define SLOT_R9 88
#define SLOT_BLOCKED 96
#define SLOT_MARKS 104
#define SLOT_ROBUST 112
#define SLOT_R8 120

#endif
