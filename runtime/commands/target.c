#include "runtime/commands/target.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/state/keepsock.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/textfile.h"
#include "sandbox/platform/messages.h"

/* How long a keep whose porter has ended may take to write down the exit status and to end. */
#define KEEP_END_MS 2000
#define KILL_MS 10000
#define ANSWER_S 30 /* what a keep has to answer is done at once */

int target_open(const struct globals *g, const char *id, bool lock, struct target *t, struct err *e)
{
    *t = (struct target)TARGET_INIT;
    if (state_check_id(id, e) || state_open(g->root, id, &t->dir, e))
        return -1;
    if ((lock && state_lock(&t->dir, e)) || record_load(t->dir.dir, id, &t->rec, e)) {
        target_close(t);
        return -1;
    }
    t->porter = procid_open(&t->rec.porter);
    return 0;
}

void target_close(struct target *t)
{
    state_close(&t->dir);
    record_release(&t->rec);
    cleanup_close_p(&t->porter);
    t->porter = -1;
    oci_config_free(t->config);
    t->config = NULL;
}

int target_load_config(struct target *t, struct err *e)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", t->dir.dir);
    return t->config ? 0 : oci_config_load(path, &t->config, e);
}

int target_load_hooks(struct target *t, const struct hooks **ret, struct err *e)
{
    *ret = NULL;
    if (!t->rec.hooks)
        return 0;
    if (target_load_config(t, e))
        return -1;
    hooks_init(&t->hooks, t->config, t->rec.id, t->rec.bundle);
    *ret = &t->hooks;
    return 0;
}

int target_connect(const struct target *t, struct err *e)
{
    int fd = keepsock_connect(t->dir.dir);

    return fd < 0 ? err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", t->dir.id) : fd;
}

/* Who had a connection to the keep, and has it no more, has seen the container end. */
static int lost(const struct target *t, int r, struct err *e)
{
    return r == -EPIPE ? err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", t->dir.id)
                       : msg_failed(r, "the sandbox", e);
}

