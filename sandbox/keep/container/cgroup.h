/* A container's control groups as the keep has them: the container's own directory in each hierarchy of the
 * host, as a descriptor of a detached mount (so that there is no way up from it). What a guest sees of its
 * limits is read from there when it asks, so that it follows every change. */
#ifndef BAILEY_KEEP_CGROUP_H
#define BAILEY_KEEP_CGROUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/platform/messages.h"

struct container;
struct strbuf;

/* One line of the /proc/PID/cgroup of its porter. */
struct keep_cgroup_tree {
    int version;          /* 1 or 2 */
    unsigned hierarchy;   /* the host's number for it */
    char controllers[64]; /* "cpu,cpuacct", "name=systemd"; "" in version 2 */
    char path[1024];      /* as the container is to see it; under tasklist_lock */
    atomic_int dir;       /* -1: the container has no cgroup of its own there */
    atomic_int pids_max;  /* the open file, or -1 */
};

enum { KEEP_CGROUPS_MAX = CGROUP_FDS - 1 };

struct keep_cgroup {
    atomic_uint n;
    struct keep_cgroup_tree tree[KEEP_CGROUPS_MAX];
};

/* Takes over the descriptors of CONTROL_CGROUP: all become -1. A later call adds what was not there. 0 or
 * -errno. */
int keep_cgroup_take(struct container *c, int fds[CGROUP_FDS]);

/* At the container's end: closes them. */
void keep_cgroup_release(struct container *c);

/* Tasks that there may be, UINT64_MAX: any number. */
uint64_t keep_cgroup_pids_max(const struct container *c);

/* How many processors the quota is worth, rounded up; 0: no quota. */
unsigned keep_cgroup_quota(const struct container *c);

/* Bits of the processors that it may run on; false: all. */
enum { CPU_WORDS = 128 };
bool keep_cgroup_cpuset(const struct container *c, unsigned long mask[CPU_WORDS]);

/* In bytes; UINT64_MAX: no limit. False: memory is not counted. */
struct keep_cgroup_memory {
    uint64_t limit, used, cache, shmem;
    uint64_t swap_limit, swap_used; /* swap alone */
};
bool keep_cgroup_memory(const struct container *c, struct keep_cgroup_memory *ret);

/* The text of /proc/PID/cgroup and of /proc/cgroups. */
void keep_cgroup_show(const struct container *c, struct strbuf *sb);
void keep_cgroup_show_controllers(const struct container *c, struct strbuf *sb);

#endif
