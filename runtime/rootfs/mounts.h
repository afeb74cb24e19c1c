/* The mounts of a container, made one by one on its tree. Private to rootfs.c, mounts.c and devices.c. */
#ifndef BAILEY_RUNTIME_MOUNTS_H
#define BAILEY_RUNTIME_MOUNTS_H

#include "common/arena.h"
#include "oci/config.h"
#include "runtime/rootfs/rootfs.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

/* A place where the keep will put a file system of its own. */
struct cover {
    const char *target;
    int fd; /* the mount that hides what is there; -1: an empty directory stands there, or nothing at all */
};

struct tree {
    const struct rootfs_plan *plan;
    const struct oci_config *config; /* the plan's, as the bundle */
    const char *bundle;
    struct arena *arena;
    int proc_fd; /* the host's /proc/self/fd */
    int root;    /* the container's root directory, attached as a mount of its own */
    struct mount_spec *specs;
    unsigned nspecs;
    struct cover *covers;
    unsigned ncovers;
    bool dev_is_bound; /* the config brings a /dev of its own; leave it as it is */
};

/* Makes config->mounts[index] and notes it in specs. */
int mounts_make(struct tree *t, size_t index, struct err *e);

/* Those of them that bind or remount (binds.c). */
int mounts_bind(struct tree *t, size_t index, struct err *e);
int mounts_remount(struct tree *t, size_t index, struct err *e);
/* tmpcopyup: fills a new file system, a detached mount, with what the container's tree has at destination
 * (copyup.c). */
int mounts_copy_up(struct tree *t, int fs, const char *destination);

/* For messages: "config.json: mounts[2] (/data)". */
const char *mounts_where(const struct tree *t, size_t index);
/* MS_ flags as mount_setattr(2) takes them. */
uint64_t mounts_attrs(unsigned long flags);
/* Opens the place of a real mount (O_PATH), making it if need be; *ret_target: its path in the container,
 * without symlinks. A detached mount is put there by mounts_attach. All: -errno on failure. */
int mounts_point(struct tree *t, const char *destination, bool directory, const char **ret_target);
int mounts_attach(int mount, int point);
int mounts_target(struct tree *t, int point, const char **ret);

/* Hides a directory under an empty one, or a file under an empty device; shows a place read-only. A place
 * that is not there is fine. */
int mounts_mask(struct tree *t, const char *path, struct err *e);
int mounts_make_readonly(struct tree *t, const char *path, struct err *e);

/* Closes the covers: nothing can be made in them any more. */
int mounts_seal(struct tree *t, struct err *e);

/* Notes a mount. All strings must live as long as the tree's arena. */
void mounts_note(struct tree *t, const struct mount_spec *s);

/* A new, detached file system; options as config.json writes them ("size=64k,mode=755"). Negative errno on
 * failure; *ret_bad names the option that was refused. */
int mounts_new_fs(struct arena *a, const char *type, const char *source, const char *options, unsigned attrs,
                  const char **ret_bad);

/* The flags that the mount behind fd has, those of its source included; and how mountinfo shows flags and
 * data. */
unsigned long mounts_real_flags(int fd, unsigned long asked);
const char *mounts_options_text(struct tree *t, unsigned long flags, const char *data);

/* True if path lies in a virtual mount, so that there is nothing real to prepare. */
bool mounts_is_virtual(struct tree *t, const char *path);

/* What the file system behind fd is called in mountinfo. */
const char *mounts_fs_name(int fd);
/* What stands as its source there: not the host's device. */
const char *mounts_source_name(const char *type);

/* Devices and links in /dev (devices.c). */
int devices_make(struct tree *t, struct err *e);

#endif
