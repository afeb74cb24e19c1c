/* JSON text as a tree that knows where each value stands, for messages such as "process.rlimits[1].type". */
#ifndef BAILEY_OCI_JSON_H
#define BAILEY_OCI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/err.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    bool b;          /* JSON_BOOL */
    unsigned n;      /* how many children */
    unsigned index;  /* its place in the parent */
    const char *key; /* its name in a parent object; of the whole: the file's name */
    const char *s;   /* the string (without NUL bytes inside), or the number as written */
    struct json *parent, *first, *last, *next;
};

enum { JSON_DEPTH_MAX = 64, JSON_NODES_MAX = 1000 * 1000, JSON_SIZE_MAX = 16 * 1024 * 1024 };

/* Parses UTF-8 text into a tree in the arena. Comments, trailing text, NUL in strings, more than the limits
 * above are refused. name stands for the file in the message, which gives line and column. */
int json_parse(struct arena *a, const char *text, size_t len, const char *name, const struct json **ret,
               struct err *e);

/* The member of that name (the last, if there are several), or NULL. A null is as if it were not there, as
 * for the Go programs that write these files. obj may be NULL. */
const struct json *json_get(const struct json *obj, const char *key);

/* Sets *e to "FILE: PATH.key: message" (ERR_CONFIG) and returns -1. key may be NULL. */
int json_error(const struct json *at, const char *key, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Typed readers of a member of obj: 0 with the output set, or left alone where the member is absent; -1 with
 * *e on a wrong type or value. */
struct json_reader {
    struct arena *a;
    struct err *e;
};

int json_string(struct json_reader *r, const struct json *obj, const char *key, const char **ret);
int json_path(struct json_reader *r, const struct json *obj, const char *key,
              const char **ret); /* absolute */
int json_bool(struct json_reader *r, const struct json *obj, const char *key, bool *ret);
int json_int(struct json_reader *r, const struct json *obj, const char *key, int64_t min, int64_t max,
             bool *ret_set, int64_t *ret);
int json_uint(struct json_reader *r, const struct json *obj, const char *key, uint64_t max, bool *ret_set,
              uint64_t *ret);
int json_u32(struct json_reader *r, const struct json *obj, const char *key, uint32_t max, uint32_t *ret);
/* A list of strings; NULL-terminated. ret_n may be NULL. */
int json_strings(struct json_reader *r, const struct json *obj, const char *key, char ***ret, size_t *ret_n);
/* A member that must be an object or an array; *ret is NULL where it is absent. */
int json_object(struct json_reader *r, const struct json *obj, const char *key, const struct json **ret);
int json_array(struct json_reader *r, const struct json *obj, const char *key, const struct json **ret);
/* Fails where the member is absent. */
int json_require(struct json_reader *r, const struct json *obj, const char *key);
/* The value itself: an element of an array. */
int json_uint_value(struct json_reader *r, const struct json *v, uint64_t max, uint64_t *ret);
/* Fails unless the value itself is an object (an element of an array). */
int json_must_be(struct json_reader *r, const struct json *v, enum json_type type);

/* Words that stand for numbers: a table ends with a NULL name. */
struct json_word {
    const char *name;
    int value;
};
/* NULL: it is not in the table. */
const struct json_word *json_word_find(const struct json_word *table, const char *name);
/* obj's member key, which must be there and be in the table. */
int json_word(struct json_reader *r, const struct json *obj, const char *key, const struct json_word *table,
              int *ret);

#endif
