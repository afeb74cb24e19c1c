/* Running one hook: its process, its time, what it said. */
#ifndef BAILEY_RUNTIME_HOOK_RUN_H
#define BAILEY_RUNTIME_HOOK_RUN_H

#include "runtime/hooks/hooks.h"

/* One hook to run. */
struct hook_job {
    const struct hooks *hooks;
    const char *kind; /* its name in config.json, and its place there: for messages */
    size_t index;
    const struct oci_hook *hook;
    int state;        /* its stdin */
    char *const *env; /* where the hook has none of its own */
    pid_t namespaces; /* a process whose pid, net, ipc and uts namespaces are joined, or 0 */
};

/* Runs it to its end, on the host, with the bundle as its working directory. 0, or -1 with *e. */
int hook_run(const struct hook_job *j, struct err *e);

/* The same inside the sandbox. */
int hook_run_guest(const struct hook_job *j, const struct launch_exec *sandbox, struct err *e);

#endif
