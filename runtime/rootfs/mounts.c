#include "runtime/rootfs/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "common/cleanup.h"
#include "runtime/pathfd.h"
#include "runtime/launch/userns.h"

enum kind { KIND_VIRTUAL, KIND_REAL, KIND_REFUSED };

/* What a "type" of config.json becomes. The keep has file systems of its own for what shows a kernel's state;
 * those of the host are never mounted, nor are kernel interfaces that the keep does not have. */
static const struct {
    const char *name;
    enum kind kind;
    const char *real; /* the host's file system */
} types[] = {
    {"proc", KIND_VIRTUAL, NULL},      {"sysfs", KIND_VIRTUAL, NULL},       {"devpts", KIND_VIRTUAL, NULL},
    {"mqueue", KIND_VIRTUAL, NULL},    {"cgroup", KIND_VIRTUAL, NULL},      {"cgroup2", KIND_VIRTUAL, NULL},
    {"tmpfs", KIND_REAL, "tmpfs"},     {"devtmpfs", KIND_REAL, "tmpfs"},    {"ramfs", KIND_REAL, "tmpfs"},
    {"overlay", KIND_REAL, "overlay"}, {"ext4", KIND_REAL, "ext4"},         {"ext3", KIND_REAL, "ext3"},
    {"ext2", KIND_REAL, "ext2"},       {"xfs", KIND_REAL, "xfs"},           {"btrfs", KIND_REAL, "btrfs"},
    {"erofs", KIND_REAL, "erofs"},     {"squashfs", KIND_REAL, "squashfs"},
};

static enum kind kind_of(const struct oci_mount *m, const char **ret_real)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(m->type, types[i].name) == 0) {
            *ret_real = types[i].real;
            return types[i].kind;
        }
    }
    return KIND_REFUSED;
}

const char *mounts_where(const struct tree *t, size_t index)
{
    return arena_printf(t->arena, "config.json: mounts[%zu] (%.80s)", index,
                        t->config->mounts[index].destination);
}

void mounts_note(struct tree *t, const struct mount_spec *s)
{
    struct mount_spec *list = arena_alloc(t->arena, t->nspecs + 1, sizeof(*list));

    if (t->nspecs > 0)
        memcpy(list, t->specs, t->nspecs * sizeof(*list));
    list[t->nspecs++] = *s;
    t->specs = list;
}

/* Flags as mountinfo shows them, and as the new mount calls take them. */
static const struct {
    unsigned long flag;
    const char *text;
    uint64_t attr;
} flag_names[] = {
    {MS_NOSUID, "nosuid", MOUNT_ATTR_NOSUID},
    {MS_NODEV, "nodev", MOUNT_ATTR_NODEV},
    {MS_NOEXEC, "noexec", MOUNT_ATTR_NOEXEC},
    {MS_NODIRATIME, "nodiratime", MOUNT_ATTR_NODIRATIME},
    {MS_NOSYMFOLLOW, "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW},
};

const char *mounts_options_text(struct tree *t, unsigned long flags, const char *data)
{
    char buf[256], *p = stpcpy(buf, flags & MS_RDONLY ? "ro" : "rw");

    for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
        if (flags & flag_names[i].flag)
            p = stpcpy(stpcpy(p, ","), flag_names[i].text);
    if (flags & MS_NOATIME)
        p = stpcpy(p, ",noatime");
    else if (!(flags & MS_STRICTATIME))
        p = stpcpy(p, ",relatime");
    *p = '\0';
    return data && *data ? arena_printf(t->arena, "%s,%s", buf, data)
                         : arena_strndup(t->arena, buf, strlen(buf));
}

uint64_t mounts_attrs(unsigned long flags)
{
    uint64_t attrs = flags & MS_RDONLY ? MOUNT_ATTR_RDONLY : 0;

    for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
        if (flags & flag_names[i].flag)
            attrs |= flag_names[i].attr;
    if (flags & MS_NOATIME)
        attrs |= MOUNT_ATTR_NOATIME;
    else if (flags & MS_STRICTATIME)
        attrs |= MOUNT_ATTR_STRICTATIME;
    return attrs;
}

const char *mounts_fs_name(int fd)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } names[] = {
        {EXT4_SUPER_MAGIC, "ext4"},   {OVERLAYFS_SUPER_MAGIC, "overlay"},
        {TMPFS_MAGIC, "tmpfs"},       {XFS_SUPER_MAGIC, "xfs"},
        {BTRFS_SUPER_MAGIC, "btrfs"}, {NFS_SUPER_MAGIC, "nfs"},
        {V9FS_MAGIC, "9p"},           {0x65735546, "fuse"},
        {SQUASHFS_MAGIC, "squashfs"}, {EROFS_SUPER_MAGIC_V1, "erofs"},
        {RAMFS_MAGIC, "ramfs"},
    };
    struct statfs s;

    if (fstatfs(fd, &s))
        return "bind";
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if ((unsigned long)s.f_type == names[i].magic)
            return names[i].name;
    return "bind";
}

