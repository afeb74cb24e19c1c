/* The mount table as text: /proc/PID/mountinfo, mounts. And what single mounts say of themselves. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <stdio.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

static const struct {
    unsigned long flag;
    const char *name;
} flag_names[] = {
    {MS_NOSUID, "nosuid"},   {MS_NODEV, "nodev"},           {MS_NOEXEC, "noexec"},
    {MS_NOATIME, "noatime"}, {MS_NODIRATIME, "nodiratime"}, {MS_NOSYMFOLLOW, "nosymfollow"},
};

/* Spaces and the like as the kernel writes them. */
static void put_escaped(struct strbuf *sb, const char *s)
{
    for (; *s; s++) {
        if (strchr(" \t\n\\#", *s))
            sb_printf(sb, "\\%03o", (unsigned)(unsigned char)*s);
        else
            sb_put(sb, s, 1);
    }
}

static void put_flags(struct strbuf *sb, const struct mount *m)
{
    sb_printf(sb, "%s", m->flags & MS_RDONLY ? "ro" : "rw");
    for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
        if (m->flags & flag_names[i].flag)
            sb_printf(sb, ",%s", flag_names[i].name);
    if (!(m->flags & (MS_NOATIME | MS_STRICTATIME)))
        sb_printf(sb, ",relatime"); /* the default since 2.6.30 */
}

/* The options that are not flags of the mount: those of the file system itself. */
static void put_options(struct strbuf *sb, const struct mount *m)
{
    static const char *const shown_as_flags[] = {
        "rw",      "ro",       "nosuid",      "nodev",       "noexec", "suid",   "dev",     "exec",
        "noatime", "relatime", "nodiratime",  "nosymfollow", "bind",   "rbind",  "private", "rprivate",
        "slave",   "rslave",   "strictatime", "newinstance", "shared", "rshared"};
    _cleanup_free_ char *copy = strdup(m->options);
    char *save = NULL;

    for (char *o = copy ? strtok_r(copy, ",", &save) : NULL; o; o = strtok_r(NULL, ",", &save)) {
        bool flag = false;
        for (size_t i = 0; i < ARRAY_SIZE(shown_as_flags); i++)
            flag |= strcmp(o, shown_as_flags[i]) == 0;
        if (!flag) {
            sb_put(sb, ",", 1);
            put_escaped(sb, o);
        }
    }
}

/* target as seen from the task's root; false: not reachable from there. */
static bool seen_from(const char *root, const char *target, const char **ret)
{
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(target, root, n) != 0 || (target[n] && target[n] != '/'))
        return false;
    *ret = target[n] ? target + n : "/";
    return true;
}

static void show_one(struct strbuf *sb, const struct mount *m, const char *target, int parent_id,
                     bool mountinfo)
{
    if (!mountinfo) {
        put_escaped(sb, m->source);
        sb_put(sb, " ", 1);
        put_escaped(sb, target);
        sb_printf(sb, " %s ", m->fstype);
        put_flags(sb, m);
        put_options(sb, m);
        sb_printf(sb, " 0 0\n");
        return;
    }
    sb_printf(sb, "%d %d %u:%u ", m->id, parent_id, major(m->dev), minor(m->dev));
    put_escaped(sb, m->real_root);
    sb_put(sb, " ", 1);
    put_escaped(sb, target);
    sb_put(sb, " ", 1);
    put_flags(sb, m);
    if (m->propagation & MS_SHARED)
        sb_printf(sb, " shared:%d", m->group ? m->group : m->id);
    if (m->master)
        sb_printf(sb, " master:%u", m->master);
    if (m->propagation & MS_UNBINDABLE)
        sb_printf(sb, " unbindable");
    sb_printf(sb, " - %s ", m->fstype);
    put_escaped(sb, m->source);
    sb_printf(sb, " %s", m->flags & MS_RDONLY ? "ro" : "rw");
    put_options(sb, m);
    sb_put(sb, "\n", 1);
}

/* lock held. Real mounts are all noted under main: the one they stand in is the longest prefix before them.
 */
static int parent_id(struct mount_ns *ns, const struct mount *m)
{
    struct mount *p;
    size_t best = 0;
    int id = ns->main == m ? FIRST_MOUNT_ID - 1 : ns->main->id;

    if (m->parent && !(m->kind & MOUNT_REAL) && m->parent != ns->main)
        return m->parent->id;
    DL_FOREACH(ns->mounts, p)
    {
        size_t n = strlen(p->target);
        if (p == m || p == ns->main)
            continue;
        if (n > best && strncmp(m->target, p->target, n) == 0 && m->target[n] == '/') {
            best = n;
            id = p->id;
        }
    }
    return id;
}

/* A hidden or read-only path that the file system does not have is no mount: runtimes skip what is not there.
 */
static bool is_there(struct task *t, struct mount *m)
{
    char path[PATH_MAX];

    if (!(m->kind & (MOUNT_MASK | MOUNT_SAME)))
        return true;
    _cleanup_dentry_ struct dentry *d = mount_leave(t, m);
    return d && d->node && pseudo_path(d->node, path, sizeof(path)) >= 0 && strcmp(path, m->inner) == 0;
}

struct mount **mount_snapshot(struct mount_ns *ns, unsigned *n)
{
    struct mount *m, **all;
    unsigned count = 0;

    pthread_rwlock_rdlock(&ns->lock);
    DL_COUNT(ns->mounts, m, count);
    all = calloc(count + 1, sizeof(*all));
    *n = 0;
    DL_FOREACH(ns->mounts, m)
    if (all)
        all[(*n)++] = mount_get(m);
    pthread_rwlock_unlock(&ns->lock);
    return all;
}

void mount_ns_show(struct task *t, struct mount_ns *ns, struct dentry *top, struct strbuf *sb, bool mountinfo)
{
    char root[PATH_MAX] = "/";
    const char *target;
    unsigned n;

    if (top && top != ns->main->root && dentry_path_abs(top, root, sizeof(root)) < 0)
        return;
    struct mount **all = mount_snapshot(ns, &n);
    for (unsigned i = 0; i < n; i++) {
        if (seen_from(root, all[i]->target, &target) && is_there(t, all[i])) {
            pthread_rwlock_rdlock(&ns->lock);
            show_one(sb, all[i], target, parent_id(ns, all[i]), mountinfo);
            pthread_rwlock_unlock(&ns->lock);
        }
        mount_put(all[i]);
    }
    free(all);
}

int dentry_mount_id(struct task *t, struct dentry *d)
{
    struct mount_ns *ns = t->process->container->mounts;

    if (d->fd >= 0 && dentry_identity(d) < 0)
        return ns->main->id;
    return mount_visible_id(ns, d, d->mnt_id);
}

unsigned long dentry_mount_flags(const struct dentry *d)
{
    struct statvfs sv;

    if (!d->mnt)
        return MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (d->fd < 0 || d->mnt->parent)
        return d->mnt->flags;
    /* The keep's own mounts may be stricter than what the container asked for (nodev always is). */
    return fstatvfs(d->fd, &sv) == 0 ? sv.f_flag & (MS_RDONLY | MS_NOSUID | MS_NOEXEC) : 0;
}
