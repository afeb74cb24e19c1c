#include "runtime/starting.h"

#include "runtime/cgroup.h"
#include "runtime/hooks.h"
#include "runtime/launch.h"

static int enter_cgroup(void *arg, pid_t porter, struct err *e)
{
    const struct starting *s = arg;
    return cgroup_attach(s->cgroup, porter, e);
}

int starting_run(const struct starting *s, struct err *e)
{
    struct launch_exec sandbox = {.control_fd = s->control_fd,
                                  .keep = s->keep,
                                  .porter = s->porter,
                                  .strace = s->strace,
                                  .arg = (void *)(uintptr_t)s,
                                  .porter_made = enter_cgroup};

    if (s->hooks && hooks_start_container(s->hooks, &sandbox, e))
        return -1;
    if (launch_start(s->control_fd, e))
        return -1;
    return s->hooks ? hooks_poststart(s->hooks, s->porter, e) : 0;
}
