/* Paths inside a container's tree, which a hostile image or another container may change at any time: every
 * step goes by descriptor, symlinks are taken within the root, and no path string reaches mount, mkdir, mknod
 * or symlink.
 *
 * All functions return a descriptor or 0 on success and -errno on failure. */
#ifndef BAILEY_RUNTIME_PATHFD_H
#define BAILEY_RUNTIME_PATHFD_H

#include <stddef.h>
#include <sys/types.h>

/* openat2 under root: symlinks and ".." stay inside, magic links are refused. flags: as for open(2);
 * O_CLOEXEC is added. */
int pathfd_open(int root, const char *path, int flags);
/* The same without following any symlink (ELOOP). */
int pathfd_open_plain(int root, const char *path, int flags);

/* Opens the directory (O_PATH), and makes what is missing of it with mode 0755. */
int pathfd_mkdir(int root, const char *path);
/* Opens the file or directory (O_PATH); makes an empty file, and directories above it, where nothing is. */
int pathfd_touch(int root, const char *path);
/* Opens the directory above path's last component, making what is missing; copies that component to last.
 * EINVAL where it is "", "." or "..". */
int pathfd_parent(int root, const char *path, char last[256]);

/* The path of fd below root as the container sees it ("/" for root itself). Both descriptors must be of
 * mounts in this process's tree; proc_fd is the host's /proc/self/fd. */
int pathfd_name(int proc_fd, int root, int fd, char *buf, size_t size);

/* Path text with ".", ".." and doubled slashes resolved; begins with a slash. */
int pathfd_clean(const char *path, char *buf, size_t size);

#endif
