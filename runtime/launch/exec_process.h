/* What `bailey exec` runs: from its options, and the container's own process. */
#ifndef BAILEY_RUNTIME_EXEC_PROCESS_H
#define BAILEY_RUNTIME_EXEC_PROCESS_H

#include "oci/config.h"
#include "runtime/commands/options.h"

struct exec_options {
    const char *process, *pid_file, *console_socket, *pidfd_socket, *cwd, *user, *preserve_fds;
    const char *process_label, *apparmor;
    bool detach, tty, no_new_privs, ignore_paused;
    struct option_list env, gids, caps, cgroups;
};

/* The container's process with other arguments, then the options. What *p points to is c's or the caller's.
 */
int exec_process_args(const struct exec_options *o, const struct oci_config *c, char **args,
                      struct oci_process *p, struct err *e);

/* Changes *p as the options say; memory is of c's arena. */
int exec_process_options(const struct exec_options *o, const struct oci_config *c, struct oci_process *p,
                         struct err *e);

#endif
