/* The guest's /sys/fs/cgroup: the files of its container's own control groups. */
#ifndef BAILEY_KEEP_CGROUP_FS_H
#define BAILEY_KEEP_CGROUP_FS_H

#include "sandbox/keep/pseudo/pseudo.h"

/* What a mount of type "cgroup" or "cgroup2" with these options is: version 2; with a controller among the
 * options, one hierarchy of version 1; without, on a host with version 1, a directory for those. NULL:
 * neither type. */
const struct pseudo_fs *cgroup_fs_for(const struct container *c, const char *type, const char *options);

/* For the last of these: the i-th hierarchy's name in that directory, and the type and the option to mount it
 * with. False: no more. */
struct cgroup_fs_part {
    char name[64];
    const char *type, *option;
};
bool cgroup_fs_part(const struct container *c, const struct pseudo_fs *fs, unsigned i,
                    struct cgroup_fs_part *ret);

/* The root that mountinfo is to show for it; NULL: "/". */
const char *cgroup_fs_path(const struct pnode *root);

/* Where the container has no cgroup: what the keep itself knows. NULL: nothing of that controller. */
const struct pentry *cgroup_default_v1(const char *controllers);
extern const struct pentry cgroup_default_v2[];

#endif
