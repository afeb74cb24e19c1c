// objects: common/*.o oci/*.o runtime/seccomp/seccomp.o runtime/seccomp/seccomp_store.o sandbox/keep/seccomp/bpf.o
/* linux.seccomp as a program: what it answers call by call, and what the cache may believe of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/seccomp/seccomp_store.h"
#include "sandbox/keep/seccomp/bpf.h"
#include "tests/unit/scratch_dir.h"

static struct err err;

static void free_p(struct seccomp_profile *p)
{
    seccomp_profile_free(p);
}

static struct oci_config *parse(const char *seccomp)
{
    char text[4096];
    struct oci_config *c = NULL;

    err = (struct err)ERR_INIT;
    snprintf(text, sizeof(text),
             "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"linux\":{\"seccomp\":%s}}", seccomp);
    return oci_config_parse(text, strlen(text), "config.json", &c, &err) ? NULL : c;
}

static int compile(const char *seccomp, struct seccomp_profile *p)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(seccomp);

    return c ? seccomp_compile(c->lx.seccomp, p, &err) : -1;
}

static uint32_t ask(const struct seccomp_profile *p, int nr, uint64_t arg0, uint64_t arg1)
{
    struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64, .args = {arg0, arg1}};
    return bpf_run(p->insns, &d);
}

static void none(void **state)
{
    struct seccomp_profile p;

    (void)state;
    assert_int_equal(seccomp_compile(NULL, &p, &err), 0);
    assert_null(p.insns);
    assert_false(call_set_has(&p.judged, SYS_futex));
}

static void every_action(void **state)
{
    static const struct {
        const char *name;
        uint32_t want;
    } rows[] = {
        {"\"SCMP_ACT_KILL\"", SECCOMP_RET_KILL_THREAD},
        {"\"SCMP_ACT_KILL_THREAD\"", SECCOMP_RET_KILL_THREAD},
        {"\"SCMP_ACT_KILL_PROCESS\"", SECCOMP_RET_KILL_PROCESS},
        {"\"SCMP_ACT_TRAP\"", SECCOMP_RET_TRAP},
        {"\"SCMP_ACT_ERRNO\"", SECCOMP_RET_ERRNO | EPERM},
        {"\"SCMP_ACT_ERRNO\", \"errnoRet\": 38", SECCOMP_RET_ERRNO | ENOSYS},
        {"\"SCMP_ACT_TRACE\", \"errnoRet\": 7", SECCOMP_RET_TRACE | 7},
        {"\"SCMP_ACT_LOG\"", SECCOMP_RET_LOG},
        {"\"SCMP_ACT_NOTIFY\"", SECCOMP_RET_USER_NOTIF},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(free_p) struct seccomp_profile p;
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/"
                 "s\",\"syscalls\":[{\"names\":[\"getcwd\",\"no_such\"],"
                 "\"action\":%s}]}",
                 rows[i].name);
        assert_int_equal(compile(text, &p), 0);
        assert_int_equal(ask(&p, SYS_getcwd, 0, 0), rows[i].want);
        assert_int_equal(ask(&p, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(&p, 500, 0, 0), SECCOMP_RET_ALLOW);
        assert_true(call_set_has(&p.judged, SYS_getcwd));
        assert_false(call_set_has(&p.judged, SYS_read));
        assert_int_equal(p.notify, rows[i].want == SECCOMP_RET_USER_NOTIF);
    }
}

static void every_operator(void **state)
{
    static const struct {
        const char *op;
        uint64_t denied[2], allowed[2];
    } rows[] = {
        {"\"SCMP_CMP_NE\",\"value\":7", {6, 1UL << 32 | 7}, {7, 7}},
        {"\"SCMP_CMP_LT\",\"value\":7", {6, 0}, {7, 1UL << 40}},
        {"\"SCMP_CMP_LE\",\"value\":7", {7, 0}, {8, 1UL << 40}},
        {"\"SCMP_CMP_EQ\",\"value\":4294967303", {4294967303, 4294967303}, {7, 1UL << 32}},
        {"\"SCMP_CMP_GE\",\"value\":7", {7, 1UL << 40}, {6, 0}},
        {"\"SCMP_CMP_GT\",\"value\":7", {8, 1UL << 40}, {7, 0}},
        {"\"SCMP_CMP_MASKED_EQ\",\"value\":240,\"valueTwo\":32", {0x2f, 0x20}, {0x3f, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(free_p) struct seccomp_profile p;
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"kill\"],\"action\":"
                 "\"SCMP_ACT_ERRNO\","
                 "\"args\":[{\"index\":1,\"op\":%s}]}]}",
                 rows[i].op);
        assert_int_equal(compile(text, &p), 0);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(ask(&p, SYS_kill, 0, rows[i].denied[k]), SECCOMP_RET_ERRNO | EPERM);
            assert_int_equal(ask(&p, SYS_kill, 0, rows[i].allowed[k]), SECCOMP_RET_ALLOW);
        }
        assert_true(call_set_has(&p.judged, SYS_kill));
    }
}

#define ARG(i, op, v) "{\"index\":" #i ",\"op\":\"SCMP_CMP_" #op "\",\"value\":" #v "}"

/* Different arguments: all must hold. The same argument: one of them. */
static void several_conditions(void **state)
{
    _cleanup_(free_p) struct seccomp_profile both = {0}, either = {0};

    (void)state;
    assert_int_equal(
        compile("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"kill\"],"
                "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[" ARG(0, EQ, 1) "," ARG(1, EQ, 2) "]}]}",
                &both),
        0);
    assert_int_equal(ask(&both, SYS_kill, 1, 2), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&both, SYS_kill, 1, 3), SECCOMP_RET_ERRNO | EPERM);
    assert_int_equal(
        compile("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"kill\"],"
                "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[" ARG(0, EQ, 1) "," ARG(0, EQ, 2) "]}]}",
                &either),
        0);
    assert_int_equal(ask(&either, SYS_kill, 1, 9), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&either, SYS_kill, 2, 9), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&either, SYS_kill, 3, 9), SECCOMP_RET_ERRNO | EPERM);
}

