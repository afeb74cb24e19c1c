/* A container's state as the specification writes it: for `bailey state` and `list`, for hooks, for
 * state.json. */
#ifndef BAILEY_RUNTIME_STATEJSON_H
#define BAILEY_RUNTIME_STATEJSON_H

#include <stddef.h>
#include <sys/types.h>

#include "oci/json_write.h"

struct oci_pair;

/* What is NULL, or the number that says "none", is left out. */
struct statejson {
    const char *id, *status, *bundle;
    pid_t pid; /* -1: none */
    const struct oci_pair *annotations;
    size_t nannotations;
    /* What runc and crun add, and their callers read. */
    const char *rootfs, *created; /* created: RFC 3339 */
    const char *owner;
    /* What we add. */
    int exit_status; /* -1: none */
    const char *stop_signal;
};

/* Its members, into an object that is open. */
void statejson_put(json_writer w, const struct statejson *s);

/* malloc'ed text; NULL: no memory, or a name is not UTF-8. */
char *statejson_text(const struct statejson *s, bool pretty);

#endif
