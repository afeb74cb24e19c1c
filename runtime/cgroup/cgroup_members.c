/* Who is in a cgroup, and how it comes to its end. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/cgroup/cgroup_internal.h"

enum { NESTING_MAX = 32 };

struct pid_list {
    pid_t *p;
    size_t n, room;
};

static int add_pids(struct pid_list *l, char *text)
{
    char *save = NULL;

    for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
        if (l->n == l->room) {
            size_t room = l->room ? 2 * l->room : 64;
            pid_t *p = reallocarray(l->p, room, sizeof(*p));
            if (!p)
                return ENOMEM;
            l->p = p;
            l->room = room;
        }
        l->p[l->n++] = (pid_t)atoi(s);
    }
    return 0;
}

/* Calls visit for dir and all cgroups below it, children first. */
static int walk(const char *dir, int (*visit)(const char *dir, void *arg), void *arg, int nesting)
{
    _cleanup_closedir_ DIR *d = opendir(dir);
    char sub[PATH_MAX];

    if (!d)
        return errno == ENOENT ? 0 : errno;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || nesting == NESTING_MAX)
            continue;
        if (snprintf(sub, sizeof(sub), "%s/%s", dir, entry->d_name) >= (int)sizeof(sub))
            return ENAMETOOLONG;
        int r = walk(sub, visit, arg, nesting + 1);
        if (r)
            return r;
    }
    return visit(dir, arg);
}

static int visit_pids(const char *dir, void *arg)
{
    char file[PATH_MAX];

    if (snprintf(file, sizeof(file), "%s/cgroup.procs", dir) >= (int)sizeof(file))
        return ENAMETOOLONG;
    _cleanup_free_ char *text = cgroup_read(file);
    if (!text)
        return errno == ENOENT || errno == ENODEV ? 0 : errno;
    return add_pids(arg, text);
}

static int visit_remove(const char *dir, void *arg)
{
    (void)arg;
    return rmdir(dir) && errno != ENOENT ? errno : 0;
}

static const struct cgroup_tree *any_tree(const struct cgroup *cg)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_UNIFIED);

    return t ? t : cg->ntrees ? &cg->trees[0] : NULL;
}

int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *n, struct err *e)
{
    const struct cgroup_tree *t = any_tree(cg);
    struct pid_list l = {0};
    char dir[PATH_MAX];

    if (!t)
        return err_set(e, ERR_UNSUPPORTED, 0, "the container has no cgroup");
    snprintf(dir, sizeof(dir), "%s%s", t->mount, cg->path);
    int r = walk(dir, visit_pids, &l, 0);
    if (r) {
        free(l.p);
        return err_set(e, ERR_SYS, r, "cannot list the processes of cgroup %s", dir);
    }
    *ret = l.p;
    *n = l.n;
    return 0;
}

/* The letter of /proc/PID/task/TID/stat. */
static bool task_runs(const char *dir, const char *tid)
{
    char file[64];

    if (snprintf(file, sizeof(file), "%s/%.20s/stat", dir, tid) >= (int)sizeof(file))
        return false;
    _cleanup_free_ char *text = cgroup_read(file);
    const char *end = text ? strrchr(text, ')') : NULL;
    return end && end[1] == ' ' && end[2] == 'R';
}

static bool process_runs(pid_t pid)
{
    char dir[32];

    snprintf(dir, sizeof(dir), "/proc/%d/task", pid);
    _cleanup_closedir_ DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (entry->d_name[0] != '.' && task_runs(dir, entry->d_name))
            return true;
    return false;
}

static bool anything_runs(const struct cgroup_tree *t, const char *path)
{
    char dir[PATH_MAX];
    struct pid_list l = {0};
    bool runs = false;

    if (!cgroup_file(t, path, "", dir) || walk(dir, visit_pids, &l, 0))
        runs = true;
    for (size_t i = 0; i < l.n && !runs; i++)
        runs = process_runs(l.p[i]);
    free(l.p);
    return runs;
}

/* A guest that waits for the keep's answer to a system call cannot be frozen before it has it, which may be
 * never; the freezer will have it before it runs another instruction. So it is enough that nothing runs, seen
 * some times in a row. */
