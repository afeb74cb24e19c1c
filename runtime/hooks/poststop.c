#include "runtime/hooks/poststop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/launch/interrupt.h"
#include "runtime/textfile.h"

/* Holds the bundle's path: without a state.json nothing else would tell it. */
static const char file[] = "poststop";

int poststop_note(int dir, const struct hooks *h, struct err *e)
{
    return textfile_replace(dir, file, h->bundle, e);
}

static void read_and_run(int dir, const char *id, const char *bundle)
{
    struct oci_config *config = NULL;
    struct err why = ERR_INIT;
    struct hooks hooks;
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
    if (oci_config_load(path, &config, &why)) {
        log_warning("container %.255s: its poststop hooks do not run: %s", id, why.msg);
        return;
    }
    hooks_init(&hooks, config, id, bundle);
    hooks_poststop(&hooks);
    oci_config_free(config);
}

void poststop_run(int dir, const char *id, const struct hooks *known)
{
    _cleanup_free_ char *bundle = NULL;
    size_t len;

    if (textfile_read(dir, file, &bundle, &len)) {
        if (errno != ENOENT)
            log_warning("container %.255s: its poststop hooks do not run: %s", id, strerror(errno));
        return;
    }
    /* One that hangs can be ended without losing the others. */
    interrupt_hold();
    if (known)
        hooks_poststop(known);
    else
        read_and_run(dir, id, bundle);
    (void)unlinkat(dir, file, 0);
}
