/* Where in the container's cgroup one more program goes: exec's --cgroup. */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup_internal.h"
#include "runtime/commands/options.h"

struct places {
    const char *of[CGROUP_TREES_MAX]; /* below the container's cgroup; NULL: itself */
};

static int check_path(const char *arg, const char *path, struct err *e)
{
    for (const char *s = path + strspn(path, "/"); *s; s += strspn(s, "/")) {
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.')
            return err_set(e, ERR_USAGE, 0, "option --cgroup: \"%.100s\" leads out of the container's cgroup",
                           arg);
        s += n;
    }
    return 0;
}

/* "cpu,memory": path goes to each hierarchy that has one of them. */
static int set_place(const struct cgroup *cg, const char *arg, size_t len, const char *path, struct places *p,
                     struct err *e)
{
    for (const char *s = arg; s < arg + len;) {
        size_t n = strcspn(s, ",:");
        enum cgroup_ctl c = cgroup_ctl_by_name(s, n, 1);
        const struct cgroup_tree *t = c == CG_CTLS ? NULL : cgroup_tree_of(cg, c);
        if (!t || t->version != 1)
            return err_set(e, ERR_USAGE, 0,
                           "option --cgroup: the container is in no cgroup of version 1 for \"%.*s\"", (int)n,
                           s);
        size_t i = (size_t)(t - cg->trees);
        if (p->of[i] && p->of[i] != path)
            return err_set(e, ERR_USAGE, 0, "option --cgroup: \"%.*s\" is named twice", (int)n, s);
        p->of[i] = path;
        s += n + 1;
    }
    return 0;
}

/* What each option says; one without a controller is for all, and stands alone. */
static int find_places(const struct cgroup *cg, const struct option_list *args, struct places *p,
                       struct err *e)
{
    for (size_t k = 0; k < args->n; k++) {
        const char *arg = args->v[k], *colon = strchr(arg, ':'), *path = colon ? colon + 1 : arg;
        if (check_path(arg, path, e))
            return -1;
        if (!colon && args->n > 1)
            return err_set(e, ERR_USAGE, 0,
                           "option --cgroup: \"%.100s\" names no controller, but there are several", arg);
        for (unsigned i = 0; !colon && i < cg->ntrees; i++)
            p->of[i] = path;
        if (colon && set_place(cg, arg, (size_t)(colon - arg), path, p, e))
            return -1;
    }
    return 0;
}

int cgroup_attach_at(const struct cgroup *cg, const struct option_list *args, pid_t pid, struct err *e)
{
    struct places p = {{NULL}};
    char path[PATH_MAX], file[PATH_MAX], text[16];

    if (find_places(cg, args, &p, e))
        return -1;
    if (args->n > 0 && cg->ntrees == 0)
        return err_set(e, ERR_USAGE, 0, "option --cgroup: the container has no cgroup");
    if (args->n == 0)
        return cgroup_attach(cg, pid, e);
    snprintf(text, sizeof(text), "%d", pid);
    for (unsigned i = 0; i < cg->ntrees; i++) {
        const char *sub = p.of[i] ? p.of[i] + strspn(p.of[i], "/") : "";
        bool fits =
            snprintf(path, sizeof(path), "%s%s%s", cg->path, *sub ? "/" : "", sub) < (int)sizeof(path);
        int r = fits && cgroup_file(&cg->trees[i], path, "cgroup.procs", file) ? cgroup_write(file, text)
                                                                               : ENAMETOOLONG;
        if (r == ENOENT && *sub)
            return err_set(e, ERR_NOENT, 0, "option --cgroup: there is no cgroup %s%s", cg->trees[i].mount,
                           path);
        if (r)
            return err_set(e, ERR_SYS, r, "cannot move a process into cgroup %s", file);
    }
    return 0;
}
