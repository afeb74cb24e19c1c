/* The typed readers of json.h. */
#include "oci/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
    [JSON_NULL] = "null",       [JSON_BOOL] = "true or false", [JSON_NUMBER] = "a number",
    [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",     [JSON_OBJECT] = "an object",
};

int json_must_be(struct json_reader *r, const struct json *v, enum json_type type)
{
    if (v->type == type)
        return 0;
    return json_error(v, NULL, r->e, "must be %s, not %s", type_names[type],
                      v->type == JSON_BOOL ? "a boolean" : type_names[v->type]);
}

/* 1: absent; 0: there, with the right type; -1: with the wrong one. */
static int find(struct json_reader *r, const struct json *obj, const char *key, enum json_type type,
                const struct json **ret)
{
    const struct json *v = json_get(obj, key);

    if (!v)
        return 1;
    *ret = v;
    return json_must_be(r, v, type);
}

int json_require(struct json_reader *r, const struct json *obj, const char *key)
{
    return json_get(obj, key) ? 0 : json_error(obj, key, r->e, "is required");
}

int json_string(struct json_reader *r, const struct json *obj, const char *key, const char **ret)
{
    const struct json *v;
    int found = find(r, obj, key, JSON_STRING, &v);

    if (found == 0)
        *ret = v->s;
    return found < 0 ? -1 : 0;
}

int json_path(struct json_reader *r, const struct json *obj, const char *key, const char **ret)
{
    const char *s = NULL;

    if (json_string(r, obj, key, &s))
        return -1;
    if (s && s[0] != '/')
        return json_error(obj, key, r->e, "must be an absolute path, not \"%.100s\"", s);
    if (s)
        *ret = s;
    return 0;
}

int json_bool(struct json_reader *r, const struct json *obj, const char *key, bool *ret)
{
    const struct json *v;
    int found = find(r, obj, key, JSON_BOOL, &v);

    if (found == 0)
        *ret = v->b;
    return found < 0 ? -1 : 0;
}

int json_int(struct json_reader *r, const struct json *obj, const char *key, int64_t min, int64_t max,
             bool *ret_set, int64_t *ret)
{
    const struct json *v;
    char *end;
    int found = find(r, obj, key, JSON_NUMBER, &v);

    if (found != 0)
        return found < 0 ? -1 : 0;
    errno = 0;
    long long n = strtoll(v->s, &end, 10);
    if (errno != 0 || *end || n < min || n > max)
        return json_error(v, NULL, r->e, "must be a whole number from %lld to %lld, not %.40s",
                          (long long)min, (long long)max, v->s);
    *ret = n;
    if (ret_set)
        *ret_set = true;
    return 0;
}

int json_uint_value(struct json_reader *r, const struct json *v, uint64_t max, uint64_t *ret)
{
    char *end;

    if (json_must_be(r, v, JSON_NUMBER))
        return -1;
    errno = 0;
    unsigned long long n = strtoull(v->s, &end, 10);
    if (errno != 0 || *end || v->s[0] == '-' || n > max)
        return json_error(v, NULL, r->e, "must be a whole number from 0 to %llu, not %.40s",
                          (unsigned long long)max, v->s);
    *ret = n;
    return 0;
}

int json_uint(struct json_reader *r, const struct json *obj, const char *key, uint64_t max, bool *ret_set,
              uint64_t *ret)
{
    const struct json *v = json_get(obj, key);

    if (!v)
        return 0;
    if (json_uint_value(r, v, max, ret))
        return -1;
    if (ret_set)
        *ret_set = true;
    return 0;
}

int json_u32(struct json_reader *r, const struct json *obj, const char *key, uint32_t max, uint32_t *ret)
{
    uint64_t n = *ret;

    if (json_uint(r, obj, key, max, NULL, &n))
        return -1;
    *ret = (uint32_t)n;
    return 0;
}

int json_strings(struct json_reader *r, const struct json *obj, const char *key, char ***ret, size_t *ret_n)
{
    const struct json *v;
    size_t n = 0;
    int found = find(r, obj, key, JSON_ARRAY, &v);

    if (found != 0)
        return found < 0 ? -1 : 0;
    char **list = arena_alloc(r->a, (size_t)v->n + 1, sizeof(*list));
    for (const struct json *s = v->first; s; s = s->next) {
        if (json_must_be(r, s, JSON_STRING))
            return -1;
        list[n++] = (char *)s->s; /* in the arena, like all of the tree */
    }
    *ret = list;
    if (ret_n)
        *ret_n = n;
    return 0;
}

int json_object(struct json_reader *r, const struct json *obj, const char *key, const struct json **ret)
{
    *ret = NULL;
    return find(r, obj, key, JSON_OBJECT, ret) < 0 ? -1 : 0;
}

int json_array(struct json_reader *r, const struct json *obj, const char *key, const struct json **ret)
{
    *ret = NULL;
    return find(r, obj, key, JSON_ARRAY, ret) < 0 ? -1 : 0;
}

const struct json_word *json_word_find(const struct json_word *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

int json_word(struct json_reader *r, const struct json *obj, const char *key, const struct json_word *table,
              int *ret)
{
    const char *name = "";

    if (json_require(r, obj, key) || json_string(r, obj, key, &name))
        return -1;
    const struct json_word *w = json_word_find(table, name);
    if (!w)
        return json_error(obj, key, r->e, "unknown value \"%.60s\"", name);
    *ret = w->value;
    return 0;
}
