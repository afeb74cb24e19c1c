/* bailey features: what config.json may ask of this runtime, from the tables of its parser. Nothing is looked
 * up on the host: the specification wants what was built, not what there is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/version.h"
#include "oci/json_write.h"
#include "oci/tables.h"
#include "runtime/commands/cmd.h"
#include "sandbox/keep/syscall.h"

static void put_names(json_writer w, oci_names *names)
{
    const char *name;

    for (unsigned i = 0; (name = names(i)); i++)
        jw_string(w, name);
}

static void put_array(json_writer w, const char *key, oci_names *names)
{
    jw_array(w, key);
    put_names(w, names);
    jw_close_array(w);
}

static void put_enabled(json_writer w, const char *key, bool enabled)
{
    jw_object(w, key);
    jw_bool(w, "enabled", enabled);
    jw_close_object(w);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two tables in one sorted list. */
static void put_mount_options(json_writer w)
{
    oci_names *const tables[] = {oci_mount_option, oci_propagation};
    const char *all[256], *name;
    size_t n = 0;

    for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
        for (unsigned i = 0; n < ARRAY_SIZE(all) && (name = tables[t](i)); i++)
            all[n++] = name;
    qsort(all, n, sizeof(*all), by_name);
    jw_array(w, "mountOptions");
    for (size_t i = 0; i < n; i++)
        jw_string(w, all[i]);
    jw_close_array(w);
}

static void put_cgroup(json_writer w)
{
    static const struct {
        const char *name;
        bool has;
    } kinds[] = {{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", true}, {"rdma", true}};

    jw_object(w, "cgroup");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        jw_bool(w, kinds[i].name, kinds[i].has);
    jw_close_object(w);
}

static void put_seccomp(json_writer w)
{
    jw_object(w, "seccomp");
    jw_bool(w, "enabled", oci_honours("linux", "seccomp"));
    put_array(w, "actions", oci_seccomp_action);
    put_array(w, "operators", oci_seccomp_operator);
    put_array(w, "archs", oci_seccomp_arch);
    put_array(w, "knownFlags", oci_seccomp_flag);
    put_array(w, "supportedFlags", oci_seccomp_flag);
    jw_close_object(w);
}

static void put_rdt(json_writer w)
{
    static const char *const members[] = {"enabled", "schemata", "monitoring"};

    jw_object(w, "intelRdt");
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        jw_bool(w, members[i], oci_honours("linux", "intelRdt"));
    jw_close_object(w);
}

static void put_linux(json_writer w)
{
    jw_object(w, "linux");
    put_array(w, "namespaces", oci_namespace_name);
    put_array(w, "capabilities", oci_cap_name);
    put_cgroup(w);
    put_seccomp(w);
    jw_object(w, "memoryPolicy");
    put_array(w, "modes", oci_memory_mode);
    put_array(w, "flags", oci_memory_flag);
    jw_close_object(w);
    put_enabled(w, "apparmor", oci_honours("process", "apparmorProfile"));
    put_enabled(w, "selinux", oci_honours("process", "selinuxLabel"));
    put_rdt(w);
    jw_object(w, "mountExtensions");
    put_enabled(w, "idmap", true);
    jw_close_object(w);
    put_enabled(w, "netDevices", oci_honours("linux", "netDevices"));
    jw_close_object(w);
}

/* "a,b,c" of the calls that the keep answers so far and no further. malloc'ed. */
static char *syscalls_of(enum syscall_level level)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    for (size_t i = 0; f && i < SYSCALL_MAX; i++)
        if (syscall_table[i].name && syscall_table[i].level == level)
            fprintf(f, "%s%s", ftell(f) > 0 ? "," : "", syscall_table[i].name);
    if (f)
        (void)fclose(f);
    return text;
}

static void put_annotations(json_writer w)
{
    _cleanup_free_ char *none = syscalls_of(LEVEL_NONE), *partial = syscalls_of(LEVEL_PARTIAL);

    jw_object(w, "annotations");
    jw_member(w, "dev.bailey.version", BAILEY_VERSION);
    jw_member(w, "dev.bailey.checkpoint.enabled", "false");
    jw_member(w, "dev.bailey.syscalls.partial", partial);
    jw_member(w, "dev.bailey.syscalls.unimplemented", none);
    jw_close_object(w);
}

/* Annotations of config.json that change what is done; with a dot at the end, all that begin so. */
static void put_unsafe(json_writer w)
{
    static const char *const unsafe[] = {
        "dev.bailey.",
        "io.kubernetes.cri.",   /* which sandbox a container joins */
        "io.kubernetes.cri-o.", /* likewise */
        "org.opencontainers.image.stopSignal",
        "org.systemd.property.", /* of the unit, with --systemd-cgroup */
    };

    jw_array(w, "potentiallyUnsafeConfigAnnotations");
    for (size_t i = 0; i < ARRAY_SIZE(unsafe); i++)
        jw_string(w, unsafe[i]);
    jw_close_array(w);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    int r = command_options(&cmd_features, &argv, NULL, e);

    (void)g;
    if (r)
        return r < 0 ? -1 : 0;
    if (argv[0])
        return err_set(e, ERR_USAGE, 0, "features takes no argument, but there is \"%.60s\"", argv[0]);
    json_writer w = jw_begin(true);
    if (!w)
        return err_set(e, ERR_SYS, 0, "out of memory");
    jw_member(w, "ociVersionMin", OCI_SPEC_VERSION_MIN);
    jw_member(w, "ociVersionMax", OCI_SPEC_VERSION);
    put_array(w, "hooks", oci_hook_name);
    put_mount_options(w);
    put_linux(w);
    put_annotations(w);
    put_unsafe(w);
    _cleanup_free_ char *text = jw_end(w);
    if (!text)
        return err_set(e, ERR_SYS, 0, "out of memory");
    return fputs(text, stdout) < 0 || fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
}

const struct command cmd_features = {
    .name = "features",
    .args = "",
    .summary = "Print what is supported, as JSON",
    .run = run,
};
