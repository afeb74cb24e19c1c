/* objects: runtime/launch/userns.o runtime/rootfs/mountinfo.o common/err.o common/log.o common/arena.o */
/* What the runtime reads of the host about ids and mounts, and what it makes of config.json's mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "oci/config.h"
#include "runtime/rootfs/mountinfo.h"
#include "runtime/launch/userns.h"

static void test_ids_are_translated(void **state)
{
    struct userns_extent list[] = {{10, 1000, 5}, {0, 500, 1}, {4294967290U, 7, 5}};
    const struct userns_ids ids = {.uids = list, .gids = list, .nuids = 3, .ngids = 2};
    uid_t id;

    (void)state;
    assert_true(userns_host_uid(&ids, 0, &id));
    assert_int_equal(id, 500);
    assert_true(userns_host_uid(&ids, 14, &id));
    assert_int_equal(id, 1004);
    assert_false(userns_host_uid(&ids, 15, &id));
    assert_false(userns_host_uid(&ids, 9, &id));
    assert_true(userns_host_uid(&ids, 4294967294U, &id));
    assert_int_equal(id, 11);
    assert_false(userns_host_uid(&ids, UINT32_MAX, &id));
    assert_false(userns_host_gid(&ids, 4294967290U, &id));
    assert_true(userns_host_uid(NULL, 42, &id));
    assert_int_equal(id, 42);
}

static void test_own_mappings_are_read(void **state)
{
    struct userns_ids ids;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(userns_ids_of(0, &ids, &e), 0);
    assert_true(ids.nuids >= 1 && ids.ngids >= 1);
    for (unsigned i = 0; i < ids.nuids; i++)
        assert_true(ids.uid <= ids.uids[i].inside);
    free(ids.uids);
    free(ids.gids);
    assert_int_equal(userns_ids_of(0x7ffffffe, &ids, &e), -1);
}

static void test_configs_that_do_not_fit_together(void **state)
{
    struct oci_idmap map = {0, 100000, 10};
    struct oci_config c = {0};
    struct err e = ERR_INIT;

    (void)state;
    if (geteuid() == 0)
        assert_int_equal(userns_check(&c, &e), 0);
    c.lx.uid_mappings = &map;
    c.lx.nuid_mappings = 1;
    assert_int_equal(userns_check(&c, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    c.lx.ns[OCI_NS_USER].set = true;
    assert_int_equal(userns_check(&c, &e), -1); /* gids are missing */
    c.lx.gid_mappings = &map;
    c.lx.ngid_mappings = 1;
    assert_int_equal(userns_check(&c, &e), 0);
    c.lx.nuid_mappings = c.lx.ngid_mappings = 0;
    c.lx.ns[OCI_NS_USER].path = "/proc/self/ns/user";
    assert_int_equal(userns_check(&c, &e), 0);
}

static void test_mountinfo(void **state)
{
    static char text[] =
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:17 - ext3 /dev/root rw,errors=continue\n"
        "garbage\n"
        "37 36 0:5 / /with\\040blank\\011tab rw shared:3 master:4 propagate_from:2 - tmpfs t rw\n"
        "38 36 0:6 / /plain rw - fuse.x master:9 rw\n"
        "39 36 0:7 /a /cut rw shared:1 -\n";
    struct mountinfo i = MOUNTINFO_INIT;

    (void)state;
    i.f = fmemopen(text, strlen(text), "r");
    assert_true(mountinfo_next(&i));
    assert_int_equal(i.id, 36);
    assert_string_equal(i.root, "/mnt1");
    assert_string_equal(i.point, "/mnt2");
    assert_string_equal(i.type, "ext3");
    assert_int_equal(i.master, 17);
    assert_true(mountinfo_next(&i));
    assert_string_equal(i.point, "/with blank\ttab");
    assert_int_equal(i.master, 4);
    assert_true(mountinfo_next(&i));
    assert_string_equal(i.type, "fuse.x");
    assert_int_equal(i.master, 0); /* the source only looks like it */
    assert_false(mountinfo_next(&i));
    mountinfo_close(&i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_translated),
        cmocka_unit_test(test_own_mappings_are_read),
        cmocka_unit_test(test_configs_that_do_not_fit_together),
        cmocka_unit_test(test_mountinfo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
