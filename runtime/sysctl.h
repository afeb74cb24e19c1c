/* linux.sysctl of config.json: settings of the container's own namespaces, and no others (OCI
 * config-linux.md, "Sysctl"). */
#ifndef BAILEY_RUNTIME_SYSCTL_H
#define BAILEY_RUNTIME_SYSCTL_H

#include "common/err.h"

struct oci_config;

/* Checks keys and values; the machine's names become c's hostname and domainname. 0, or -1 with *e
 * (ERR_CONFIG) naming the key. */
int sysctl_check(struct oci_config *c, struct err *e);

/* In the container's network namespace, with the host's /proc still there: writes those of the network, but
 * for the few that are the keep's to enforce. */
int sysctl_write_net(const struct oci_config *c, struct err *e);

#endif
