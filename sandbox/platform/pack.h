/* Numbers and strings as bytes in sealed memory: how one process hands a structure to another. */
#ifndef BAILEY_PLATFORM_PACK_H
#define BAILEY_PLATFORM_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Being written. A failure (no memory) is kept until pack_finish. */
struct pack {
    char *buf;
    size_t len, size;
    bool failed;
};

void pack_number(struct pack *p, uint64_t v);
void pack_string(struct pack *p, const char *s);   /* NULL is kept apart from "" */
void pack_strings(struct pack *p, char *const *v); /* up to its NULL; NULL: as an empty list */
/* A sealed memfd with all of it, or -errno. Frees what *p holds. */
int pack_finish(struct pack *p);

/* Being read: every length is checked, and what does not fit makes the rest fail. */
struct unpack {
    char *buf;
    const char *at, *end;
    bool failed;
};

/* Reads all of fd (at most 16 MiB). 0 or -errno. The strings that follow point into u->buf, which is the
 * caller's to free. */
int unpack_begin(struct unpack *u, int fd);
uint64_t unpack_number(struct unpack *u);
const char *unpack_string(struct unpack *u);
char **unpack_strings(struct unpack *u); /* NULL-terminated, malloc'ed; NULL: failed */
/* 0 if all of it was read and right, else -EBADMSG. */
int unpack_end(const struct unpack *u);

#endif
