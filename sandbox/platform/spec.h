/* A program to be run in a sandbox that is there already, as bytes: how the runtime hands struct keep_process
 * to the keep. */
#ifndef BAILEY_PLATFORM_SPEC_H
#define BAILEY_PLATFORM_SPEC_H

#include "sandbox/keep/container.h"

/* Packs *p (but for its descriptors) into a sealed memfd. Its descriptor, or -errno. */
int spec_pack(const struct keep_process *p);

/* Unpacks what spec_pack made; everything is checked. The strings belong to *ret, for spec_free. Descriptors
 * are -1. 0, -EBADMSG, -ENOMEM, -errno. */
int spec_unpack(int fd, struct keep_process *ret);
void spec_free(struct keep_process *p);

#endif
