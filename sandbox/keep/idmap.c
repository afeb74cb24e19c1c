#include "sandbox/keep/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/keep/kernel.h"

#define LINES_MAX 340
#define TEXT_MAX (LINES_MAX * 34)

struct side {
    unsigned n;
    struct {
        uint32_t first, count;
    } ranges[LINES_MAX];
    char text[TEXT_MAX];
};

struct idmap {
    struct side uids, gids;
    bool no_groups;
};

static ssize_t read_own(const char *name, char *buf, size_t size)
{
    char path[48];

    snprintf(path, sizeof(path), "%d/%s", (int)kernel.pid, name);
    _cleanup_close_ int fd = openat(kernel.procfd, path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        return -errno;
    buf[len] = '\0';
    return (ssize_t)len;
}

static int read_side(const char *name, struct side *s)
{
    ssize_t r = read_own(name, s->text, sizeof(s->text));

    if (r <= 0)
        return r < 0 ? (int)r : -ENODATA;
    for (const char *p = s->text; p && *p && s->n < LINES_MAX; p = strchr(p, '\n')) {
        uint32_t inside, outside, count;
        p += *p == '\n';
        if (sscanf(p, "%u %u %u", &inside, &outside, &count) != 3)
            break;
        s->ranges[s->n].first = inside;
        s->ranges[s->n++].count = count;
    }
    return s->n ? 0 : -EINVAL;
}

int idmap_init(void)
{
    char groups[16];
    struct idmap *m = calloc(1, sizeof(*m));
    int r = m ? read_side("uid_map", &m->uids) : -ENOMEM;

    if (r == 0)
        r = read_side("gid_map", &m->gids);
    if (r < 0) {
        free(m);
        return r;
    }
    m->no_groups = read_own("setgroups", groups, sizeof(groups)) > 0 && strncmp(groups, "deny", 4) == 0;
    kernel.idmap = m;
    return 0;
}

static bool has(const struct side *s, uint32_t id)
{
    for (unsigned i = 0; i < s->n; i++)
        if (id >= s->ranges[i].first && id - s->ranges[i].first < s->ranges[i].count)
            return true;
    return false;
}

bool idmap_has_uid(uid_t uid)
{
    return uid != (uid_t)-1 && (!kernel.idmap || has(&kernel.idmap->uids, uid));
}

bool idmap_has_gid(gid_t gid)
{
    return gid != (gid_t)-1 && (!kernel.idmap || has(&kernel.idmap->gids, gid));
}

bool idmap_denies_groups(void)
{
    return kernel.idmap && kernel.idmap->no_groups;
}

static const char all[] = "         0          0 4294967295\n";

const char *idmap_uid_text(void)
{
    return kernel.idmap ? kernel.idmap->uids.text : all;
}

const char *idmap_gid_text(void)
{
    return kernel.idmap ? kernel.idmap->gids.text : all;
}

const char *idmap_groups_text(void)
{
    return idmap_denies_groups() ? "deny\n" : "allow\n";
}
