/* Filters that a program puts on itself (seccomp(2)). */
#ifndef TESTS_GUEST_FILTERED_H
#define TESTS_GUEST_FILTERED_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define RET(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_CALL(nr, v) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), RET(v)

/* As the call answers; the right to it is the caller's. */
static inline int filter_try(const struct sock_filter *f, size_t n, unsigned flags)
{
    struct sock_fprog p = {.len = (unsigned short)n, .filter = (struct sock_filter *)f};

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

static inline void filter_install(const struct sock_filter *f, size_t n, unsigned flags)
{
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(filter_try(f, n, flags) == 0);
}

#define TRY(f, flags) filter_try((f), sizeof(f) / sizeof((f)[0]), (flags))
#define INSTALL(f, flags) filter_install((f), sizeof(f) / sizeof((f)[0]), (flags))

#endif
