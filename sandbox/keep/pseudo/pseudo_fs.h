/* The mount functions of the file systems in pseudo_fs_find's table, as struct pseudo_fs wants them. */
#ifndef BAILEY_KEEP_PSEUDO_FS_H
#define BAILEY_KEEP_PSEUDO_FS_H

#include "sandbox/keep/pseudo/pseudo.h"

int procfs_mount(struct container *c, const char *options, struct pnode **ret);
int sysfs_mount(struct container *c, const char *options, struct pnode **ret);
int devpts_mount(struct container *c, const char *options, struct pnode **ret);

#endif
