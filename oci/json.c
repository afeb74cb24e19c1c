#include "oci/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "common/cleanup.h"

struct builder {
    struct arena *a;
    struct json *root, *open; /* open: the innermost array or object that is not closed */
    const char *key;          /* read, its value not yet */
    unsigned depth, nodes;
    const char *refusal; /* why a callback stopped the parser */
};

static int refuse(struct builder *b, const char *why)
{
    b->refusal = why;
    return 0;
}

static struct json *add(struct builder *b, enum json_type type)
{
    if (++b->nodes > JSON_NODES_MAX) {
        refuse(b, "too many values");
        return NULL;
    }
    struct json *v = arena_alloc(b->a, 1, sizeof(*v));
    v->type = type;
    v->parent = b->open;
    v->key = steal_ptr(&b->key);
    if (!b->open) {
        b->root = v;
        return v;
    }
    v->index = b->open->n++;
    if (b->open->last)
        b->open->last->next = v;
    else
        b->open->first = v;
    b->open->last = v;
    return v;
}

static int on_null(void *ctx)
{
    return add(ctx, JSON_NULL) != NULL;
}

static int on_bool(void *ctx, int value)
{
    struct json *v = add(ctx, JSON_BOOL);

    if (v)
        v->b = value != 0;
    return v != NULL;
}

static int on_text(struct builder *b, enum json_type type, const char *s, size_t len)
{
    struct json *v = add(b, type);

    if (v)
        v->s = arena_strndup(b->a, s, len);
    return v != NULL;
}

static int on_number(void *ctx, const char *s, size_t len)
{
    return on_text(ctx, JSON_NUMBER, s, len);
}

/* Whoever reads the string as a C string must see all of it. */
static bool has_nul(const unsigned char *s, size_t len)
{
    return len > 0 && memchr(s, '\0', len) != NULL;
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
    if (has_nul(s, len))
        return refuse(ctx, "a string holds a NUL character");
    return on_text(ctx, JSON_STRING, (const char *)s, len);
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
    struct builder *b = ctx;

    if (has_nul(s, len))
        return refuse(b, "a name holds a NUL character");
    b->key = arena_strndup(b->a, (const char *)s, len);
    return 1;
}

static int on_start(struct builder *b, enum json_type type)
{
    if (++b->depth > JSON_DEPTH_MAX)
        return refuse(b, "nested too deeply");
    struct json *v = add(b, type);
    if (!v)
        return 0;
    b->open = v;
    return 1;
}

static int on_end(void *ctx)
{
    struct builder *b = ctx;

    b->depth--;
    b->open = b->open->parent;
    return 1;
}

static int on_start_object(void *ctx)
{
    return on_start(ctx, JSON_OBJECT);
}

static int on_start_array(void *ctx)
{
    return on_start(ctx, JSON_ARRAY);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_map_key = on_key,
    .yajl_start_map = on_start_object,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

static void yajl_free_p(yajl_handle *h)
{
    if (*h)
        yajl_free(*h);
}

static int syntax_error(yajl_handle h, const struct builder *b, const char *text, size_t len, bool eof,
                        const char *name, struct err *e)
{
    size_t at = yajl_get_bytes_consumed(h), line = 1, column = 1;
    unsigned char *msg = yajl_get_error(h, 0, (const unsigned char *)text, len);
    const char *why = b->refusal ? b->refusal : msg ? (const char *)msg : "not valid JSON";

    /* The parser has eaten the byte that it stumbled over; a text that ends too soon is wrong at its end. */
    at = eof ? len : at > 0 && at <= len ? at - 1 : at > len ? len : at;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    err_set(e, ERR_CONFIG, 0, "%s: line %zu, column %zu: %.*s", name, line, column, (int)strcspn(why, "\n"),
            why);
    if (msg)
        yajl_free_error(h, msg);
    return -1;
}

int json_parse(struct arena *a, const char *text, size_t len, const char *name, const struct json **ret,
               struct err *e)
{
    struct builder b = {.a = a};

    if (len == 0)
        return err_set(e, ERR_CONFIG, 0, "%s: empty", name);
    if (len > JSON_SIZE_MAX)
        return err_set(e, ERR_CONFIG, 0, "%s: larger than %d MiB", name, JSON_SIZE_MAX >> 20);
    _cleanup_(yajl_free_p) yajl_handle h = yajl_alloc(&callbacks, NULL, &b);
    if (!h)
        return err_set(e, ERR_SYS, ENOMEM, "%s", name);
    if (yajl_parse(h, (const unsigned char *)text, len) != yajl_status_ok)
        return syntax_error(h, &b, text, len, false, name, e);
    if (yajl_complete_parse(h) != yajl_status_ok)
        return syntax_error(h, &b, text, len, true, name, e);
    const char *slash = strrchr(name, '/');
    b.root->key = arena_printf(a, "%s", slash ? slash + 1 : name);
    *ret = b.root;
    return 0;
}

const struct json *json_get(const struct json *obj, const char *key)
{
    const struct json *found = NULL;

    if (!obj || obj->type != JSON_OBJECT)
        return NULL;
    for (const struct json *v = obj->first; v; v = v->next)
        if (strcmp(v->key, key) == 0)
            found = v;
    return found && found->type != JSON_NULL ? found : NULL;
}

static const struct json *root_of(const struct json *v)
{
    while (v->parent)
        v = v->parent;
    return v;
}

/* Writes "a.b[1].c" for v; the depth limit bounds the recursion. */
static void append_path(const struct json *v, char *buf, size_t size)
{
    if (!v->parent)
        return;
    append_path(v->parent, buf, size);
    size_t n = strlen(buf);
    if (v->key)
        snprintf(buf + n, size - n, "%s%.64s", n > 0 ? "." : "", v->key);
    else
        snprintf(buf + n, size - n, "[%u]", v->index);
}

int json_error(const struct json *at, const char *key, struct err *e, const char *fmt, ...)
{
    char path[256] = "", msg[192];
    va_list ap;

    append_path(at, path, sizeof(path));
    size_t n = strlen(path);
    if (key)
        snprintf(path + n, sizeof(path) - n, "%s%s", n > 0 ? "." : "", key);
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    return err_set(e, ERR_CONFIG, 0, "%.100s: %s%s%s", root_of(at)->key, path, *path ? ": " : "", msg);
}
