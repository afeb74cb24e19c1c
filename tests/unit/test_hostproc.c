/* objects: sandbox/keep/strbuf.o sandbox/keep/mm/maps.o */
/* A mapping of a process is found alone, where the host can tell, as it is found among all. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sandbox/keep/hostproc.c"

struct kernel kernel;

void vfs_assume_self(void) {}

static void check_at(int fd, uint64_t at)
{
    struct mapping one = {0}, same = {0};

    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    bool found = search_mappings(fd, at, &same);
    bool queried = query_mapping(fd, at, &one);
    if (!queried && errno == ENOTTY) /* before Linux 6.11 */
        return;
    assert_int_equal(queried, found);
    if (!found)
        return;
    assert_true(one.start == same.start && one.end == same.end && one.off == same.off);
    assert_true(one.prot == same.prot && one.shared == same.shared);
    assert_true(one.dev == same.dev && one.ino == same.ino);
}

static void one_is_found_as_among_all(void **state)
{
    static const int shared[] = {MAP_PRIVATE, MAP_SHARED};
    static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
    _cleanup_close_ int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    long page = sysconf(_SC_PAGESIZE);

    (void)state;
    assert_true(fd >= 0);
    for (unsigned i = 0; i < ARRAY_SIZE(prots); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(shared); k++) {
            char *p = mmap(NULL, (size_t)(3 * page), prots[i], shared[k] | MAP_ANONYMOUS, -1, 0);
            assert_ptr_not_equal(p, MAP_FAILED);
            assert_int_equal(munmap(p + page, (size_t)page), 0);
            check_at(fd, (uint64_t)p);
            check_at(fd, (uint64_t)(p + page) - 1);
            check_at(fd, (uint64_t)(p + page)); /* nothing */
            check_at(fd, (uint64_t)(p + 2 * page));
            assert_int_equal(munmap(p, (size_t)(3 * page)), 0);
        }
    check_at(fd, (uint64_t)(uintptr_t)&check_at);
    check_at(fd, (uint64_t)(uintptr_t)&getpid);
    check_at(fd, 0);
    check_at(fd, UINT64_MAX);
}

static void by_pid(void **state)
{
    struct mapping m;
    uint64_t here = (uint64_t)(uintptr_t)&m;

    (void)state;
    kernel.procfd = open("/proc", O_PATH | O_CLOEXEC);
    assert_true(kernel.procfd >= 0);
    assert_true(host_mapping_at(getpid(), here, &m));
    assert_true(m.start <= here && here < m.end && m.prot == (PROT_READ | PROT_WRITE) && !m.shared);
    assert_false(host_mapping_at(getpid(), 8, &m));
    assert_false(host_mapping_at(0, here, &m));
    (void)close(kernel.procfd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_found_as_among_all),
        cmocka_unit_test(by_pid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
