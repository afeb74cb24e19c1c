/* objects: common/err.o common/log.o sandbox/platform/fdbag.o sandbox/platform/messages.o */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox/platform/fdbag.h"
#include "sandbox/platform/messages.h"

enum { FIRST = 600 };

/* Puts n descriptors at FIRST and on; each is a file whose text is its number. */
static void open_them(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int p[2];
        assert_int_equal(pipe(p), 0);
        assert_int_equal(write(p[1], &i, sizeof(i)), sizeof(i));
        close(p[1]);
        assert_int_equal(dup2(p[0], FIRST + (int)i), FIRST + (int)i);
        close(p[0]);
    }
}

static void close_them(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(FIRST + (int)i);
}

static void they_come_out_in_order(void **state)
{
    static const unsigned sizes[] = {1, 2, MSG_FDS, MSG_FDS + 1, 3 * MSG_FDS, 200};
    int fds[FDBAG_MAX];

    (void)state;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        open_them(sizes[k]);
        int bag = fdbag_pack(FIRST, sizes[k]);
        assert_true(bag >= 0);
        close_them(sizes[k]);
        assert_int_equal(fdbag_unpack(bag, fds), sizes[k]);
        for (unsigned i = 0, got; i < sizes[k]; i++) {
            assert_int_equal(read(fds[i], &got, sizeof(got)), sizeof(got));
            assert_int_equal(got, i);
            assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
            close(fds[i]);
        }
        assert_int_equal(fdbag_unpack(bag, fds), 0);
        close(bag);
    }
}

static void what_can_not_be_packed(void **state)
{
    (void)state;
    open_them(2);
    assert_int_equal(fdbag_pack(FIRST, 3), -EBADF);
    assert_int_equal(fdbag_pack(FIRST, FDBAG_MAX + 1), -E2BIG);
    close_them(2);
}

/* A bag from elsewhere: more descriptors than it says, and no end. */
static void a_strange_bag(void **state)
{
    int s[2], fds[FDBAG_MAX];
    unsigned one = 1;

    (void)state;
    open_them(3);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s), 0);
    assert_int_equal(msg_send_fds(s[0], &one, sizeof(one), (int[]){FIRST, FIRST + 1, FIRST + 2}, 3), 0);
    assert_int_equal(fdbag_unpack(s[1], fds), 1);
    close(fds[0]);
    int next = dup(s[0]);
    assert_int_equal(send(s[0], "x", 1, 0), 1);
    assert_int_equal(fdbag_unpack(s[1], fds), 0);
    /* Nothing was kept open. */
    int after = dup(s[0]);
    assert_int_equal(after, next + 1);
    close(next);
    close(after);
    close(s[0]);
    close(s[1]);
    close_them(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_out_in_order),
        cmocka_unit_test(what_can_not_be_packed),
        cmocka_unit_test(a_strange_bag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
