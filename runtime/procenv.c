#include "runtime/procenv.h"

#include <stdbool.h>
#include <string.h>

#include "common/arena.h"
#include "oci/config.h"

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");

    return strcspn(b, "=") == n && memcmp(a, b, n) == 0;
}

void procenv_set(struct arena *a, struct oci_process *p, const char *pair)
{
    size_t k = 0;

    while (k < p->nenv && !same_name(p->env[k], pair))
        k++;
    if (k == p->nenv) {
        char **env = arena_alloc(a, p->nenv + 2, sizeof(*env));
        if (p->nenv)
            memcpy(env, p->env, p->nenv * sizeof(*env));
        p->env = env;
        p->nenv++;
    }
    p->env[k] = arena_strndup(a, pair, strlen(pair));
}
