#include "runtime/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_birth.h"
#include "runtime/cgroup/cgroup_internal.h"

static const char state_file[] = "cgroup";

static const struct cgroup_ops *ops(const struct cgroup_tree *t)
{
    return t->version == 1 ? &cgroup_v1 : &cgroup_v2;
}

static const struct cgroup_tree *freezer(const struct cgroup *cg)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_FREEZER);

    return t ? t : cgroup_tree_of(cg, CG_UNIFIED);
}

/* Appends the components of path, each checked. */
static int append(char ret[CGROUP_PATH_MAX], const char *path, struct err *e)
{
    size_t len = strlen(ret);

    for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
        size_t n = strcspn(path, "/");
        if (n == 1 && path[0] == '.') {
            path += n;
            continue;
        }
        if (n == 2 && path[0] == '.' && path[1] == '.')
            return err_set(e, ERR_CONFIG, 0, "config.json: linux.cgroupsPath: \"..\" may not stand in it");
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)path[i] < ' ' || path[i] == 127)
                return err_set(e, ERR_CONFIG, 0, "config.json: linux.cgroupsPath: a control character in it");
        if (n > NAME_MAX || len + n + 2 > CGROUP_PATH_MAX)
            return err_set(e, ERR_CONFIG, ENAMETOOLONG, "config.json: linux.cgroupsPath");
        ret[len++] = '/';
        memcpy(ret + len, path, n);
        len += n;
        ret[len] = '\0';
        path += n;
    }
    return 0;
}

int cgroup_path(const char *cgroups_path, const char *id, char ret[CGROUP_PATH_MAX], struct err *e)
{
    bool asked = cgroups_path && *cgroups_path;

    ret[0] = '\0';
    if (!asked)
        return append(ret, "bailey", e) || append(ret, id, e) ? -1 : 0;
    if (cgroups_path[0] != '/' && append(ret, "bailey", e))
        return -1;
    size_t base = strlen(ret);
    if (append(ret, cgroups_path, e))
        return -1;
    if (strlen(ret) == base)
        return err_set(e, ERR_CONFIG, 0,
                       "config.json: linux.cgroupsPath: \"%.40s\" names no cgroup of its own", cgroups_path);
    return 0;
}

int cgroup_find_trees(struct cgroup *cg, struct err *e)
{
    _cleanup_free_ char *text = cgroup_read("/proc/self/mountinfo");
    if (!text)
        return err_set(e, ERR_SYS, errno, "/proc/self/mountinfo");
    cgroup_parse_mounts(cg, text);
    for (unsigned i = 0; i < cg->ntrees; i++)
        cg->trees[i].existed = UINT_MAX; /* nothing to be removed until it was looked at */
    return 0;
}

int cgroup_plan(struct cgroup *cg, const char *cgroups_path, const char *id, struct err *e)
{
    *cg = (struct cgroup){.asked = cgroups_path && *cgroups_path};
    return cgroup_path(cgroups_path, id, cg->path, e) ? -1 : cgroup_find_trees(cg, e);
}

/* The path's first n components. */
static void prefix(const char *path, unsigned n, char ret[CGROUP_PATH_MAX])
{
    size_t len = 0;

    for (; n > 0 && path[len]; n--)
        len += 1 + strcspn(path + len + 1, "/");
    memcpy(ret, path, len);
    ret[len] = '\0';
}

static unsigned depth(const char *path)
{
    unsigned n = 0;

    for (; *path; path++)
        n += *path == '/';
    return n;
}

static bool directory_at(const struct cgroup_tree *t, const char *path)
{
    char dir[PATH_MAX];

    return cgroup_file(t, path, "", dir) && access(dir, F_OK) == 0;
}

/* One's own from before is taken only if nothing is in it and it lets processes run. */
static int check_old(const struct cgroup *cg, const struct cgroup_tree *t, struct err *e)
{
    char file[PATH_MAX];
    _cleanup_free_ char *pids = cgroup_file(t, cg->path, "cgroup.procs", file) ? cgroup_read(file) : NULL;

    if (pids && *pids)
        return err_set(e, ERR_STATE, EBUSY, "cgroup %s%s has processes in it", t->mount, cg->path);
    if (t->ctls & (t->version == 1 ? 1U << CG_FREEZER : 1U << CG_UNIFIED) && ops(t)->is_frozen(t, cg->path))
        return err_set(e, ERR_STATE, EBUSY, "cgroup %s%s is frozen", t->mount, cg->path);
    return 0;
}

