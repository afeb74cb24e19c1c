// objects: common/*.o sandbox/keep/*.o sandbox/keep/*/*.o sandbox/platform/*.o
/* Path walking: what the text of a path says, and the walk by components against the host's own, in a small
 * tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/wait.h>

#include "sandbox/keep/fs/vfs_priv.h"
#include "tests/unit/scratch_dir.h"

static void test_climbs(void **state)
{
    (void)state;
    assert_false(path_climbs("a/b"));
    assert_false(path_climbs("a/../b"));
    assert_false(path_climbs("./a/./.."));
    assert_false(path_climbs("..."));
    assert_true(path_climbs(".."));
    assert_true(path_climbs("a/../.."));
    assert_true(path_climbs("a//../../b/c"));
}

static void test_touches(void **state)
{
    (void)state;
    assert_true(path_touches("proc", "/proc"));
    assert_true(path_touches("/proc/self/../../etc", "/proc"));
    assert_true(path_touches("a/../proc//", "/proc"));
    assert_true(path_touches("../../proc/x", "/proc"));
    assert_true(path_touches("dev/./pts/0", "/dev/pts"));
    assert_false(path_touches("process", "/proc"));
    assert_false(path_touches("a/proc", "/proc"));
    assert_false(path_touches("dev/pt", "/dev/pts"));
    assert_false(path_touches("dev/pts2", "/dev/pts"));
}

/* A container of one task in a temporary tree ---------------------------------------------------------------
 */

struct world {
    struct container c;
    struct process p;
    struct cred cred;
    struct task t;
};