int target_request(const struct target *t, uint32_t type, int value, struct err *e)
{
    const struct timeval patience = {.tv_sec = ANSWER_S};
    struct control_msg m = {.type = type, .value = value};
    _cleanup_close_ int keep = target_connect(t, e);

    if (keep < 0)
        return -1;
    if (setsockopt(keep, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
        return err_set(e, ERR_SYS, errno, "setsockopt");
    int r = msg_send(keep, &m, sizeof(m), -1);
    if (r < 0)
        return lost(t, r, e);
    if (launch_expect(keep, CONTROL_DONE, e) == 0)
        return 0;
    return e->sys_errno == EPIPE ? lost(t, -EPIPE, e) : -1;
}

int target_ask_file(const struct target *t, uint32_t type, struct err *e)
{
    struct control_msg m = {.type = type};
    _cleanup_close_ int keep = target_connect(t, e);
    int fd = -1;

    if (keep < 0)
        return -1;
    int r = msg_send(keep, &m, sizeof(m), -1);
    if (r == 0)
        r = msg_recv(keep, &m, sizeof(m), &fd);
    if (r < 0)
        return lost(t, r, e);
    return fd < 0 ? err_set(e, ERR_SYS, 0, "the sandbox answered out of turn") : fd;
}

static bool keep_says_running(const struct target *t)
{
    const struct timeval patience = {.tv_sec = 5};
    struct control_msg m = {.type = CONTROL_STATUS};
    _cleanup_close_ int fd = keepsock_connect(t->dir.dir);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
        return false;
    return msg_send(fd, &m, sizeof(m), -1) == 0 && msg_recv(fd, &m, sizeof(m), NULL) == 0 && m.value;
}

enum status target_status(const struct target *t)
{
    if (t->porter < 0 || procid_wait(t->porter, 0))
        return STATUS_STOPPED;
    /* Without its keep the porter is about to end, too. */
    _cleanup_close_ int keep = procid_open(&t->rec.keep);
    if (keep < 0 && procid_wait(t->porter, KILL_MS))
        return STATUS_STOPPED;
    if (t->rec.status != STATUS_CREATED)
        return t->rec.status;
    return keep_says_running(t) ? STATUS_RUNNING : STATUS_CREATED;
}

/* Until the keep, or that of its pod, has nothing of the container any more. */
void target_tidy(const struct target *t, enum status s)
{
    struct err ignored = ERR_INIT;
    struct cgroup cg;

    if (s != STATUS_STOPPED || !t->rec.foreground || flock(t->dir.dir, LOCK_EX | LOCK_NB))
        return;
    if (cgroup_load(&cg, t->dir.dir, &ignored) == 0)
        cgroup_remove(&cg, t->dir.dir);
    (void)flock(t->dir.dir, LOCK_UN);
}

static bool wait_for_keep(const struct target *t, int ms)
{
    _cleanup_close_ int keep = procid_open(&t->rec.keep);

    if (keep < 0 || !t->rec.sandbox)
        return keep < 0 || procid_wait(keep, ms);
    /* The last thing that it lets go of is the socket. */
    _cleanup_close_ int sock = keepsock_connect(t->dir.dir);
    struct pollfd fds[] = {{.fd = sock, .events = POLLIN}, {.fd = keep, .events = POLLIN}};
    return sock < 0 || poll(fds, ARRAY_SIZE(fds), ms) > 0;
}

int target_exit_status(const struct target *t)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    int status;

    (void)wait_for_keep(t, KEEP_END_MS);
    if (textfile_read(t->dir.dir, "exit", &text, &len) || sscanf(text, "%d", &status) != 1)
        return -1;
    return status;
}

/* What is frozen does not die. */
static void thaw(const struct target *t)
{
    struct err why = ERR_INIT;
    struct cgroup cg;

    if (cgroup_load(&cg, t->dir.dir, &why) == 0 && cgroup_is_frozen(&cg) && cgroup_freeze(&cg, false, &why))
        log_err(&why);
}

/* By the keep: in the order in which they were sent, acted on when this returns, and whatever state the host
 * has the porter in (it may be stopped, or be asked to stop, which is meant for the guest). */
static int signal_by_keep(const struct target *t, int sig, struct err *e)
{
    return target_request(t, CONTROL_SIGNAL_INIT, sig, e);
}

int target_signal(const struct target *t, int sig, struct err *e)
{
    bool ended = target_status(t) == STATUS_STOPPED;

    if (!ended && sig != 0 && sig != SIGKILL)
        return signal_by_keep(t, sig, e);
    if (ended || (syscall(SYS_pidfd_send_signal, t->porter, sig, NULL, 0) < 0 && errno == ESRCH))
        return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", t->dir.id);
    if (sig == SIGKILL)
        thaw(t);
    return 0;
}

int target_kill_rest(const struct target *t, struct err *e)
{
    struct cgroup cg;

    int r = cgroup_load(&cg, t->dir.dir, e);
    return r < 0 ? -1 : r > 0 || cg.ntrees == 0 ? 0 : cgroup_kill(&cg, e);
}

int target_end(struct target *t, struct err *e)
{
    struct err gone = ERR_INIT;

    bool alive = target_signal(t, SIGKILL, &gone) == 0;
    if (alive && !procid_wait(t->porter, KILL_MS))
        return err_set(e, ERR_TIMEOUT, 0, "container %.255s: its porter %d does not end", t->dir.id,
                       t->rec.porter.pid);
    if (wait_for_keep(t, t->rec.sandbox ? KILL_MS : KEEP_END_MS))
        return 0;
    if (t->rec.sandbox)
        return err_set(e, ERR_TIMEOUT, 0, "container %.255s: the keep of its pod does not let go of it",
                       t->dir.id);
    _cleanup_close_ int keep = procid_open(&t->rec.keep);
    if (keep >= 0 && syscall(SYS_pidfd_send_signal, keep, SIGKILL, NULL, 0) == 0 &&
        !procid_wait(keep, KILL_MS))
        return err_set(e, ERR_TIMEOUT, 0, "container %.255s: its keep %d does not end", t->dir.id,
                       t->rec.keep.pid);
    return 0;
}

/* What the keep lets go of last is its end of a connection. */
static bool has_let_go(int sock, int ms)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};

    return sock < 0 || poll(&p, 1, ms) > 0;
}

int target_end_unknown(const struct target *t, struct err *e)
{
    struct err ignored = ERR_INIT;

    thaw(t);
    _cleanup_close_ int sock = keepsock_connect(t->dir.dir);
    bool asked = sock >= 0 && target_request(t, CONTROL_SIGNAL_INIT, SIGKILL, &ignored) == 0;
    if (asked)
        (void)has_let_go(sock, KILL_MS);
    if (target_kill_rest(t, e))
        return -1;
    if (!has_let_go(sock, KILL_MS))
        return err_set(e, ERR_TIMEOUT, 0, "container %.255s: its keep does not end", t->dir.id);
    return 0;
}
