#include "runtime/commands/each.h"

#include <dirent.h>
#include <errno.h>
#include <regex.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

struct names {
    struct dirent **v;
    int n;
};

static void names_free(const struct names *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

static int compile(regex_t *re, const char *regex, struct err *e)
{
    char why[128];
    int r = regcomp(re, regex, REG_EXTENDED | REG_NOSUB);

    if (r == 0)
        return 0;
    (void)regerror(r, re, why, sizeof(why));
    return err_set(e, ERR_USAGE, 0, "option --regex: %.100s: %s", regex, why);
}

static int not_dots(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

int each_matching(const struct globals *g, const char *regex,
                  int (*f)(const struct globals *g, const char *id, void *arg, struct err *e), void *arg,
                  struct err *e)
{
    _cleanup_(names_free) struct names l = {NULL, 0};
    int failed = 0;
    regex_t re;

    if (compile(&re, regex, e))
        return -1;
    l.n = scandir(g->root, &l.v, not_dots, alphasort);
    if (l.n < 0 && errno != ENOENT)
        failed = err_set(e, ERR_SYS, errno, "the state directory %s", g->root);
    for (int i = 0; i < l.n; i++) {
        if (regexec(&re, l.v[i]->d_name, 0, NULL, 0) != 0)
            continue;
        if (failed)
            log_err(e);
        struct err why = ERR_INIT;
        if (f(g, l.v[i]->d_name, arg, &why) == 0)
            continue;
        *e = why;
        failed = -1;
    }
    regfree(&re);
    return failed;
}
