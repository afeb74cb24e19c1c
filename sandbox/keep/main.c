/* The keep's beginning and end. */
#include <errno.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sandbox/keep/container/container_init.h"
#include "sandbox/keep/control.h"
#include "sandbox/keep/counters.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/idmap.h"
#include "sandbox/keep/klog.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/container/session.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/keep_filter.h"

struct kernel kernel = {
    .tasklist_lock = PTHREAD_MUTEX_INITIALIZER,
    .started_cond = PTHREAD_COND_INITIALIZER,
    .thawed = PTHREAD_COND_INITIALIZER,
    .procfd = -1,
    .scratch_fd = -1,
    .dead_lock = PTHREAD_MUTEX_INITIALIZER,
    .wake_fd = -1,
};

static int kernel_init(const struct keep_boot *b)
{
    static atomic_ulong enosys[512 / 64];
    int r;

    kernel.pid = getpid();
    kernel.procfd = b->procfd;
    kernel.scratch_fd = b->scratch_fd;
    kernel.gate_fd = b->gate_fd;
    kernel.nice = getpriority(PRIO_PROCESS, 0);
    kernel.strace = b->strace;
    kernel.lanes_off = b->lanes_off;
    kernel.enosys_logged = enosys;
    clock_gettime(CLOCK_BOOTTIME, &kernel.boot);
    (void)mallopt(M_ARENA_MAX, 2);
    kernel.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (kernel.wake_fd < 0)
        return -errno;
    if ((r = klog_init()) < 0 || (r = tasks_init()) < 0 || (r = signal_init()) < 0 ||
        (r = files_init()) < 0 || (r = counters_init()) < 0)
        return r;
    return procfs_init(b);
}

static int boot(const struct keep_boot *b, struct control *k, struct err *e)
{
    int r = kernel_init(b);

    if (r == 0 && b->partial_ids)
        r = idmap_init();
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot start the keep");
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(e, ERR_SYS, errno, "cannot open the container's root");
    if (container_init(k->sandbox, b, root, e) < 0)
        return -1;
    k->sandbox->first = session_new(k->sandbox, &b->process, b->porter_fd, e);
    if (!k->sandbox->first)
        return -1;
    klog_boot(b);
    r = keep_confine();
    return r < 0 ? err_set(e, ERR_SYS, -r, "cannot confine the keep") : 0;
}

_Noreturn void keep_main(const struct keep_boot *b)
{
    struct control k = {
        .sandbox = container_new(b->id),
        .pod = b->pod,
    };
    struct control_msg m = {.type = CONTROL_READY};
    struct err e = ERR_INIT;

    k.signal_fd = control_hold_signals();
    if (!k.sandbox || boot(b, &k, &e) < 0) {
        m = (struct control_msg){.type = CONTROL_FAILED, .err = e};
        (void)msg_send(b->control_fd, &m, sizeof(m), -1);
        _exit(1);
    }
    k.sandbox->maker_fd = b->control_fd;
    (void)msg_send(b->control_fd, &m, sizeof(m), -1);
    control_loop(&k);
}
