// objects: common/*.o oci/*.o runtime/cgroup/*.o runtime/systemd/systemd*.o sandbox/platform/messages.o
/* Control groups: paths, the layout of a host, and limits as what is written to which file. */
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"

const char systemd_image[1], systemd_image_end[1];

static void paths(void **state)
{
    static const struct {
        const char *asked, *want; /* NULL: refused */
    } cases[] = {
        {NULL, "/bailey/id"},
        {"", "/bailey/id"},
        {"/a/b", "/a/b"},
        {"//a///b/", "/a/b"},
        {"/a/./b", "/a/b"},
        {"a/b", "/bailey/a/b"},
        {"system.slice:runc:x", "/bailey/system.slice:runc:x"},
        {"..", NULL},
        {"/..", NULL},
        {"/a/../../b", NULL},
        {"a/..", NULL},
        {"/", NULL},
        {".", NULL},
        {"///", NULL},
        {"/a\nb", NULL},
        {"/a\x7f", NULL},
        {"/..a/b..", "/..a/b.."},
    };
    char path[CGROUP_PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err e = ERR_INIT;
        int r = cgroup_path(cases[i].asked, "id", path, &e);
        assert_int_equal(r, cases[i].want ? 0 : -1);
        if (cases[i].want)
            assert_string_equal(path, cases[i].want);
        else
            assert_int_equal(e.code, ERR_CONFIG);
    }
}

static void long_paths(void **state)
{
    char path[CGROUP_PATH_MAX], name[400], deep[2000] = "";
    struct err e = ERR_INIT;

    (void)state;
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(cgroup_path(name, "id", path, &e), -1);
    for (int i = 0; i < 900; i++)
        strcat(deep, "/x");
    assert_int_equal(cgroup_path(deep, "id", path, &e), -1);
}

static void weights(void **state)
{
    (void)state;
    assert_int_equal(cgroup_cpu_weight(0), 1);
    assert_int_equal(cgroup_cpu_weight(2), 1);
    assert_int_equal(cgroup_cpu_weight(1024), 100);
    assert_int_equal(cgroup_cpu_weight(262144), 10000);
    assert_int_equal(cgroup_cpu_weight(INT64_MAX), 10000);
    for (int64_t s = 3; s < 262144; s = s * 5 / 4 + 1)
        assert_in_range(cgroup_cpu_weight(s), cgroup_cpu_weight(s - 1), 10000);
    assert_int_equal(cgroup_io_weight(10), 1);
    assert_int_equal(cgroup_io_weight(1000), 10000);
    assert_int_equal(cgroup_io_weight(505), 5000);
}

static void layout(void **state)
{
    char text[] =
        "30 24 0:26 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw\n"
        "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "32 30 0:28 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "33 30 0:28 / /mnt/again rw - cgroup cgroup rw,memory\n"
        "34 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
        "35 30 0:30 / /nonexistent rw - cgroup2 cgroup2 rw,nsdelegate\n"
        "broken - cgroup\n - cgroup2\n";
    struct cgroup cg = {.ntrees = 0};

    (void)state;
    cgroup_parse_mounts(&cg, text);
    assert_int_equal(cg.ntrees, 3);
    assert_ptr_equal(cgroup_tree_of(&cg, CG_CPU), cgroup_tree_of(&cg, CG_CPUACCT));
    assert_string_equal(cgroup_tree_of(&cg, CG_MEMORY)->mount, "/sys/fs/cgroup/memory");
    assert_int_equal(cgroup_tree_of(&cg, CG_UNIFIED)->version, 2);
    assert_null(cgroup_tree_of(&cg, CG_PIDS));
}

