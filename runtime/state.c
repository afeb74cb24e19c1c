#include "runtime/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/cleanup.h"

enum { ID_MAX = 1024 };

int state_check_id(const char *id, struct err *e)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-";

    if (!*id)
        return err_set(e, ERR_USAGE, 0, "container id: must not be empty");
    if (strlen(id) > ID_MAX)
        return err_set(e, ERR_USAGE, 0, "container id: longer than %d bytes", ID_MAX);
    if (id[strspn(id, allowed)])
        return err_set(e, ERR_USAGE, 0,
                       "container id \"%.100s\": only letters, digits and _+.- may stand in it", id);
    if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return err_set(e, ERR_USAGE, 0, "container id \"%s\" is not allowed", id);
    return 0;
}

/* mkdir -p; what exists already keeps its mode. */
static int make_root(const char *root, struct err *e)
{
    _cleanup_free_ char *path = strdup(root);

    if (!path)
        return err_set(e, ERR_SYS, ENOMEM, "option --root");
    if (!*path)
        return err_set(e, ERR_USAGE, 0, "option --root: must not be empty");
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(path, 0711) && errno != EEXIST)
            return err_set(e, ERR_SYS, errno, "making the state directory %s", path);
        *p = end;
        if (!end)
            return 0;
    }
}

/* A directory without a lock and without a state in it belongs to a `bailey run` that was killed. */
static bool is_left_over(int dir)
{
    return flock(dir, LOCK_EX | LOCK_NB) == 0 && faccessat(dir, "state.json", F_OK, 0) != 0;
}

static int open_dir(struct state_dir *s, struct err *e)
{
    s->dir = openat(s->root, s->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return s->dir < 0 ? err_set(e, ERR_SYS, errno, "the state directory of container %s", s->id) : 0;
}

static void close_dirs(struct state_dir *s)
{
    cleanup_close_p(&s->dir);
    cleanup_close_p(&s->root);
    s->dir = s->root = -1;
}

static int claim(struct state_dir *s, struct err *e)
{
    int r = mkdirat(s->root, s->id, 0700);

    if (r && errno != EEXIST)
        return err_set(e, ERR_SYS, errno, "making the state directory of container %.255s", s->id);
    if (open_dir(s, e))
        return -1;
    if (r == 0 && flock(s->dir, LOCK_EX | LOCK_NB))
        return err_set(e, ERR_SYS, errno, "locking the state directory of container %s", s->id);
    if (r && !is_left_over(s->dir))
        return err_set(e, ERR_EXISTS, 0, "a container with the id %s exists already", s->id);
    return 0;
}

int state_create(const char *root, const char *id, struct state_dir *s, struct err *e)
{
    s->id = id;
    if (make_root(root, e))
        return -1;
    s->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0)
        return err_set(e, ERR_SYS, errno, "the state directory %s", root);
    if (claim(s, e)) {
        close_dirs(s);
        return -1;
    }
    return 0;
}

void state_remove(struct state_dir *s)
{
    if (s->dir < 0)
        return;
    (void)unlinkat(s->root, s->id, AT_REMOVEDIR);
    close_dirs(s);
}
