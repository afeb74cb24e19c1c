#include "sandbox/keep/strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool sb_reserve(struct strbuf *sb, size_t more)
{
    if (sb->failed)
        return false;
    if (more < sb->cap - sb->len)
        return true;
    size_t cap = sb->cap ? sb->cap : 256;
    while (cap - sb->len <= more) {
        if (cap > SIZE_MAX / 4) {
            sb->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *s = realloc(sb->s, cap);
    if (!s) {
        sb->failed = true;
        return false;
    }
    sb->s = s;
    sb->cap = cap;
    return true;
}

void sb_put(struct strbuf *sb, const void *data, size_t len)
{
    if (!sb_reserve(sb, len))
        return;
    if (len)
        memcpy(sb->s + sb->len, data, len);
    sb->len += len;
    sb->s[sb->len] = 0;
}

void sb_printf(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char small[256];
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n < 0) {
        sb->failed = true;
        return;
    }
    if ((size_t)n < sizeof(small)) {
        sb_put(sb, small, (size_t)n);
        return;
    }
    if (!sb_reserve(sb, (size_t)n))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(sb->s + sb->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    sb->len += (size_t)n;
}

void sb_free(struct strbuf *sb)
{
    free(sb->s);
    *sb = (struct strbuf){0};
}
