/* Command-line options by table: "--name value", "--name=value", "-name value" as Go programs write it, "-n
 * value", "-nvalue", and flags bundled as "-ab". From the same tables come help, man page, completion and
 * docs. */
#ifndef BAILEY_RUNTIME_OPTIONS_H
#define BAILEY_RUNTIME_OPTIONS_H

#include <stddef.h>

#include "common/err.h"

enum { OPTION_LIST_MAX = 1024 };

struct option_def {
    const char *name; /* NULL ends the table */
    char letter;      /* 0: none */
    const char *arg;  /* what the value is called in the help; NULL: a flag (bool) */
                      /* one that ends with "..." may be given again, and fills a struct option_list; */
                      /* in "a|b|c" each word is a value, and there are no others */
    size_t offset;    /* of a `const char *`, or of a bool, in the struct that is filled */
    const char *help;
};

/* The values of an option in their order. */
struct option_list {
    const char *v[OPTION_LIST_MAX];
    size_t n;
};

/* Reads options up to the first argument that is none (or past "--"). *argi is the index to start at and, on
 * success, the index of the first argument. "of" is the command's name for messages. Returns 0; 1 where help
 * is asked for by --help or -h (nothing else counts then); -1 with *e. */
int options_parse(const struct option_def *defs, const char *of, char **argv, int *argi, void *into,
                  struct err *e);

/* The same where options may also stand behind arguments: the latter are moved together, in their order, to
 * argv[*argi] and the following, with a NULL at the end. */
int options_permute(const struct option_def *defs, const char *of, char **argv, int *argi, void *into,
                    struct err *e);

/* The place of a word in "a|b|c", or -1. */
int options_choice(const char *choices, const char *word);

/* A whole number of min to max, and nothing else in the text. ERR_USAGE names the option. */
int options_number(const char *name, const char *text, long long min, long long max, long long *ret,
                   struct err *e);

/* Prints one line per option to stdout. */
void options_help(const struct option_def *defs);

#endif