const char *mounts_source_name(const char *type)
{
    static const char *const on_disk[] = {"ext4", "xfs", "btrfs", "squashfs", "erofs"};

    for (size_t i = 0; i < ARRAY_SIZE(on_disk); i++)
        if (strcmp(type, on_disk[i]) == 0)
            return "/dev/root";
    return type;
}

/* Where -------------------------------------------------------------------------------------------------- */

/* The outermost virtual mount that target lies in. */
static struct cover *cover_above(struct tree *t, const char *target)
{
    struct cover *best = NULL;

    for (unsigned i = 0; i < t->ncovers; i++) {
        size_t n = strlen(t->covers[i].target);
        if (strncmp(target, t->covers[i].target, n) == 0 && target[n] == '/' &&
            (!best || n < strlen(best->target)))
            best = &t->covers[i];
    }
    return best;
}

bool mounts_is_virtual(struct tree *t, const char *path)
{
    char clean[PATH_MAX];

    return pathfd_clean(path, clean, sizeof(clean)) == 0 && cover_above(t, clean);
}

static void note_cover(struct tree *t, const char *target, int fd)
{
    struct cover *list = arena_alloc(t->arena, t->ncovers + 1, sizeof(*list));

    if (t->ncovers > 0)
        memcpy(list, t->covers, t->ncovers * sizeof(*list));
    list[t->ncovers++] = (struct cover){target, fd};
    t->covers = list;
}

int mounts_attach(int mount, int point)
{
    return move_mount(mount, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ? -errno : 0;
}

/* Puts an empty tmpfs on point. */
static int cover_point(struct tree *t, int point)
{
    const char *bad;
    _cleanup_close_ int fd = mounts_new_fs(t->arena, "tmpfs", "none", "mode=555,size=64k",
                                           MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, &bad);

    if (fd < 0)
        return fd;
    int r = mounts_attach(fd, point);
    return r < 0 ? r : steal_fd(&fd);
}

static bool is_empty_dir(int point)
{
    _cleanup_close_ int fd = openat(point, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char buf[512];
    long n = fd < 0 ? -1 : syscall(SYS_getdents64, fd, buf, sizeof(buf));

    /* "." and ".." take 24 bytes each. */
    return n >= 0 && n <= 48;
}

/* A real mount below a virtual one stands in the latter's cover, which so far may be just an empty directory.
 */
static int need_cover(struct tree *t, struct cover *c)
{
    if (!c || c->fd >= 0)
        return 0;
    _cleanup_close_ int point = pathfd_mkdir(t->root, c->target);
    if (point < 0)
        return point;
    c->fd = cover_point(t, point);
    return c->fd < 0 ? c->fd : 0;
}

int mounts_target(struct tree *t, int point, const char **ret)
{
    char name[PATH_MAX];

    *ret = "";
    int r = pathfd_name(t->proc_fd, t->root, point, name, sizeof(name));

    if (r == 0)
        *ret = arena_strndup(t->arena, name, strlen(name));
    return r;
}

/* Opens the place of a real mount, making it if need be; *ret_target: its path without symlinks. */
int mounts_point(struct tree *t, const char *destination, bool directory, const char **ret_target)
{
    char clean[PATH_MAX];
    int r = pathfd_clean(destination, clean, sizeof(clean));

    if (r == 0)
        r = need_cover(t, cover_above(t, clean));
    if (r < 0)
        return r;
    _cleanup_close_ int point =
        directory ? pathfd_mkdir(t->root, destination) : pathfd_touch(t->root, destination);
    if (point < 0)
        return point;
    r = mounts_target(t, point, ret_target);
    if (r < 0)
        return r;
    return strcmp(*ret_target, "/") == 0 ? -EBUSY : steal_fd(&point);
}

/* New file systems -------------------------------------------------------------------------- */

/* Cuts the next option off *list, as mount(8) writes them: a comma in quotes is part of the value, and the
 * quotes are not. NULL: there is none left. */
static char *next_option(char **list)
{
    char *start = *list, *to = start;
    bool quoted = false;

    if (!start || !*start)
        return NULL;
    char *from = start;
    for (; *from && (quoted || *from != ','); from++) {
        if (*from == '"')
            quoted = !quoted;
        else
            *to++ = *from;
    }
    *list = *from ? from + 1 : from;
    *to = '\0';
    return start;
}

static int configure(struct arena *a, int fs, const char *options, const char **ret_bad)
{
    char *rest = arena_strndup(a, options, strlen(options));

    for (char *o = next_option(&rest); o; o = next_option(&rest)) {
        char *value = strchr(o, '=');
        if (value)
            *value++ = '\0';
        *ret_bad = o;
        if (*o && fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, o, value, 0))
            return -errno;
    }
    *ret_bad = NULL;
    return 0;
}

int mounts_new_fs(struct arena *a, const char *type, const char *source, const char *options, unsigned attrs,
                  const char **ret_bad)
{
    *ret_bad = NULL;
    _cleanup_close_ int fs = fsopen(type, FSOPEN_CLOEXEC);
    if (fs < 0)
        return -errno;
    if (source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0))
        return -errno;
    int r = configure(a, fs, options, ret_bad);
    if (r < 0)
        return r;
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
        return -errno;
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, attrs);
    return fd < 0 ? -errno : fd;
}

