/* bailey spec: a config.json to start from. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/version.h"
#include "runtime/cmd.h"
#include "runtime/options.h"

static const char default_config[] =
#include "runtime/default_config.inc"
    ;

struct spec_options {
    const char *bundle;
};

static const struct option_def options[] = {
    {"bundle", 'b', "DIR", offsetof(struct spec_options, bundle), "where to write config.json (.)"},
    {NULL, 0, NULL, 0, NULL},
};

static int write_config(int dir, const char *bundle, struct err *e)
{
    _cleanup_close_ int fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0 && errno == EEXIST)
        return err_set(e, ERR_EXISTS, 0, "%s/config.json exists; remove it first", bundle);
    if (fd < 0)
        return err_set(e, ERR_SYS, errno, "%s/config.json", bundle);
    if (dprintf(fd, "%s", default_config) < 0) {
        unlinkat(dir, "config.json", 0);
        return err_set(e, ERR_SYS, errno, "%s/config.json", bundle);
    }
    return 0;
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    struct spec_options o = {.bundle = "."};
    int r = command_options(&cmd_spec, &argv, &o, e);

    (void)g;
    if (r)
        return r < 0 ? -1 : 0;
    if (argv[0])
        return err_set(e, ERR_USAGE, 0, "spec takes no argument, but there is \"%.60s\"", argv[0]);
    _cleanup_close_ int dir = open(o.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno == ENOENT ? ERR_NOENT : ERR_SYS, errno, "bundle %s", o.bundle);
    return write_config(dir, o.bundle, e);
}

const struct command cmd_spec = {
    .name = "spec",
    .args = "",
    .summary = "Write a default config.json",
    .options = options,
    .run = run,
};
