/* A program to be run in a sandbox that is there already, as bytes: how the runtime hands struct keep_process
 * to the keep. */
#ifndef BAILEY_PLATFORM_SPEC_H
#define BAILEY_PLATFORM_SPEC_H

#include "sandbox/keep/container/container.h"

/* Packs *p (but for its descriptors) into a sealed memfd. Its descriptor, or -errno. */
int spec_pack(const struct keep_process *p);

/* Unpacks what spec_pack made; everything is checked. The strings belong to *ret, for spec_free. Descriptors
 * are -1. 0, -EBADMSG, -ENOMEM, -errno. */
int spec_unpack(int fd, struct keep_process *ret);

/* The descriptors that travel beside it: stdio or the terminal, then what else *p says there is. give writes
 * them down in that order, and says how many; take moves them into *p. */
enum { SPEC_FDS = 5 };
unsigned spec_give_fds(const struct keep_process *p, int fds[SPEC_FDS]);
void spec_take_fds(struct keep_process *p, int *fds);

void spec_free(struct keep_process *p);

#endif
