/* Control groups of version 2. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static bool is_frozen(const struct cgroup_tree *t, const char *path)
{
    char file[PATH_MAX];
    _cleanup_free_ char *text = cgroup_file(t, path, "cgroup.events", file) ? cgroup_read(file) : NULL;

    return text && strstr(text, "frozen 1");
}

static int freeze(const struct cgroup_tree *t, const char *path, bool frozen)
{
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    char file[PATH_MAX];

    if (!cgroup_file(t, path, "cgroup.freeze", file))
        return ENAMETOOLONG;
    int r = cgroup_write(file, frozen ? "1" : "0");
    for (int i = 0; r == 0 && is_frozen(t, path) != frozen; i++) {
        if (i == 2000)
            return ETIMEDOUT;
        nanosleep(&moment, NULL);
    }
    return r;
}

const struct cgroup_ops cgroup_v2 = {.set_up = set_up, .freeze = freeze, .is_frozen = is_frozen};
