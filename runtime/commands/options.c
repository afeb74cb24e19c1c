#include "runtime/commands/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 28 };

/* Where the reading stands. */
struct reading {
    const struct option_def *defs;
    const char *of;
    char **argv;
    int i; /* of the argument that is read */
    void *into;
    struct err *e;
};

static const struct option_def *find_long(const struct option_def *d, const char *name, size_t len)
{
    for (; d->name; d++)
        if (strlen(d->name) == len && memcmp(d->name, name, len) == 0)
            return d;
    return NULL;
}

static const struct option_def *find_letter(const struct option_def *d, char letter)
{
    for (; d->name; d++)
        if (d->letter == letter && letter != '\0')
            return d;
    return NULL;
}

int options_choice(const char *choices, const char *word)
{
    size_t len = strlen(word);

    for (int i = 0;; i++) {
        size_t n = strcspn(choices, "|");
        if (n == len && memcmp(choices, word, n) == 0)
            return i;
        if (!choices[n])
            return -1;
        choices += n + 1;
    }
}

/* "a|b|c" as "a, b or c". */
static void spell_choices(const char *choices, char *buf, size_t size)
{
    size_t at = 0;

    buf[0] = '\0';
    while (at < size) {
        size_t n = strcspn(choices, "|");
        at += (size_t)snprintf(buf + at, size - at, "%.*s", (int)n, choices);
        if (!choices[n] || at >= size)
            return;
        choices += n + 1;
        at += (size_t)snprintf(buf + at, size - at, "%s", strchr(choices, '|') ? ", " : " or ");
    }
}

int options_number(const char *name, const char *text, long long min, long long max, long long *ret,
                   struct err *e)
{
    const char *digits = text + (*text == '-');
    char *end;

    errno = 0;
    long long v = isdigit((unsigned char)*digits) ? strtoll(text, &end, 10) : (end = (char *)text, 0);
    if (end == text || *end || errno || v < min || v > max)
        return err_set(e, ERR_USAGE, 0, "option --%s: must be a number of %lld to %lld, not \"%.40s\"", name,
                       min, max, text);
    *ret = v;
    return 0;
}

static int set_flag(const struct reading *r, const struct option_def *d, const char *value)
{
    static const char yes[] = "true|1|t|T|TRUE|True", no[] = "false|0|f|F|FALSE|False";
    bool on = !value || options_choice(yes, value) >= 0;

    if (!on && options_choice(no, value) < 0)
        return err_set(r->e, ERR_USAGE, 0, "option --%s: must be true or false, not \"%.40s\"", d->name,
                       value);
    *(bool *)((char *)r->into + d->offset) = on;
    return 0;
}

static bool is_list(const struct option_def *d)
{
    size_t len = strlen(d->arg);

    return len >= 3 && strcmp(d->arg + len - 3, "...") == 0;
}

static int set_value(const struct reading *r, const struct option_def *d, const char *value)
{
    struct option_list *list = (void *)((char *)r->into + d->offset);
    char words[128];

    if (!is_list(d)) {
        if (strchr(d->arg, '|') && options_choice(d->arg, value) < 0) {
            spell_choices(d->arg, words, sizeof(words));
            return err_set(r->e, ERR_USAGE, 0, "option --%s: must be %s, not \"%.40s\"", d->name, words,
                           value);
        }
        *(const char **)((char *)r->into + d->offset) = value;
        return 0;
    }
    if (list->n == OPTION_LIST_MAX)
        return err_set(r->e, ERR_USAGE, 0, "option --%s: more than %d of them", d->name, OPTION_LIST_MAX);
    list->v[list->n++] = value;
    return 0;
}

/* value: what stands in the same argument, or NULL. */
static int set(struct reading *r, const struct option_def *d, const char *value)
{
    if (!d->arg)
        return set_flag(r, d, value);
    if (!value && r->argv[r->i + 1])
        value = r->argv[++r->i];
    if (!value)
        return err_set(r->e, ERR_USAGE, 0, "option --%s needs a value (%s)", d->name, d->arg);
    return set_value(r, d, value);
}

/* "-abc": flags, the last of which may be an option with its value behind it. False: no such letter. */
static bool are_letters(const struct option_def *defs, const char *s)
{
    for (; *s; s++) {
        const struct option_def *d = find_letter(defs, *s);
        if (!d)
            return false;
        if (d->arg)
            return true;
    }
    return true;
}

static int set_letters(struct reading *r, const char *s)
{
    for (; *s; s++) {
        const struct option_def *d = find_letter(r->defs, *s);
        if (d->arg)
            return set(r, d, s[1] ? s + 1 : NULL);
        if (set_flag(r, d, NULL))
            return -1;
    }
    return 0;
}

static int read_one(struct reading *r)
{
    const char *arg = r->argv[r->i], *name = arg + (arg[1] == '-' ? 2 : 1);
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    bool dash = arg[1] != '-';

    const struct option_def *d =
        dash && len == 1 ? find_letter(r->defs, *name) : find_long(r->defs, name, len);
    if (d)
        return set(r, d, value);
    if (dash && are_letters(r->defs, name))
        return set_letters(r, name);
    if (strcmp(name, "help") == 0 || (dash && strcmp(name, "h") == 0))
        return 1;
    return err_set(r->e, ERR_USAGE, 0, "unknown option \"%.60s\" (see %s --help)", arg, r->of);
}

/* "-" alone is an argument. */
static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1];
}

int options_parse(const struct option_def *defs, const char *of, char **argv, int *argi, void *into,
                  struct err *e)
{
    struct reading r = {defs, of, argv, *argi, into, e};

    for (; argv[r.i] && is_option(argv[r.i]); r.i++) {
        if (strcmp(argv[r.i], "--") == 0) {
            r.i++;
            break;
        }
        int done = read_one(&r);
        if (done)
            return done;
    }
    *argi = r.i;
    return 0;
}

int options_permute(const struct option_def *defs, const char *of, char **argv, int *argi, void *into,
                    struct err *e)
{
    struct reading r = {defs, of, argv, *argi, into, e};
    int out = *argi;

    for (; argv[r.i]; r.i++) {
        if (strcmp(argv[r.i], "--") == 0) {
            r.i++;
            break;
        }
        if (!is_option(argv[r.i])) {
            argv[out++] = argv[r.i];
            continue;
        }
        int done = read_one(&r);
        if (done)
            return done;
    }
    while (argv[r.i])
        argv[out++] = argv[r.i++];
    argv[out] = NULL;
    return 0;
}

/* "-n, --name VALUE". */
static void usage(const struct option_def *d, char *buf, size_t size)
{
    snprintf(buf, size, "%c%c%s --%s%s%s", d->letter ? '-' : ' ', d->letter ? d->letter : ' ',
             d->letter ? "," : " ", d->name, d->arg ? " " : "", d->arg ? d->arg : "");
}

void options_help(const struct option_def *defs)
{
    for (const struct option_def *d = defs; d->name; d++) {
        char left[96];
        usage(d, left, sizeof(left));
        if (strlen(left) > HELP_COLUMN)
            printf("  %s\n  %*s %s\n", left, HELP_COLUMN, "", d->help);
        else
            printf("  %-*s %s\n", HELP_COLUMN, left, d->help);
    }
}
