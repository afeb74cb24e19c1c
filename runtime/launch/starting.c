#include "runtime/launch/starting.h"

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/hooks/hooks.h"
#include "runtime/launch/launch.h"

static int enter_cgroup(void *arg, pid_t porter, struct err *e)
{
    const struct starting *s = arg;
    return cgroup_attach(s->cgroup, porter, e);
}

static int run_hooks(const struct starting *s, struct err *e)
{
    _cleanup_close_ int keep = procid_open(&s->keep), porter = procid_open(&s->porter);
    struct launch_exec sandbox = {.control_fd = s->control_fd,
                                  .keep = s->keep.pid,
                                  .keep_fd = keep,
                                  .porter_fd = porter,
                                  .strace = s->strace,
                                  .more_fd = -1,
                                  .arg = (void *)(uintptr_t)s,
                                  .cgroup = s->cgroup,
                                  .porter_made = enter_cgroup};

    if (keep < 0 || porter < 0)
        return err_set(e, ERR_STATE, 0, "the container has ended");
    return hooks_start_container(s->hooks, &sandbox, e);
}

int starting_run(const struct starting *s, struct err *e)
{
    bool inside = s->hooks && s->hooks->config->hooks[OCI_HOOK_START_CONTAINER].n > 0;

    if (inside && run_hooks(s, e))
        return -1;
    if (launch_start(s->control_fd, e))
        return -1;
    return s->hooks ? hooks_poststart(s->hooks, s->porter.pid, e) : 0;
}
