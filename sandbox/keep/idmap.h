/* Which ids there are in the keep's user namespace, and so for its guests (user_namespaces(7)). */
#ifndef BAILEY_KEEP_IDMAP_H
#define BAILEY_KEEP_IDMAP_H

#include <stdbool.h>
#include <sys/types.h>

/* At start, only where some ids are missing or the config maps them: reads the mappings from the host.
 * 0 or -errno. */
int idmap_init(void);

/* Whether it is mapped; without idmap_init all are but -1. Any thread, no lock. */
bool idmap_has_uid(uid_t uid);
bool idmap_has_gid(gid_t gid);
/* setgroups(2) is forbidden for good, as where one maps one's own group without privileges. */
bool idmap_denies_groups(void);

/* The texts of /proc/PID/uid_map, gid_map and setgroups. */
const char *idmap_uid_text(void);
const char *idmap_gid_text(void);
const char *idmap_groups_text(void);

#endif
