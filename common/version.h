#ifndef BAILEY_COMMON_VERSION_H
#define BAILEY_COMMON_VERSION_H

#define BAILEY_VERSION "0.1.0"
#define OCI_SPEC_VERSION                                                                                     \
    "1.3.0" /* the newest that is known: of states, features, and what `bailey spec` writes */
#define OCI_SPEC_VERSION_MIN "1.0.0"
#define OCI_SPEC_MINOR_MAX 3

#endif
