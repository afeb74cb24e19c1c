// objects: common/*.o oci/*.o runtime/cgroup/*.o runtime/systemd/systemd*.o sandbox/platform/messages.o
/* Units of systemd: names, and what is asked of it as strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"
#include "runtime/systemd/systemd.h"

const char systemd_image[1], systemd_image_end[1];

static void names(void **state)
{
    static const struct {
        const char *path, *name, *slice; /* NULL: refused */
    } cases[] = {
        {NULL, "bailey-id.scope", "system.slice"},
        {"", "bailey-id.scope", "system.slice"},
        {"a.slice:b:c", "b-c.scope", "a.slice"},
        {":b:c", "b-c.scope", "system.slice"},
        {"-:b:c", "b-c.scope", "-.slice"},
        {"a.slice::c", "c.scope", "a.slice"},
        {"a.slice:b:c.slice", "c.slice", "a.slice"},
        {"kubepods-besteffort-pod1_2.slice:cri-containerd:0a\\x2d", "cri-containerd-0a\\x2d.scope",
         "kubepods-besteffort-pod1_2.slice"},
        {"/a/b", NULL, NULL},
        {"a.slice:b", NULL, NULL},
        {"a.slice:b:c:d", NULL, NULL},
        {"a.slice:b:", NULL, NULL},
        {"a:b:c", NULL, NULL},
        {".slice:b:c", NULL, NULL},
        {"a.slice:b/../x:c", NULL, NULL},
        {"a.slice:b:c d", NULL, NULL},
        {"../a.slice:b:c", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct systemd_unit u;
        struct err e = ERR_INIT;
        assert_int_equal(systemd_unit_of(cases[i].path, "id", &u, &e), cases[i].name ? 0 : -1);
        if (!cases[i].name) {
            assert_int_equal(e.code, ERR_CONFIG);
            continue;
        }
        assert_string_equal(u.name, cases[i].name);
        assert_string_equal(u.slice, cases[i].slice);
    }
}

/* A request with "|" for each NUL. */
static void expect(char *request, size_t len, const char *want)
{
    for (size_t i = 0; i < len; i++)
        request[i] = request[i] ? request[i] : '|';
    assert_string_equal(len ? request : "", want);
    free(request);
}

static void variants(void **state)
{
    static const struct {
        const char *name, *text, *want; /* NULL: refused */
    } cases[] = {
        {"A", "true", "A|b|true|"},
        {"A", "false", "A|b|false|"},
        {"A", "'x y'", "A|s|x y|"},
        {"A", "\"it\\'s\"", "A|s|it's|"},
        {"A", "-5", "A|i|-5|"},
        {"A", "uint64 18446744073709551615", "A|t|18446744073709551615|"},
        {"A", "byte 0x10", "A|y|16|"},
        {"A", "1.5", "A|d|1.5|"},
        {"A", "['a', 'b']", "A|as|2|a|b|"},
        {"A", "@as []", "A|as|0|"},
        {"A", "[uint32 1, uint32 2]", "A|au|2|1|2|"},
        {"TimeoutStopSec", "uint64 2", "TimeoutStopUSec|t|2000000|"},
        {"TimeoutStopSec", "1.5", "TimeoutStopUSec|t|1500000|"},
        {"TimeoutStopUSec", "uint64 2", "TimeoutStopUSec|t|2|"},
        {"TimeoutStopSec", "'2'", NULL},
        {"TimeoutStopSec", "-1", NULL},
        {"A", "", NULL},
        {"A", "truex", NULL},
        {"A", "'x", NULL},
        {"A", "uint64 -1", NULL},
        {"A", "5x", NULL},
        {"A", "['a', 5]", NULL},
        {"A", "[]", NULL},
        {"A", "['a'", NULL},
        {"A", "99999999999999999999", NULL},
        {"A", "string 5", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err e = ERR_INIT;
        char *request = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&request, &len);
        int r = systemd_put_variant(f, cases[i].name, cases[i].text, &e);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(r, cases[i].want ? 0 : -1);
        if (cases[i].want)
            expect(request, len, cases[i].want);
        else
            free(request);
    }
}

#define SET(n)                                                                                               \
    {                                                                                                        \
        .set = true, .v = (n)                                                                                \
    }

static void expect_resources(const struct oci_resources *res, int version, const char *want)
{
    struct cgroup cg = {.ntrees = 1, .trees = {{.version = version, .ctls = (1U << CG_CTLS) - 1}}};
    struct err e = ERR_INIT;
    char *request = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&request, &len);

    assert_int_equal(systemd_put_resources(f, &cg, res, &e), 0);
    assert_int_equal(fclose(f), 0);
    expect(request, len, want);
}

static void resources(void **state)
{
    struct oci_pair unified[] = {{"memory.high", "max"}, {"pids.max", "7"}, {"cpu.max", "1 2"}};
    struct oci_resources r = {.memory = {.limit = SET(1000), .swap = SET(1500), .reservation = SET(-1)},
                              .pids_limit = SET(0)};

    (void)state;
    expect_resources(&r, 1, "MemoryLimit|t|1000|TasksMax|t|0|");
    expect_resources(&r, 2,
                     "MemoryMax|t|1000|MemoryLow|t|18446744073709551615|MemorySwapMax|t|500|TasksMax|t|0|");
    r = (struct oci_resources){
        .cpu = {
            .shares = SET(1024), .quota = SET(12345), .period = SET(100000), .cpus = "0-1,9", .mems = "0"}};
    expect_resources(&r, 1, "CPUShares|t|1024|242:CPUQuotaPeriodUSec|t|100000|CPUQuotaPerSecUSec|t|130000|");
    expect_resources(&r, 2,
                     "CPUWeight|t|100|242:CPUQuotaPeriodUSec|t|100000|CPUQuotaPerSecUSec|t|130000|"
                     "244:AllowedCPUs|ay|2|3|2|244:AllowedMemoryNodes|ay|1|1|");
    r = (struct oci_resources){.cpu = {.quota = SET(-1)}, .unified = unified, .nunified = 3};
    expect_resources(
        &r, 2, "CPUQuotaPerSecUSec|t|18446744073709551615|MemoryHigh|t|18446744073709551615|TasksMax|t|7|");
}

static void devices(void **state)
{
    struct oci_device_rule rules[] = {
        {.allow = false, .type = 'a', .read = true, .write = true, .mknod = true},
        {.allow = true, .type = 'c', .major = SET(1), .minor = SET(3), .read = true},
        {.allow = true, .type = 'b', .write = true, .mknod = true},
        {.allow = true, .type = 'c', .major = SET(136), .read = true, .write = true},
        {.allow = false, .type = 'c', .major = SET(1), .minor = SET(3), .read = true},
    };
    struct oci_resources r = {.devices = rules, .ndevices = 4};

    (void)state;
    expect_resources(
        &r, 2,
        "DevicePolicy|s|strict|DeviceAllow|a(ss)|0|DeviceAllow|a(ss)|3|/dev/char/1:3|r|block-*|wm|"
        "char-pts|rw|");
    r.ndevices = 5; /* no list: systemd is not to undo it */
    expect_resources(&r, 2, "DevicePolicy|s|auto|DeviceAllow|a(ss)|0|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(variants),
        cmocka_unit_test(resources),
        cmocka_unit_test(devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
