#include "sandbox/keep/task/strvec.h"

#include <errno.h>
#include <string.h>

#include "sandbox/keep/mm/uaccess.h"

#define ARG_STRLEN_MAX (32 * 4096UL)      /* execve(2): MAX_ARG_STRLEN */
#define ARG_TOTAL_MAX (6 * 1024 * 1024UL) /* three quarters of the 8 MiB default stack */
#define PAGE 4096UL

static int reserve(struct strvec *v, size_t more)
{
    if (v->len + more > ARG_TOTAL_MAX)
        return -E2BIG;
    if (v->len + more <= v->cap)
        return 0;
    size_t cap = v->cap ? v->cap * 2 : 1024;
    while (cap < v->len + more)
        cap *= 2;
    char *p = realloc(v->data, cap);
    if (!p)
        return -ENOMEM;
    v->data = p;
    v->cap = cap;
    return 0;
}

int strvec_add(struct strvec *v, const char *s, size_t len)
{
    int r = reserve(v, len + 1);

    if (r < 0)
        return r;
    memcpy(v->data + v->len, s, len);
    v->data[v->len + len] = 0;
    v->len += len + 1;
    v->n++;
    return 0;
}

int strvec_add_all(struct strvec *v, char *const *strings)
{
    int r = 0;

    for (; r == 0 && strings && *strings; strings++)
        r = strvec_add(v, *strings, strlen(*strings));
    return r;
}

/* The strings of a list lie close together, mostly: the page that was read last. */
struct window {
    uaddr_t base;
    size_t len;
    char bytes[PAGE];
};

/* *ret: how many bytes there are at s. NULL: none. */
static const char *window_at(struct window *w, struct task *t, uaddr_t s, size_t *ret)
{
    if (s - w->base >= w->len) {
        w->base = s - s % PAGE;
        w->len = PAGE;
        if (copy_from_user(t, w->bytes, w->base, PAGE) < 0) {
            w->len = 0;
            return NULL;
        }
    }
    *ret = w->len - (size_t)(s - w->base);
    return w->bytes + (s - w->base);
}

static int add_user_string(struct strvec *v, struct task *t, uaddr_t s, struct window *w)
{
    const char *end = NULL;

    for (size_t done = 0; !end;) {
        size_t n;
        const char *p = window_at(w, t, s + done, &n);
        if (!p)
            return -EFAULT;
        end = memchr(p, 0, n);
        if (end)
            n = (size_t)(end - p) + 1;
        done += n;
        if (done > ARG_STRLEN_MAX)
            return -E2BIG;
        int r = reserve(v, n);
        if (r < 0)
            return r;
        memcpy(v->data + v->len, p, n);
        v->len += n;
    }
    v->n++;
    return 0;
}

/* Up to STRVEC_POINTERS pointers, without crossing into a page that may not be there. */
size_t strvec_ahead(uaddr_t array)
{
    size_t bytes = PAGE - array % PAGE;

    if (!array)
        return 0;
    if (bytes > STRVEC_POINTERS * sizeof(uint64_t))
        return STRVEC_POINTERS * sizeof(uint64_t);
    return bytes < sizeof(uint64_t) ? sizeof(uint64_t) : bytes - bytes % sizeof(uint64_t);
}

/* 1: the list ends here; 0; or -errno. */
static int add_user_strings(struct strvec *v, struct task *t, const uint64_t *p, size_t n, struct window *w)
{
    for (size_t i = 0; i < n; i++) {
        if (!p[i])
            return 1;
        int r = add_user_string(v, t, p[i], w);
        if (r < 0)
            return r;
        if (v->n * sizeof(p[0]) + v->len > ARG_TOTAL_MAX)
            return -E2BIG;
    }
    return 0;
}

int strvec_from_user_ahead(struct strvec *v, struct task *t, uaddr_t array,
                           const uint64_t first[STRVEC_POINTERS])
{
    uint64_t p[STRVEC_POINTERS];
    struct window w;
    int r = 0;

    w.base = w.len = 0;
    while (r == 0 && array) {
        size_t bytes = strvec_ahead(array);
        if (!first && copy_from_user(t, p, array, bytes) < 0)
            return -EFAULT;
        r = add_user_strings(v, t, first ? first : p, bytes / sizeof(*p), &w);
        first = NULL;
        array += bytes;
    }
    return r < 0 ? r : 0;
}

int strvec_replace_head(struct strvec *v, unsigned drop, const char *const *head, unsigned nhead)
{
    struct strvec out = {0};
    size_t skip = 0;
    int r = 0;

    for (unsigned i = 0; i < nhead && r == 0; i++)
        r = strvec_add(&out, head[i], strlen(head[i]));
    if (drop > v->n)
        drop = v->n;
    for (unsigned i = 0; i < drop; i++)
        skip += strlen(v->data + skip) + 1;
    if (r == 0)
        r = reserve(&out, v->len - skip + 1);
    if (r < 0) {
        strvec_free(&out);
        return r;
    }
    if (v->len > skip)
        // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker)
        memcpy(out.data + out.len, v->data + skip, v->len - skip);
    out.len += v->len - skip;
    out.n += v->n - drop;
    strvec_free(v);
    *v = out;
    return 0;
}

void strvec_free(struct strvec *v)
{
    free(v->data);
    *v = (struct strvec){0};
}
