/* POSIX message queues as /dev/mqueue shows them. */
#ifndef BAILEY_KEEP_MQUEUE_H
#define BAILEY_KEEP_MQUEUE_H

#include <limits.h>

#include "sandbox/keep/kernel.h"

struct ipc;
struct pnode;

struct mqueue_info {
    char name[NAME_MAX + 1];
    uid_t uid;
    gid_t gid;
    mode_t mode;
    char text[128]; /* what reading it gives */
};

/* The queue of that name, or with NULL the one at that place in the list. False: there is none. */
bool mqueue_info(const struct ipc *ipc, const char *name, unsigned index, struct mqueue_info *ret);

/* The mqueue file system. */
int mqueue_mount(struct container *c, const char *options, struct pnode **ret);

#endif
