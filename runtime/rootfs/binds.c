/* Bind mounts and remounts of config.json. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/rootfs/mountinfo.h"
#include "runtime/rootfs/mounts.h"
#include "runtime/pathfd.h"
#include "runtime/launch/userns.h"

/* What appears in a container by propagation later is without nodev; so it comes only where that is asked
 * for. Nothing goes the other way: what a guest mounts, the host does not have. */
static uint64_t host_propagation(const struct oci_mount *m)
{
    return m->propagation & (MS_SHARED | MS_SLAVE) ? MS_SLAVE : MS_PRIVATE;
}

static int set_attrs(int fd, const struct oci_mount *m)
{
    struct mount_attr all = {.attr_set = MOUNT_ATTR_NODEV | m->rec_set,
                             .attr_clr = m->rec_clear,
                             .propagation = m->remount && !m->propagation ? 0 : host_propagation(m)};
    struct mount_attr top = {.attr_set = mounts_attrs(m->flags), .attr_clr = mounts_attrs(m->flags_clear)};

    all.attr_clr &= ~(uint64_t)MOUNT_ATTR_NODEV;
    if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &all, sizeof(all)))
        return -errno;
    /* What is forced on is not taken back; access times are one field, set as a whole. */
    top.attr_clr &= ~((uint64_t)MOUNT_ATTR_NODEV | MOUNT_ATTR__ATIME);
    if ((m->flags | m->flags_clear) & (MS_NOATIME | MS_RELATIME | MS_STRICTATIME))
        top.attr_clr |= MOUNT_ATTR__ATIME;
    if (!top.attr_set && !top.attr_clr)
        return 0;
    return mount_setattr(fd, "", AT_EMPTY_PATH, &top, sizeof(top)) ? -errno : 0;
}

static int open_source(struct tree *t, const struct oci_mount *m, bool *ret_directory)
{
    const char *path = m->source;
    struct stat st;

    if (path[0] != '/')
        path = arena_printf(t->arena, "%s/%s", t->bundle, path);
    _cleanup_close_ int fd =
        open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0));
    if (fd < 0 || fstat(fd, &st))
        return -errno;
    *ret_directory = S_ISDIR(st.st_mode);
    return steal_fd(&fd);
}

/* Owners --------------------------------------------------------------------------------------------------
 */

/* The user namespace whose mapping the mount is to have: of its own mappings, else the container's. */
static int idmap_namespace(const struct tree *t, size_t index, int *ret_own, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];

    if (m->nuid_mappings > 0) {
        *ret_own = userns_for_mount(m->uid_mappings, m->nuid_mappings, m->gid_mappings, m->ngid_mappings, e);
        return *ret_own;
    }
    if (t->plan->userns < 0)
        return err_set(e, ERR_CONFIG, 0,
                       "%s: idmap needs uidMappings and gidMappings, or a user namespace of the container",
                       mounts_where(t, index));
    return t->plan->userns;
}

static int map_owners(const struct tree *t, size_t index, int fd, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
    _cleanup_close_ int own = -1;

    if (!m->idmap && m->nuid_mappings == 0)
        return 0;
    int ns = idmap_namespace(t, index, &own, e);
    if (ns < 0)
        return -1;
    attr.userns_fd = (uint64_t)ns;
    if (mount_setattr(fd, "", AT_EMPTY_PATH | (m->ridmap ? AT_RECURSIVE : 0), &attr, sizeof(attr)) == 0)
        return 0;
    return err_set(e,
                   errno == EPERM    ? ERR_PERM
                   : errno == EINVAL ? ERR_UNSUPPORTED
                                     : ERR_SYS,
                   errno, "%s: its file system can not be idmapped (%s) here", mounts_where(t, index),
                   mounts_fs_name(fd));
}

/* What mountinfo says ---------------------------------------------------------------------------------------
 */

#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif

unsigned long mounts_real_flags(int fd, unsigned long asked)
{
    static const unsigned long same = MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME;
    struct statfs s;

    if (fstatfs(fd, &s))
        return asked;
    unsigned long has = (unsigned long)s.f_flags;
    asked &= ~(unsigned long)(MS_RDONLY | MS_STRICTATIME | MS_RELATIME | MS_NOATIME);
    asked |= has & same;
    if (!(has & (ST_NOATIME | ST_RELATIME)))
        asked |= MS_STRICTATIME;
    return has & ST_NOSYMFOLLOW ? asked | MS_NOSYMFOLLOW : asked;
}

