#include "runtime/state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "runtime/state/record.h"

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

static int open_root(const char *root, struct state_dir *s, struct err *e)
{
    s->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->root < 0 ? err_set(e, ERR_SYS, errno, "the state directory %s", root) : 0;
}

static int open_dir(struct state_dir *s)
{
    s->dir = openat(s->root, s->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return s->dir < 0 ? -1 : 0;
}

void state_close(struct state_dir *s)
{
    cleanup_close_p(&s->dir);
    cleanup_close_p(&s->root);
    s->dir = s->root = -1;
}

static bool is_removed(const struct state_dir *s)
{
    struct stat st;

    return fstat(s->dir, &st) || st.st_nlink == 0;
}

/* There is nothing but files: who owns the root wrote them. */
void state_empty(const struct state_dir *s)
{
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);

    for (const struct dirent *f; d && (f = readdir(d));)
        (void)unlinkat(s->dir, f->d_name, 0);
}

/* Without a state in it it belongs to a command that was killed; the same if a `bailey run` was, whose
 * container ended with it. The lock is held. */
static bool is_left_over(const struct state_dir *s)
{
    struct err ignored = ERR_INIT;
    _cleanup_(record_release) struct record r = {0};

    if (is_removed(s))
        return false;
    if (record_load(s->dir, s->id, &r, &ignored))
        return ignored.code == ERR_NO_CONTAINER;
    _cleanup_close_ int porter = procid_open(&r.porter);
    return r.foreground && porter < 0;
}

static int claim(struct state_dir *s, struct err *e)
{
    int r = mkdirat(s->root, s->id, 0700);

    if (r && errno != EEXIST)
        return err_set(e, ERR_SYS, errno, "making the state directory of container %.255s", s->id);
    if (open_dir(s) && errno != ENOENT)
        return err_set(e, ERR_SYS, errno, "the state directory of container %s", s->id);
    /* Somebody who holds the lock works on it, so it exists; new ones are taken for left over, too. */
    if (s->dir < 0 || flock(s->dir, LOCK_EX | LOCK_NB) || !is_left_over(s))
        return err_set(e, ERR_EXISTS, 0, "a container with the id %s exists already", s->id);
    return 0;
}

int state_create(const char *root, const char *id, struct state_dir *s, struct err *e)
{
    s->id = id;
    if (make_root(root, e))
        return -1;
    if (open_root(root, s, e) || claim(s, e)) {
        state_close(s);
        return -1;
    }
    return 0;
}

int state_open(const char *root, const char *id, struct state_dir *s, struct err *e)
{
    s->id = id;
    s->dir = -1;
    s->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root >= 0 && open_dir(s) == 0)
        return 0;
    if (errno == ENOENT)
        err_set(e, ERR_NO_CONTAINER, 0, "container %.255s does not exist", id);
    else
        err_set(e, ERR_SYS, errno, "the state directory of container %.255s in %.200s", id, root);
    state_close(s);
    return -1;
}

int state_lock(struct state_dir *s, struct err *e)
{
    while (flock(s->dir, LOCK_EX))
        if (errno != EINTR)
            return err_set(e, ERR_SYS, errno, "locking the state directory of container %s", s->id);
    return is_removed(s) ? err_set(e, ERR_NO_CONTAINER, 0, "container %s does not exist", s->id) : 0;
}

void state_unlock(struct state_dir *s)
{
    (void)flock(s->dir, LOCK_UN);
}

void state_remove(struct state_dir *s)
{
    if (s->dir < 0)
        return;
    /* By its name, which may be another's by now if this one is gone. */
    if (!is_removed(s)) {
        state_empty(s);
        (void)unlinkat(s->root, s->id, AT_REMOVEDIR);
    }
    state_close(s);
}
