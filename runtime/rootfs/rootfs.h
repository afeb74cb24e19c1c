/* The container's tree: every mount that config.json asks for, made in a mount namespace of the keep's own.
 */
#ifndef BAILEY_RUNTIME_ROOTFS_H
#define BAILEY_RUNTIME_ROOTFS_H

#include "common/err.h"
#include "sandbox/keep/fs/vfs.h"

struct oci_config;
struct userns_ids;

struct rootfs {
    struct mount_spec *mounts; /* [0] is "/"; for keep_boot */
    unsigned nmounts;
    int procfd;     /* detached procfs (hidepid=ptraceable, subset=pid where the kernel takes it) */
    int devpts_fd;  /* root of a private devpts instance (newinstance, ptmxmode=0666) */
    int scratch_fd; /* root of a private tmpfs */
};

/* Called with every mount made, in the mount namespace that they are in, before the host is gone. 0 or -1. */
typedef int (*rootfs_hook)(void *arg, struct err *e);

struct rootfs_plan {
    const struct oci_config *config;
    const char *bundle;
    /* The container's ids as the host has them, where the caller is not yet in its user namespace: what is
     * made belongs to its root. NULL: there is no other, or the caller is in it. */
    const struct userns_ids *ids;
    int userns;   /* that namespace, or -1 */
    bool overlay; /* the root is only read: what is written stays in memory */
    rootfs_hook before_pivot;
    void *arg;
};

/* In the process that becomes the keep, still with the caller's rights: a new mount namespace (all private),
 * the config's host mounts (bind, tmpfs ...) made on the rootfs in order through descriptors (openat2
 * RESOLVE_IN_ROOT; never a path string after the rootfs is open), an empty directory as mountpoint for every
 * virtual one (proc, sysfs, devpts, mqueue, cgroup), default devices and /dev links, everything nodev; then
 * pivot_root, so that "/" is the container's root and the host is gone. 0 with *ret, whose array and
 * descriptors are the caller's, or -1 with *e. */
int rootfs_setup(const struct rootfs_plan *p, struct rootfs *ret, struct err *e);

#endif
