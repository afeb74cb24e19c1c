/* What this kernel calls itself, wherever a guest asks: uname(2), /proc/version, /proc/sys/kernel, the boot
 * log. */
#ifndef BAILEY_KEEP_VERSION_H
#define BAILEY_KEEP_VERSION_H

#include "common/version.h"

#define KEEP_SYSNAME "Linux"
/* The Linux whose interfaces are kept, then the name: programs parse the leading numbers. */
#define KEEP_RELEASE "6.12.0-bailey"
#define KEEP_VERSION "#1 SMP Bailey " BAILEY_VERSION
#define KEEP_MACHINE "x86_64"

#endif
