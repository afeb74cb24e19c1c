/* Capability names as config.json writes them. */
#ifndef BAILEY_OCI_CAPS_H
#define BAILEY_OCI_CAPS_H

/* The number of "CAP_CHOWN" and so on, or -1. */
int oci_cap_of(const char *name);
/* The name of capability n, or NULL past the last. */
const char *oci_cap_name(unsigned n);

#endif
