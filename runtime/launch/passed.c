#include "runtime/launch/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/commands/options.h"
#include "runtime/procenv.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/platform/fdbag.h"

#define FIRST (STDERR_FILENO + 1)

unsigned passed_inherited(void)
{
    int fd = FIRST;

    while (fcntl(fd, F_GETFD) >= 0)
        fd++;
    close_range((unsigned)fd, ~0U, 0);
    if (fd > FIRST)
        close_range(FIRST, (unsigned)fd - 1, CLOSE_RANGE_CLOEXEC);
    return (unsigned)(fd - FIRST);
}

void passed_close(unsigned inherited)
{
    if (inherited)
        close_range(FIRST, FIRST + inherited - 1, 0);
}

/* Those for somebody else are not ours to pass on; callers that know of containers write the pid inside, 1.
 */
static int listen_fds(unsigned *ret, struct err *e)
{
    const char *text = getenv("LISTEN_FDS"), *whose = getenv("LISTEN_PID");
    long long n, pid = 1;

    *ret = 0;
    if (!text || !*text)
        return 0;
    if (options_number("preserve-fds, LISTEN_FDS", text, 0, FDBAG_MAX, &n, e))
        return -1;
    if (whose &&
        (options_number("", whose, 0, INT32_MAX, &pid, &(struct err){0}) || (pid != 1 && pid != getpid())))
        return 0;
    *ret = (unsigned)n;
    return 0;
}

static int check(const char *asked, unsigned n, unsigned inherited, struct err *e)
{
    for (unsigned i = 0; i < n; i++) {
        struct stat st;
        int fd = FIRST + (int)i;
        if (i >= inherited || fstat(fd, &st))
            return err_set(e, ERR_USAGE, 0, "%s: descriptor %d of 3 to %u is not open", asked, fd,
                           STDERR_FILENO + n);
        if (S_ISDIR(st.st_mode) || (fcntl(fd, F_GETFL) & O_PATH))
            return err_set(e, ERR_USAGE, 0,
                           "%s: descriptor %d is a directory or a path, by which a container could be left",
                           asked, fd);
    }
    return 0;
}

int passed_collect(unsigned inherited, const char *preserve_fds, unsigned *ret_listen, int *ret,
                   struct err *e)
{
    long long preserve = 0;
    unsigned listen = 0;

    *ret = -1;
    if ((ret_listen && listen_fds(&listen, e)) ||
        (preserve_fds && options_number("preserve-fds", preserve_fds, 0, FDBAG_MAX - listen, &preserve, e)))
        return -1;
    /* A variable may have come down from somebody whose descriptors did not. */
    if (listen > inherited)
        log_warning("LISTEN_FDS: of %u descriptors from 3 on only %u are open: none is passed on", listen,
                    inherited);
    listen = listen > inherited ? 0 : listen;
    unsigned n = listen + (unsigned)preserve;
    if (check(preserve ? "option --preserve-fds" : "LISTEN_FDS", n, inherited, e))
        return -1;
    int bag = n ? fdbag_pack(FIRST, n) : -1;
    if (n && bag < 0)
        return err_set(e, ERR_SYS, -bag, "option --preserve-fds: cannot pass the descriptors on");
    passed_close(inherited);
    if (ret_listen)
        *ret_listen = listen;
    *ret = bag;
    return 0;
}

int passed_notify(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;

    if (len == 0)
        return -1;
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof(a.sun_path)) {
        log_warning(
            "NOTIFY_SOCKET: %.100s is not a unix socket's path: nobody is told when the program is ready",
            path);
        return -1;
    }
    memcpy(a.sun_path, path, len);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
    if (path[0] == '@')
        a.sun_path[0] = '\0';
    _cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s >= 0 && connect(s, (struct sockaddr *)&a, size) == 0)
        return steal_fd(&s);
    log_warning("NOTIFY_SOCKET: %.100s: %s: nobody is told when the program is ready", path, strerror(errno));
    return -1;
}

void passed_announce(struct oci_config *c, unsigned listen, bool notify)
{
    const char *names = getenv("LISTEN_FDNAMES");

    if (!c->process)
        return;
    if (listen) {
        procenv_set(c->arena, c->process, arena_printf(c->arena, "LISTEN_FDS=%u", listen));
        procenv_set(c->arena, c->process, "LISTEN_PID=1");
    }
    if (listen && names)
        procenv_set(c->arena, c->process, arena_printf(c->arena, "LISTEN_FDNAMES=%s", names));
    if (notify)
        procenv_set(c->arena, c->process, "NOTIFY_SOCKET=@" KEEP_NOTIFY_NAME);
}
