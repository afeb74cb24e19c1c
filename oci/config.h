/* config.json of an OCI bundle, parsed and checked: what the rest of the runtime reads instead of JSON.
 *
 * Everything that hangs off a struct oci_config belongs to it and lives until oci_config_free. Lists are
 * given as a pointer and a count, or end with NULL where that is said. A string that config.json does not set
 * is NULL. */
#ifndef BAILEY_OCI_CONFIG_H
#define BAILEY_OCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/err.h"

struct arena;

/* A number that may be absent. */
struct oci_int {
    bool set;
    int64_t v;
};

struct oci_user {
    uid_t uid;
    gid_t gid;
    bool umask_set;
    mode_t umask;
    gid_t *groups; /* additionalGids */
    size_t ngroups;
};

struct oci_rlimit {
    int resource; /* RLIMIT_... */
    const char *type;
    struct rlimit lim;
};

/* Bit n is capability n. Names that this kernel does not know are warned about and dropped, as the spec asks.
 */
struct oci_caps {
    bool set; /* process.capabilities is there */
    uint64_t bounding, effective, inheritable, permitted, ambient;
};

/* process.scheduler; numbers as sched_setattr(2) has them. */
struct oci_scheduler {
    bool set;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* ns */
};

/* linux.memoryPolicy; as for set_mempolicy(2). */
struct oci_memory_policy {
    bool set;
    int mode; /* with its flags */
    uint64_t nodes;
};

struct oci_process {
    char **args; /* NULL-terminated, never empty */
    char **env;  /* NULL-terminated */
    size_t nargs, nenv;
    const char *cwd; /* absolute */
    struct oci_user user;
    struct oci_rlimit *rlimits;
    size_t nrlimits;
    struct oci_caps caps;
    bool no_new_privileges;
    struct oci_int oom_score_adj;
    struct oci_scheduler scheduler;
    struct oci_int io_priority;                    /* as for ioprio_set(2) */
    const char *affinity_initial, *affinity_final; /* execCPUAffinity; NULL or "": not set */
    bool terminal;
    unsigned short console_height, console_width; /* 0: not set, or no terminal */
    const char *apparmor_profile, *selinux_label;
};

/* As many as the kernel takes (user_namespaces(7)). */
#define OCI_IDMAPS_MAX 340

struct oci_idmap {
    uint32_t container_id, host_id, size;
};

struct oci_mount {
    const char *destination; /* absolute */
    const char *type;        /* "bind" for bind mounts; never NULL, "" if not set */
    const char *source;      /* as written; relative to the bundle for a bind mount; NULL if not set */
    bool bind, recursive;    /* bind and rbind */
    bool remount, tmpcopyup;
    bool idmap, ridmap;
    unsigned long flags;         /* MS_RDONLY, MS_NOSUID ... to set */
    unsigned long flags_clear;   /* flags that an option turned off by name (rw, suid, dev, exec ...) */
    uint64_t rec_set, rec_clear; /* MOUNT_ATTR_... of the recursive options (rro, rnosuid ...) */
    unsigned long
        propagation;  /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, perhaps | MS_REC; 0: none asked */
    const char *data; /* the options that are not flags, comma-separated; "" if none */
    char **options;   /* as written, NULL-terminated */
    struct oci_idmap *uid_mappings, *gid_mappings;
    size_t nuid_mappings, ngid_mappings;
};

struct oci_hook {
    const char *path; /* absolute */
    char **args;      /* NULL-terminated; NULL: path alone */
    char **env;       /* NULL-terminated; NULL: the runtime's own */
    int timeout;      /* seconds; 0: none */
};

enum oci_hook_kind {
    OCI_HOOK_PRESTART,
    OCI_HOOK_CREATE_RUNTIME,
    OCI_HOOK_CREATE_CONTAINER,
    OCI_HOOK_START_CONTAINER,
    OCI_HOOK_POSTSTART,
    OCI_HOOK_POSTSTOP,
    OCI_HOOK_KINDS
};

struct oci_hooks {
    struct oci_hook *list;
    size_t n;
};

enum oci_ns_type {
    OCI_NS_PID,
    OCI_NS_NET,
    OCI_NS_MNT,
    OCI_NS_IPC,
    OCI_NS_UTS,
    OCI_NS_USER,
    OCI_NS_CGROUP,
    OCI_NS_TIME,
    OCI_NS_TYPES
};

struct oci_namespace {
    bool set;         /* listed: new, or joined if it has a path; otherwise the caller's */
    const char *path; /* absolute, or NULL */
};

struct oci_device {
    char type;        /* 'c', 'b', 'p' ("u" is 'c') */
    const char *path; /* absolute */
    unsigned major, minor;
    mode_t mode; /* permission bits; 0666 if not set */
    uid_t uid;
    gid_t gid;
};

struct oci_device_rule {
    bool allow;
    char type;                   /* 'a', 'c', 'b' */
    struct oci_int major, minor; /* not set: all */
    bool read, write, mknod;
};

/* A value for one block device. */
struct oci_device_value {
    unsigned major, minor;
    uint64_t v;
};

enum oci_throttle { OCI_READ_BPS, OCI_WRITE_BPS, OCI_READ_IOPS, OCI_WRITE_IOPS, OCI_THROTTLES };

struct oci_device_values {
    struct oci_device_value *list;
    size_t n;
};

/* A number for a thing with a name: a size of huge pages, a network interface. */
struct oci_named_int {
    const char *name;
    uint64_t v;
};

