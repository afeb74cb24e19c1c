/* Text of lines "key value", as control groups and /proc have them. */
#ifndef BAILEY_KEYED_H
#define BAILEY_KEYED_H

#include <stdint.h>

/* The number behind key at a line's start; otherwise: there is none. text may be NULL. */
uint64_t keyed_value(const char *text, const char *key, uint64_t otherwise);

#endif
