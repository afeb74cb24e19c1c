/* Emptying what a guest's tmpfs leaves in the scratch area. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <dirent.h>
#include <stdio.h>

/* Removes every plain entry of dir; directories are moved to the scratch area's top, to have their turn, so
 * that no depth a guest builds can exhaust anything here. */
static void empty_dir(int scratch, int dir, unsigned *serial, const char *prefix)
{
    _cleanup_closedir_ DIR *d = fdopendir(dir);
    char name[64];

    if (!d) {
        (void)close(dir);
        return;
    }
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) == 0)
            continue;
        snprintf(name, sizeof(name), "%s.%u", prefix, (*serial)++);
        if (unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) != 0)
            (void)renameat(dirfd(d), e->d_name, scratch, name);
    }
}

static void remove_tree(int scratch, const char *prefix)
{
    unsigned serial = 0, done = 0;
    char name[64];

    snprintf(name, sizeof(name), "%s", prefix);
    vfs_assume_self();
    for (;;) {
        int dir = openat(scratch, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir >= 0)
            empty_dir(scratch, dir, &serial, prefix);
        (void)unlinkat(scratch, name, AT_REMOVEDIR);
        if (done == serial)
            return;
        snprintf(name, sizeof(name), "%s.%u", prefix, done++);
    }
}

struct scratch *scratch_new(void)
{
    struct scratch *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    snprintf(s->name, sizeof(s->name), "%u", atomic_fetch_add(&kernel.scratch_names, 1));
    vfs_assume_self();
    if (mkdirat(kernel.scratch_fd, s->name, 0700) == 0)
        return s;
    free(s);
    return NULL;
}

struct scratch *scratch_get(struct scratch *s)
{
    if (s)
        atomic_fetch_add(&s->refs, 1);
    return s;
}

void scratch_put(struct scratch *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    remove_tree(kernel.scratch_fd, s->name);
    free(s);
}
