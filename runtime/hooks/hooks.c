#include "runtime/hooks/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "runtime/hooks/hook_run.h"
#include "runtime/launch/launch.h"
#include "runtime/state/statejson.h"

/* State
 * -----------------------------------------------------------------------------------------------------------
 */

static char *state_text(const struct hooks *h, const char *status, pid_t pid)
{
    const struct statejson s = {
        .id = h->id,
        .status = status,
        .bundle = h->bundle,
        .pid = pid > 0 ? pid : -1,
        .annotations = h->config->annotations,
        .nannotations = h->config->nannotations,
        .exit_status = -1,
    };
    return statejson_text(&s, false);
}

/* A file that ends after the text, read from its beginning: unlike a pipe, it takes any length at once, and
 * nobody minds if the hook does not read it. */
static int state_file(const struct hooks *h, const char *status, pid_t pid, struct err *e)
{
    _cleanup_free_ char *text = state_text(h, status, pid);
    _cleanup_close_ int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (!text || fd < 0)
        return err_set(e, ERR_SYS, text ? errno : ENOMEM, "cannot make a hook's input");
    size_t len = strlen(text);
    if (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_set(e, ERR_SYS, errno, "cannot make a hook's input");
    return steal_fd(&fd);
}

/* Kinds
 * -----------------------------------------------------------------------------------------------------------
 */

static char *const no_env[] = {NULL};

static const struct {
    const char *name, *status;
    bool in_container;
} kinds[OCI_HOOK_KINDS] = {
    [OCI_HOOK_PRESTART] = {"prestart", "created", false},
    [OCI_HOOK_CREATE_RUNTIME] = {"createRuntime", "created", false},
    [OCI_HOOK_CREATE_CONTAINER] = {"createContainer", "created", true},
    [OCI_HOOK_START_CONTAINER] = {"startContainer", "created", true},
    [OCI_HOOK_POSTSTART] = {"poststart", "running", false},
    [OCI_HOOK_POSTSTOP] = {"poststop", "stopped", false},
};

struct sequence {
    const struct hooks *hooks;
    enum oci_hook_kind kind;
    pid_t pid;                         /* what the state says; 0: none */
    pid_t namespaces;                  /* as in struct hook_job */
    const struct launch_exec *sandbox; /* run them as guests there */
};

static int run_one(const struct sequence *s, size_t i, struct err *e)
{
    struct hook_job j = {
        .hooks = s->hooks,
        .kind = kinds[s->kind].name,
        .index = i,
        .hook = &s->hooks->config->hooks[s->kind].list[i],
        .env = kinds[s->kind].in_container ? no_env : environ,
        .namespaces = s->namespaces,
    };
    _cleanup_close_ int state = state_file(s->hooks, kinds[s->kind].status, s->pid, e);

    if (state < 0)
        return -1;
    j.state = state;
    log_debug("hook %s[%zu]: %s", j.kind, i, j.hook->path);
    return s->sandbox ? hook_run_guest(&j, s->sandbox, e) : hook_run(&j, e);
}

/* In the order of the list; the first that fails ends it. */
static int run_all(const struct sequence *s, struct err *e)
{
    for (size_t i = 0; i < s->hooks->config->hooks[s->kind].n; i++)
        if (run_one(s, i, e) < 0)
            return -1;
    return 0;
}

void hooks_init(struct hooks *h, const struct oci_config *config, const char *id, const char *bundle)
{
    *h = (struct hooks){.config = config, .id = id, .bundle = bundle, .umask = umask(022)};
    umask(h->umask);
    if (getrlimit(RLIMIT_NOFILE, &h->nofile) < 0 || getrlimit(RLIMIT_FSIZE, &h->fsize) < 0)
        log_warning("cannot read the limits for hooks: %s", strerror(errno));
}

int hooks_creating(const struct hooks *h, pid_t porter, struct err *e)
{
    struct sequence s = {.hooks = h, .kind = OCI_HOOK_PRESTART, .pid = porter};

    if (run_all(&s, e) < 0)
        return -1;
    s.kind = OCI_HOOK_CREATE_RUNTIME;
    return run_all(&s, e);
}

/* The program is the first process in the keep's eyes. */
#define PID_INSIDE 1

/* The pid that the porter has in the innermost of its pid namespaces (proc(5), NSpid): what a process there
 * sees. 1 where it is its own. */
static pid_t pid_in_namespace(pid_t porter)
{
    char path[64], line[512];
    const char *last;
    pid_t pid = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", porter);
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "NSpid:", 6) == 0 && (last = strrchr(line, '\t')))
            pid = (pid_t)strtol(last, NULL, 10);
    return pid > 0 ? pid : PID_INSIDE;
}

int hooks_before_pivot(const struct hooks *h, pid_t porter, struct err *e)
{
    return run_all(&(struct sequence){.hooks = h,
                                      .kind = OCI_HOOK_CREATE_CONTAINER,
                                      .pid = pid_in_namespace(porter),
                                      .namespaces = porter},
                   e);
}

int hooks_start_container(const struct hooks *h, const struct launch_exec *sandbox, struct err *e)
{
    /* Without a program there is nothing to be before: launch_start says so. */
    if (!h->config->process)
        return 0;
    return run_all(
        &(struct sequence){
            .hooks = h, .kind = OCI_HOOK_START_CONTAINER, .pid = PID_INSIDE, .sandbox = sandbox},
        e);
}

int hooks_poststart(const struct hooks *h, pid_t porter, struct err *e)
{
    return run_all(&(struct sequence){.hooks = h, .kind = OCI_HOOK_POSTSTART, .pid = porter}, e);
}

void hooks_poststop(const struct hooks *h)
{
    struct sequence s = {.hooks = h, .kind = OCI_HOOK_POSTSTOP};

    for (size_t i = 0; i < h->config->hooks[s.kind].n; i++) {
        struct err e = ERR_INIT;
        if (run_one(&s, i, &e) < 0)
            log_warning("%s", e.msg);
    }
}