/* The place of the source in its file system: its name tells enough, the way there is the host's. */
static const char *shown_root(const struct tree *t, const char *source)
{
    char *path = arena_strndup(t->arena, source, strlen(source));
    const char *name = basename(path);

    return *name == '/' || strcmp(name, ".") == 0 ? "/" : arena_printf(t->arena, "/%s", name);
}

/* What came along with a recursive bind, below it. */
static void note_below(struct tree *t, const struct mountinfo *i, const char *rest, const char *target)
{
    struct mount_spec spec = {.host = true, .target = arena_printf(t->arena, "%s%s", target, rest)};
    _cleanup_close_ int fd = pathfd_open(t->root, spec.target, O_PATH);

    if (fd < 0)
        return;
    spec.type = arena_strndup(t->arena, i->type, strlen(i->type));
    spec.source = mounts_source_name(spec.type);
    spec.flags = mounts_real_flags(fd, 0);
    spec.options = mounts_options_text(t, spec.flags, NULL);
    spec.root = shown_root(t, i->root);
    spec.master = i->master;
    mounts_note(t, &spec);
}

/* Of mounts that are attached the kernel's own list tells more. */
static void note_attached(struct tree *t, const struct oci_mount *m, int fd, struct mount_spec *spec)
{
    _cleanup_(mountinfo_close) struct mountinfo i = MOUNTINFO_INIT;
    char at[PATH_MAX] = "";
    struct statx stx;
    size_t n = 0;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) || !mountinfo_open(&i)) {
        mounts_note(t, spec);
        return;
    }
    while (mountinfo_next(&i)) {
        if (i.id == stx.stx_mnt_id) {
            n = (size_t)snprintf(at, sizeof(at), "%s", i.point);
            spec->master = host_propagation(m) == MS_SLAVE ? i.master : 0;
            mounts_note(t, spec);
        } else if (n > 0 && m->recursive && strncmp(i.point, at, n) == 0 && i.point[n] == '/') {
            note_below(t, &i, i.point + n, spec->target);
        }
    }
}

static void note_bind(struct tree *t, const struct oci_mount *m, int fd, bool directory, const char *target)
{
    struct mount_spec spec = {.host = true, .target = target};

    spec.type = mounts_fs_name(fd);
    spec.source = mounts_source_name(spec.type);
    spec.flags = mounts_real_flags(fd, m->flags);
    spec.options = mounts_options_text(t, spec.flags, NULL);
    spec.root = shown_root(t, m->source);
    spec.propagation = m->propagation & (MS_SHARED | MS_UNBINDABLE);
    if ((m->recursive && directory) || host_propagation(m) == MS_SLAVE)
        note_attached(t, m, fd, &spec);
    else
        mounts_note(t, &spec);
}

int mounts_bind(struct tree *t, size_t index, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];
    const char *target;
    bool directory = false;

    if (m->propagation & MS_SHARED)
        log_info("%s: what the container mounts there, the host will not have", mounts_where(t, index));
    _cleanup_close_ int fd = open_source(t, m, &directory);
    if (fd < 0)
        return err_set(e, ERR_SYS, -fd, "%s: source %.200s", mounts_where(t, index), m->source);
    if (map_owners(t, index, fd, e))
        return -1;
    int r = set_attrs(fd, m);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "%s: options", mounts_where(t, index));
    _cleanup_close_ int point = mounts_point(t, m->destination, directory, &target);
    r = point < 0 ? point : mounts_attach(fd, point);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "%s", mounts_where(t, index));
    note_bind(t, m, fd, directory, target);
    t->dev_is_bound |= strcmp(target, "/dev") == 0;
    return 0;
}

/* mount -o remount,...: new flags for a mount that is there. */
int mounts_remount(struct tree *t, size_t index, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];
    const char *target;

    _cleanup_close_ int point = pathfd_open(t->root, m->destination, O_PATH);
    int r = point < 0 ? point : mounts_target(t, point, &target);
    if (r == 0)
        r = set_attrs(point, m);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "%s: remounting", mounts_where(t, index));
    for (unsigned i = 0; i < t->nspecs; i++) {
        struct mount_spec *s = &t->specs[i];
        if (strcmp(s->target, target) != 0)
            continue;
        s->flags = mounts_real_flags(point, m->flags);
        s->options = mounts_options_text(t, s->flags, NULL);
    }
    return 0;
}
