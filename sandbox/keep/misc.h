/* What the kernel inside says that it is. */
#ifndef BAILEY_KEEP_MISC_H
#define BAILEY_KEEP_MISC_H

#ifndef BAILEY_VERSION
#define BAILEY_VERSION "0.1"
#endif

#define KEEP_RELEASE "6.12.0-bailey"
#define KEEP_VERSION "#1 SMP Bailey " BAILEY_VERSION

#endif
