#include "runtime/rootfs/device_view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/launch/launch_internal.h"
#include "sandbox/keep/device/hostdev.h"
#include "sandbox/platform/messages.h"

#define MEMORY_MAJOR 1 /* the keep has memory devices, /dev/tty and its like, and terminals of its own */
#define TTYAUX_MAJOR 5
#define PTS_MAJOR 136

static bool is_about(const struct oci_device_rule *r, char type, int64_t major, int64_t minor)
{
    return (r->type == 'a' || r->type == type) && (!r->major.set || r->major.v == major) &&
           (!r->minor.set || r->minor.v == minor);
}

/* What linux.resources.devices lets the container do with a device, type 'b' or 'c': a mode of 0400 for
 * reading, 0200 for writing. The last rule about it counts, for what it speaks of; without one all is allowed
 * (OCI, config-linux: Allowed Device list). */
static unsigned access_to(const struct oci_config *c, char type, int64_t major, int64_t minor)
{
    unsigned access = S_IRUSR | S_IWUSR;

    for (size_t i = 0; i < c->lx.resources.ndevices; i++) {
        const struct oci_device_rule *r = &c->lx.resources.devices[i];
        unsigned about = (r->read ? S_IRUSR : 0U) | (r->write ? S_IWUSR : 0U);
        if (is_about(r, type, major, minor))
            access = r->allow ? access | about : access & ~about;
    }
    return access;
}

static bool is_hosts(const struct oci_device *d)
{
    return d->type == 'b' ||
           (d->type == 'c' && d->major != MEMORY_MAJOR && d->major != TTYAUX_MAJOR && d->major != PTS_MAJOR);
}

static const char *annotation(const struct oci_config *c)
{
    for (size_t i = 0; i < c->nannotations; i++)
        if (strcmp(c->annotations[i].key, DEVICE_VIEW_ANNOTATION) == 0)
            return c->annotations[i].value;
    return "";
}

static const struct oci_device *find(const struct oci_config *c, const char *path, size_t len)
{
    for (size_t i = 0; i < c->lx.ndevices; i++)
        if (strncmp(c->lx.devices[i].path, path, len) == 0 && !c->lx.devices[i].path[len])
            return &c->lx.devices[i];
    return NULL;
}

int device_view_check(const struct oci_config *c, struct err *e)
{
    const char *list = annotation(c);

    if (strcmp(list, "all") == 0)
        return 0;
    for (size_t len; *list; list += len + (list[len] == ',')) {
        len = strcspn(list, ",");
        const struct oci_device *d = find(c, list, len);
        if (!d || !is_hosts(d))
            return err_set(e, ERR_CONFIG, 0,
                           "config.json: annotations: " DEVICE_VIEW_ANNOTATION ": %.*s is %s",
                           (int)(len < 200 ? len : 200), list,
                           d ? "no device of the host's: the sandbox has its own" : "not in linux.devices");
    }
    return 0;
}

static bool is_asked_for(const struct oci_config *c, const struct oci_device *d)
{
    const char *list = annotation(c);
    size_t n = strlen(d->path);

    if (!is_hosts(d) || strcmp(list, "all") == 0)
        return is_hosts(d);
    for (; *list; list += strcspn(list, ","), list += *list == ',')
        if (strcspn(list, ",") == n && strncmp(list, d->path, n) == 0)
            return true;
    return false;
}

static int make_node(int dir, const struct oci_config *c, const struct oci_device *d)
{
    char type = d->type == 'b' ? 'b' : 'c', name[HOSTDEV_NAME];
    unsigned access = access_to(c, type, d->major, d->minor);
    dev_t dev = makedev(d->major, d->minor);

    hostdev_name(name, type, dev);
    mode_t mask = umask(0);
    int r =
        mknodat(dir, name, (type == 'b' ? S_IFBLK : S_IFCHR) | access, dev) && errno != EEXIST ? -errno : 0;
    umask(mask);
    return r;
}

/* Without nodev: the one place where that is so. Nobody but the keep has it. */
static int new_directory(void)
{
    _cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
        return -errno;
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    return fd < 0 ? -errno : fd;
}

static int make_nodes(const struct oci_config *c, int *ret)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    _cleanup_close_ int dir = new_directory();

    if (dir < 0)
        return dir;
    for (size_t i = 0; i < c->lx.ndevices; i++) {
        int r = is_asked_for(c, &c->lx.devices[i]) ? make_node(dir, c, &c->lx.devices[i]) : 0;
        if (r < 0)
            return r;
    }
    if (mount_setattr(dir, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
        return -errno;
    *ret = steal_fd(&dir);
    return 0;
}

int device_view_send(int sock, const struct oci_config *c, struct err *e)
{
    struct control_msg m = {.type = CONTROL_DEVICES};
    _cleanup_close_ int dir = -1;
    bool any = false;

    for (size_t i = 0; i < c->lx.ndevices; i++)
        any |= is_asked_for(c, &c->lx.devices[i]);
    if (!any)
        return 0;
    int r = make_nodes(c, &dir);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "config.json: annotations: " DEVICE_VIEW_ANNOTATION);
    r = msg_send(sock, &m, sizeof(m), dir);
    if (r < 0)
        return msg_failed(r, "the sandbox", e);
    return launch_expect(sock, CONTROL_DONE, e);
}
