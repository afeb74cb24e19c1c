// objects: common/*.o oci/*.o
/* config.json: what is read from it, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <cmocka.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/caps.h"
#include "oci/config.h"

#define HEAD "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"}"
#define PROCESS(more) HEAD ",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"" more "}}"
#define ROOT(more) HEAD "," more "}"
#define LINUX(more) HEAD ",\"linux\":{" more "}}"
#define MOUNT(more) HEAD ",\"mounts\":[{" more "}]}"

static struct oci_config *parse(const char *text)
{
    struct oci_config *c = NULL;
    struct err e = ERR_INIT;

    if (oci_config_parse(text, strlen(text), "config.json", &c, &e))
        fail_msg("%s", e.msg);
    return c;
}

static const struct {
    const char *text, *message;
} refused[] = {
    /* Syntax, with line and column. */
    {"", "config.json: empty"},
    {"{", "config.json: line 1, column 2: parse error: premature EOF"},
    {"{\n \"a\" 1}",
     "config.json: line 2, column 6: parse error: object key and value must be separated by a colon (':')"},
    {"{} x", "config.json: line 1, column 4: parse error: trailing garbage"},
    {"{\"a\": \"\xff\"}", "config.json: line 1, column 8: lexical error: invalid bytes in UTF8 string."},
    {"{\"a\": \"x\\u0000y\"}", "config.json: line 1, column 16: a string holds a NUL character"},
    {"[]", "config.json: must be an object, not an array"},
    /* The top. */
    {"{}", "config.json: ociVersion: is required"},
    {"{\"ociVersion\":\"2.0.0\"}",
     "config.json: ociVersion: version 2.0.0 is not supported, only 1.0.0 to 1.3.x"},
    {"{\"ociVersion\":\"one\"}", "config.json: ociVersion: must be a version such as 1.2.0, not \"one\""},
    {"{\"ociVersion\":\"1.0.2\"}", "config.json: root: is required"},
    {"{\"ociVersion\":\"1.0.2\",\"root\":{}}", "config.json: root.path: is required"},
    {"{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":3}}",
     "config.json: root.path: must be a string, not a number"},
    {ROOT("\"hostname\":\"01234567890123456789012345678901234567890123456789012345678901234\""),
     "config.json: hostname: longer than 64 bytes"},
    {ROOT("\"annotations\":{\"a\":1}"), "config.json: annotations.a: must be a string, not a number"},
    /* process */
    {HEAD ",\"process\":{\"cwd\":\"/\"}}",
     "config.json: process.args: must hold at least the program's name"},
    {HEAD ",\"process\":{\"args\":[\"sh\"]}}", "config.json: process.cwd: is required"},
    {HEAD ",\"process\":{\"args\":[\"sh\"],\"cwd\":\"x\"}}",
     "config.json: process.cwd: must be an absolute path, not \"x\""},
    {HEAD ",\"process\":{\"args\":[\"sh\",1],\"cwd\":\"/\"}}",
     "config.json: process.args[1]: must be a string, not a number"},
    {PROCESS(",\"user\":{\"uid\":-1}"),
     "config.json: process.user.uid: must be a whole number from 0 to 4294967294, not -1"},
    {PROCESS(",\"user\":{\"gid\":1.5}"),
     "config.json: process.user.gid: must be a whole number from 0 to 4294967294, not 1.5"},
    {PROCESS(",\"user\":{\"umask\":512}"),
     "config.json: process.user.umask: must be a whole number from 0 to 511, not 512"},
    {PROCESS(",\"user\":{\"additionalGids\":[1,\"2\"]}"),
     "config.json: process.user.additionalGids[1]: must be a number, not a string"},
    {PROCESS(",\"terminal\":1"), "config.json: process.terminal: must be true or false, not a number"},
    {PROCESS(",\"oomScoreAdj\":1001"),
     "config.json: process.oomScoreAdj: must be a whole number from -1000 to 1000, not 1001"},
    {PROCESS(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},{\"type\":\"RLIMIT_FOO\"}]"),
     "config.json: process.rlimits[1].type: unknown resource limit \"RLIMIT_FOO\""},
    {PROCESS(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\"},{\"type\":\"RLIMIT_CPU\"}]"),
     "config.json: process.rlimits[1].type: RLIMIT_CPU is listed twice"},
    {PROCESS(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]"),
     "config.json: process.rlimits[0].soft: is above the hard limit"},
    {PROCESS(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"hard\":18446744073709551616}]"),
     "config.json: process.rlimits[0].hard: must be a whole number from 0 to 18446744073709551615, not "
     "18446744073709551616"},
    {PROCESS(",\"capabilities\":{\"bounding\":\"CAP_KILL\"}"),
     "config.json: process.capabilities.bounding: must be an array, not a string"},
    /* mounts and hooks */
    {MOUNT("\"type\":\"tmpfs\""), "config.json: mounts[0].destination: is required"},
    {MOUNT("\"destination\":\"/x\""), "config.json: mounts[0].type: is required"},
    {MOUNT("\"destination\":\"/x\",\"type\":\"bind\""),
     "config.json: mounts[0].source: is required for a bind mount"},
    {MOUNT("\"destination\":\"/x\",\"type\":\"tmpfs\",\"options\":{}"),
     "config.json: mounts[0].options: must be an array, not an object"},
    {ROOT("\"hooks\":{\"poststop\":[{\"path\":\"x\"}]}"),
     "config.json: hooks.poststop[0].path: must be an absolute path, not \"x\""},
    {ROOT("\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}"),
     "config.json: hooks.prestart[0].timeout: must be a whole number from 1 to 2147483647, not 0"},
    /* linux */
    {LINUX("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]"),
     "config.json: linux.namespaces[1].type: \"pid\" is listed twice"},
    {LINUX("\"namespaces\":[{\"type\":\"net\"}]"),
     "config.json: linux.namespaces[0].type: unknown namespace type \"net\""},
    {LINUX("\"namespaces\":[{\"type\":\"network\",\"path\":\"proc\"}]"),
     "config.json: linux.namespaces[0].path: must be an absolute path, not \"proc\""},
    {LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":4294967290,\"size\":10}]"),
     "config.json: linux.uidMappings[0].size: makes an empty or an impossible range"},
    {LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"x\"}]"),
     "config.json: linux.devices[0].type: must be one of c, u, b and p, not \"x\""},
    {LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\"}]"),
     "config.json: linux.devices[0].major: is required"},
    {LINUX("\"maskedPaths\":[\"/a\",\"b\"]"),
     "config.json: linux.maskedPaths[1]: must be an absolute path, not \"b\""},
    {LINUX("\"rootfsPropagation\":\"most\""),
     "config.json: linux.rootfsPropagation: unknown propagation \"most\""},
    {LINUX("\"sysctl\":{\"../x\":\"1\"}"), "config.json: linux.sysctl: \"../x\" is no sysctl's name"},
    {LINUX("\"resources\":{\"cpu\":{\"quota\":5,\"burst\":6}}"),
     "config.json: linux.resources.cpu.burst: is above the quota"},
    {LINUX("\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rx\"}]}"),
     "config.json: linux.resources.devices[0].access: must be made of r, w and m, not \"rx\""},
    {LINUX("\"seccomp\":{}"), "config.json: linux.seccomp.defaultAction: is required"},
    {LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}"),
     "config.json: linux.seccomp.defaultErrnoRet: goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only"},
    {LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_"
           "ACT_TRAP\"}]}"),
     "config.json: linux.seccomp.syscalls[0].names: must hold at least one name"},
    {LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],\"action\":"
           "\"SCMP_ACT_TRAP\",\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}"),
     "config.json: linux.seccomp.syscalls[0].args[0].index: must be a whole number from 0 to 5, not 6"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct oci_config *c = NULL;
        struct err e = ERR_INIT;
        assert_int_equal(oci_config_parse(refused[i].text, strlen(refused[i].text), "config.json", &c, &e),
                         -1);
        assert_null(c);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_string_equal(e.msg, refused[i].message);
    }
}

