/* The filter of guest processes, from seccomp-profiles/gate.def. libseccomp knows nothing of instruction
 * pointers, by which this one tells gate code from guest code, so its few classic BPF instructions are put
 * together here. */
#ifndef BAILEY_PLATFORM_GATE_FILTER_H
#define BAILEY_PLATFORM_GATE_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

#define GATE_FILTER_MAX 512

/* Writes the program; returns its length. all_calls: nothing of guest code goes natively (strace, a container
 * profile). */
unsigned gate_filter_build(struct sock_filter prog[GATE_FILTER_MAX], bool all_calls);

#endif