/* The author could not know of them. */
static void newer_calls_are_not_there(void **state)
{
    _cleanup_(free_p) struct seccomp_profile p = {0};

    (void)state;
    assert_int_equal(
        compile("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\",\"openat2\"],"
                "\"action\":\"SCMP_ACT_ALLOW\"}]}",
                &p),
        0);
    assert_int_equal(ask(&p, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&p, SYS_openat2, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&p, SYS_write, 0, 0), SECCOMP_RET_ERRNO | EPERM);
    assert_int_equal(ask(&p, SYS_openat2 + 1, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
    assert_false(call_set_has(&p.judged, SYS_read));
    assert_true(call_set_has(&p.judged, SYS_futex));
}

static void nonsense_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"{}", "defaultAction"},
        {"{\"defaultAction\":\"SCMP_ACT_FOO\"}", "unknown value \"SCMP_ACT_FOO\""},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", "defaultErrnoRet"},
        {"{\"defaultAction\":\"SCMP_ACT_NOTIFY\",\"listenerPath\":\"/s\"}", "defaultAction"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_NEW_LISTENER\"]}",
         "unknown flag"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_Z80\"]}",
         "unknown architecture"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"x\"}", "listenerPath"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
         "NOTIFY\"}]}",
         "listenerPath"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
         "KILL\",\"errnoRet\":1}]}",
         "errnoRet"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_KILL\"}]}",
         "names"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
         "KILL\",\"args\":[" ARG(6, EQ, 1) "]}]}",
         "index"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct seccomp_profile p = {0};
        assert_int_equal(compile(rows[i].text, &p), -1);
        assert_int_equal(err.code, ERR_CONFIG);
        if (!strstr(err.msg, rows[i].why))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.msg, rows[i].why);
    }
}

/* Random programs, most of them nonsense, but all valid: what is said to be always allowed must be. */
static struct sock_filter random_insn(unsigned left)
{
    static const unsigned short codes[] = {
        BPF_LD | BPF_W | BPF_ABS,  BPF_LD | BPF_W | BPF_ABS,   BPF_ALU | BPF_AND | BPF_K,
        BPF_JMP | BPF_JA,          BPF_JMP | BPF_JEQ | BPF_K,  BPF_JMP | BPF_JGE | BPF_K,
        BPF_JMP | BPF_JGT | BPF_K, BPF_JMP | BPF_JSET | BPF_K, BPF_RET | BPF_K,
        BPF_RET | BPF_A,           BPF_MISC | BPF_TAX,         BPF_MISC | BPF_TXA,
        BPF_ALU | BPF_XOR | BPF_K, BPF_JMP | BPF_JEQ | BPF_X};
    struct sock_filter f = {.code = codes[(size_t)rand() % ARRAY_SIZE(codes)]};

    if (BPF_CLASS(f.code) == BPF_LD)
        f.k = (uint32_t)(rand() % 4 ? 0 : rand() % 16 * 4);
    else if (BPF_CLASS(f.code) == BPF_RET)
        f.k = rand() % 3 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO;
    else if (f.code == (BPF_JMP | BPF_JA))
        f.k = (uint32_t)rand() % left;
    else
        f.k = (uint32_t)rand() % 64;
    f.jt = (unsigned char)((unsigned)rand() % left);
    f.jf = (unsigned char)((unsigned)rand() % left);
    return f;
}