static int look(struct cgroup *cg, struct err *e)
{
    char path[CGROUP_PATH_MAX];

    for (unsigned i = 0; i < cg->ntrees; i++) {
        struct cgroup_tree *t = &cg->trees[i];
        for (t->existed = 0; t->existed < depth(cg->path); t->existed++) {
            prefix(cg->path, t->existed + 1, path);
            if (!directory_at(t, path))
                break;
        }
        if (!cg->unit[0] && t->existed == depth(cg->path) && check_old(cg, t, e))
            return -1;
    }
    return 0;
}

int cgroup_save(const struct cgroup *cg, int state_dir, struct err *e)
{
    if (state_dir < 0)
        return 0;
    int fd = openat(state_dir, state_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    _cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        return err_set(e, ERR_SYS, errno, "the cgroup's file in the state directory");
    fprintf(f, "%s\n", cg->path);
    if (cg->unit[0])
        fprintf(f, "unit %s\n", cg->unit);
    for (unsigned i = 0; i < cg->ntrees; i++)
        fprintf(f, "%d %x %u %s\n", cg->trees[i].version, cg->trees[i].ctls, cg->trees[i].existed,
                cg->trees[i].mount);
    return fflush(f) ? err_set(e, ERR_SYS, errno, "the cgroup's file in the state directory") : 0;
}

int cgroup_load(struct cgroup *cg, int state_dir, struct err *e)
{
    char line[CGROUP_PATH_MAX + 2];

    *cg = (struct cgroup){.ntrees = 0};
    int fd = openat(state_dir, state_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 1;
    _cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (!f)
        return err_set(e, ERR_SYS, errno, "the cgroup's file in the state directory");
    if (!fgets(line, sizeof(line), f)) /* killed before anything was made */
        return 1;
    line[strcspn(line, "\n")] = '\0';
    memcpy(cg->path, line, strnlen(line, sizeof(cg->path) - 1));
    while (cg->ntrees < CGROUP_TREES_MAX && fgets(line, sizeof(line), f)) {
        struct cgroup_tree *t = &cg->trees[cg->ntrees];
        if (sscanf(line, "unit %255s", cg->unit) == 1)
            continue;
        if (sscanf(line, "%d %x %u %127[^\n]", &t->version, &t->ctls, &t->existed, t->mount) != 4)
            break;
        cg->ntrees++;
    }
    return 0;
}

/* mkdir of each component. Another container that ends may take a parent away in between, and one that begins
 * may just have made it and filled nothing in: then from the start, with what was there before as if it were
 * new. */
static int make_tree(const struct cgroup *cg, const struct cgroup_tree *t, unsigned needed)
{
    char parent[CGROUP_PATH_MAX], path[CGROUP_PATH_MAX], dir[PATH_MAX];
    unsigned n = depth(cg->path), filled = t->existed < n ? t->existed : n - 1;

    for (unsigned i = 1, tries = 0; i <= n; i++) {
        prefix(cg->path, i - 1, parent);
        prefix(cg->path, i, path);
        if (!cgroup_file(t, path, "", dir))
            return ENAMETOOLONG;
        int r = mkdir(dir, 0755) && errno != EEXIST ? errno : 0;
        if (!r && (t->version == 2 || i > filled))
            r = ops(t)->set_up(t, parent, path, needed);
        if ((r == ENOENT || r == ENODEV || r == ENODATA) && tries++ < 100)
            i = filled = 0;
        else if (r)
            return r;
    }
    return 0;
}

/* Which controllers the resources need. */
static int needed_by(const struct cgroup *cg, const struct oci_resources *res, unsigned *ret, struct err *e)
{
    _cleanup_(cgroup_sets_free) struct cgroup_sets sets = {0};
    int version[CG_CTLS];

    *ret = 0;
    for (enum cgroup_ctl c = 0; c < CG_CTLS; c++) {
        const struct cgroup_tree *t = cgroup_tree_of(cg, c);
        version[c] = t ? t->version : 0;
    }
    if (res && cgroup_sets_make(res, version, &sets, e))
        return -1;
    for (size_t i = 0; i < sets.n; i++)
        if (sets.list[i].ctl != CG_DEVICES) /* guests have no host devices, whatever it says */
            *ret |= 1U << sets.list[i].ctl;
    return 0;
}

static int make_trees(struct cgroup *cg, unsigned needed, struct err *e)
{
    int skipped = 0;

    if (cg->asked && cg->ntrees == 0)
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "config.json: linux.cgroupsPath: no cgroup file system is mounted here");
    for (unsigned i = 0; i < cg->ntrees; i++) {
        struct cgroup_tree *t = &cg->trees[i];
        int r = make_tree(cg, t, needed);
        if (r && (t->ctls & needed || cg->asked))
            return err_set(e, r == EROFS || r == EACCES ? ERR_PERM : ERR_SYS, r, "cannot make cgroup %s%s",
                           t->mount, cg->path);
        if (r) {
            skipped = r;
            cgroup_remove_tree(cg, t);
            t->ctls = 0;
        }
    }
    /* Without the host's root it is the usual case. */
    if (skipped == EACCES || skipped == EPERM)
        log_debug("cgroups: not all can be made (%s)", strerror(skipped));
    else if (skipped)
        log_warning("cgroups: not all can be made (%s); nothing is limited there", strerror(skipped));
    return 0;
}

/* Takes those out that make_trees gave up. */
static void drop_skipped(struct cgroup *cg)
{
    unsigned n = 0;

    for (unsigned i = 0; i < cg->ntrees; i++)
        if (cg->trees[i].ctls)
            cg->trees[n++] = cg->trees[i];
    cg->ntrees = n;
}

/* Every directory costs each start and each end of a container. */
static void keep_only(struct cgroup *cg, unsigned ctls)
{
    const struct cgroup_tree *f = freezer(cg);
    unsigned n = 0;

    if (f)
        ctls |= f->ctls;
    for (unsigned i = 0; i < cg->ntrees; i++)
        if (cg->trees[i].ctls & ctls)
            cg->trees[n++] = cg->trees[i];
    cg->ntrees = n;
}

int cgroup_create(struct cgroup *cg, const struct oci_resources *res, int state_dir, struct err *e)
{
    unsigned needed;

    if (needed_by(cg, res, &needed, e)) {
        cg->ntrees = 0;
        return -1;
    }
    /* Rules on devices confine the porter and the guests as the host sees them; to their own devices there is
     * no other way than the keep, so that it is no error where they cannot be had. */
    if (!cg->asked)
        keep_only(cg, needed | (res && res->ndevices ? 1U << CG_DEVICES : 0));
    if (look(cg, e) || cgroup_save(cg, state_dir, e) || make_trees(cg, needed, e)) {
        cgroup_remove(cg, state_dir);
        cg->ntrees = 0;
        return -1;
    }
    unsigned planned = cg->ntrees;
    drop_skipped(cg);
    return cg->ntrees < planned ? cgroup_save(cg, state_dir, e) : 0;
}

int cgroup_adopt(struct cgroup *cg, const struct oci_resources *res, int state_dir, struct err *e)
{
    unsigned needed;

    if (needed_by(cg, res, &needed, e) || look(cg, e) || cgroup_save(cg, state_dir, e) ||
        make_trees(cg, needed, e))
        return -1;
    drop_skipped(cg);
    return 0;
}

/* Those of all that res needs and cg does not have yet. */
static int missing_trees(const struct cgroup *cg, const struct oci_resources *res, struct cgroup *ret,
                         struct err *e)
{
    unsigned needed, n = 0;

    if (cgroup_plan(ret, NULL, "x", e) || needed_by(ret, res, &needed, e))
        return -1;
    memcpy(ret->path, cg->path, sizeof(ret->path));
    ret->asked = true;
    for (unsigned i = 0; i < ret->ntrees; i++) {
        const struct cgroup_tree *t = &ret->trees[i];
        bool have = false;
        for (unsigned k = 0; k < cg->ntrees; k++)
            have |= strcmp(cg->trees[k].mount, t->mount) == 0;
        if (t->ctls & needed && !have)
            ret->trees[n++] = *t;
    }
    ret->ntrees = n;
    return 0;
}

static int attach_all(const struct cgroup *to, const struct cgroup *from, struct err *e)
{
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0;

    if (cgroup_pids(from, &pids, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (cgroup_attach(to, pids[i], e) && e->sys_errno != ESRCH)
            return -1;
    return 0;
}

int cgroup_widen(struct cgroup *cg, const struct oci_resources *res, int state_dir, struct err *e)
{
    struct err ignored = ERR_INIT;
    struct cgroup more, all = *cg;

    if (missing_trees(cg, res, &more, e))
        return -1;
    if (more.ntrees == 0)
        return 0;
    if (look(&more, e))
        return -1;
    for (unsigned i = 0; i < more.ntrees && all.ntrees < CGROUP_TREES_MAX; i++)
        all.trees[all.ntrees++] = more.trees[i];
    /* Frozen, so that none is born outside meanwhile. */
    bool was_frozen = cgroup_is_frozen(cg);
    int r = cgroup_save(&all, state_dir, e) || make_trees(&more, 0, e) ||
                    (!was_frozen && cgroup_freeze(cg, true, e)) || attach_all(&more, cg, e)
                ? -1
                : 0;
    if (!was_frozen && cgroup_freeze(cg, false, r ? &ignored : e))
        r = -1;
    if (r == 0)
        *cg = all;
    return r;
}

static int attach(const struct cgroup *cg, unsigned ctls, pid_t pid, struct err *e)
{
    char file[PATH_MAX], text[16];

    snprintf(text, sizeof(text), "%d", pid);
    snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
    _cleanup_free_ char *now = cgroup_read(file);
    for (unsigned i = 0; i < cg->ntrees; i++) {
        if (!(cg->trees[i].ctls & ctls) || cgroup_is_in(cg, &cg->trees[i], now))
            continue;
        int r = cgroup_file(&cg->trees[i], cg->path, "cgroup.procs", file) ? cgroup_write(file, text)
                                                                           : ENAMETOOLONG;
        if (r)
            return err_set(e, ERR_SYS, r, "cannot move a process into cgroup %s", file);
    }
    return 0;
}

int cgroup_attach(const struct cgroup *cg, pid_t pid, struct err *e)
{
    return attach(cg, ~0U, pid, e);
}

int cgroup_attach_keep(const struct cgroup *cg, pid_t keep, struct err *e)
{
    static const unsigned counted =
        1U << CG_CPU | 1U << CG_CPUACCT | 1U << CG_MEMORY | 1U << CG_IO | 1U << CG_PIDS | 1U << CG_UNIFIED;

    return attach(cg, counted, keep, e);
}

/* Fewer than the porter and the first process. */
static bool pids_wait(const struct oci_resources *res)
{
    return res->pids_limit.set && (res->pids_limit.v == 0 || res->pids_limit.v == 1);
}

int cgroup_enter(const struct cgroup *cg, const struct oci_resources *res, pid_t porter, struct err *e)
{
    struct oci_resources now = *res;

    if (pids_wait(res))
        now.pids_limit.set = false;
    return cgroup_apply(cg, &now, e) || cgroup_attach(cg, porter, e) ? -1 : 0;
}

/* The sandbox is ready a little before the porter's first fork. */
static void await_first_process(const struct cgroup *cg)
{
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    struct err ignored = ERR_INIT;

    for (int i = 0; i < 2000; i++) {
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;
        if (cgroup_pids(cg, &pids, &n, &ignored) || n >= 2)
            return;
        nanosleep(&moment, NULL);
    }
}

/* The porter's child has its parent's adjustment if it comes after this, so this comes after it. */
int cgroup_settle(const struct cgroup *cg, const struct oci_resources *res, pid_t porter, struct err *e)
{
    struct oci_resources late = {.pids_limit = res->pids_limit};
    char file[64];

    if (!res->memory.limit.set && !pids_wait(res))
        return 0;
    await_first_process(cg);
    snprintf(file, sizeof(file), "/proc/%d/oom_score_adj", porter);
    if (res->memory.limit.set)
        (void)cgroup_write(file, "-1000");
    return pids_wait(res) ? cgroup_apply(cg, &late, e) : 0;
}

int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
    const struct cgroup_tree *t = freezer(cg);

    if (!t)
        return err_set(e, ERR_UNSUPPORTED, 0, "the container has no cgroup with a freezer");
    int r = ops(t)->freeze(t, cg->path, frozen);
    return r ? err_set(e, r == ETIMEDOUT ? ERR_TIMEOUT : ERR_SYS, r, "cannot %s cgroup %s%s",
                       frozen ? "freeze" : "thaw", t->mount, cg->path)
             : 0;
}

bool cgroup_freezes_keep(const struct cgroup *cg)
{
    const struct cgroup_tree *t = freezer(cg);

    return t && t->version == 2;
}

bool cgroup_is_frozen(const struct cgroup *cg)
{
    const struct cgroup_tree *t = freezer(cg);

    return t && ops(t)->is_frozen(t, cg->path);
}
