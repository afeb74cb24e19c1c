/* linux.seccomp of config.json as a program of classic BPF, compiled by libseccomp in the command: the keep
 * gets the finished program and runs it on its guests' calls (sandbox/keep/seccomp/seccomp.h). */
#ifndef BAILEY_RUNTIME_SECCOMP_H
#define BAILEY_RUNTIME_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "sandbox/platform/gate_filter.h"

struct oci_seccomp;
struct keep_process;

struct seccomp_profile {
    struct sock_filter *insns; /* NULL: no profile */
    unsigned n;
    bool log;               /* SECCOMP_FILTER_FLAG_LOG */
    bool notify;            /* some rule is SCMP_ACT_NOTIFY */
    bool killable;          /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
    struct call_set judged; /* calls that it does not allow whatever their arguments are */
};

/* s may be NULL: then there is no profile. Names of calls that libseccomp does not know are ignored, as
 * runc does, since a profile is written for many kernels. As there, calls newer than all that a denying
 * profile names give ENOSYS. 0; -1 with *e: ERR_CONFIG for what makes no sense (OCI config-linux.md,
 * "Seccomp"). */
int seccomp_compile(const struct oci_seccomp *s, struct seccomp_profile *ret, struct err *e);
void seccomp_profile_free(struct seccomp_profile *p);

/* What the keep is to know of it. The program stays p's. p may be NULL. */
void seccomp_for_process(const struct seccomp_profile *p, struct keep_process *kp);

#endif