static const int all_v1[CG_CTLS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
static const int all_v2[CG_CTLS] = {2, 0, 2, 2, 0, 0, 2, 2, 2, 0, 0, 2, 2};

/* The writes as "file=value;file=value;", or the message of the error. */
static const char *writes(const struct oci_resources *res, const int version[CG_CTLS])
{
    static char text[4096];
    struct cgroup_sets s = {0};
    struct err e = ERR_INIT;
    size_t n = 0;

    text[0] = '\0';
    if (cgroup_sets_make(res, version, &s, &e))
        snprintf(text, sizeof(text), "%s", e.msg);
    else
        for (size_t i = 0; i < s.n; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%s;", s.list[i].file, s.list[i].value);
    cgroup_sets_free(&s);
    return text;
}

#define SET(n)                                                                                               \
    {                                                                                                        \
        .set = true, .v = (n)                                                                                \
    }

static void memory(void **state)
{
    struct oci_resources r = {.memory = {.limit = SET(1000), .swap = SET(1500), .reservation = SET(-1)}};

    (void)state;
    assert_string_equal(writes(&r, all_v1), "memory.limit_in_bytes=1000;memory.memsw.limit_in_bytes=1500;"
                                            "memory.soft_limit_in_bytes=-1;");
    assert_string_equal(writes(&r, all_v2), "memory.max=1000;memory.swap.max=500;memory.low=max;");
    r.memory.swap.v = -1;
    assert_string_equal(writes(&r, all_v2), "memory.max=1000;memory.swap.max=max;memory.low=max;");
    r.memory.swap.v = 1000;
    assert_string_equal(writes(&r, all_v2), "memory.max=1000;memory.swap.max=0;memory.low=max;");
    r.memory.swap.v = 999;
    assert_non_null(strstr(writes(&r, all_v2), "below memory.limit"));
    r.memory.limit.set = false;
    assert_non_null(strstr(writes(&r, all_v2), "needs memory.limit"));
    r = (struct oci_resources){.memory = {.limit = SET(-1)}};
    assert_string_equal(writes(&r, all_v1), "memory.limit_in_bytes=-1;memory.memsw.limit_in_bytes=-1;");
    assert_string_equal(writes(&r, all_v2), "memory.max=max;");
}

static void cpu(void **state)
{
    struct oci_resources r = {
        .cpu = {.shares = SET(1024), .quota = SET(50000), .period = SET(100000), .cpus = "0-1", .mems = ""}};

    (void)state;
    assert_string_equal(writes(&r, all_v1),
                        "cpuset.cpus=0-1;cpu.shares=1024;cpu.cfs_period_us=100000;cpu.cfs_quota_us=50000;");
    assert_string_equal(writes(&r, all_v2), "cpuset.cpus=0-1;cpu.weight=100;cpu.max=50000 100000;");
    r = (struct oci_resources){.cpu = {.quota = SET(-1), .burst = SET(0), .idle = SET(1)}};
    assert_string_equal(writes(&r, all_v1), "cpu.idle=1;cpu.cfs_burst_us=0;cpu.cfs_quota_us=-1;");
    assert_string_equal(writes(&r, all_v2), "cpu.idle=1;cpu.max.burst=0;cpu.max=max;");
    r = (struct oci_resources){.cpu = {.period = SET(70000)}};
    assert_string_equal(writes(&r, all_v2), "cpu.max=max 70000;");
    r = (struct oci_resources){.cpu = {.rt_runtime = SET(5)}};
    assert_string_equal(writes(&r, all_v1), "cpu.rt_runtime_us=5;");
    assert_non_null(strstr(writes(&r, all_v2), "no cgroup controller"));
}

static void pids(void **state)
{
    static const int none[CG_CTLS] = {0};
    struct oci_resources r = {.pids_limit = SET(0)};

    (void)state;
    assert_string_equal(writes(&r, all_v1), "pids.max=0;");
    assert_string_equal(writes(&r, all_v2), "pids.max=0;");
    assert_string_equal(writes(&r, none), "config.json: linux.resources.pids.limit: this host has no cgroup "
                                          "controller for it");
    r.pids_limit.v = -1;
    assert_string_equal(writes(&r, all_v1), "pids.max=max;");
    r.pids_limit.set = false;
    assert_string_equal(writes(&r, none), "");
}

static void devices(void **state)
{
    struct oci_device_rule rules[] = {
        {.allow = false, .type = 'a', .read = true, .write = true, .mknod = true},
        {.allow = true, .type = 'c', .major = SET(1), .minor = SET(3), .read = true},
        {.allow = true, .type = 'b', .major = SET(8), .write = true, .mknod = true},
    };
    struct oci_resources r = {.devices = rules, .ndevices = 3};

    (void)state;
    assert_string_equal(writes(&r, all_v1),
                        "devices.deny=a *:* rwm;devices.allow=c 1:3 r;devices.allow=b 8:* wm;");
    assert_string_equal(writes(&r, all_v2), "");
}

/* Just what such programs are made of. */
static int interpret(const struct bpf_insn *p, size_t n, uint32_t type, uint32_t access, uint32_t major,
                     uint32_t minor)
{
    struct bpf_cgroup_dev_ctx ctx = {.access_type = access << 16 | type, .major = major, .minor = minor};
    uint64_t reg[11] = {0};

    for (size_t i = 0; i < n; i++) {
        uint64_t *dst = &reg[p[i].dst_reg], imm = (uint64_t)(int64_t)p[i].imm;
        switch (p[i].code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            memcpy(dst, (const char *)&ctx + p[i].off, 4);
            break;
        case BPF_ALU64 | BPF_MOV | BPF_X:
            *dst = reg[p[i].src_reg];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_K:
            *dst = imm;
            break;
        case BPF_ALU64 | BPF_AND | BPF_K:
            *dst &= imm;
            break;
        case BPF_ALU64 | BPF_RSH | BPF_K:
            *dst >>= imm;
            break;
        case BPF_JMP | BPF_JNE | BPF_K:
            i += *dst != imm ? (size_t)p[i].off : 0;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            i += *dst == imm ? (size_t)p[i].off : 0;
            break;
        case BPF_JMP | BPF_EXIT:
            return (int)reg[0];
        default:
            fail();
        }
    }
    fail();
    return -1;
}

static void device_program(void **state)
{
    enum { M = BPF_DEVCG_ACC_MKNOD, R = BPF_DEVCG_ACC_READ, W = BPF_DEVCG_ACC_WRITE };
    enum { B = BPF_DEVCG_DEV_BLOCK, C = BPF_DEVCG_DEV_CHAR };
    static const struct oci_device_rule rules[] = {
        {.allow = false, .type = 'a', .read = true, .write = true, .mknod = true},
        {.allow = true, .type = 'c', .major = SET(1), .minor = SET(3), .read = true, .write = true},
        {.allow = true, .type = 'b', .major = SET(8), .read = true},
        {.allow = true, .type = 'c', .minor = SET(7), .mknod = true},
        {.allow = false, .type = 'c', .major = SET(1), .minor = SET(3), .write = true},
        {.allow = true, .type = 'c', .major = SET(5000), .read = true}, /* no device has that */
    };
    static const struct {
        uint32_t type, access, major, minor;
        int want;
    } cases[] = {
        {C, R, 1, 3, 1},     {C, W, 1, 3, 0}, {C, R | W, 1, 3, 0}, {B, R, 8, 5, 1},
        {B, R | W, 8, 5, 0}, {B, R, 9, 5, 0}, {C, M, 4, 7, 1},     {C, M | R, 4, 7, 0},
        {B, M, 4, 7, 0},     {C, R, 8, 5, 0}, {C, R, 5000, 0, 0},
    };
    struct bpf_insn *p;
    size_t n = cgroup_device_program(rules, 6, &p);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(interpret(p, n, cases[i].type, cases[i].access, cases[i].major, cases[i].minor),
                         cases[i].want);
    free(p);
    n = cgroup_device_program(rules + 4, 1, &p); /* what no rule is about is allowed */
    assert_int_equal(interpret(p, n, C, W, 1, 3), 0);
    assert_int_equal(interpret(p, n, C, R, 1, 3), 1);
    assert_int_equal(interpret(p, n, B, R | W | M, 8, 0), 1);
    free(p);
    assert_int_equal(cgroup_device_program(rules, 100000, &p), 0);
}

static void io_and_others(void **state)
{
    struct oci_device_value dev[] = {{8, 0, 1000}, {8, 16, 0}};
    struct oci_named_int huge[] = {{"2MB", 4096}, {"1GB", UINT64_MAX}};
    struct oci_pair unified[] = {{"memory.high", "5"}, {"foo.bar", "x"}};
    struct oci_resources r = {
        .io = {.weight = SET(505), .throttle[OCI_READ_BPS] = {dev, 2}}, .hugepages = huge, .nhugepages = 2};

    (void)state;
    assert_string_equal(writes(&r, all_v1),
                        "blkio.weight=505;blkio.throttle.read_bps_device=8:0 1000;"
                        "blkio.throttle.read_bps_device=8:16 0;hugetlb.2MB.rsvd.limit_in_bytes=4096;"
                        "hugetlb.1GB.rsvd.limit_in_bytes=-1;");
    assert_string_equal(writes(&r, all_v2),
                        "io.weight=default 5000;io.max=8:0 rbps=1000;io.max=8:16 rbps=max;"
                        "hugetlb.2MB.rsvd.max=4096;hugetlb.1GB.rsvd.max=max;");
    r = (struct oci_resources){.unified = unified, .nunified = 2};
    assert_string_equal(writes(&r, all_v2), "memory.high=5;foo.bar=x;");
    assert_non_null(strstr(writes(&r, all_v1), "unified.memory.high: this host has no"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),         cmocka_unit_test(long_paths), cmocka_unit_test(weights),
        cmocka_unit_test(layout),        cmocka_unit_test(memory),     cmocka_unit_test(cpu),
        cmocka_unit_test(pids),          cmocka_unit_test(devices),    cmocka_unit_test(device_program),
        cmocka_unit_test(io_and_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