int cgroup_freeze_by(const struct cgroup_freezer *f, const struct cgroup_tree *t, const char *path,
                     bool frozen)
{
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    char file[PATH_MAX];

    if (!cgroup_file(t, path, f->file, file))
        return ENAMETOOLONG;
    int r = cgroup_write(file, frozen ? f->freeze : f->thaw);
    if (r || !frozen)
        return r;
    for (int i = 0, still = 0; i < 2000; i++) {
        if (f->is_whole(t, path))
            return 0;
        still = anything_runs(t, path) ? 0 : still + 1;
        if (still == 5)
            return 0;
        nanosleep(&moment, NULL);
    }
    (void)cgroup_write(file, f->thaw);
    return ETIMEDOUT;
}

/* cgroup.kill, where the kernel has it (5.14). */
static bool kill_at_once(const struct cgroup *cg)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_UNIFIED);
    char file[PATH_MAX];

    return t && cgroup_file(t, cg->path, "cgroup.kill", file) && cgroup_write(file, "1") == 0;
}

/* Version 1: frozen first, so that none is born behind the list; what was killed dies when it is let go. */
static void kill_listed(const struct cgroup *cg, const pid_t *pids, size_t n)
{
    struct err ignored = ERR_INIT;

    (void)cgroup_freeze(cg, true, &ignored);
    for (size_t i = 0; i < n; i++)
        if (pids[i] > 1 && pids[i] != getpid())
            (void)kill(pids[i], SIGKILL);
}

/* Who is in any of the hierarchies: not everybody need be in all. */
static int all_pids(const struct cgroup *cg, struct pid_list *l, struct err *e)
{
    char dir[PATH_MAX];

    for (unsigned i = 0; i < cg->ntrees; i++) {
        int r = cgroup_file(&cg->trees[i], cg->path, "", dir) ? walk(dir, visit_pids, l, 0) : ENAMETOOLONG;
        if (r)
            return err_set(e, ERR_SYS, r, "cannot list the processes of cgroup %s", dir);
    }
    return 0;
}

static void free_list(const struct pid_list *l)
{
    free(l->p);
}

int cgroup_kill(const struct cgroup *cg, struct err *e)
{
    static const struct timespec moment = {.tv_nsec = 5 * 1000 * 1000};

    for (int i = 0; i < 2000; i++) {
        _cleanup_(free_list) struct pid_list l = {0};
        struct err ignored = ERR_INIT;
        if (all_pids(cg, &l, e))
            return -1;
        if (l.n == 0)
            return 0;
        if (i % 20 == 0) {
            (void)kill_at_once(cg);
            kill_listed(cg, l.p, l.n);
        }
        (void)cgroup_freeze(cg, false, &ignored);
        nanosleep(&moment, NULL);
    }
    return err_set(e, ERR_TIMEOUT, 0, "cgroup %s: processes in it do not end", cg->path);
}

void cgroup_remove_tree(const struct cgroup *cg, const struct cgroup_tree *t)
{
    static const struct timespec moment = {.tv_nsec = 2 * 1000 * 1000};
    char dir[PATH_MAX];
    unsigned n = 0;
    int r = 0;

    for (const char *p = cg->path; *p; p++)
        n += *p == '/';
    if (t->existed >= n || snprintf(dir, sizeof(dir), "%s%s", t->mount, cg->path) >= (int)sizeof(dir))
        return;
    if (rmdir(dir) && errno != ENOENT)
        for (int i = 0; i < 500 && (r = walk(dir, visit_remove, NULL, 0)) == EBUSY; i++)
            nanosleep(&moment, NULL);
    if (r)
        log_warning("cannot remove cgroup %s: %s", dir, strerror(r));
    for (; n > t->existed + 1; n--) {
        *strrchr(dir, '/') = '\0';
        if (rmdir(dir) && errno != ENOENT)
            return;
    }
}

void cgroup_remove(const struct cgroup *cg, int state_dir)
{
    cgroup_stop_unit(cg);
    for (unsigned i = 0; i < cg->ntrees; i++)
        cgroup_remove_tree(cg, &cg->trees[i]);
    if (state_dir >= 0)
        (void)unlinkat(state_dir, "cgroup", 0);
}
