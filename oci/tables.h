/* The words that config.json may hold, out of the very tables that the parser looks them up in: for `bailey
 * features`. Each function gives the i-th name, NULL past the last. */
#ifndef BAILEY_OCI_TABLES_H
#define BAILEY_OCI_TABLES_H

#include <stdbool.h>

typedef const char *oci_names(unsigned i);

oci_names oci_hook_name;      /* parse_mounts.c */
oci_names oci_mount_option;   /* parse_mounts.c */
oci_names oci_propagation;    /* parse_mounts.c: these are mount options, too */
oci_names oci_namespace_name; /* parse_linux.c */
oci_names oci_seccomp_action; /* parse_seccomp.c */
oci_names oci_seccomp_operator;
oci_names oci_seccomp_arch;
oci_names oci_seccomp_flag;
oci_names oci_memory_mode; /* parse_confine.c */
oci_names oci_memory_flag;
oci_names oci_cap_name; /* caps.h */

/* False for a field ("linux", "intelRdt") that is not acted upon, so that it is an error or gets a warning.
 */
bool oci_honours(const char *object, const char *field);

#endif
