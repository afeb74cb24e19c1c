/* A text that grows. All zeros is an empty one. */
#ifndef BAILEY_KEEP_STRBUF_H
#define BAILEY_KEEP_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

/* s ends with a zero behind its len bytes, and is NULL while nothing was put. Nobody need look after each
 * step: where memory was short `failed` is set, and stays, and what follows is left out. */
struct strbuf {
    char *s;
    size_t len, cap;
    bool failed;
};
/* Append. */
void sb_printf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_put(struct strbuf *sb, const void *data, size_t len);
/* Frees s, and makes it an empty one again. */
void sb_free(struct strbuf *sb);
#define _cleanup_sb_ _cleanup_(sb_free)

#endif
