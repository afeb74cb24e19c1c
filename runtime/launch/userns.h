/* A container's user namespace: which ids of the host stand behind the container's own (user_namespaces(7)).
 *
 * Ids that guests see are the keep's affair; but the keep does their file calls as an inhabitant of this
 * namespace, so that the host's kernel translates: files belong to the mapped ids. */
#ifndef BAILEY_RUNTIME_USERNS_H
#define BAILEY_RUNTIME_USERNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

struct oci_config;

struct userns_extent {
    uint32_t inside, outside, count;
};

/* What a namespace makes of ids, as far as the runtime has to know. The lists are never released. */
struct userns_ids {
    struct userns_extent *uids, *gids;
    unsigned nuids, ngids;
    uid_t uid, host_uid; /* the lowest user there is inside, usually root, and who that is for the caller */
    gid_t gid, host_gid;
    bool partial; /* not every id is mapped */
};

/* What the config says of user namespaces fits together, and the caller may make it. 0, or -1 with *e. */
int userns_check(const struct oci_config *c, struct err *e);

/* Whether the caller must enter the container's user namespace before it can do anything for it. */
bool userns_needed_first(void);

/* Writes the config's mappings for a process that has just got its user namespace: directly, or by
 * newuidmap(1) and newgidmap(1) where the caller may not. */
int userns_map(const struct oci_config *c, pid_t pid, struct err *e);

/* One to one what the caller itself has. *ret_partial: that is not all ids. */
int userns_map_same(pid_t pid, bool *ret_partial, struct err *e);

/* What the mappings of pid (0: the caller) mean, seen from the caller's namespace. */
int userns_ids_of(pid_t pid, struct userns_ids *ret, struct err *e);

/* Who a user or group of the container is for the caller; false: not mapped. ids NULL: the same. */
bool userns_host_uid(const struct userns_ids *ids, uid_t uid, uid_t *ret);
bool userns_host_gid(const struct userns_ids *ids, gid_t gid, gid_t *ret);

/* In a process that has entered the user namespace that ids are of: becomes its root. */
int userns_become_root(const struct userns_ids *ids, struct err *e);

/* A descriptor of a new user namespace with these mappings, for mount_setattr(2)'s MOUNT_ATTR_IDMAP. */
struct oci_idmap;
int userns_for_mount(const struct oci_idmap *uids, size_t nuids, const struct oci_idmap *gids, size_t ngids,
                     struct err *e);

#endif
