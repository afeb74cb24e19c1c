/* Control groups of version 2. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup_internal.h"

/* A controller works below a directory once the directory hands it on: all that it has, those too that only
 * "unified" knows of. */
static int set_up(const struct cgroup_tree *t, const char *parent, const char *path, unsigned needed)
{
    char file[PATH_MAX], word[64], *save = NULL;
    int failed = 0;

    (void)path;
    _cleanup_free_ char *list = cgroup_file(t, parent, "cgroup.controllers", file) ? cgroup_read(file) : NULL;
    if (!list || !cgroup_file(t, parent, "cgroup.subtree_control", file))
        return list ? ENAMETOOLONG : errno;
    for (char *name = strtok_r(list, " \n", &save); name; name = strtok_r(NULL, " \n", &save)) {
        enum cgroup_ctl c = cgroup_ctl_by_name(name, strlen(name), 2);
        snprintf(word, sizeof(word), "+%.60s", name);
        int r = cgroup_write(file, word);
        if (r && c != CG_CTLS && needed & 1U << c)
            failed = r;
    }
    return failed;
}

static bool contains(const struct cgroup_tree *t, const char *path, const char *name, const char *word)
{
    char file[PATH_MAX];
    _cleanup_free_ char *text = cgroup_file(t, path, name, file) ? cgroup_read(file) : NULL;

    return text && strstr(text, word);
}

/* What it was told: "frozen 1" in cgroup.events says that everything has obeyed. */
static bool is_frozen(const struct cgroup_tree *t, const char *path)
{
    return contains(t, path, "cgroup.freeze", "1");
}

static bool is_whole(const struct cgroup_tree *t, const char *path)
{
    return contains(t, path, "cgroup.events", "frozen 1");
}

static int freeze(const struct cgroup_tree *t, const char *path, bool frozen)
{
    static const struct cgroup_freezer f = {"cgroup.freeze", "1", "0", is_whole};

    return cgroup_freeze_by(&f, t, path, frozen);
}

const struct cgroup_ops cgroup_v2 = {.set_up = set_up, .freeze = freeze, .is_frozen = is_frozen};
