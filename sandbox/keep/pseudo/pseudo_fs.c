/* The small file systems: devtmpfs; and the table of all. */
#include <linux/magic.h>
#include <string.h>

#include "sandbox/keep/pseudo/cgroup_fs.h"
#include "sandbox/keep/ipc/mqueue.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/pseudo/pseudo_fs.h"

static int mount_entries(struct container *c, const struct pentry *root, struct pnode **ret)
{
    struct pnode *n = NULL;
    int r = pentry_node(root, NULL, &n);
    if (r < 0)
        return r;
    n->priv = c;
    *ret = n;
    return 0;
}

/* devtmpfs -------------------------------------------------------------------------------------------------
 */

#define DEV(name_, mode_, major_, minor_)                                                                    \
    {                                                                                                        \
        .name = (name_), .mode = S_IFCHR | (mode_), .rdev = (major_) << 8 | (minor_)                         \
    }

static const struct pentry dev_entries[] = {
    DEV("console", 0600, 5, 1),
    {.name = "fd", .mode = PROC_LINK, .text = "/proc/self/fd"},
    DEV("full", 0666, 1, 7),
    DEV("kmsg", 0644, 1, 11),
    {.name = "mqueue", .mode = S_IFDIR | 0755, .dir = proc_empty_dir},
    DEV("null", 0666, 1, 3),
    DEV("ptmx", 0666, 5, 2),
    {.name = "pts", .mode = S_IFDIR | 0755, .dir = proc_empty_dir},
    DEV("random", 0666, 1, 8),
    {.name = "shm", .mode = S_IFDIR | S_ISVTX | 0777, .dir = proc_empty_dir},
    {.name = "stderr", .mode = PROC_LINK, .text = "/proc/self/fd/2"},
    {.name = "stdin", .mode = PROC_LINK, .text = "/proc/self/fd/0"},
    {.name = "stdout", .mode = PROC_LINK, .text = "/proc/self/fd/1"},
    DEV("tty", 0666, 5, 0),
    DEV("urandom", 0666, 1, 9),
    DEV("zero", 0666, 1, 5),
    {.name = NULL},
};

static const struct pentry dev_root = {.name = "", .mode = S_IFDIR | 0755, .dir = dev_entries};

static int devtmpfs_mount(struct container *c, const char *options, struct pnode **ret)
{
    (void)options;
    return mount_entries(c, &dev_root, ret);
}

/* The table ------------------------------------------------------------------------------------------------
 */

static const struct pseudo_fs pseudo_file_systems[] = {
    {"proc", PROC_SUPER_MAGIC, procfs_mount},     {"sysfs", SYSFS_MAGIC, sysfs_mount},
    {"devpts", DEVPTS_SUPER_MAGIC, devpts_mount}, {"mqueue", 0x19800202, mqueue_mount},
    {"devtmpfs", TMPFS_MAGIC, devtmpfs_mount},
};

const struct pseudo_fs *pseudo_fs_find(const struct container *c, const char *type, const char *options)
{
    const struct pseudo_fs *cgroup = cgroup_fs_for(c, type, options);

    if (cgroup)
        return cgroup;
    for (size_t i = 0; i < ARRAY_SIZE(pseudo_file_systems); i++)
        if (!strcmp(pseudo_file_systems[i].type, type))
            return &pseudo_file_systems[i];
    return NULL;
}
