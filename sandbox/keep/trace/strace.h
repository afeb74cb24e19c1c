/* --strace: each guest call as one line, as strace(1) shows it. */
#ifndef BAILEY_KEEP_STRACE_H
#define BAILEY_KEEP_STRACE_H

#include "sandbox/keep/kernel.h"

/* Logs (level info) "[pid] name(args) = result <seconds>" for a call that began at start (CLOCK_MONOTONIC).
 * To be called before the call is answered: the guest's memory is read for strings and structs, and is still
 * as the call left it. */
void strace_call(struct task *t, const struct sysargs *a, long result, const struct timespec *start);

/* The same text into buf. Returns its length (cut to size - 1). */
size_t strace_format(struct task *t, const struct sysargs *a, long result, char *buf, size_t size);

/* strace_flags.c: the names of a set of bits or of a value, by the letter of the argument. */
struct strace_name {
    uint64_t value;
    const char *name;
};
struct strace_names {
    char letter;
    bool bits;                       /* else one value */
    uint64_t enum_mask;              /* the part of a bit set that is a value (O_ACCMODE) */
    const struct strace_name *names; /* ends with a NULL name; values first, where enum_mask is set */
};
const struct strace_names *strace_names_find(char letter);

/* A finer list of letters (strace.c) than the table's, for the usual calls and the gate's. NULL: none. */
struct strace_usual {
    int nr;
    const char *name; /* NULL: the table's */
    const char *args;
    bool hex_result;
};
const struct strace_usual *strace_usual_find(int nr);

#endif