static void test_deep_nesting(void **state)
{
    char text[4096];
    struct oci_config *c = NULL;
    struct err e = ERR_INIT;

    (void)state;
    memset(text, '[', sizeof(text));
    assert_int_equal(oci_config_parse(text, sizeof(text), "config.json", &c, &e), -1);
    assert_string_equal(e.msg, "config.json: line 1, column 65: nested too deeply");
}

/* Every prefix of a valid text, and every byte of it replaced, must be refused or read, never crash. */
static void test_mangled(void **state)
{
    static const char good[] = PROCESS(",\"user\":{\"uid\":1,\"additionalGids\":[1]},\"rlimits\":[{\"type\":"
                                       "\"RLIMIT_CPU\",\"soft\":1,\"hard\":2}]");

    (void)state;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        char text[sizeof(good)];
        struct oci_config *c = NULL;
        struct err e = ERR_INIT;
        assert_int_equal(oci_config_parse(good, i, "config.json", &c, &e), -1);
        for (int byte = 0; byte < 256; byte += 5) {
            memcpy(text, good, sizeof(good));
            text[i] = (char)byte;
            c = NULL;
            if (oci_config_parse(text, sizeof(good) - 1, "config.json", &c, &e) == 0)
                oci_config_free(c);
        }
    }
}

