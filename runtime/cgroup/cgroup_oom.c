/* To hear at once when memory was out. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "common/cleanup.h"
#include "common/keyed.h"
#include "runtime/cgroup/cgroup_internal.h"

/* Version 1: cgroup.event_control ties an eventfd to memory.oom_control (the kernel's admin-guide,
 * cgroup-v1/memory). */
static int watch_v1(const struct cgroup_tree *t, const char *path)
{
    char file[PATH_MAX], text[64];

    _cleanup_close_ int control =
        cgroup_file(t, path, "memory.oom_control", file) ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    _cleanup_close_ int fd = control < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0 || !cgroup_file(t, path, "cgroup.event_control", file))
        return -1;
    snprintf(text, sizeof(text), "%d %d", fd, control);
    return cgroup_write(file, text) ? -1 : steal_fd(&fd);
}

static int watch_v2(const struct cgroup_tree *t, const char *path)
{
    char file[PATH_MAX];
    _cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0 || !cgroup_file(t, path, "memory.events", file) || inotify_add_watch(fd, file, IN_MODIFY) < 0)
        return -1;
    return steal_fd(&fd);
}

int cgroup_oom_watch(const struct cgroup *cg)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_MEMORY);

    if (!t)
        return -1;
    return t->version == 1 ? watch_v1(t, cg->path) : watch_v2(t, cg->path);
}

uint64_t cgroup_oom_kills(const struct cgroup *cg)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_MEMORY);
    _cleanup_free_ char *text =
        t ? cgroup_read_of(cg, CG_MEMORY, t->version == 2 ? "memory.events" : "memory.oom_control") : NULL;

    return keyed_value(text, "oom_kill", 0);
}
