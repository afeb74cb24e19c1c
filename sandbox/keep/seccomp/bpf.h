/* Classic BPF as seccomp allows it: checking and running. No locks, no allocation. */
#ifndef BAILEY_KEEP_BPF_H
#define BAILEY_KEEP_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

/* Only known instructions, jumps forward and inside, memory initialised before use is not required (it is
 * zero), a return at the end. */
bool bpf_valid(const struct sock_filter *insns, unsigned len);

/* A valid program's verdict: a SECCOMP_RET_* with its data. */
uint32_t bpf_run(const struct sock_filter *insns, const struct seccomp_data *data);

/* Where a valid program, asked about x86-64 call nr, first looks at more than number and architecture, or has
 * its verdict: bpf_run may begin there, with the same result. 0 if there is no such place. */
unsigned bpf_start(const struct sock_filter *insns, unsigned len, int nr);

/* Whether a valid program allows x86-64 call nr whatever its arguments and its caller are: nothing but number
 * and architecture is looked at on the way. As the host's kernel decides it for its own cache. */
bool bpf_always_allows(const struct sock_filter *insns, unsigned len, int nr);

#endif
