#include "runtime/logto.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/commands/options.h"

static const struct {
    const char *prefix, *socket;
    enum log_format format;
} services[] = {
    {"journald:", "/run/systemd/journal/socket", LOG_FMT_JOURNAL},
    {"syslog:", "/dev/log", LOG_FMT_SYSLOG},
};

static int connect_to(const char *path, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)))
        return err_set(e, ERR_SYS, errno, "option --log: %s", path);
    return steal_fd(&s);
}

static enum log_level level_of(const struct globals *g)
{
    static const char words[] = "error|warning|info|debug";

    if (g->debug)
        return LOG_LVL_DEBUG;
    if (g->log_level)
        return (enum log_level)options_choice(words, g->log_level);
    return g->strace ? LOG_LVL_INFO : LOG_LVL_WARNING;
}

static int open_service(const struct globals *g, const char *ident, size_t i, struct err *e)
{
    if (!*ident || strlen(ident) > 64)
        return err_set(e, ERR_USAGE, 0, "option --log: %s needs a name of at most 64 bytes",
                       services[i].prefix);
    int fd = connect_to(services[i].socket, e);
    if (fd < 0)
        return -1;
    log_init(fd, services[i].format, level_of(g));
    log_set_ident(ident);
    return 0;
}

int logto_open(const struct globals *g, struct err *e)
{
    bool json = g->log_format && strcmp(g->log_format, "json") == 0;
    const char *file = g->log ? g->log : "";
    int fd = STDERR_FILENO;

    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        if (strncmp(file, services[i].prefix, strlen(services[i].prefix)) == 0)
            return open_service(g, file + strlen(services[i].prefix), i, e);
    if (strncmp(file, "file:", 5) == 0)
        file += 5;
    if (*file)
        fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return err_set(e, ERR_SYS, errno, "log file %s", file);
    log_init(fd, json ? LOG_FMT_JSON : LOG_FMT_TEXT, level_of(g));
    return 0;
}
