/* bailey spec: a config.json to start from. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/version.h"
#include "runtime/commands/cmd.h"
#include "runtime/commands/options.h"

struct spec_options {
    const char *bundle;
    bool rootless;
};

static const struct option_def options[] = {
    {"bundle", 'b', "DIR", offsetof(struct spec_options, bundle), "where to write config.json (.)"},
    {"rootless", 0, NULL, offsetof(struct spec_options, rootless),
     "one that a user can run who is not root: a user namespace, no limits, the host's network"},
    {NULL, 0, NULL, 0, NULL},
};

static const char resources[] =
    "    \"resources\": { \"devices\": [{ \"allow\": false, \"access\": \"rwm\" }] },\n";
static const char network[] = "      { \"type\": \"network\" },\n";
static const char user_format[] =
    ",\n      { \"type\": \"user\" }\n    ],\n"
    "    \"uidMappings\": [{ \"containerID\": 0, \"hostID\": %u, \"size\": 1 }],\n"
    "    \"gidMappings\": [{ \"containerID\": 0, \"hostID\": %u, \"size\": 1 }";

static const char config_format[] =
#include "runtime/commands/default_config.inc"
    ;

static int put_config(int fd, bool rootless)
{
    char user[512] = "";

    if (rootless)
        snprintf(user, sizeof(user), user_format, geteuid(), getegid());
    return dprintf(fd, config_format, rootless ? "" : ", \"gid=5\"", rootless ? "" : resources,
                   rootless ? "" : network, user);
}

static int write_config(int dir, const struct spec_options *o, struct err *e)
{
    _cleanup_close_ int fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0 && errno == EEXIST)
        return err_set(e, ERR_EXISTS, 0, "%s/config.json exists; remove it first", o->bundle);
    if (fd < 0)
        return err_set(e, ERR_SYS, errno, "%s/config.json", o->bundle);
    if (put_config(fd, o->rootless) < 0) {
        unlinkat(dir, "config.json", 0);
        return err_set(e, ERR_SYS, errno, "%s/config.json", o->bundle);
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
    return write_config(dir, &o, e);
}

const struct command cmd_spec = {
    .name = "spec",
    .args = "",
    .summary = "Write a default config.json",
    .options = options,
    .run = run,
};
