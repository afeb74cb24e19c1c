/* Control groups of version 2. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "runtime/cgroup_internal.h"

/* A controller works below a directory once the directory hands it on. */
static int set_up(const struct cgroup_tree *t, const char *parent, const char *path, unsigned needed)
{
    char file[PATH_MAX], word[32];
    int failed = 0;

    (void)path;
    if (!cgroup_file(t, parent, "cgroup.subtree_control", file))
        return ENAMETOOLONG;
    for (enum cgroup_ctl c = 0; c < CG_UNIFIED; c++) {
        const char *name = cgroup_ctl_name(c, 2);
        if (!name || !(t->ctls & 1U << c))
            continue;
        snprintf(word, sizeof(word), "+%s", name);
        int r = cgroup_write(file, word);
        if (r && needed & 1U << c)
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
