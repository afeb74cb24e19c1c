/* objects: sandbox/keep/fs/fdtable.o sandbox/keep/lanes/lanes.o */
/* Descriptor tables: numbers, copies, limits, and what they tell the guest's own table (lanes). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "sandbox/keep/events/epoll.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/fdtable_internal.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define DEAD 777

struct kernel kernel = {.dead_fd = DEAD};

static struct process process;
static struct task task = {.process = &process};
/* Of calls with a notification, and without one. */
static struct sysargs args = {.listener = (struct listener *)&args}, bare;
static int added_fd, added_at, adds, closed, add_result;

int epoll_yield(struct file *f)
{
    atomic_store(&f->laned, true);
    return 0;
}

bool fast_is_possible(const struct task *t)
{
    (void)t;
    return true;
}

const struct file_ops sock_ops;

void fast_lane_set(struct task *t, unsigned fd, enum fast_lane what)
{
    (void)t;
    (void)fd;
    (void)what;
}

bool fast_is_alone(const struct task *t)
{
    (void)t;
    return true;
}

static int allowed_at;

void later_allow(struct task *t, unsigned fd, const struct file *f)
{
    (void)t;
    (void)f;
    allowed_at = (int)fd;
}

void later_sends(struct task *t, unsigned fd, const struct file *f)
{
    (void)t;
    (void)fd;
    (void)f;
}

void kept_installed(struct task *t, int fd)
{
    (void)t;
    (void)fd;
}

bool kept_opened(struct task *t, const struct sysargs *a, int fd, struct file *f, bool cloexec)
{
    (void)t;
    (void)a;
    (void)fd;
    (void)f;
    (void)cloexec;
    return false;
}

bool kept_serves(struct task *t, int fd)
{
    (void)t;
    (void)fd;
    return false;
}

void kept_off(struct task *t)
{
    (void)t;
}

void later_changes(struct task *t)
{
    (void)t;
}

bool later_may_be_fresh(struct task *t, struct file *f)
{
    (void)t;
    (void)f;
    return false;
}

void later_fresh(struct task *t, unsigned fd, struct file *f)
{
    (void)t;
    (void)fd;
    (void)f;
}

void later_forbid(struct task *t, unsigned fd)
{
    (void)t;
    if (allowed_at == (int)fd)
        allowed_at = -1;
}

/* Nothing is ever left to a guest here (guest/left_sockets). */
int left_begin(struct task *t, struct fdtable *ft, unsigned fd, struct file *f, int users)
{
    (void)t;
    (void)ft;
    (void)fd;
    (void)f;
    (void)users;
    return -1;
}

void left_over(struct fdtable *ft, unsigned fd, int hostfd)
{
    (void)ft;
    (void)fd;
    assert_int_equal(hostfd, -1);
}

void left_undo(struct file *f, int hostfd)
{
    (void)f;
    assert_int_equal(hostfd, -1);
}

bool left_fetch(struct fdtable *ft, unsigned fd)
{
    return !ft->slots[fd].file->left_to;
}

void left_fetch_all(struct fdtable *ft)
{
    (void)ft;
}

void left_forget(struct fdtable *ft)
{
    (void)ft;
}

void fast_polls_off(struct task *t)
{
    (void)t;
}

bool fast_lane_is_set(struct task *t, unsigned fd)
{
    (void)t;
    (void)fd;
    return false;
}

void fast_lane_clear(struct task *t, unsigned fd)
{
    (void)t;
    (void)fd;
}

void fast_lane_renew(struct task *t, unsigned fd, enum fast_lane what)
{
    (void)t;
    (void)fd;
    (void)what;
}

static bool opens_pay;

bool fast_opens_pay(struct task *t, unsigned times)
{
    (void)times;
    (void)t;
    return opens_pay;
}

bool fast_opened(struct task *t, bool may)
{
    (void)may;
    (void)t;
    return opens_pay;
}

void fast_used(struct task *t)
{
    (void)t;
}

static bool in_host;

bool host_proc_has_fd(pid_t tid, unsigned fd)
{
    (void)tid;
    (void)fd;
    return in_host;
}

