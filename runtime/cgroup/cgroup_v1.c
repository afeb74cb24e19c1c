/* Control groups of version 1. */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup_internal.h"

/* A new cpuset is empty, and takes no process until it has processors and memory. ENODATA: so is the one
 * above. */
static int inherit(const struct cgroup_tree *t, const char *parent, const char *path, const char *file)
{
    char from[PATH_MAX], to[PATH_MAX];

    if (!cgroup_file(t, parent, file, from) || !cgroup_file(t, path, file, to))
        return ENAMETOOLONG;
    _cleanup_free_ char *have = cgroup_read(to);
    if (have && *have && *have != '\n')
        return 0;
    _cleanup_free_ char *text = cgroup_read(from);
    if (!text)
        return errno;
    return *text && *text != '\n' ? cgroup_write(to, text) : ENODATA;
}

static int set_up(const struct cgroup_tree *t, const char *parent, const char *path, unsigned needed)
{
    (void)needed;
    if (!(t->ctls & 1U << CG_CPUSET))
        return 0;
    int r = inherit(t, parent, path, "cpuset.cpus");
    return r ? r : inherit(t, parent, path, "cpuset.mems");
}

static bool reads(const struct cgroup_tree *t, const char *path, const char *word)
{
    char file[PATH_MAX];
    _cleanup_free_ char *text = cgroup_file(t, path, "freezer.state", file) ? cgroup_read(file) : NULL;

    return text && strncmp(text, word, strlen(word)) == 0;
}

static bool is_frozen(const struct cgroup_tree *t, const char *path)
{
    return !reads(t, path, "THAWED");
}

static bool is_whole(const struct cgroup_tree *t, const char *path)
{
    return reads(t, path, "FROZEN");
}

static int freeze(const struct cgroup_tree *t, const char *path, bool frozen)
{
    static const struct cgroup_freezer f = {"freezer.state", "FROZEN", "THAWED", is_whole};

    return cgroup_freeze_by(&f, t, path, frozen);
}

const struct cgroup_ops cgroup_v1 = {.set_up = set_up, .freeze = freeze, .is_frozen = is_frozen};
