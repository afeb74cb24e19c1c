/* objects: runtime/commands/options.o common/err.o */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/commands/options.h"

struct values {
    const char *name, *mode;
    bool all, quiet;
    struct option_list env;
};

#define AT(member) offsetof(struct values, member)
static const struct option_def defs[] = {
    {"name", 'n', "NAME", AT(name), ""}, {"mode", 0, "fast|slow|off", AT(mode), ""},
    {"all", 'a', NULL, AT(all), ""},     {"quiet", 'q', NULL, AT(quiet), ""},
    {"env", 'e', "N=V...", AT(env), ""}, {NULL, 0, NULL, 0, NULL},
};

enum { ARGS_MAX = 12 };

struct parsed {
    struct values v;
    char *argv[ARGS_MAX];
    int argi, result;
    struct err e;
};

static struct parsed parse(bool permute, const char *const *args)
{
    struct parsed p = {.argi = 1};

    p.argv[0] = (char *)(uintptr_t) "cmd";
    for (int i = 0; args[i]; i++)
        p.argv[i + 1] = (char *)(uintptr_t)args[i];
    p.result = (permute ? options_permute : options_parse)(defs, "bailey cmd", p.argv, &p.argi, &p.v, &p.e);
    return p;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void forms_of_one_option(void **state)
{
    const char *const *forms[] = {
        ARGS("--name", "x", "rest"), ARGS("--name=x", "rest"), ARGS("-name", "x", "rest"),
        ARGS("-name=x", "rest"),     ARGS("-n", "x", "rest"),  ARGS("-n=x", "rest"),
        ARGS("-nx", "rest"),         ARGS("-aqnx", "rest"),    ARGS("-aqn", "x", "rest"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct parsed p = parse(false, forms[i]);
        assert_int_equal(p.result, 0);
        assert_string_equal(p.v.name, "x");
        assert_string_equal(p.argv[p.argi], "rest");
        assert_int_equal(p.v.all, i >= 7);
    }
}

static void flags_take_words_of_truth(void **state)
{
    static const char *const yes[] = {"--all", "-a", "-all", "--all=true", "--all=1", "--all=T"};
    static const char *const no[] = {"--all=false", "--all=0", "-all=F"};

    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(parse(false, ARGS(yes[i])).v.all);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        struct parsed p = parse(false, ARGS("-a", no[i]));
        assert_int_equal(p.result, 0);
        assert_false(p.v.all);
    }
}

static void lists_keep_their_order(void **state)
{
    struct parsed p = parse(false, ARGS("-e", "A=1", "--env=B==", "-eC"));

    (void)state;
    assert_int_equal(p.v.env.n, 3);
    assert_string_equal(p.v.env.v[0], "A=1");
    assert_string_equal(p.v.env.v[1], "B==");
    assert_string_equal(p.v.env.v[2], "C");
}

static void options_behind_arguments(void **state)
{
    struct parsed p = parse(true, ARGS("one", "-a", "two", "--name", "x", "-", "--", "-q", "--x"));

    (void)state;
    assert_int_equal(p.result, 0);
    assert_true(p.v.all);
    assert_false(p.v.quiet);
    static const char *const want[] = {"one", "two", "-", "-q", "--x"};
    for (int i = 0; i < 5; i++)
        assert_string_equal(p.argv[p.argi + i], want[i]);
    assert_null(p.argv[p.argi + 5]);
}

static void in_order_the_first_argument_ends_them(void **state)
{
    struct parsed p = parse(false, ARGS("-a", "one", "-q"));

    (void)state;
    assert_false(p.v.quiet);
    assert_string_equal(p.argv[p.argi], "one");
    p = parse(false, ARGS("-a", "--", "-q"));
    assert_false(p.v.quiet);
    assert_string_equal(p.argv[p.argi], "-q");
}

static void help_is_not_in_the_tables(void **state)
{
    static const char *const forms[] = {"--help", "-help", "-h"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(parse(false, ARGS("-a", forms[i])).result, 1);
        assert_int_equal(parse(true, ARGS("x", forms[i])).result, 1);
    }
    assert_int_equal(parse(false, ARGS("x", "--help")).result, 0);
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *arg, *message;
    } bad[] = {
        {"--nam", "unknown option \"--nam\" (see bailey cmd --help)"},
        {"-z", "unknown option \"-z\" (see bailey cmd --help)"},
        {"-az", "unknown option \"-az\" (see bailey cmd --help)"},
        {"--a", "unknown option \"--a\" (see bailey cmd --help)"},
        {"--name", "option --name needs a value (NAME)"},
        {"-an", "option --name needs a value (NAME)"},
        {"--all=maybe", "option --all: must be true or false, not \"maybe\""},
        {"--all=", "option --all: must be true or false, not \"\""},
        {"--mode=of", "option --mode: must be fast, slow or off, not \"of\""},
        {"--mode=fast|slow", "option --mode: must be fast, slow or off, not \"fast|slow\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct parsed p = parse(true, ARGS(bad[i].arg));
        assert_int_equal(p.result, -1);
        assert_int_equal(p.e.code, ERR_USAGE);
        assert_string_equal(p.e.msg, bad[i].message);
    }
}

static void numbers(void **state)
{
    static const char *const bad[] = {"",   "-", "+1", " 1", "1 ", "1x", "0x1", "99999999999999999999",
                                      "11", "-2"};
    struct err e = ERR_INIT;
    long long v = 5;

    (void)state;
    assert_int_equal(options_number("n", "10", -1, 10, &v, &e), 0);
    assert_int_equal(v, 10);
    assert_int_equal(options_number("n", "-1", -1, 10, &v, &e), 0);
    assert_int_equal(v, -1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(options_number("n", bad[i], -1, 10, &v, &e), -1);
        assert_int_equal(v, -1);
    }
    assert_string_equal(e.msg, "option --n: must be a number of -1 to 10, not \"-2\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_one_option),
        cmocka_unit_test(flags_take_words_of_truth),
        cmocka_unit_test(lists_keep_their_order),
        cmocka_unit_test(options_behind_arguments),
        cmocka_unit_test(in_order_the_first_argument_ends_them),
        cmocka_unit_test(help_is_not_in_the_tables),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