int syscall_answer_fd(struct task *t, const struct sysargs *a, int fd, int at)
{
    (void)t;
    return notif_addfd(a, fd, at) < 0 ? -EBADF : 0;
}

int notif_addfd(const struct sysargs *a, int fd, int at)
{
    (void)a;
    added_fd = fd;
    added_at = at;
    adds++;
    return add_result < 0 ? add_result : at;
}

struct file *file_get(struct file *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void file_put(struct file *f)
{
    atomic_fetch_sub(&f->refs, 1);
}

void file_closed(struct fdtable *ft, struct file *f)
{
    (void)ft;
    closed++;
    file_put(f);
}

static struct file regular(int hostfd)
{
    return (struct file){.refs = 1, .kind = FILE_LANE | FILE_SEEKABLE, .hostfd = hostfd, .lanefd = -1};
}

static int setup(void **state)
{
    (void)state;
    process.rlim[RLIMIT_NOFILE].rlim_cur = 100;
    task.fdt = fdtable_new();
    adds = closed = add_result = 0;
    return task.fdt ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    fdtable_put(task.fdt);
    return 0;
}

static void lowest_number(void **state)
{
    (void)state;
    struct file f = regular(5);
    bool native = false;
    for (int i = 0; i < 10; i++)
        assert_int_equal(fd_install(&task, file_get(&f), false, 0), i);
    assert_int_equal(fd_close(&task, &args, 4, &native), 0);
    assert_int_equal(fd_close(&task, &args, 2, &native), 0);
    assert_int_equal(fd_install(&task, file_get(&f), false, 3), 4);
    assert_int_equal(fd_install(&task, file_get(&f), false, 0), 2);
    assert_int_equal(fd_install(&task, file_get(&f), false, 0), 10);
    assert_int_equal(fd_install(&task, file_get(&f), false, 70), 70);
    assert_int_equal(fd_install(&task, file_get(&f), false, 0), 11);
    assert_int_equal(fd_close(&task, &args, 50, &native), -EBADF);
    assert_int_equal(fd_close(&task, &args, -1, &native), -EBADF);
    assert_int_equal(fd_close(&task, &args, 1 << 30, &native), -EBADF);
    assert_false(native);
}

static void limits(void **state)
{
    (void)state;
    struct file f = regular(5);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fd_install(&task, file_get(&f), false, 0), i);
    assert_int_equal(fd_install(&task, &f, false, 0), -EMFILE);
    assert_int_equal(atomic_load(&f.refs), 101);
    assert_int_equal(fd_return(&task, file_get(&f), false), -EMFILE);
    assert_int_equal(atomic_load(&f.refs), 101);
    assert_int_equal(fd_install_at(&task, &f, false, 100, &args), -EBADF);
    assert_int_equal(fd_install_at(&task, &f, false, -1, &args), -EBADF);
}

static void copies(void **state)
{
    (void)state;
    struct file f = regular(5), g = regular(6);
    fd_install(&task, file_get(&f), true, 0);
    fd_install(&task, file_get(&g), false, 0);
    struct fdtable *copy = fdtable_dup(task.fdt), *own = task.fdt;
    assert_int_equal(atomic_load(&f.refs), 3);
    task.fdt = copy;
    assert_int_equal(fd_cloexec(&task, 0, -1), 1);
    assert_int_equal(fd_cloexec(&task, 1, -1), 0);
    fdtable_close_on_exec(copy);
    assert_null(fd_get(&task, 0));
    struct file *got = fd_get(&task, 1);
    assert_ptr_equal(got, &g);
    file_put(got);
    task.fdt = own;
    fdtable_put(copy);
    assert_int_equal(atomic_load(&f.refs), 2);
    assert_int_equal(closed, 2);
}

static void path_files(void **state)
{
    (void)state;
    struct file f = regular(5);
    f.flags = O_PATH;
    int fd = fd_install(&task, file_get(&f), false, 0);
    assert_null(fd_get(&task, fd));
    assert_ptr_equal(fd_get_path(&task, fd), &f);
}

