/* Command-line options by table: "--name value", "--name=value", "-n value"; the same table prints the help.
 */
#ifndef BAILEY_RUNTIME_OPTIONS_H
#define BAILEY_RUNTIME_OPTIONS_H

#include <stddef.h>

#include "common/err.h"

enum { OPTION_LIST_MAX = 256 };

struct option_def {
    const char *name; /* NULL ends the table */
    char letter;      /* 0: none */
    const char *arg;  /* what the value is called in the help; NULL: a flag (bool) */
                      /* one that ends with "..." may be given again, and fills a struct option_list */
    size_t offset;    /* of a `const char *`, or of a bool, in the struct that is filled */
    const char *help;
};

/* The values of an option in their order. */
struct option_list {
    const char *v[OPTION_LIST_MAX];
    size_t n;
};

/* Reads options up to the first argument that is none (or past "--"). *argi is the index to start at and, on
 * success, the index of the first argument. "of" is the command's name for messages. Returns 0, or -1 with
 * *e. */
int options_parse(const struct option_def *defs, const char *of, char **argv, int *argi, void *into,
                  struct err *e);

/* Prints one line per option to stdout. */
void options_help(const struct option_def *defs);

#endif