static void make_tree(void)
{
    assert_int_equal(mkdir("a", 0755), 0);
    assert_int_equal(mkdir("a/b", 0755), 0);
    assert_int_equal(mkdir("a/b/c", 0755), 0);
    assert_int_equal(mkdir("hidden", 0755), 0);
    assert_int_equal(mkdir("hidden/in", 0755), 0);
    assert_int_equal(close(open("a/file", O_CREAT | O_WRONLY, 0644)), 0);
    assert_int_equal(close(open("hidden/file", O_CREAT | O_WRONLY, 0644)), 0);
    assert_int_equal(symlink("a/b", "rel"), 0);
    assert_int_equal(symlink("/a/b/c", "abs"), 0);
    assert_int_equal(symlink("../../../../../a/file", "a/b/up"), 0);
    assert_int_equal(symlink("loop2", "loop1"), 0);
    assert_int_equal(symlink("loop1", "loop2"), 0);
    assert_int_equal(symlink("rel/c/../up", "chain"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(symlink("/a/new", "tocreate"), 0);
    assert_int_equal(symlink("hidden", "tohidden"), 0);
    assert_int_equal(symlink("file/", "a/slash"), 0);
}

static void world_init(struct world *w, const char *dir)
{
    int err = 0;

    memset(w, 0, sizeof(*w));
    kernel.pid = getpid();
    kernel.procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    kernel.scratch_fd = -1;
    assert_int_equal(chdir(dir), 0);
    make_tree();
    assert_int_equal(chroot("."), 0);
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct mount_spec spec = {.target = "/", .type = "ext4", .source = "none", .options = "rw", .host = true};
    assert_int_equal(mount_ns_init(&w->c, root, &spec, 1), 0);
    assert_int_equal(chdir("/"), 0);
    w->c.mounts->magic = false; /* the test's own mount namespace has a procfs, but not below this root */
    w->cred.refs = 1;
    w->cred.cap_effective = w->cred.cap_permitted = ~0ULL;
    w->p.container = &w->c;
    w->t.process = &w->p;
    w->t.cred = &w->cred;
    for (int i = 0; i < RLIM_NLIMITS; i++)
        w->p.rlim[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    w->t.fs = fs_new_root(&w->c, "/", 022, &err);
    assert_non_null(w->t.fs);
}

/* Each test runs in a process of its own, because it changes its root. */
static void in_child(void (*fn)(struct world *))
{
    static struct world w;
    char dir[SCRATCH_DIR_MAX], clean[128];

    assert_true(scratch_dir(dir, "path"));
    assert_int_equal(chmod(dir, 0755), 0);
    pid_t pid = fork();
    if (pid == 0) {
        world_init(&w, dir);
        fn(&w);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    snprintf(clean, sizeof(clean), "rm -rf %s", dir);
    assert_int_equal(system(clean), 0);
    assert_int_equal(status, 0);
}

#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                       \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static int slow_lookup(struct task *t, const char *path, unsigned flags, struct dentry **ret)
{
    _cleanup_walk_ struct walk w;
    struct walked out = {0};
    int r = walk_begin(&w, t, AT_FDCWD, path, flags);

    if (r == 0)
        r = walk_slow(&w, flags, &out);
    *ret = r == 0 ? steal_ptr(&out.child) : NULL;
    walked_clear(&out);
    return r;
}

/* The host's answer, the fast way and the slow way have to be the same. */
static void same_as_host(struct world *w, const char *path, unsigned flags)
{
    struct stat st, got;
    int native =
        fstatat(AT_FDCWD, path, &st, flags & LOOKUP_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;

    for (int i = 0; i < 2; i++) {
        struct dentry *d = NULL;
        int r = i == 0 ? path_lookup(&w->t, AT_FDCWD, path, flags, &d) : slow_lookup(&w->t, path, flags, &d);
        if (r != native)
            fprintf(stderr, "%s: %s walk gives %d, the host %d\n", path, i ? "slow" : "fast", r, native);
        CHECK(r == native);
        if (r == 0) {
            CHECK(dentry_stat(&w->t, d, &got) == 0);
            CHECK(got.st_ino == st.st_ino && got.st_dev == st.st_dev && got.st_mode == st.st_mode);
        }
        dentry_put(d);
    }
}

static void walks(struct world *w)
{
    static const char *const paths[] = {
        "/",
        "/a",
        "/a/",
        "//a//b/./c",
        "/a/b/../file",
        "/..",
        "/../../a",
        "/a/file/",
        "/a/file/x",
        "/none",
        "/none/x",
        "/rel",
        "/rel/",
        "/rel/c",
        "/abs/../up",
        "/chain",
        "/loop1",
        "/loop1/x",
        "/dangling",
        "/dangling/",
        "/a/b/up",
        "/a/slash",
        "/rel/../b/c/..",
        "/abs/.",
        "/rel/none",
        "/abs/none",
        "/rel/c/none/x",
        "/chain/none",
        "/abs/../none/",
        "a/b",
        "./a/../rel",
        "../a",
        "abs/..",
        "a/file/..",
        ".",
        "..",
        "a/b/c/../../../../a",
    };

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        same_as_host(w, paths[i], LOOKUP_FOLLOW);
        same_as_host(w, paths[i], 0);
    }
    char name[300];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    same_as_host(w, name, 0);
}

static void test_walks(void **state)
{
    (void)state;
    in_child(walks);
}

static void hidden(struct world *w)
{
    char *masked[] = {"/hidden", "/not-there", NULL};
    struct dentry *d = NULL;
    char path[PATH_MAX];

    CHECK(mount_ns_protect(&w->c, masked, NULL) == 0);
    CHECK(path_lookup(&w->t, AT_FDCWD, "/hidden", 0, &d) == 0);
    CHECK(d->node && dentry_path(&w->t, d, path, sizeof(path)) == 0 && strcmp(path, "/hidden") == 0);
    dentry_put(d);
    static const char *const gone[] = {"/hidden/file",   "/hidden/in",      "hidden/in/../file",
                                       "/tohidden/file", "/a/../hidden/in", "a/../tohidden/in"};
    for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
        CHECK(path_lookup(&w->t, AT_FDCWD, gone[i], LOOKUP_FOLLOW, &d) == -ENOENT);
    CHECK(path_lookup(&w->t, AT_FDCWD, "/tohidden/../a/b", LOOKUP_FOLLOW, &d) == 0);
    CHECK(d->fd >= 0 && dentry_type(d) == S_IFDIR);
    dentry_put(d);
    CHECK(path_lookup(&w->t, AT_FDCWD, "/not-there", 0, &d) == -ENOENT);
    CHECK(mount_is_point(w->c.mounts, w->c.mounts->main->root, "hidden"));
    CHECK(!mount_is_point(w->c.mounts, w->c.mounts->main->root, "a"));
    same_as_host(w, "/rel/c/../up", LOOKUP_FOLLOW);
    same_as_host(w, "/none", 0);
}

static void test_hidden(void **state)
{
    (void)state;
    in_child(hidden);
}

static void chrooted(struct world *w)
{
    struct dentry *d = NULL;
    char path[PATH_MAX];

    CHECK(path_lookup(&w->t, AT_FDCWD, "/a", LOOKUP_DIRECTORY, &d) == 0);
    dentry_put(w->t.fs->root);
    w->t.fs->root = d;
    CHECK(path_lookup(&w->t, AT_FDCWD, "/../../hidden", 0, &d) == -ENOENT);
    CHECK(path_lookup(&w->t, AT_FDCWD, "/b/c", 0, &d) == 0);
    CHECK(dentry_path(&w->t, d, path, sizeof(path)) == 0 && strcmp(path, "/b/c") == 0);
    dentry_put(d);
    CHECK(path_lookup(&w->t, AT_FDCWD, "/b/up", LOOKUP_FOLLOW, &d) == -ENOENT); /* a/file, seen from a */
    CHECK(path_lookup(&w->t, AT_FDCWD, "/b/../../../file", LOOKUP_FOLLOW, &d) == 0);
    dentry_put(d);
    /* The working directory stayed outside. */
    CHECK(path_lookup(&w->t, AT_FDCWD, ".", 0, &d) == 0);
    CHECK(dentry_path(&w->t, d, path, sizeof(path)) == 0 && strcmp(path, "(unreachable)/") == 0);
    dentry_put(d);
    CHECK(path_lookup(&w->t, AT_FDCWD, "abs", LOOKUP_FOLLOW, &d) == -ENOENT); /* /a/b/c, seen from a */
}

static void test_chrooted(void **state)
{
    (void)state;
    in_child(chrooted);
}

static int open_flags(struct world *w, const char *path, int flags)
{
    struct file *f = NULL;
    int r = vfs_open(&w->t, AT_FDCWD, path, flags, 0666, &f);

    if (r == 0)
        file_put(f);
    return r;
}

static void opens(struct world *w)
{
    char *readonly[] = {"/a/b", NULL};

    CHECK(open_flags(w, "/tocreate", O_CREAT | O_EXCL | O_WRONLY) == -EEXIST);
    CHECK(open_flags(w, "/tocreate", O_CREAT | O_NOFOLLOW | O_WRONLY) == -ELOOP);
    CHECK(open_flags(w, "/tocreate", O_CREAT | O_WRONLY) == 0);
    CHECK(access("/a/new", F_OK) == 0);
    CHECK(open_flags(w, "/a/new", O_RDONLY | O_DIRECTORY) == -ENOTDIR);
    CHECK(open_flags(w, "/a", O_WRONLY) == -EISDIR);
    CHECK(open_flags(w, "/a", O_RDONLY) == 0);
    CHECK(open_flags(w, "/a/x/", O_CREAT | O_WRONLY) == -EISDIR);
    CHECK(open_flags(w, "", O_RDONLY) == -ENOENT);
    CHECK(open_flags(w, "/loop1", O_RDONLY) == -ELOOP);
    CHECK(open_flags(w, "/abs/n", O_CREAT | O_WRONLY) == 0);
    CHECK(mount_ns_protect(&w->c, NULL, readonly) == 0);
    CHECK(open_flags(w, "/a/b/c/n", O_WRONLY) == -EROFS);
    CHECK(open_flags(w, "/abs/n", O_WRONLY) == -EROFS);
    CHECK(open_flags(w, "/abs/m", O_CREAT | O_WRONLY) == -EROFS);
    CHECK(open_flags(w, "rel/c/n", O_RDONLY) == 0);
    CHECK(open_flags(w, "/a/file", O_WRONLY) == 0);
}

static void test_opens(void **state)
{
    (void)state;
    in_child(opens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_climbs), cmocka_unit_test(test_touches),  cmocka_unit_test(test_walks),
        cmocka_unit_test(test_hidden), cmocka_unit_test(test_chrooted), cmocka_unit_test(test_opens),
    };

    if (geteuid() != 0) {
        printf("SKIP: needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
