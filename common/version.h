#ifndef BAILEY_COMMON_VERSION_H
#define BAILEY_COMMON_VERSION_H

#define BAILEY_VERSION "0.1.0"
#define OCI_SPEC_VERSION "1.2.1" /* what `bailey spec` writes */

#endif
