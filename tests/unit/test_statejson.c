/* objects: runtime/state/statejson.o runtime/procenv.o oci/json_write.o common/arena.o */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/arena.h"
#include "oci/config.h"
#include "runtime/procenv.h"
#include "runtime/state/statejson.h"

static const struct statejson plain = {
    .id = "a", .status = "created", .bundle = "/b", .pid = -1, .exit_status = -1};

static void is(const struct statejson *s, const char *want)
{
    char *text = statejson_text(s, false);

    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static void only_what_there_is(void **state)
{
    (void)state;
    is(&plain, "{\"ociVersion\":\"1.3.0\",\"id\":\"a\",\"status\":\"created\",\"bundle\":\"/b\"}");
}

static void everything(void **state)
{
    const struct oci_pair annotations[] = {{"k \"1\"", "v\n\x01"}, {"", "\xc3\xa4"}};
    struct statejson s = plain;

    (void)state;
    s.pid = 0;
    s.annotations = annotations;
    s.nannotations = 2;
    s.rootfs = "/r";
    s.created = "2026-01-01T00:00:00Z";
    s.owner = "root";
    s.exit_status = 0;
    s.stop_signal = "handled";
    is(&s, "{\"ociVersion\":\"1.3.0\",\"id\":\"a\",\"status\":\"created\",\"pid\":0,\"bundle\":\"/"
           "b\",\"rootfs\":\"/r\","
           "\"created\":\"2026-01-01T00:00:00Z\",\"owner\":\"root\","
           "\"annotations\":{\"k \\\"1\\\"\":\"v\\n\\u0001\",\"\":\"\xc3\xa4\"},"
           "\"exitStatus\":0,\"dev.bailey.stopSignal\":\"handled\"}");
}

static void what_is_not_utf8_is_refused(void **state)
{
    struct statejson s = plain;

    (void)state;
    s.bundle = "/\xff";
    assert_null(statejson_text(&s, false));
    assert_null(statejson_text(&s, true));
}

static void variables_are_replaced_in_their_place(void **state)
{
    struct arena *a = arena_new();
    char one[] = "A=1", two[] = "AB=2";
    char *env[] = {one, two, NULL};
    struct oci_process p = {.env = env, .nenv = 2};

    (void)state;
    procenv_set(a, &p, "A=3");
    procenv_set(a, &p, "C=4");
    procenv_set(a, &p, "A");
    assert_int_equal(p.nenv, 3);
    assert_string_equal(p.env[0], "A");
    assert_string_equal(p.env[1], "AB=2");
    assert_string_equal(p.env[2], "C=4");
    assert_null(p.env[3]);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_there_is),
        cmocka_unit_test(everything),
        cmocka_unit_test(what_is_not_utf8_is_refused),
        cmocka_unit_test(variables_are_replaced_in_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
