#include "runtime/commands/stopsignal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/commands/signame.h"
#include "sandbox/platform/messages.h"

static const char annotation[] = "org.opencontainers.image.stopSignal";

int stopsignal_of(const struct record *r)
{
    for (size_t i = 0; i < r->nannotations; i++) {
        if (strcmp(r->annotations[i].key, annotation) != 0 || !*r->annotations[i].value)
            continue;
        int sig = signame_parse(r->annotations[i].value);
        if (sig > 0)
            return sig;
        log_warning("container %.255s: annotation %s: unknown signal \"%.40s\"", r->id, annotation,
                    r->annotations[i].value);
    }
    return SIGTERM;
}

struct stopsignal_name stopsignal_name(int sig)
{
    struct stopsignal_name n;
    const char *name = sigabbrev_np(sig);

    if (name)
        snprintf(n.text, sizeof(n.text), "SIG%s", name);
    else
        snprintf(n.text, sizeof(n.text), "signal %d", sig);
    return n;
}

const char *stopsignal_disposition(const struct target *t, int sig)
{
    const struct timeval patience = {.tv_sec = 2};
    struct control_msg m = {.type = CONTROL_STATUS};
    struct err ignored = ERR_INIT;
    _cleanup_close_ int fd = target_connect(t, &ignored);
    uint64_t bit = 1ULL << (sig - 1);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
        msg_send(fd, &m, sizeof(m), -1) < 0 || msg_recv(fd, &m, sizeof(m), NULL) < 0 || !m.value)
        return NULL;
    return m.handled & bit ? "handled" : m.ignored & bit ? "ignored" : "default";
}