static void lanes(void **state)
{
    (void)state;
    struct file f = regular(5), g = regular(6);
    bool native = false;
    int fd = fd_install(&task, file_get(&f), false, 0);
    assert_int_equal(lane_donate(&task, &args, fd, &g), -EBADF); /* replaced meanwhile */
    assert_int_equal(lane_donate(&task, &args, fd, &f), 0);
    assert_int_equal(lane_donate(&task, &args, fd, &f), 0);
    assert_int_equal(adds, 1);
    assert_int_equal(added_fd, 5);
    assert_true(lane_is(&task, fd));
    /* dup2 over it takes it out of the guest. */
    assert_int_equal(fd_install_at(&task, file_get(&g), false, fd, &args), fd);
    assert_int_equal(added_fd, DEAD);
    assert_false(lane_is(&task, fd));
    assert_int_equal(lane_donate(&task, &args, fd, &g), 0);
    assert_int_equal(added_fd, 6);
    assert_int_equal(fd_close(&task, &args, fd, &native), 0);
    assert_true(native);
}

static void lanes_of_threads(void **state)
{
    (void)state;
    struct file f = regular(5);
    bool native = false;
    int fd = fd_install(&task, file_get(&f), false, 0);
    assert_int_equal(lane_donate(&task, &args, fd, &f), 0);
    fdtable_get(task.fdt); /* another thread */
    struct fdtable *copy = fdtable_dup(task.fdt), *own = task.fdt;
    assert_int_equal(fd_close(&task, &args, fd, &native), 0);
    assert_true(native);
    /* Its number is no lane's before the host has closed it. */
    adds = 0;
    in_host = true;
    assert_int_equal(fd_install(&task, file_get(&f), false, 0), fd);
    assert_int_equal(lane_donate(&task, &args, fd, &f), -EBUSY);
    assert_int_equal(adds, 0);
    in_host = false;
    assert_int_equal(lane_donate(&task, &args, fd, &f), 0);
    assert_int_equal(adds, 1);
    /* One of many. */
    assert_false(fd_close_range(&task, &args, (unsigned)fd, (unsigned)fd + 1, false));
    assert_int_equal(added_fd, DEAD);
    /* Nobody knows what the child got natively. */
    task.fdt = copy;
    assert_false(lane_is(&task, fd));
    adds = 0;
    assert_int_equal(lane_donate(&task, &args, fd, &f), 0);
    assert_int_equal(adds, 1);
    fdtable_put(copy);
    task.fdt = own;
    fdtable_put(own);
}

static void lane_refused(void **state)
{
    (void)state;
    struct file f = regular(5);
    int fd = fd_install(&task, file_get(&f), false, 0);
    add_result = -ESRCH;
    assert_int_equal(lane_donate(&task, &args, fd, &f), -ESRCH);
    assert_false(lane_is(&task, fd));
    assert_false(lane_ready(&task, &args, fd, &f, 1 << 20));
    add_result = 0;
    assert_true(lane_ready(&task, &args, fd, &f, 1 << 20));
}

static void without_notification(void **state)
{
    (void)state;
    struct file f = regular(5);
    bool native = false;
    int fd = fd_install(&task, file_get(&f), false, 0);
    adds = 0;
    assert_true(lane_ready(&task, &bare, fd, &f, 1 << 20)); /* a notification is to come */
    assert_int_equal(adds, 0);
    assert_int_equal(lane_donate(&task, &args, fd, &f), 0);
    struct fdtable *own = fdtable_get(task.fdt);
    assert_int_equal(fd_close(&task, &bare, fd, &native), -ERESTARTNOINTR);
    assert_true(lane_is(&task, fd));
    fdtable_put(own);
    assert_int_equal(fd_close(&task, &bare, fd, &native), 0);
    assert_true(native);
}

