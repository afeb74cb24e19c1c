/* objects: sandbox/platform/pack.o sandbox/platform/boot_spec.o common/err.o */
/* What a container that joins a keep is described by, as bytes: all of it comes back, and nothing that is cut
 * off or damaged is believed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/cleanup.h"
#include "sandbox/platform/boot_spec.h"
#include "sandbox/platform/pack.h"

static char *const masked[] = {"/proc/kcore", "/sys/firmware", NULL};
static const struct mount_spec mounts[] = {
    {.target = "/", .type = "ext4", .source = "none", .options = "rw", .host = true, .flags = 1},
    {.target = "/proc", .type = "proc", .source = "proc", .options = NULL, .flags = 14},
};

static struct keep_boot example(void)
{
    return (struct keep_boot){
        .id = "web",
        .hostname = "",
        .domainname = NULL,
        .inherits_names = true,
        .mounts = mounts,
        .nmounts = ARRAY_SIZE(mounts),
        .masked_paths = masked,
        .pids_limit = UINT64_MAX - 1,
        .ns = {.pid = {1, 2}, .pid_asked = {3, 4}, .ipc = {5, 6}, .uts = {7, 8}},
        .host_procfs = true,
        .closed = 5,
        .net_host = true,
    };
}

static void all_of_it_comes_back(void **state)
{
    (void)state;
    const struct keep_boot b = example();
    _cleanup_close_ int fd = boot_spec_pack(&b);
    struct boot_spec s;

    assert_true(fd >= 0);
    assert_int_equal(boot_spec_unpack(fd, &s), 0);
    assert_string_equal(s.boot.id, "web");
    assert_string_equal(s.boot.hostname, "");
    assert_null(s.boot.domainname);
    assert_true(s.boot.inherits_names);
    assert_int_equal(s.boot.nmounts, 2);
    assert_string_equal(s.boot.mounts[1].target, "/proc");
    assert_null(s.boot.mounts[1].options);
    assert_true(s.boot.mounts[0].host && !s.boot.mounts[1].host);
    assert_int_equal(s.boot.mounts[1].flags, 14);
    assert_string_equal(s.boot.masked_paths[1], "/sys/firmware");
    assert_null(s.boot.masked_paths[2]);
    assert_null(s.boot.readonly_paths[0]);
    assert_true(s.boot.pids_limit == UINT64_MAX - 1);
    assert_memory_equal(&s.boot.ns, &b.ns, sizeof(b.ns));
    assert_true(s.boot.host_procfs && s.boot.net_host);
    assert_int_equal(s.boot.closed, 5);
    assert_int_equal(s.boot.devpts_fd, -1);
    boot_spec_free(&s);
}

/* The text of a packed example, and its length. */
static size_t bytes_of(char *buf, size_t size)
{
    const struct keep_boot b = example();
    _cleanup_close_ int fd = boot_spec_pack(&b);
    ssize_t n = pread(fd, buf, size, 0);

    assert_true(n > 0 && (size_t)n < size);
    return (size_t)n;
}

static int unpack_bytes(const char *buf, size_t n)
{
    _cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
    struct boot_spec s;

    assert_int_equal(write(fd, buf, n), n);
    int r = boot_spec_unpack(fd, &s);
    boot_spec_free(&s);
    return r;
}

static void what_is_cut_off_is_refused(void **state)
{
    (void)state;
    char buf[4096];
    size_t n = bytes_of(buf, sizeof(buf));

    assert_int_equal(unpack_bytes(buf, n), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(unpack_bytes(buf, i), -EBADMSG);
    buf[n] = 0;
    assert_int_equal(unpack_bytes(buf, n + 1), -EBADMSG);
}

/* Every byte as another one: an error or other values, never a look beyond the text (the sanitizers watch).
 */
static void what_is_damaged_does_no_harm(void **state)
{
    (void)state;
    char buf[4096];
    size_t n = bytes_of(buf, sizeof(buf));

    for (size_t i = 0; i < n; i++) {
        static const unsigned char with[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
        char was = buf[i];
        for (size_t k = 0; k < sizeof(with); k++) {
            buf[i] = (char)with[k];
            int r = unpack_bytes(buf, n);
            assert_true(r == 0 || r == -EBADMSG);
        }
        buf[i] = was;
    }
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    struct pack p = {0};
    struct unpack u;

    pack_number(&p, UINT64_MAX / 9); /* a list of so many strings */
    _cleanup_close_ int fd = pack_finish(&p);
    assert_int_equal(unpack_begin(&u, fd), 0);
    assert_null(unpack_strings(&u));
    assert_int_equal(unpack_end(&u), -EBADMSG);
    free(u.buf);
    assert_int_equal(unpack_begin(&u, -1), -EBADF);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(unpack_begin(&u, ends[0]), -EBADMSG);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_comes_back),
        cmocka_unit_test(what_is_cut_off_is_refused),
        cmocka_unit_test(what_is_damaged_does_no_harm),
        cmocka_unit_test(lengths_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