/* The owner of a tmpfs, which config.json gives as the container sees it. False: not mapped. */
static bool own_option(struct tree *t, const char *word, const char **ret)
{
    unsigned id;
    int end = 0;

    *ret = word;
    if (sscanf(word, "uid=%u%n", &id, &end) == 1 && !word[end]) {
        if (!userns_host_uid(t->plan->ids, id, &id))
            return false;
        *ret = arena_printf(t->arena, "uid=%u", id);
    } else if (sscanf(word, "gid=%u%n", &id, &end) == 1 && !word[end]) {
        if (!userns_host_gid(t->plan->ids, id, &id))
            return false;
        *ret = arena_printf(t->arena, "gid=%u", id);
    }
    return true;
}

static int own_options(struct tree *t, size_t index, const char **ret, struct err *e)
{
    const char *data = t->config->mounts[index].data;
    char *copy = arena_strndup(t->arena, data, strlen(data)), *save = NULL;
    const char *all = "";

    *ret = data;
    if (!t->plan->ids || !*data)
        return 0;
    for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        const char *word;
        if (!own_option(t, o, &word))
            return err_set(e, ERR_CONFIG, 0, "%s: option \"%.60s\": not mapped in the user namespace",
                           mounts_where(t, index), o);
        all = arena_printf(t->arena, "%s%s%s", all, *all ? "," : "", word);
    }
    *ret = all;
    return 0;
}

/* Those flags of mount(2) that belong to the file system, as its options. */
static const char *with_super_flags(struct tree *t, unsigned long flags, const char *data)
{
    static const struct {
        unsigned long flag;
        const char *word;
    } super[] = {{MS_SYNCHRONOUS, "sync"}, {MS_DIRSYNC, "dirsync"}, {MS_LAZYTIME, "lazytime"}};

    for (size_t i = 0; i < ARRAY_SIZE(super); i++)
        if (flags & super[i].flag)
            data = arena_printf(t->arena, "%s%s%s", data, *data ? "," : "", super[i].word);
    return data;
}

