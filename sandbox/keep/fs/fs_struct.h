/* root, cwd and umask of a task (struct fs is in task.h; CLONE_FS shares it). */
#ifndef BAILEY_KEEP_FS_STRUCT_H
#define BAILEY_KEEP_FS_STRUCT_H

#include "sandbox/keep/kernel.h"

struct fs;
struct dentry;

/* For a container's first task: its root, and cwd resolved in it (made where it is missing). One reference.
 * NULL: *err is a positive errno. Before any guest runs. */
struct fs *fs_new_root(struct container *c, const char *cwd, mode_t umask, int *err);
struct fs *fs_get(struct fs *fs);
void fs_put(struct fs *fs);
/* A copy with refs 1 (fork, unshare(CLONE_FS)); NULL: no memory. */
struct fs *fs_dup(struct fs *fs);

/* References to root and cwd as they are now. Takes fs->lock. */
struct dentry *fs_root(struct fs *fs);
struct dentry *fs_cwd(struct fs *fs);

#endif
