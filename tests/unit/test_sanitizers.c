// objects: common/*.o sandbox/platform/keep_filter.o
/* A sanitized keep (`make fuzz`) says what it has done wrong, and where: its filter lets the report out. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "sandbox/platform/keep_filter.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static char report[65536];

static char *volatile gone;

static void read_freed(void)
{
    gone = malloc(8);
    free(gone);
    _exit(*(volatile char *)gone);
}

static void overflow(void)
{
    volatile int most = INT_MAX;

    most = most + 1;
}

/* What a confined child says of what it does, and how it ends. */
static int reported(void (*wrong)(void))
{
    int ends[2], status;
    size_t n = 0;
    ssize_t some;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(ends[1], 2) < 0 || close(ends[0]) < 0 || keep_confine() < 0)
            _exit(99);
        wrong();
        _exit(0);
    }
    close(ends[1]);
    while (n < sizeof(report) - 1 && (some = read(ends[0], report + n, sizeof(report) - 1 - n)) > 0)
        n += (size_t)some;
    report[n] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_reported(void (*wrong)(void), const char *title)
{
    int status = reported(wrong);
    assert_non_null(strstr(report, title));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 99);
}

static void test_addresses(void **state)
{
    (void)state;
    test_reported(read_freed, "AddressSanitizer: heap-use-after-free");
    assert_non_null(strstr(report, "#1 0x"));
    assert_non_null(strstr(report, "ABORTING"));
}

static void test_undefined(void **state)
{
    (void)state;
    test_reported(overflow, "runtime error: signed integer overflow");
}

/* Nobody reports anything in a build without them. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_undefined),
    };
    return SANITIZED ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
