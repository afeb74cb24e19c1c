/* What the global options come to. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/commands/cmd.h"
#include "runtime/commands/options.h"

static const char default_root[] = "/run/bailey";

/* Whether this is the root of a user namespace only, as podman's is that a user runs. USER=root says that the
 * one outside is root all the same, whose XDG_RUNTIME_DIR may go with his session while his containers stay.
 */
static bool is_users_root(void)
{
    const char *user = getenv("USER");
    unsigned inside, outside, count;
    _cleanup_fclose_ FILE *f = fopen("/proc/self/uid_map", "re");

    if (user && strcmp(user, "root") == 0)
        return false;
    return f && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3 &&
           (inside != 0 || outside != 0 || count != UINT32_MAX);
}

/* Who is not root has no /run, but a directory of its own that ends with its session. */
static int settle_root(struct globals *g, struct err *e)
{
    static char path[4096];
    const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
    bool own = geteuid() != 0 || g->rootless == ROOTLESS_TRUE || (runtime_dir && is_users_root());

    g->root = g->root_dir ? g->root_dir : default_root;
    if (g->root_dir || !own || !runtime_dir || runtime_dir[0] != '/')
        return 0;
    if (snprintf(path, sizeof(path), "%s/bailey", runtime_dir) >= (int)sizeof(path))
        return err_set(e, ERR_USAGE, 0, "XDG_RUNTIME_DIR: longer than a path may be");
    g->root = path;
    return 0;
}

int globals_settle(struct globals *g, struct err *e)
{
    if (g->rootless_word)
        g->rootless = (enum rootless)options_choice("auto|true|false", g->rootless_word);
    if (g->manager_word)
        g->cgroup_manager = (enum cgroup_manager)options_choice("cgroupfs|systemd|disabled", g->manager_word);
    if (g->systemd_cgroup && g->manager_word && g->cgroup_manager != CGROUP_MANAGER_SYSTEMD)
        return err_set(e, ERR_USAGE, 0, "option --systemd-cgroup: contradicts --cgroup-manager %s",
                       g->manager_word);
    if (g->systemd_cgroup)
        g->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
    return settle_root(g, e);
}