static void lanes_at_open(void **state)
{
    (void)state;
    struct file f = regular(5), plain = regular(6);
    plain.kind |= FILE_PLAIN;
    opens_pay = true;
    assert_int_equal(fd_return_lane(&task, &args, file_get(&f), false), 0);
    assert_false(lane_is(&task, 0));
    assert_int_equal(fd_return_lane(&task, &args, file_get(&plain), true), SYS_NOANSWER);
    assert_true(lane_is(&task, 1));
    assert_int_equal(fd_cloexec(&task, 1, -1), 1);
    assert_int_equal(added_fd, 6);
    assert_int_equal(added_at, 1);
    add_result = -ENOENT; /* the call is answered as ever */
    assert_int_equal(fd_return_lane(&task, &args, file_get(&plain), false), 2);
    assert_false(lane_is(&task, 2));
    add_result = 0;
    struct fdtable *other = fdtable_get(task.fdt);
    assert_int_equal(fd_return_lane(&task, &args, file_get(&plain), false), 3);
    assert_false(lane_is(&task, 3));
    fdtable_put(other);
    opens_pay = false;
    assert_int_equal(fd_return_lane(&task, &args, file_get(&plain), false), 4);
    assert_false(lane_is(&task, 4));
    assert_int_equal(adds, 2);
}

/* By the host already, as the gate has noted. */
static void closed_before(void **state)
{
    (void)state;
    struct file plain = regular(6), f = regular(5);
    bool native = false;
    plain.kind |= FILE_PLAIN;
    int fd = fd_install(&task, file_get(&plain), false, 0), other = fd_install(&task, file_get(&f), false, 0);
    allowed_at = -1;
    assert_null(fdtable_closed(task.fdt, (unsigned)fd)); /* the host has none there */
    assert_true(lane_ready(&task, &args, fd, &plain, 1 << 20));
    assert_int_equal(allowed_at, fd);
    assert_int_equal(lane_donate(&task, &args, other, &f), 0);
    assert_null(fdtable_closed(task.fdt, (unsigned)other));
    assert_null(fdtable_closed(task.fdt, 1000));
    assert_ptr_equal(fdtable_closed(task.fdt, (unsigned)fd), &plain);
    assert_null(fdtable_closed(task.fdt, (unsigned)fd));
    assert_int_equal(fd_install(&task, file_get(&plain), false, 0), fd);
    assert_false(lane_is(&task, fd));
    assert_true(lane_ready(&task, &args, fd, &plain, 1 << 20));
    assert_int_equal(fd_close(&task, &args, fd, &native), 0);
    assert_int_equal(allowed_at, -1);
    fd_install(&task, file_get(&plain), false, 0);
    assert_true(lane_ready(&task, &args, fd, &plain, 1 << 20));
    assert_int_equal(fd_install_at(&task, file_get(&f), false, fd, &args), fd);
    assert_int_equal(allowed_at, -1);
    fdtable_note_locks(task.fdt);
    assert_true(lane_ready(&task, &args, fd, &f, 1 << 20));
    assert_null(fdtable_closed(task.fdt, (unsigned)fd));
}

static void ranges(void **state)
{
    (void)state;
    struct file f = regular(5);
    for (int i = 0; i < 20; i++)
        fd_install(&task, file_get(&f), false, 0);
    assert_false(fd_close_range(&task, &args, 5, 9, true));
    assert_int_equal(fd_cloexec(&task, 9, -1), 1);
    assert_int_equal(fd_cloexec(&task, 10, -1), 0);
    assert_int_equal(lane_donate(&task, &args, 12, &f), 0);
    assert_true(fd_close_range(&task, &args, 3, ~0U, false));
    assert_int_equal(closed, 17);
    assert_int_equal(fd_install(&task, file_get(&f), false, 0), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lowest_number, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(copies, setup, teardown),
        cmocka_unit_test_setup_teardown(path_files, setup, teardown),
        cmocka_unit_test_setup_teardown(lanes, setup, teardown),
        cmocka_unit_test_setup_teardown(lanes_of_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(lane_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(without_notification, setup, teardown),
        cmocka_unit_test_setup_teardown(lanes_at_open, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_before, setup, teardown),
        cmocka_unit_test_setup_teardown(ranges, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