static void test_unknown_is_ignored(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(ROOT(
        "\"x\":{\"y\":[1,{}]},\"mounts\":null,\"linux\":{\"new\":1,\"resources\":{\"z\":0}},\"windows\":3"));

    (void)state;
    assert_null(c->process);
    assert_int_equal(c->nmounts, 0);
    assert_string_equal(c->root.path, "rootfs");
    assert_false(c->root.readonly);
}

static void test_process(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(PROCESS(
        ",\"env\":[\"A=1\",\"B\"],\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80},"
        "\"user\":{\"uid\":1000,\"gid\":4294967294,\"umask\":18,\"additionalGids\":[5,6]},"
        "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":18446744073709551615}],"
        "\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_NEW_THING\"],\"permitted\":[\"CAP_KILL\"],"
        "\"effective\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"inheritable\":[],\"ambient\":[\"CAP_KILL\"]},"
        "\"noNewPrivileges\":true,\"oomScoreAdj\":-5"));
    const struct oci_process *p = c->process;

    (void)state;
    assert_string_equal(p->args[0], "sh");
    assert_null(p->args[1]);
    assert_int_equal(p->nenv, 2);
    assert_string_equal(p->env[1], "B");
    assert_true(p->terminal && p->no_new_privileges && p->user.umask_set && p->oom_score_adj.set);
    assert_int_equal(p->console_height, 24);
    assert_int_equal(p->console_width, 80);
    assert_int_equal(p->user.uid, 1000);
    assert_true(p->user.gid == 4294967294u);
    assert_int_equal(p->user.umask, 022);
    assert_int_equal(p->user.ngroups, 2);
    assert_int_equal(p->user.groups[1], 6);
    assert_int_equal(p->rlimits[0].resource, RLIMIT_NOFILE);
    assert_true(p->rlimits[0].lim.rlim_max == RLIM_INFINITY);
    /* Unknown names and what the kernel would not grant fall away. */
    assert_int_equal(p->caps.bounding, 1 << oci_cap_of("CAP_KILL"));
    assert_int_equal(p->caps.effective, 1 << oci_cap_of("CAP_KILL"));
    assert_int_equal(p->caps.ambient, 0);
    assert_int_equal(p->oom_score_adj.v, -5);
}

static void test_console_size_without_terminal(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c =
        parse(PROCESS(",\"terminal\":false,\"consoleSize\":{\"height\":24,\"width\":80}"));

    (void)state;
    assert_int_equal(c->process->console_height, 0);
}

static const struct {
    const char *options;
    unsigned long flags, clear, propagation;
    uint64_t rec_set, rec_clear;
    const char *data;
} mount_options[] = {
    {"", 0, 0, 0, 0, 0, ""},
    {"\"ro\",\"nosuid\",\"size=1k\",\"\",\"mode=755\"", MS_RDONLY | MS_NOSUID, 0, 0, 0, 0,
     "size=1k,mode=755"},
    {"\"ro\",\"rw\"", 0, MS_RDONLY, 0, 0, 0, ""},
    {"\"noexec\",\"exec\",\"noexec\"", MS_NOEXEC, 0, 0, 0, 0, ""},
    {"\"rslave\",\"private\"", 0, 0, MS_PRIVATE, 0, 0, ""},
    {"\"rshared\"", 0, 0, MS_SHARED | MS_REC, 0, 0, ""},
    {"\"noatime\",\"relatime\"", MS_RELATIME, MS_STRICTATIME | MS_NOATIME, 0, 0, 0, ""},
    {"\"rro\",\"rnosuid\",\"rrw\"", 0, 0, 0, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, ""},
    {"\"rnoatime\"", 0, 0, 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, ""},
    {"\"rstrictatime\",\"rrelatime\"", 0, 0, 0, 0, MOUNT_ATTR__ATIME, ""},
};

static void test_mount_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mount_options); i++) {
        char text[512];
        snprintf(text, sizeof(text), MOUNT("\"destination\":\"a/b\",\"type\":\"tmpfs\",\"options\":[%s]"),
                 mount_options[i].options);
        _cleanup_(oci_config_free_p) struct oci_config *c = parse(text);
        const struct oci_mount *m = &c->mounts[0];
        assert_string_equal(m->destination, "/a/b");
        assert_int_equal(m->flags, mount_options[i].flags);
        assert_int_equal(m->flags_clear, mount_options[i].clear);
        assert_int_equal(m->propagation, mount_options[i].propagation);
        assert_int_equal(m->rec_set, mount_options[i].rec_set);
        assert_int_equal(m->rec_clear, mount_options[i].rec_clear);
        assert_string_equal(m->data, mount_options[i].data);
    }
}

