/* What the files of cgroup.h share. */
#ifndef BAILEY_RUNTIME_CGROUP_INTERNAL_H
#define BAILEY_RUNTIME_CGROUP_INTERNAL_H

#include <limits.h>

#include "runtime/cgroup/cgroup.h"

struct oci_device_rule;

/* The hierarchy with that controller, or NULL. */
const struct cgroup_tree *cgroup_tree_of(const struct cgroup *cg, enum cgroup_ctl ctl);

/* By the name that version 1 (in mount options) or 2 (in cgroup.controllers) has for it; CG_COUNT: none. */
enum cgroup_ctl cgroup_ctl_by_name(const char *name, size_t len, int version);

/* MOUNT + PATH + "/" + file; false where that is too long. */
bool cgroup_file(const struct cgroup_tree *t, const char *path, const char *file, char ret[PATH_MAX]);

/* One write(2) of the whole text. 0 or an errno. */
int cgroup_write(const char *file, const char *text);
/* The whole text, NUL-terminated, malloc'ed; NULL with errno. */
char *cgroup_read(const char *file);

/* What each version does differently. path: below the mount, the parent made and set up already. */
struct cgroup_ops {
    /* After a directory was made, with parent ("" is the mount itself). needed: controllers that must work. 0
     * or an errno. */
    int (*set_up)(const struct cgroup_tree *t, const char *parent, const char *path, unsigned needed);
    /* 0 or an errno. */
    int (*freeze)(const struct cgroup_tree *t, const char *path, bool frozen);
    bool (*is_frozen)(const struct cgroup_tree *t, const char *path);
};

/* A freezer's file, the words that it takes, and whether all tasks have obeyed the first. */
struct cgroup_freezer {
    const char *file, *freeze, *thaw;
    bool (*is_whole)(const struct cgroup_tree *t, const char *path);
};
/* 0 or an errno; after ETIMEDOUT it is thawed. */
int cgroup_freeze_by(const struct cgroup_freezer *f, const struct cgroup_tree *t, const char *path,
                     bool frozen);

extern const struct cgroup_ops cgroup_v1, cgroup_v2;

/* Removes the path's own cgroup with all below it, then the parents that were made for it and are empty. */
void cgroup_remove_tree(const struct cgroup *cg, const struct cgroup_tree *t);

/* Fills cg's trees. */
int cgroup_find_trees(struct cgroup *cg, struct err *e);
/* Writes the file in state_dir. */
int cgroup_save(const struct cgroup *cg, int state_dir, struct err *e);
/* Like cgroup_create, for a path that exists in some hierarchies already, with processes in it. */
int cgroup_adopt(struct cgroup *cg, const struct oci_resources *res, int state_dir, struct err *e);
/* Stops cg's unit, if it is one. */
void cgroup_stop_unit(const struct cgroup *cg);

/* One value for one file. */
struct cgroup_set {
    enum cgroup_ctl ctl;
    char file[96], value[256];
    char fallback[96]; /* file to take where the first does not exist; "": none */
    char instead[32];  /* value for that one; "": the same */
    char field[96];    /* for messages: "memory.limit" */
    bool optional;     /* where there is no such file, there is nothing to do */
};

struct cgroup_sets {
    struct cgroup_set *list; /* malloc'ed */
    size_t n, room;
};

static inline void cgroup_sets_free(struct cgroup_sets *s)
{
    free(s->list);
}

/* The writes that the resources ask for, in order. version[ctl]: 1 or 2, 0 where the host has none: then -1
 * with ERR_UNSUPPORTED if the controller is asked for. */
int cgroup_sets_make(const struct oci_resources *res, const int version[CG_CTLS], struct cgroup_sets *ret,
                     struct err *e);

/* The rules as a program of type BPF_PROG_TYPE_CGROUP_DEVICE. *ret is malloc'ed; returns how many
 * instructions, 0 where memory is out or the rules are too many. */
struct bpf_insn;
size_t cgroup_device_program(const struct oci_device_rule *rules, size_t n, struct bpf_insn **ret);
/* Loads it for a cgroup of version 2, in the place of an earlier one. */
int cgroup_set_devices(const struct cgroup_tree *t, const char *path, const struct oci_resources *res,
                       struct err *e);

/* For statistics: a file's whole text (malloc'ed; NULL: none), and its number ("max" is the greatest). */
char *cgroup_read_of(const struct cgroup *cg, enum cgroup_ctl ctl, const char *file);
uint64_t cgroup_number_of(const struct cgroup *cg, enum cgroup_ctl ctl, const char *file);

/* Members of the statistics; psi prints a comma before it, or nothing, percpu just the elements. */
void cgroup_print_cpuset(const struct cgroup *cg, FILE *out);
void cgroup_print_hugetlb(const struct cgroup *cg, FILE *out);
void cgroup_print_psi(const struct cgroup *cg, const char *file, FILE *out);
void cgroup_print_percpu(const struct cgroup *cg, bool kernel, FILE *out);

/* cpu.shares to cpu.weight, blkio weight to io.weight. */
unsigned cgroup_cpu_weight(int64_t shares);
unsigned cgroup_io_weight(int64_t blkio_weight);

#endif
