/* A container's control groups on the host: where its porters and guests are counted and limited. The keep is
 * outside of them, so that no limit of a container can end the kernel that serves it; only that of a pod is
 * in those of the pod's sandbox, where an engine looks for what the pod takes beside its containers.
 *
 * All three layouts of a host are one here: a list of hierarchies, each version 1 or 2 with its controllers.
 */
#ifndef BAILEY_RUNTIME_CGROUP_H
#define BAILEY_RUNTIME_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/err.h"

struct oci_config;
struct oci_resources;

enum cgroup_ctl {
    CG_CPU,
    CG_CPUACCT,
    CG_CPUSET,
    CG_MEMORY,
    CG_DEVICES,
    CG_FREEZER,
    CG_IO, /* "blkio" in version 1 */
    CG_PIDS,
    CG_HUGETLB,
    CG_NET_CLS,
    CG_NET_PRIO,
    CG_RDMA,
    CG_UNIFIED, /* the hierarchy of version 2 itself */
    CG_CTLS
};

enum { CGROUP_TREES_MAX = 20, CGROUP_PATH_MAX = 1024, CGROUP_MOUNT_MAX = 128, CGROUP_UNIT_MAX = 256 };

/* One mounted hierarchy. */
struct cgroup_tree {
    char mount[CGROUP_MOUNT_MAX];
    int version;      /* 1 or 2 */
    unsigned ctls;    /* bit n: enum cgroup_ctl */
    unsigned existed; /* so many components of the path were there before: they are not ours to remove */
};

/* A container's cgroup: one directory of the same path in each hierarchy. A plain value. */
struct cgroup {
    char path[CGROUP_PATH_MAX]; /* below each mount: "/a/b" */
    char unit[CGROUP_UNIT_MAX]; /* of systemd's, whose cgroup it is; "": none */
    bool asked;                 /* config.json names it, so that it must be had */
    unsigned ntrees;
    struct cgroup_tree trees[CGROUP_TREES_MAX];
};

/* The path for linux.cgroupsPath (NULL or "": none) and the id: absolute ones are below the mount, others
 * below /bailey, and /bailey/ID without one. ERR_CONFIG for "..", the root itself, and what cannot be a name.
 */
int cgroup_path(const char *cgroups_path, const char *id, char ret[CGROUP_PATH_MAX], struct err *e);

/* Finds the hierarchies in text like /proc/self/mountinfo's, which it changes. For tests, too: detection
 * itself reads this process's. */
void cgroup_parse_mounts(struct cgroup *cg, char *mountinfo);

/* Fills *cg for a container that is to be made. Nothing is changed on the host. */
int cgroup_plan(struct cgroup *cg, const char *cgroups_path, const char *id, struct err *e);

/* Makes the directories, having written to the file "cgroup" in state_dir what is about to be made, so that a
 * killed command leaves a trace of it. A container whose config names no cgroup gets one only where res (may
 * be NULL) limits something, and in the freezer's hierarchy. Hierarchies that cannot be written are dropped
 * from *cg with a warning, unless res or the config's path ask for them. -1: nothing is left behind. */
int cgroup_create(struct cgroup *cg, const struct oci_resources *res, int state_dir, struct err *e);

/* The same with systemd as the manager, where the unit needs the porter: first the unit is planned and noted
 * in state_dir; then, with the porter there, it is started with the porter in it and with the limits as
 * properties, and what systemd leaves out is made. Limits are still to be applied (cgroup_enter). id: for
 * people. */
int cgroup_plan_unit(struct cgroup *cg, const struct oci_config *c, const char *id, int state_dir,
                     struct err *e);
int cgroup_start_unit(struct cgroup *cg, const struct oci_config *c, const char *id, pid_t porter,
                      int state_dir, struct err *e);

/* What cgroup_create wrote. 1: there is none (and *cg is empty, which all others take as nothing to do). */
int cgroup_load(struct cgroup *cg, int state_dir, struct err *e);

/* Adds the hierarchies that res limits something in and that the container has no cgroup in so far, and moves
 * its processes there. */
int cgroup_widen(struct cgroup *cg, const struct oci_resources *res, int state_dir, struct err *e);

/* Writes the limits. All that the config sets must be had; what a later kernel made meaningless is warned
 * about. */
int cgroup_apply(const struct cgroup *cg, const struct oci_resources *res, struct err *e);

/* New limits for a container that runs: cgroup_apply, with systemd knowing of them. */
int cgroup_update(const struct cgroup *cg, const struct oci_resources *asked, struct err *e);

/* Moves the process (all its threads) in; its children will be born there. */
int cgroup_attach(const struct cgroup *cg, pid_t pid, struct err *e);

/* The same for exec's --cgroup [CONTROLLER,...:]PATH: PATH, which must exist, is below the container's
 * cgroup. */
struct option_list;
int cgroup_attach_at(const struct cgroup *cg, const struct option_list *args, pid_t pid, struct err *e);

/* The same for the keep of a pod, whose use of memory and CPU is the pod's: only into hierarchies that count
 * or share out something, where that can be told from freezing and devices (version 1). */
int cgroup_attach_keep(const struct cgroup *cg, pid_t keep, struct err *e);

/* For a new container: cgroup_apply and cgroup_attach of its porter. A pids.limit that would not even let the
 * porter make the first process waits for cgroup_settle, once that process is there; it also keeps the host
 * from choosing the porter when memory is out. */
int cgroup_enter(const struct cgroup *cg, const struct oci_resources *res, pid_t porter, struct err *e);
int cgroup_settle(const struct cgroup *cg, const struct oci_resources *res, pid_t porter, struct err *e);

/* Version 2: makes the user of process.user the owner of the directory and of what
 * /sys/kernel/cgroup/delegate lists, where config.json asks for a cgroup namespace of its own and mounts the
 * cgroup read-write. */
int cgroup_delegate(const struct cgroup *cg, const struct oci_config *c, struct err *e);

/* Stops or continues everything in it; returns when that is done. ERR_UNSUPPORTED without a freezer. */
int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e);
bool cgroup_is_frozen(const struct cgroup *cg);
/* True if that would stop what cgroup_attach_keep put there, too. */
bool cgroup_freezes_keep(const struct cgroup *cg);

/* The host pids in it and below; *ret is malloc'ed. */
int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *n, struct err *e);

/* Kills all that is in it, frozen or not, and waits until it is gone (some seconds at most). */
int cgroup_kill(const struct cgroup *cg, struct err *e);

/* Removes what cgroup_create made (and sub-cgroups of it), with its file in state_dir. What is still in use
 * after a moment is warned about. */
void cgroup_remove(const struct cgroup *cg, int state_dir);

/* How many of its processes the host has killed for want of memory. */
uint64_t cgroup_oom_kills(const struct cgroup *cg);

/* A descriptor that is ready to be read when that number may have changed (what is read is to be thrown
 * away), and once the cgroup is gone; the caller closes it. -1: this kernel has none. */
int cgroup_oom_watch(const struct cgroup *cg);

/* Writes the statistics as the "data" object of runc's `events --stats`. */
int cgroup_print_stats(const struct cgroup *cg, FILE *out, struct err *e);

#endif
