#include "sandbox/platform/boot_spec.h"

#include "common/cleanup.h"
#include "sandbox/platform/pack.h"

#define BOOT_SPEC_VERSION 1
#define MOUNTS_MAX 100000

static void pack_ns(struct pack *p, const struct ns_id *id)
{
    pack_number(p, id->dev);
    pack_number(p, id->ino);
}

static void unpack_ns(struct unpack *u, struct ns_id *id)
{
    id->dev = unpack_number(u);
    id->ino = unpack_number(u);
}

static void pack_mounts(struct pack *p, const struct keep_boot *b)
{
    pack_number(p, b->nmounts);
    for (unsigned i = 0; i < b->nmounts; i++) {
        const struct mount_spec *m = &b->mounts[i];
        pack_string(p, m->target);
        pack_string(p, m->type);
        pack_string(p, m->source);
        pack_string(p, m->options);
        pack_number(p, m->host);
        pack_number(p, m->flags);
        pack_string(p, m->root);
        pack_number(p, m->propagation);
        pack_number(p, m->master);
    }
}

static void unpack_mounts(struct unpack *u, struct boot_spec *s)
{
    uint64_t n = unpack_number(u);

    if (u->failed || n > MOUNTS_MAX || !(s->mounts = calloc((size_t)n + 1, sizeof(*s->mounts)))) {
        u->failed = true;
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        struct mount_spec *m = &s->mounts[i];
        m->target = unpack_string(u);
        m->type = unpack_string(u);
        m->source = unpack_string(u);
        m->options = unpack_string(u);
        m->host = unpack_number(u);
        m->flags = unpack_number(u);
        m->root = unpack_string(u);
        m->propagation = unpack_number(u);
        m->master = (unsigned)unpack_number(u);
        u->failed |= !m->target || m->target[0] != '/' || !m->type;
    }
    s->boot.mounts = s->mounts;
    s->boot.nmounts = (unsigned)n;
}

int boot_spec_pack(const struct keep_boot *b)
{
    struct pack p = {0};

    pack_number(&p, BOOT_SPEC_VERSION);
    pack_string(&p, b->id);
    pack_string(&p, b->hostname);
    pack_string(&p, b->domainname);
    pack_number(&p, b->inherits_names);
    pack_number(&p, b->pids_limit);
    pack_number(&p, b->net_host);
    pack_number(&p, b->host_procfs);
    pack_number(&p, b->closed);
    pack_ns(&p, &b->ns.pid);
    pack_ns(&p, &b->ns.pid_asked);
    pack_ns(&p, &b->ns.ipc);
    pack_ns(&p, &b->ns.uts);
    pack_strings(&p, b->masked_paths);
    pack_strings(&p, b->readonly_paths);
    pack_mounts(&p, b);
    return pack_finish(&p);
}

static void unpack_all(struct unpack *u, struct boot_spec *s)
{
    struct keep_boot *b = &s->boot;

    u->failed |= unpack_number(u) != BOOT_SPEC_VERSION;
    b->id = unpack_string(u);
    b->hostname = unpack_string(u);
    b->domainname = unpack_string(u);
    b->inherits_names = unpack_number(u);
    b->pids_limit = unpack_number(u);
    b->net_host = unpack_number(u);
    b->host_procfs = unpack_number(u);
    b->closed = (unsigned)unpack_number(u);
    unpack_ns(u, &b->ns.pid);
    unpack_ns(u, &b->ns.pid_asked);
    unpack_ns(u, &b->ns.ipc);
    unpack_ns(u, &b->ns.uts);
    b->masked_paths = s->lists[0] = unpack_strings(u);
    b->readonly_paths = s->lists[1] = unpack_strings(u);
    unpack_mounts(u, s);
    u->failed |= !b->id;
}

int boot_spec_unpack(int fd, struct boot_spec *ret)
{
    struct unpack u;

    *ret = (struct boot_spec){.boot = {.control_fd = -1,
                                       .listen_fd = -1,
                                       .status_fd = -1,
                                       .porter_fd = -1,
                                       .gate_fd = -1,
                                       .procfd = -1,
                                       .devpts_fd = -1,
                                       .scratch_fd = -1,
                                       .cgroup_fds = {-1}}};
    int r = unpack_begin(&u, fd);
    if (r < 0)
        return r;
    ret->block = u.buf;
    unpack_all(&u, ret);
    return unpack_end(&u);
}

void boot_spec_free(struct boot_spec *s)
{
    free(s->block);
    free(s->mounts);
    free(s->lists[0]);
    free(s->lists[1]);
    *s = (struct boot_spec){.block = NULL};
}
