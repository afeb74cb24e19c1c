/* Random bytes as getrandom(2) gives them, a few at a time: each thread keeps some in store. */
#ifndef BAILEY_KEEP_RANDOM_H
#define BAILEY_KEEP_RANDOM_H

#include <stddef.h>

/* At most 64 bytes. Never fails: without randomness the sandbox ends. */
void random_bytes(void *buf, size_t n);

#endif
