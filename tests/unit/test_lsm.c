// objects: common/*.o oci/*.o runtime/launch/lsm.o runtime/procfile.o sandbox/platform/label.o
/* Labels: what is asked of the kernel for which configuration, and where it is written to. No security module
 * is needed: a directory stands for procfs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/launch/lsm.h"
#include "runtime/procfile.h"
#include "tests/unit/scratch_dir.h"

static struct err err;

static struct oci_config *parse(const char *text)
{
    struct oci_config *c = NULL;

    err = (struct err)ERR_INIT;
    assert_int_equal(oci_config_parse(text, strlen(text), "config.json", &c, &err), 0);
    return c;
}

#define PROCESS(more)                                                                                        \
    "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"" more   \
    "}}"

static void apparmor(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(PROCESS(",\"apparmorProfile\":\"box\""));
    struct guest_label l;

    (void)state;
    assert_int_equal(lsm_init_with(c->process, false, false, &l, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_int_equal(lsm_init_with(c->process, true, false, &l, &err), 0);
    assert_string_equal(l.apparmor, "exec box");
    assert_null(l.selinux);
    assert_true(l.proc >= 0);
    lsm_release(&l);
    c->process->apparmor_profile = "unconfined";
    assert_int_equal(lsm_init_with(c->process, false, false, &l, &err), 0);
    assert_null(l.apparmor);
    assert_int_equal(l.proc, -1);
}

static void selinux(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(PROCESS(",\"selinuxLabel\":\"u:r:t:s0\""));
    struct guest_label l;

    (void)state;
    assert_int_equal(lsm_init_with(c->process, false, false, &l, &err), 0);
    assert_null(l.selinux);
    assert_int_equal(lsm_init_with(c->process, false, true, &l, &err), 0);
    assert_string_equal(l.selinux, "u:r:t:s0");
    lsm_release(&l);
}

static void mounts(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(
        "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"linux\":{\"mountLabel\":\"u:o:t:s0:c1,c2\"},"
        "\"mounts\":["
        "{\"destination\":\"/a\",\"type\":\"tmpfs\",\"source\":\"x\",\"options\":[\"nosuid\",\"size=1k\"]},"
        "{\"destination\":\"/b\",\"type\":\"tmpfs\",\"source\":\"x\"},"
        "{\"destination\":\"/c\",\"type\":\"proc\",\"source\":\"x\"}]}");

    (void)state;
    lsm_label_mounts_with(c, false);
    assert_string_equal(c->mounts[0].data, "size=1k");
    lsm_label_mounts_with(c, true);
    assert_string_equal(c->mounts[0].data, "size=1k,context=\"u:o:t:s0:c1,c2\"");
    assert_string_equal(c->mounts[1].data, "context=\"u:o:t:s0:c1,c2\"");
    assert_string_equal(c->mounts[2].data, "");
}

static char dir[SCRATCH_DIR_MAX];

static int make_tree(void **state)
{
    (void)state;
    assert_true(scratch_dir(dir, "lsm"));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("7", 0700) | mkdir("7/attr", 0700) | mkdir("7/attr/apparmor", 0700), 0);
    assert_int_equal(symlink("7", "thread-self"), 0);
    assert_true(close(creat("7/attr/exec", 0600)) == 0 && close(creat("7/attr/apparmor/exec", 0600)) == 0);
    return close(creat("decoy", 0600));
}

static int remove_tree(void **state)
{
    static const char *const files[] = {"7/attr/exec", "7/attr/apparmor/exec", "decoy", "thread-self"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        (void)unlink(files[i]);
    (void)rmdir("7/attr/apparmor");
    (void)rmdir("7/attr");
    (void)rmdir("7");
    return chdir("/") || rmdir(dir);
}

static const char *text_of(const char *file)
{
    static char text[64];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);

    close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void written_to_our_own_files(void **state)
{
    char profile[] = "exec box";
    struct guest_label l = {profile, NULL, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const char *what = "";

    (void)state;
    assert_int_equal(label_apply(&l, &what), 0);
    assert_string_equal(text_of("7/attr/apparmor/exec"), "exec box");
    close(l.proc);
}

/* A3, A9: whatever somebody puts in the way is an error, and stays as it was. */
static void a_link_is_not_followed(void **state)
{
    char profile[] = "exec box";
    struct guest_label l = {profile, NULL, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const char *what = "";

    (void)state;
    assert_int_equal(unlink("7/attr/apparmor/exec") | symlink("../../../decoy", "7/attr/apparmor/exec"), 0);
    assert_int_equal(label_apply(&l, &what), -ELOOP);
    assert_string_equal(what, "process.apparmorProfile");
    assert_string_equal(text_of("decoy"), "");
    assert_int_equal(unlink("thread-self") | symlink("../../../etc", "thread-self"), 0);
    assert_true(label_apply(&l, &what) < 0);
    close(l.proc);
}

/* What libselinux wrote is believed only if the procfs that was checked has it. */
static void selinux_must_arrive(void **state)
{
    char label[] = "u:r:t:s0";
    struct guest_label none = GUEST_LABEL_INIT,
                       l = {NULL, label, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)};

    (void)state;
    assert_int_equal(lsm_take_selinux(NULL, &err), 0);
    assert_int_equal(lsm_take_selinux(&none, &err), 0);
    assert_int_equal(lsm_take_selinux(&l, &err), -1);
    assert_non_null(strstr(err.msg, "process.selinuxLabel: u:r:t:s0"));
    close(l.proc);
}

static void only_procfs_will_do(void **state)
{
    (void)state;
    int fd = procfile_root();
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(procfile_open("self/status", O_RDONLY), -ELOOP);
    assert_int_equal(procfile_open("../etc/passwd", O_RDONLY), -EXDEV);
    fd = procfile_open_of(getpid(), "status", O_RDONLY);
    assert_true(fd >= 0);
    close(fd);
    assert_true(procfile_open_of(getpid(), "root/etc/passwd", O_RDONLY) < 0);
    assert_int_equal(procfile_write("sys/kernel/no-such-thing", "1"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apparmor),
        cmocka_unit_test(selinux),
        cmocka_unit_test(mounts),
        cmocka_unit_test_setup_teardown(written_to_our_own_files, make_tree, NULL),
        cmocka_unit_test(selinux_must_arrive),
        cmocka_unit_test_teardown(a_link_is_not_followed, remove_tree),
        cmocka_unit_test(only_procfs_will_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
