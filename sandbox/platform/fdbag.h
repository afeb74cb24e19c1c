/* Any number of descriptors as one: they lie in the queue of a socket. */
#ifndef BAILEY_PLATFORM_FDBAG_H
#define BAILEY_PLATFORM_FDBAG_H

enum { FDBAG_MAX = 512 };

/* Puts duplicates of first to first + n - 1 into a new bag: a descriptor, or -errno (-EBADF: one is not
 * open). */
int fdbag_pack(int first, unsigned n);

/* Takes up to FDBAG_MAX out, in their order; they are the caller's. How many, or -errno. */
int fdbag_unpack(int bag, int fds[FDBAG_MAX]);

#endif