static void test_bind(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(
        MOUNT("\"destination\":\"/x\",\"type\":\"none\",\"source\":\"s\",\"options\":[\"rbind\",\"ro\"]"));

    (void)state;
    assert_true(c->mounts[0].bind && c->mounts[0].recursive);
    assert_string_equal(c->mounts[0].type, "bind");
}

static void test_linux(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(LINUX(
        "\"namespaces\":[{\"type\":\"network\",\"path\":\"/proc/1/ns/"
        "net\"},{\"type\":\"uts\",\"path\":\"\"}],"
        "\"devices\":[{\"path\":\"/dev/f\",\"type\":\"u\",\"major\":10,\"minor\":229,\"fileMode\":8630}],"
        "\"resources\":{\"memory\":{\"limit\":-1},\"pids\":{\"limit\":0},\"cpu\":{\"shares\":2,\"cpus\":\"0-"
        "1\"}},"
        "\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"},\"readonlyPaths\":[\"/a\"],\"cgroupsPath\":\"/x\""));
    const struct oci_linux *l = &c->lx;

    (void)state;
    assert_true(l->ns[OCI_NS_NET].set && l->ns[OCI_NS_UTS].set && !l->ns[OCI_NS_PID].set);
    assert_string_equal(l->ns[OCI_NS_NET].path, "/proc/1/ns/net");
    assert_null(l->ns[OCI_NS_UTS].path);
    assert_int_equal(l->devices[0].type, 'c');
    assert_int_equal(l->devices[0].mode, 0666);
    assert_true(l->resources.memory.limit.set && l->resources.pids_limit.set);
    assert_int_equal(l->resources.memory.limit.v, -1);
    assert_int_equal(l->resources.pids_limit.v, 0);
    assert_false(l->resources.memory.swap.set);
    assert_string_equal(l->resources.cpu.cpus, "0-1");
    assert_string_equal(l->sysctl[0].key, "net.ipv4.ip_forward");
    assert_string_equal(l->readonly_paths[0], "/a");
    assert_null(l->readonly_paths[1]);
    assert_null(l->masked_paths);
    assert_null(l->seccomp);
}

static void test_seccomp(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(
        LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86_64\"],"
              "\"syscalls\":[{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38,"
              "\"args\":[{\"index\":1,\"value\":18446744073709551615,\"op\":\"SCMP_CMP_NE\"}]}]}"));
    const struct oci_seccomp *s = c->lx.seccomp;

    (void)state;
    assert_int_equal(s->default_action, OCI_ACT_ERRNO);
    assert_int_equal(s->default_errno, 1);
    assert_int_equal(s->nrules, 1);
    assert_string_equal(s->rules[0].names[1], "write");
    assert_int_equal(s->rules[0].errno_ret, 38);
    assert_true(s->rules[0].args[0].value == UINT64_MAX);
    assert_int_equal(s->rules[0].args[0].op, OCI_OP_NE);
}

static void test_last_duplicate_wins(void **state)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(ROOT("\"hostname\":\"a\",\"hostname\":\"b\""));

    (void)state;
    assert_string_equal(c->hostname, "b");
}

static void test_capability_names(void **state)
{
    (void)state;
    assert_int_equal(oci_cap_of("CAP_CHOWN"), 0);
    assert_int_equal(oci_cap_of("CAP_CHECKPOINT_RESTORE"), 40);
    assert_int_equal(oci_cap_of("CHOWN"), -1);
    assert_string_equal(oci_cap_name(21), "CAP_SYS_ADMIN");
    assert_null(oci_cap_name(41));
}

static void test_load_errors(void **state)
{
    struct oci_config *c = NULL;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(oci_config_load("/nonexistent", &c, &e), -1);
    assert_int_equal(e.code, ERR_NOENT);
    assert_int_equal(oci_config_load("/dev/null", &c, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_int_equal(oci_config_load("/proc/self", &c, &e), -1);
    assert_int_equal(e.code, ERR_NOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_unknown_is_ignored),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_console_size_without_terminal),
        cmocka_unit_test(test_mount_options),
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_linux),
        cmocka_unit_test(test_seccomp),
        cmocka_unit_test(test_last_duplicate_wins),
        cmocka_unit_test(test_capability_names),
        cmocka_unit_test(test_load_errors),
    };

    log_init(STDERR_FILENO, LOG_FMT_TEXT, LOG_LVL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
