/* objects: sandbox/keep/mm/maps.o */
/* What the text of /proc/PID/maps says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "sandbox/keep/kernel.h"
#include "sandbox/keep/mm/maps.h"

struct kernel kernel = {.gate_fd = -1};

static void each_mapping(void **state)
{
    const char *at = "555500000000-555500001000 r-xp 00002000 fe:01 77                 /bin/a b\n"
                     "no mapping at all\n"
                     "7f0000000000-7f0000003000 rw-s 00000000 00:05 9 /memfd:x\\0120-1 rwxp 0 0:0 0\n"
                     "7f0000003000-7f0000004000 ---p 00000000 00:00 0 ";
    struct mapping m;
    (void)state;
    assert_true(maps_next(&at, &m));
    assert_true(m.start == 0x555500000000 && m.end == 0x555500001000 && m.off == 0x2000);
    assert_true(m.prot == (PROT_READ | PROT_EXEC) && !m.shared && m.dev == makedev(0xfe, 1) && m.ino == 77);
    assert_true(maps_next(&at, &m));
    assert_true(m.start == 0x7f0000000000 && m.prot == (PROT_READ | PROT_WRITE) && m.shared && m.ino == 9);
    assert_true(maps_next(&at, &m));
    assert_true(m.start == 0x7f0000003000 && m.prot == PROT_NONE && !m.shared && m.ino == 0);
    assert_false(maps_next(&at, &m));
    at = NULL;
    assert_false(maps_next(&at, &m));
}

static void the_gates_image(void **state)
{
    int fds[2];
    struct stat st;
    (void)state;
    assert_false(maps_gate_image(0, 0)); /* while there is none */
    assert_int_equal(pipe(fds), 0);
    kernel.gate_fd = fds[0];
    assert_int_equal(fstat(fds[0], &st), 0);
    assert_true(maps_gate_image(st.st_dev, st.st_ino));
    assert_false(maps_gate_image(st.st_dev, st.st_ino + 1));
    assert_false(maps_gate_image(st.st_dev + 1, st.st_ino));
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_mapping), cmocka_unit_test(the_gates_image)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
