#include "runtime/launch/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <selinux/selinux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/procfile.h"

static bool selinux_is_on(void)
{
    return is_selinux_enabled() == 1;
}

static bool apparmor_is_on(void)
{
    char c = 0;
    _cleanup_close_ int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y';
}

static int apparmor(const struct oci_process *p, bool on, struct guest_label *l, struct err *e)
{
    const char *profile = p->apparmor_profile;

    if (!profile || !*profile || strcmp(profile, "unconfined") == 0)
        return 0;
    if (!on)
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "process.apparmorProfile: AppArmor is not enabled on this host");
    if (asprintf(&l->apparmor, "exec %s", profile) < 0) {
        l->apparmor = NULL;
        return err_set(e, ERR_SYS, ENOMEM, "memory");
    }
    return 0;
}

static int selinux(const struct oci_process *p, bool on, struct guest_label *l, struct err *e)
{
    if (!p->selinux_label || !*p->selinux_label)
        return 0;
    if (!on) {
        log_warning("process.selinuxLabel: SELinux is not enabled on this host, ignored");
        return 0;
    }
    l->selinux = strdup(p->selinux_label);
    return l->selinux ? 0 : err_set(e, ERR_SYS, ENOMEM, "memory");
}

int lsm_init_with(const struct oci_process *p, bool apparmor_on, bool selinux_on, struct guest_label *ret,
                  struct err *e)
{
    *ret = (struct guest_label)GUEST_LABEL_INIT;
    if (!p)
        return 0;
    if (apparmor(p, apparmor_on, ret, e) || selinux(p, selinux_on, ret, e))
        return -1;
    if (!ret->apparmor && !ret->selinux)
        return 0;
    ret->proc = procfile_root();
    return ret->proc < 0 ? err_set(e, ERR_SYS, -ret->proc, "/proc") : 0;
}

int lsm_init(const struct oci_process *p, struct guest_label *ret, struct err *e)
{
    if (lsm_init_with(p, apparmor_is_on(), selinux_is_on(), ret, e))
        return -1;
    if (!ret->selinux || security_check_context_raw(ret->selinux) == 0)
        return 0;
    err_set(e, ERR_CONFIG, errno,
            "config.json: process.selinuxLabel: %s: the loaded policy has no such label", ret->selinux);
    lsm_release(ret);
    return -1;
}

/* What the library wrote, by name, must have reached the host's procfs: it is read through the checked one.
 */
static int read_back(const struct guest_label *l)
{
    char got[4096];
    _cleanup_close_ int fd = label_open(l->proc, "attr/exec", O_RDONLY);

    if (fd < 0)
        return fd;
    ssize_t n = read(fd, got, sizeof(got) - 1);
    if (n < 0)
        return -errno;
    got[n] = 0;
    return strcmp(got, l->selinux) == 0 ? 0 : -EXDEV;
}

int lsm_take_selinux(const struct guest_label *l, struct err *e)
{
    if (!l || !l->selinux)
        return 0;
    int r = setexeccon_raw(l->selinux) < 0 ? -errno : read_back(l);
    if (r == 0)
        return 0;
    return err_set(e, ERR_SYS, -r, "config.json: process.selinuxLabel: %s", l->selinux);
}

void lsm_release(struct guest_label *l)
{
    free(l->apparmor);
    free(l->selinux);
    if (l->proc >= 0)
        (void)close(l->proc);
    *l = (struct guest_label)GUEST_LABEL_INIT;
}

void lsm_label_mounts_with(struct oci_config *c, bool on)
{
    const char *label = c->lx.mount_label;

    if (!label || !*label)
        return;
    if (!on) {
        log_warning("config.json: linux.mountLabel: SELinux is not enabled on this host, ignored");
        return;
    }
    for (size_t i = 0; i < c->nmounts; i++) {
        struct oci_mount *m = &c->mounts[i];
        if (strcmp(m->type, "tmpfs") != 0)
            continue;
        size_t len = strlen(m->data) + strlen(label) + sizeof(",context=\"\"");
        char *data = arena_alloc(c->arena, len, 1);
        snprintf(data, len, "%s%scontext=\"%s\"", m->data, *m->data ? "," : "", label);
        m->data = data;
    }
}

void lsm_label_mounts(struct oci_config *c)
{
    lsm_label_mounts_with(c, selinux_is_on());
}
