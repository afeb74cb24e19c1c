/* Memory that is released all at once: what a parsed file is made of. Not thread-safe. */
#ifndef BAILEY_COMMON_ARENA_H
#define BAILEY_COMMON_ARENA_H

#include <stddef.h>

struct arena;

/* Both end the process with a message where memory is out: the command has nothing better to do then. */
struct arena *arena_new(void);
/* Zeroed memory for n objects of size bytes (not NULL for n == 0 either), aligned for any type. */
void *arena_alloc(struct arena *a, size_t n, size_t size);

/* Texts in it, which end with a zero: the first len bytes of s, and what printf(3) makes of fmt. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* NULL is fine. */
void arena_free(struct arena *a);

static inline void arena_free_p(struct arena **a)
{
    arena_free(*a);
}

#endif