struct oci_rdma {
    const char *device;
    struct oci_int handles, objects;
};

struct oci_resources {
    struct { /* bytes; -1: no limit */
        struct oci_int limit, reservation, swap, kernel, kernel_tcp, swappiness;
        bool disable_oom_killer, use_hierarchy, check_before_update;
    } memory;
    struct {
        struct oci_int shares, quota, burst, period, rt_runtime, rt_period, idle;
        const char *cpus, *mems;
    } cpu;
    struct oci_int pids_limit;
    struct {
        struct oci_int weight, leaf_weight;
        struct oci_device_values device_weight, device_leaf_weight, throttle[OCI_THROTTLES];
    } io;
    struct oci_named_int *hugepages; /* name: "2MB" */
    size_t nhugepages;
    struct oci_int net_class;
    struct oci_named_int *net_priorities; /* name: the interface */
    size_t nnet_priorities;
    struct oci_rdma *rdma;
    size_t nrdma;
    struct oci_device_rule *devices;
    size_t ndevices;
    struct oci_pair *unified;
    size_t nunified;
};

struct oci_pair {
    const char *key, *value;
};

enum oci_seccomp_action {
    OCI_ACT_KILL_THREAD,
    OCI_ACT_KILL_PROCESS,
    OCI_ACT_TRAP,
    OCI_ACT_ERRNO,
    OCI_ACT_TRACE,
    OCI_ACT_ALLOW,
    OCI_ACT_LOG,
    OCI_ACT_NOTIFY,
};

enum oci_seccomp_op { OCI_OP_NE, OCI_OP_LT, OCI_OP_LE, OCI_OP_EQ, OCI_OP_GE, OCI_OP_GT, OCI_OP_MASKED_EQ };

struct oci_seccomp_arg {
    unsigned index; /* 0 to 5 */
    uint64_t value, value_two;
    enum oci_seccomp_op op;
};

struct oci_seccomp_rule {
    char **names; /* NULL-terminated, never empty */
    enum oci_seccomp_action action;
    unsigned errno_ret; /* EPERM if not set */
    struct oci_seccomp_arg *args;
    size_t nargs;
};

struct oci_seccomp {
    enum oci_seccomp_action default_action;
    unsigned default_errno;
    char **architectures, **flags; /* NULL-terminated; the names of the spec */
    const char *listener_path, *listener_metadata;
    struct oci_seccomp_rule *rules;
    size_t nrules;
};

/* What a time namespace adds to a clock. */
struct oci_time_offset {
    int64_t secs;
    uint32_t nanosecs;
};

/* An interface of the runtime's that moves into the container's network namespace. */
struct oci_net_device {
    const char *host_name;
    const char *name; /* what it is called there; never NULL */
};

struct oci_linux {
    struct oci_namespace ns[OCI_NS_TYPES];
    struct oci_idmap *uid_mappings, *gid_mappings;
    size_t nuid_mappings, ngid_mappings;
    struct oci_device *devices;
    size_t ndevices;
    const char *cgroups_path;
    struct oci_resources resources;
    struct oci_pair *sysctl;
    size_t nsysctl;
    char **masked_paths, **readonly_paths; /* NULL-terminated; each absolute */
    unsigned long rootfs_propagation;      /* like struct oci_mount's propagation */
    struct oci_seccomp *seccomp;           /* NULL: none */
    const char *mount_label;
    struct oci_memory_policy memory_policy;
    struct oci_int personality; /* as for personality(2) */
    bool has_time_offsets;
    struct oci_time_offset monotonic, boottime;
    struct oci_net_device *net_devices;
    size_t nnet_devices;
};

struct oci_config {
    const char *version;         /* ociVersion */
    struct oci_process *process; /* NULL: config.json has none */
    struct {
        const char *path; /* as written: absolute, or relative to the bundle */
        bool readonly;
    } root;
    const char *hostname, *domainname; /* NULL: not set */
    struct oci_mount *mounts;
    size_t nmounts;
    struct oci_hooks hooks[OCI_HOOK_KINDS];
    struct oci_pair *annotations;
    size_t nannotations;
    struct oci_linux lx; /* the "linux" object; all zero where there is none */
    const char *text;    /* the JSON that it was read from */
    struct arena *arena; /* owns everything above */
};

/* Reads BUNDLE/config.json. Unknown properties are ignored; a wrong type or value is refused with the field's
 * path
 * ("process.rlimits[1].type"), broken JSON with line and column. Returns 0 with *ret (the caller's, for
 * oci_config_free), or -1 with *e (ERR_NOENT: no bundle or config.json; ERR_CONFIG: not valid). */
int oci_config_load(const char *bundle, struct oci_config **ret, struct err *e);

/* The same from a file of any name. */
int oci_config_load_file(const char *path, struct oci_config **ret, struct err *e);

/* The same from text in memory; name stands for the file in messages. */
int oci_config_parse(const char *text, size_t len, const char *name, struct oci_config **ret, struct err *e);

/* A file that holds a "process" object alone: a config in which nothing else is set. */
int oci_process_load(const char *path, struct oci_config **ret, struct err *e);

/* The text of a "resources" object alone. What *ret points to is the arena's. */
int oci_resources_parse(struct arena *a, const char *text, size_t len, const char *name,
                        struct oci_resources *ret, struct err *e);

/* NULL is fine. */
void oci_config_free(struct oci_config *c);

static inline void oci_config_free_p(struct oci_config **c)
{
    oci_config_free(*c);
}

#endif
