/* What config.json asks for the host processes of a program: its score for the OOM killer, CPUs, scheduling,
 * memory policy, personality (OCI config.md "Linux Process", config-linux.md "Memory policy", "Personality").
 */
#ifndef BAILEY_RUNTIME_CONFINE_H
#define BAILEY_RUNTIME_CONFINE_H

#include <sys/types.h>

#include "common/err.h"
#include "sandbox/keep/container/confine.h"

struct oci_linux;
struct oci_process;

/* p may be NULL. Finds out, in a child, whether the host grants what is asked: 0, or -1 with *e naming the
 * field. */
int confine_init(const struct oci_process *p, const struct oci_linux *lx, struct keep_confine *ret,
                 struct err *e);

/* For a porter without guests: process.oomScoreAdj, which they inherit. p may be NULL. */
int confine_oom(const struct oci_process *p, pid_t porter, struct err *e);

/* The CPUs of a list such as "0-3,7" (checked already; NULL or "": nothing to do) for one process. field
 * names it. */
int confine_affinity(const char *list, pid_t pid, const char *field, struct err *e);

#endif
