#include "runtime/seccomp/seccomp_agent.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/version.h"
#include "oci/config.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/sendfd.h"
#include "runtime/state/statejson.h"
#include "sandbox/platform/messages.h"

int agent_link(const struct seccomp_profile *p, int link[2], struct err *e)
{
    if (!p || !p->notify)
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
        return err_set(e, ERR_SYS, errno, "socketpair");
    return 0;
}

int agent_take(int link, struct err *e)
{
    struct porter_msg m;
    int fd = -1;

    if (link < 0)
        return -1;
    int r = msg_recv(link, &m, sizeof(m), &fd);
    if (r < 0 || fd < 0)
        return err_set(e, ERR_SYS, r < 0 ? -r : EBADMSG,
                       "no listener for the seccomp agent came (see the log)");
    return fd;
}

static char *process_state(const struct oci_config *c, const struct agent_process *p)
{
    const struct statejson state = {
        .id = p->id,
        .status = p->status,
        .bundle = p->bundle,
        .pid = p->container,
        .annotations = c->annotations,
        .nannotations = c->nannotations,
        .exit_status = -1,
    };
    json_writer w = jw_begin(false);

    if (!w)
        return NULL;
    jw_member(w, "ociVersion", OCI_SPEC_VERSION);
    jw_array(w, "fds");
    jw_string(w, "seccompFd");
    jw_close_array(w);
    jw_number(w, "pid", p->process);
    if (c->lx.seccomp->listener_metadata)
        jw_member(w, "metadata", c->lx.seccomp->listener_metadata);
    jw_object(w, "state");
    statejson_put(w, &state);
    jw_close_object(w);
    return jw_end(w);
}

int agent_inform(const struct oci_config *c, const struct agent_process *p, int fd, struct err *e)
{
    if (fd < 0)
        return 0;
    _cleanup_free_ char *text = process_state(c, p);
    if (!text)
        return err_set(e, ERR_SYS, ENOMEM, "cannot write down the state for the seccomp agent");
    return sendfd_to("config.json: linux.seccomp.listenerPath", c->lx.seccomp->listener_path, text, fd, e);
}
