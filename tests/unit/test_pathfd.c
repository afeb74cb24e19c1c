// objects: common/*.o runtime/pathfd.o
/* Paths inside a tree that is hostile: nothing outside of it may be reached or made, whatever moves
 * meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "common/cleanup.h"
#include "runtime/pathfd.h"
#include "tests/unit/scratch_dir.h"

struct place {
    char dir[SCRATCH_DIR_MAX]; /* holds "root", the tree, and "decoy", which must stay as it is */
    int root, decoy, proc;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    char path[128];

    if (!scratch_dir(p->dir, "pathfd"))
        return -1;
    snprintf(path, sizeof(path), "%s/root", p->dir);
    mkdir(path, 0755);
    p->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/decoy", p->dir);
    mkdir(path, 0755);
    p->decoy = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    p->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = p;
    return p->root < 0 || p->decoy < 0 || p->proc < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char command[128];

    close(p->root);
    close(p->decoy);
    close(p->proc);
    snprintf(command, sizeof(command), "rm -rf %s", p->dir);
    int r = system(command);
    free(p);
    return r;
}

static void make_link(const struct place *p, const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, p->root, name), 0);
}

static void assert_decoy_untouched(const struct place *p)
{
    int fd = openat(p->decoy, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fdopendir(fd);
    int entries = 0;

    assert_non_null(d);
    while (readdir(d))
        entries++;
    closedir(d);
    assert_int_equal(entries, 2);
}

/* Makes path and says where it ended up, seen from the root. */
static const char *made(struct place *p, const char *path, char name[PATH_MAX])
{
    _cleanup_close_ int fd = pathfd_mkdir(p->root, path);

    if (fd < 0)
        return strerror(-fd);
    assert_int_equal(pathfd_name(p->proc, p->root, fd, name, PATH_MAX), 0);
    return name;
}

static void test_mkdir(void **state)
{
    struct place *p = *state;
    char name[PATH_MAX], decoy[128];

    snprintf(decoy, sizeof(decoy), "%s/decoy", p->dir);
    make_link(p, "../../../..", "up");
    make_link(p, "loop", "loop");
    make_link(p, "/new/place", "dangling");
    make_link(p, "not/yet", "relative");
    make_link(p, decoy, "decoy");
    close(openat(p->root, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    assert_string_equal(made(p, "/", name), "/");
    assert_string_equal(made(p, "/a/b/c", name), "/a/b/c");
    assert_string_equal(made(p, "a//b/./d/", name), "/a/b/d");
    assert_string_equal(made(p, "/../../x", name), "/x");
    assert_string_equal(made(p, "/up/y/z", name), "/y/z");
    assert_string_equal(made(p, "/dangling/q", name), "/new/place/q");
    assert_string_equal(made(p, "/a/../relative/q", name), "/not/yet/q");
    assert_string_equal(made(p, "/n/../m", name), "/m");
    assert_string_equal(made(p, "/loop/q", name), strerror(ELOOP));
    assert_string_equal(made(p, "/file/q", name), strerror(ENOTDIR));
    /* An absolute link stays inside, too. */
    assert_string_equal(made(p, "/decoy/q", name) + strlen(decoy), "/q");
    assert_decoy_untouched(p);
}

static void test_touch(void **state)
{
    struct place *p = *state;
    struct stat st;
    char last[256];

    _cleanup_close_ int fd = pathfd_touch(p->root, "/etc/deep/file");
    assert_true(fd >= 0);
    assert_int_equal(fstatat(p->root, "etc/deep/file", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
    _cleanup_close_ int dir = pathfd_touch(p->root, "/etc");
    assert_true(dir >= 0);
    make_link(p, "../../decoy/made", "link");
    assert_true(pathfd_touch(p->root, "/link") < 0);
    assert_int_equal(pathfd_parent(p->root, "/etc/..", last), -EINVAL);
    assert_int_equal(pathfd_parent(p->root, "/", last), -EINVAL);
    _cleanup_close_ int parent = pathfd_parent(p->root, "/etc/name/", last);
    assert_true(parent >= 0);
    assert_string_equal(last, "name");
    assert_decoy_untouched(p);
}

static void test_open_plain(void **state)
{
    struct place *p = *state;

    make_link(p, "target", "link");
    mkdirat(p->root, "target", 0755);
    assert_int_equal(pathfd_open_plain(p->root, "link", O_PATH), -ELOOP);
    assert_int_equal(pathfd_open_plain(p->root, "link/x", O_PATH), -ELOOP);
    _cleanup_close_ int fd = pathfd_open(p->root, "link", O_PATH);
    assert_true(fd >= 0);
}

static const struct {
    const char *path, *clean;
} cleaned[] = {
    {"", "/"},         {"/", "/"},   {"//a//b/", "/a/b"},    {"/a/./b", "/a/b"},
    {"/a/../b", "/b"}, {"/..", "/"}, {"../x", "/x"},         {"/a/b/../../..", "/"},
    {"/...", "/..."},  {"a", "/a"},  {"/.a/..b", "/.a/..b"},
};

static void test_clean(void **state)
{
    char buf[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cleaned); i++) {
        assert_int_equal(pathfd_clean(cleaned[i].path, buf, sizeof(buf)), 0);
        assert_string_equal(buf, cleaned[i].clean);
    }
    assert_int_equal(pathfd_clean("/0123456789", buf, 8), -ENAMETOOLONG);
}

struct flipper {
    const struct place *p;
    atomic_bool stop;
};

/* Another container that shares a volume: "here" is a directory, then a link to the decoy, then a directory
 * ... */
static void *flip(void *arg)
{
    struct flipper *f = arg;

    while (!atomic_load(&f->stop))
        renameat2(f->p->root, "here", f->p->root, "trap", RENAME_EXCHANGE);
    return NULL;
}

static void test_race(void **state)
{
    struct place *p = *state;
    struct flipper f = {.p = p};
    pthread_t thread;

    mkdirat(p->root, "here", 0755);
    make_link(p, "../decoy", "trap");
    assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
    for (int i = 0; i < 1000; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/here/%d/x", i);
        _cleanup_close_ int fd = i % 2 ? pathfd_mkdir(p->root, path) : pathfd_touch(p->root, path);
        /* Made inside the tree, or refused. */
        assert_true(fd >= 0 || fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR || fd == -EAGAIN ||
                    fd == -EEXIST);
    }
    atomic_store(&f.stop, true);
    pthread_join(thread, NULL);
    assert_decoy_untouched(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mkdir, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_touch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_plain, set_up, tear_down),
        cmocka_unit_test(test_clean),
        cmocka_unit_test_setup_teardown(test_race, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
