/* systemd as the manager of a container's cgroup: a transient scope (or slice) by D-Bus.
 * See systemd's org.freedesktop.systemd1(5) and docs/cgroup-systemd.md; the words of config.json are runc's.
 */
#ifndef BAILEY_RUNTIME_SYSTEMD_H
#define BAILEY_RUNTIME_SYSTEMD_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/err.h"
#include "runtime/cgroup/cgroup.h"

struct oci_config;
struct oci_resources;

struct systemd_unit {
    char name[CGROUP_UNIT_MAX], slice[CGROUP_UNIT_MAX];
    bool is_slice; /* the container's own unit is one: it takes no processes by itself */
};

/* linux.cgroupsPath as "SLICE:PREFIX:NAME": PREFIX-NAME.scope in SLICE; "" is system.slice (user.slice for
 * users) and "-" the root; a NAME that ends in .slice is a slice itself. NULL or "": bailey-ID.scope. */
int systemd_unit_of(const char *cgroups_path, const char *id, struct systemd_unit *ret, struct err *e);

/* A request to the helper (runtime/systemd/helper.c): strings with a NUL each. */
void systemd_put(FILE *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the properties for the limits; cg says which version each controller has. */
int systemd_put_resources(FILE *request, const struct cgroup *cg, const struct oci_resources *res,
                          struct err *e);

/* Appends what annotations "org.systemd.property.NAME" say, in the text form of GVariant. */
int systemd_put_annotations(FILE *request, const struct oci_config *c, struct err *e);
/* One of them: NAME and value; a NAME that ends in Sec becomes USec. For tests, too. */
int systemd_put_variant(FILE *request, const char *name, const char *text, struct err *e);

/* Runs the helper with the request. *ret_answer (may be NULL) is malloc'ed, without its newline. */
int systemd_call(const char *request, size_t len, char **ret_answer, struct err *e);

#endif