/* Detached, with what tmpcopyup puts into it. */
static int new_real(struct tree *t, size_t index, const char *type, const char *data, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];
    const char *source = m->source && *m->source ? m->source : m->type, *bad;
    struct mount_attr close = {.attr_set = m->flags & MS_RDONLY ? MOUNT_ATTR_RDONLY : 0};
    uint64_t attrs = (mounts_attrs(m->flags) & ~close.attr_set) | MOUNT_ATTR_NODEV;
    _cleanup_close_ int fd =
        mounts_new_fs(t->arena, type, source, with_super_flags(t, m->flags, data), (unsigned)attrs, &bad);

    if (fd < 0 && bad)
        return err_set(e, ERR_CONFIG, -fd, "%s: option \"%.60s\"", mounts_where(t, index), bad);
    if (fd < 0)
        return err_set(e, ERR_SYS, -fd, "%s: mounting %s", mounts_where(t, index), type);
    int r = m->tmpcopyup && strcmp(type, "tmpfs") == 0 ? mounts_copy_up(t, fd, m->destination) : 0;
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "%s: tmpcopyup", mounts_where(t, index));
    if (close.attr_set && mount_setattr(fd, "", AT_EMPTY_PATH, &close, sizeof(close)))
        return err_set(e, ERR_SYS, errno, "%s: read-only", mounts_where(t, index));
    return steal_fd(&fd);
}

static int make_real(struct tree *t, size_t index, const char *type, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];
    struct mount_spec spec = {.type = m->type, .host = true, .flags = m->flags};
    const char *data;

    if (own_options(t, index, &data, e))
        return -1;
    spec.source = m->source && *m->source ? m->source : m->type;
    spec.options = mounts_options_text(t, m->flags, with_super_flags(t, m->flags, m->data));
    spec.propagation = m->propagation & (MS_SHARED | MS_UNBINDABLE);
    _cleanup_close_ int fd = new_real(t, index, type, data, e);
    if (fd < 0)
        return -1;
    _cleanup_close_ int point = mounts_point(t, m->destination, true, &spec.target);
    int r = point < 0 ? point : mounts_attach(fd, point);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "%s", mounts_where(t, index));
    mounts_note(t, &spec);
    return 0;
}

/* Virtual ----------------------------------------------------------------------------------- */

/* A proc or sysfs that a symlink of the image leads astray would leave the real place open. */
static int virtual_point(struct tree *t, const struct oci_mount *m, const char *clean,
                         const char **ret_target)
{
    _cleanup_close_ int point = pathfd_mkdir(t->root, clean);

    if (point < 0)
        return point;
    int r = mounts_target(t, point, ret_target);
    if (r < 0)
        return r;
    bool strict = strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0;
    if (strcmp(*ret_target, "/") == 0 || (strict && strcmp(*ret_target, clean) != 0))
        return -ELOOP;
    int fd = -1;
    if (!is_empty_dir(point) && (fd = cover_point(t, point)) < 0)
        return fd;
    note_cover(t, *ret_target, fd);
    return 0;
}

static int make_virtual(struct tree *t, size_t index, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];
    struct mount_spec spec = {.type = m->type, .flags = m->flags};
    char clean[PATH_MAX];
    int r = pathfd_clean(m->destination, clean, sizeof(clean));

    spec.source = m->source && *m->source ? m->source : m->type;
    spec.options = mounts_options_text(t, m->flags, m->data);
    if (r == 0 && cover_above(t, clean)) {
        /* Its place is in the keep's own file system: there is nothing real to prepare. */
        spec.target = arena_strndup(t->arena, clean, strlen(clean));
        note_cover(t, spec.target, -1);
    } else if (r == 0) {
        r = virtual_point(t, m, clean, &spec.target);
    }
    if (r == -ELOOP)
        return err_set(e, ERR_CONFIG, 0, "%s: not an ordinary directory in the container",
                       mounts_where(t, index));
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "%s", mounts_where(t, index));
    mounts_note(t, &spec);
    return 0;
}

int mounts_make(struct tree *t, size_t index, struct err *e)
{
    const struct oci_mount *m = &t->config->mounts[index];
    const char *real = NULL;

    if (m->remount)
        return mounts_remount(t, index, e);
    if (m->bind)
        return mounts_bind(t, index, e);
    switch (kind_of(m, &real)) {
    case KIND_VIRTUAL:
        return make_virtual(t, index, e);
    case KIND_REAL:
        return make_real(t, index, real, e);
    case KIND_REFUSED:
        break;
    }
    return err_set(e, ERR_UNSUPPORTED, 0, "%s: file system type \"%.40s\" is not supported",
                   mounts_where(t, index), m->type);
}
