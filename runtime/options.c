#include "runtime/options.h"

#include <stdio.h>
#include <string.h>

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

/* arg is "--name", "--name=value", "-name" (as some engines write it) or "-n". */
static const struct option_def *match(const struct option_def *defs, const char *arg, const char **ret_value)
{
    const char *name = arg + (arg[1] == '-' ? 2 : 1);
    size_t len = strcspn(name, "=");

    *ret_value = name[len] == '=' ? name + len + 1 : NULL;
    if (arg[1] != '-' && len == 1)
        return find_letter(defs, name[0]);
    return find_long(defs, name, len);
}

static int set_flag(const struct option_def *d, const char *value, void *into, struct err *e)
{
    bool on = !value || strcmp(value, "true") == 0;

    if (!on && strcmp(value, "false") != 0)
        return err_set(e, ERR_USAGE, 0, "option --%s: must be true or false, not \"%.40s\"", d->name, value);
    *(bool *)((char *)into + d->offset) = on;
    return 0;
}

static int set_value(const struct option_def *d, const char *value, void *into, struct err *e)
{
    struct option_list *list = (void *)((char *)into + d->offset);

    size_t len = strlen(d->arg);

    if (len < 3 || strcmp(d->arg + len - 3, "...") != 0) {
        *(const char **)((char *)into + d->offset) = value;
        return 0;
    }
    if (list->n == OPTION_LIST_MAX)
        return err_set(e, ERR_USAGE, 0, "option --%s: more than %d of them", d->name, OPTION_LIST_MAX);
    list->v[list->n++] = value;
    return 0;
}

int options_parse(const struct option_def *defs, const char *of, char **argv, int *argi, void *into,
                  struct err *e)
{
    int i = *argi;

    for (; argv[i] && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *value;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        const struct option_def *d = match(defs, argv[i], &value);
        if (!d)
            return err_set(e, ERR_USAGE, 0, "unknown option \"%.60s\" (see %s --help)", argv[i], of);
        if (!d->arg) {
            if (set_flag(d, value, into, e))
                return -1;
            continue;
        }
        if (!value)
            value = argv[++i];
        if (!value)
            return err_set(e, ERR_USAGE, 0, "option --%s needs a value (%s)", d->name, d->arg);
        if (set_value(d, value, into, e))
            return -1;
    }
    *argi = i;
    return 0;
}

void options_help(const struct option_def *defs)
{
    for (const struct option_def *d = defs; d->name; d++) {
        char left[64];
        snprintf(left, sizeof(left), "%c%c%s --%s%s%s", d->letter ? '-' : ' ', d->letter ? d->letter : ' ',
                 d->letter ? "," : " ", d->name, d->arg ? " " : "", d->arg ? d->arg : "");
        printf("  %-28s %s\n", left, d->help);
    }
}
