#include "sandbox/keep/container/notify.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/net/unix.h"

#define MESSAGE_MAX 65536 /* more than sd_notify(3) has use for */

struct notify {
    int fd;
    pid_t main_pid;
    atomic_bool ready; /* and told */
};

int notify_init(struct container *c, int fd, pid_t main_pid)
{
    struct notify *n = calloc(1, sizeof(*n));

    c->notify = n ? unix_relay(n, KEEP_NOTIFY_NAME) : NULL;
    if (!c->notify) {
        free(n);
        return -ENOMEM;
    }
    n->fd = fd;
    n->main_pid = main_pid;
    return 0;
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    (void)close(n->fd);
    free(n);
}

struct unix_sock *notify_find(const struct container *c, const char *name, size_t len)
{
    static const char own[] = KEEP_NOTIFY_NAME;
    bool same = len == sizeof(own) - 1 && memcmp(name, own, len) == 0;

    return c->notify && same ? unix_get(c->notify) : NULL;
}

static bool says_ready(const char *text)
{
    static const char ready[] = "READY=1";

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, ready, sizeof(ready) - 1) == 0 && strchr("\n", line[sizeof(ready) - 1]))
            return true;
    }
    return false;
}

static void tell(struct notify *n)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\n", n->main_pid);

    if (send(n->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_warning("NOTIFY_SOCKET: cannot say that the program is ready: %s", strerror(errno));
}

ssize_t notify_take(struct notify *n, struct uio *u)
{
    size_t len = u->resid;

    if (len > MESSAGE_MAX)
        return -EMSGSIZE;
    _cleanup_free_ char *text = calloc(1, len + 1);
    if (!text)
        return -ENOMEM;
    if (len && uio_get(u, text, len) < (ssize_t)len)
        return -EFAULT;
    if (says_ready(text) && !atomic_exchange(&n->ready, true))
        tell(n);
    return (ssize_t)len;
}
