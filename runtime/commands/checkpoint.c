/* bailey checkpoint and restore: understood, and refused. CRIU saves what the host's kernel knows of
 * processes; what a container of ours is made of, its keep knows. */
#include <stddef.h>

#include "runtime/commands/cmd.h"
#include "runtime/commands/options.h"

struct checkpoint_options {
    const char *image_path, *work_path, *parent_path, *status_fd, *page_server, *cgroups_mode, *network_lock;
    const char *bundle, *console_socket, *pid_file, *lsm_profile, *lsm_mount_context;
    struct option_list empty_ns;
    bool leave_running, tcp_established, tcp_skip_in_flight, link_remap, ext_unix_sk, shell_job, lazy_pages;
    bool file_locks, pre_dump, auto_dedup, detach, no_subreaper, no_pivot;
};

#define AT(member) offsetof(struct checkpoint_options, member)
#define BOTH                                                                                                 \
    {"image-path", 0, "DIR", AT(image_path), "where the image is"},                                          \
        {"work-path", 0, "DIR", AT(work_path), "where logs and the like go"},                                \
        {"tcp-established", 0, NULL, AT(tcp_established), "with open TCP connections"},                      \
        {"ext-unix-sk", 0, NULL, AT(ext_unix_sk), "with unix sockets to the outside"},                       \
        {"shell-job", 0, NULL, AT(shell_job), "with a terminal"},                                            \
        {"lazy-pages", 0, NULL, AT(lazy_pages), "memory on demand"},                                         \
        {"file-locks", 0, NULL, AT(file_locks), "with file locks"},                                          \
        {"manage-cgroups-mode", 0, "soft|full|strict|ignore", AT(cgroups_mode), "control groups"},           \
        {"empty-ns", 0, "NAMESPACE...", AT(empty_ns), "leave a namespace's contents out"},                   \
    {                                                                                                        \
        "auto-dedup", 0, NULL, AT(auto_dedup), "without what earlier images hold"                            \
    }

static const struct option_def checkpoint_options[] = {
    BOTH,
    {"parent-path", 0, "DIR", AT(parent_path), "an earlier pre-dump"},
    {"leave-running", 0, NULL, AT(leave_running), "do not end it"},
    {"tcp-skip-in-flight", 0, NULL, AT(tcp_skip_in_flight), "without connections that are being made"},
    {"link-remap", 0, NULL, AT(link_remap), "with files that were removed"},
    {"status-fd", 0, "FD", AT(status_fd), "where readiness is told"},
    {"page-server", 0, "ADDRESS:PORT", AT(page_server), "where pages go"},
    {"pre-dump", 0, NULL, AT(pre_dump), "memory only"},
    {"network-lock", 0, "iptables|nftables|skip", AT(network_lock), "what locks the network"},
    {NULL, 0, NULL, 0, NULL},
};

static const struct option_def restore_options[] = {
    BOTH,
    {"bundle", 'b', "DIR", AT(bundle), "the bundle"},
    {"console-socket", 0, "SOCKET", AT(console_socket), "where the terminal goes"},
    {"detach", 'd', NULL, AT(detach), "return once the program runs"},
    {"pid-file", 0, "FILE", AT(pid_file), "where the pid goes"},
    {"no-subreaper", 0, NULL, AT(no_subreaper), "no subreaper"},
    {"no-pivot", 0, NULL, AT(no_pivot), "no pivot_root"},
    {"lsm-profile", 0, "TYPE:NAME", AT(lsm_profile), "another label"},
    {"lsm-mount-context", 0, "CONTEXT", AT(lsm_mount_context), "another label of mounts"},
    {NULL, 0, NULL, 0, NULL},
};

static int refuse(const struct command *c, char **argv, struct err *e)
{
    struct checkpoint_options o = {.image_path = NULL};
    int r = command_options(c, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    return err_set(e, ERR_UNSUPPORTED, 0,
                   "%s is not supported: a container's state is in its keep, where CRIU cannot see it",
                   c->name);
}

static int checkpoint(const struct globals *g, char **argv, struct err *e)
{
    (void)g;
    return refuse(&cmd_checkpoint, argv, e);
}

static int restore(const struct globals *g, char **argv, struct err *e)
{
    (void)g;
    return refuse(&cmd_restore, argv, e);
}

const struct command cmd_checkpoint = {
    .name = "checkpoint",
    .args = "ID",
    .summary = "Not supported: save a container's processes",
    .options = checkpoint_options,
    .run = checkpoint,
};

const struct command cmd_restore = {
    .name = "restore",
    .args = "ID",
    .summary = "Not supported: bring saved processes back",
    .options = restore_options,
    .run = restore,
};