static void the_cache_is_right(void **state)
{
    struct sock_filter prog[12];
    const unsigned n = ARRAY_SIZE(prog);
    unsigned always = 0, later = 0;

    (void)state;
    srand(1);
    for (int round = 0; round < 20000; round++) {
        for (unsigned i = 0; i + 1 < n; i++)
            prog[i] = random_insn(n - i - 1);
        prog[n - 1] = (struct sock_filter){.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
        assert_true(bpf_valid(prog, n));
        int nr = rand() % 64;
        bool allows = bpf_always_allows(prog, n, nr);
        unsigned start = bpf_start(prog, n, nr);
        assert_true(start < n);
        always += allows;
        later += start > 0;
        for (int k = 0; k < 8; k++) {
            struct seccomp_data d = {
                .nr = nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = (uint64_t)rand()};
            for (int a = 0; a < 6; a++)
                d.args[a] = (uint64_t)rand() % 64;
            assert_int_equal(bpf_run(prog + start, &d), bpf_run(prog, &d));
            if (allows)
                assert_int_equal(bpf_run(prog, &d), SECCOMP_RET_ALLOW);
        }
    }
    assert_true(always > 1000);
    assert_true(later > 1000);
}

/* Stored programs. One that is marked (its last verdict is EDOM) tells whether it was taken or made anew. */
#define STORED                                                                                               \
    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":[{"          \
    "\"names\":["                                                                                            \
    "\"getpid\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"value\":7,\"op\":\"SCMP_CMP_EQ\"}]}" \
    "]}"

static int open_dir(void)
{
    char path[SCRATCH_DIR_MAX];
    assert_true(scratch_dir(path, "seccomp"));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_return_code(fd, errno);
    return fd;
}

static void close_dir(int dir)
{
    char link[64], path[256];
    (void)unlinkat(dir, "seccomp", 0);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    assert_true(n > 0);
    path[n] = 0;
    (void)close(dir);
    assert_int_equal(rmdir(path), 0);
}

static void store_marked(int dir)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(STORED);
    _cleanup_(free_p) struct seccomp_profile p = {0};
    assert_int_equal(seccomp_compile(c->lx.seccomp, &p, &err), 0);
    for (unsigned i = 0; i < p.n; i++)
        if (p.insns[i].code == (BPF_RET | BPF_K) && p.insns[i].k == SECCOMP_RET_ALLOW)
            p.insns[i].k = SECCOMP_RET_ERRNO | EDOM;
    seccomp_store(dir, c->lx.seccomp, &p);
}

static bool is_taken(int dir, const char *profile)
{
    _cleanup_(oci_config_free_p) struct oci_config *c = parse(profile);
    _cleanup_(free_p) struct seccomp_profile p = {0};
    assert_int_equal(seccomp_restore(dir, c->lx.seccomp, &p, &err), 0);
    assert_true(p.log);
    assert_true(call_set_has(&p.judged, SYS_getpid));
    assert_false(call_set_has(&p.judged, SYS_getuid));
    assert_int_equal(ask(&p, SYS_getpid, 7, 0), SECCOMP_RET_ERRNO | EPERM);
    return ask(&p, SYS_getuid, 0, 0) == (SECCOMP_RET_ERRNO | EDOM);
}

/* The file with one byte changed, or cut. */
static void spoil(int dir, long at, long length)
{
    int fd = openat(dir, "seccomp", O_RDWR | O_CLOEXEC);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)~byte;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    if (length)
        assert_int_equal(ftruncate(fd, length), 0);
    (void)close(fd);
}

static void stored_ones_are_taken(void **state)
{
    static const long spoilt[][2] = {{0, 0}, {8, 0}, {12, 0}, {100, 0}, {0, 20}, {0, 200}};
    char other[sizeof(STORED)];

    (void)state;
    int dir = open_dir();
    assert_false(is_taken(dir, STORED)); /* there is none */
    store_marked(dir);
    assert_true(is_taken(dir, STORED));
    memcpy(other, STORED, sizeof(other));
    memcpy(strstr(other, "EQ"), "GE", 2);
    assert_false(is_taken(dir, other));
    assert_int_equal(fchmodat(dir, "seccomp", 0620, 0), 0);
    assert_false(is_taken(dir, STORED));
    for (size_t i = 0; i < ARRAY_SIZE(spoilt); i++) {
        (void)unlinkat(dir, "seccomp", 0);
        store_marked(dir);
        spoil(dir, spoilt[i][0], spoilt[i][1]);
        assert_false(is_taken(dir, STORED));
    }
    (void)unlinkat(dir, "seccomp", 0);
    assert_int_equal(symlinkat("/dev/null", dir, "seccomp"), 0);
    store_marked(dir); /* does not follow it */
    assert_false(is_taken(dir, STORED));
    close_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none),
        cmocka_unit_test(every_action),
        cmocka_unit_test(every_operator),
        cmocka_unit_test(several_conditions),
        cmocka_unit_test(newer_calls_are_not_there),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(the_cache_is_right),
        cmocka_unit_test(stored_ones_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
