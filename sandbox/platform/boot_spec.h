/* A container that is to join a sandbox, as bytes: how the runtime hands struct keep_boot to a keep that runs
 * already. What is not in it: descriptors, and the program (spec.h). */
#ifndef BAILEY_PLATFORM_BOOT_SPEC_H
#define BAILEY_PLATFORM_BOOT_SPEC_H

#include "sandbox/keep/container/container.h"

/* Packs *b into a sealed memfd. Its descriptor, or -errno. */
int boot_spec_pack(const struct keep_boot *b);

/* What boot_spec_unpack allocates. */
struct boot_spec {
    struct keep_boot boot; /* descriptors are -1 */
    char *block;
    struct mount_spec *mounts;
    char **lists[2];
};

/* Unpacks what boot_spec_pack made; everything is checked. *ret is for boot_spec_free, on failure too. 0,
 * -EBADMSG, -errno. */
int boot_spec_unpack(int fd, struct boot_spec *ret);
void boot_spec_free(struct boot_spec *s);

#endif
