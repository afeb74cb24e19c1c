/* objects: sandbox/keep/pseudo/pseudo*.o sandbox/keep/pseudo/cgroup*.o sandbox/keep/pseudo/procfs*.o sandbox/keep/pseudo/sysfs.o sandbox/keep/container/cgroup.o sandbox/keep/hostproc.o sandbox/keep/mm/maps.o sandbox/keep/strbuf.o sandbox/keep/idmap.o common/keyed.o common/log.o common/err.o */
/* The parts of /proc that turn text into text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/mm/foreign.h"
#include "sandbox/keep/fs/fs_struct.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/klog.h"
#include "sandbox/keep/ipc/mqueue.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/pseudo/pseudo_fs.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/keep/device/tty.h"

unsigned seccomp_count(const struct task *t)
{
    return t->seccomp_mode == 2;
}

/* A keep without guests
 * --------------------------------------------------------------------------------------- */

struct kernel kernel = {.procfd = -1};

void later_settle(void) {}

#define NOT_HERE(decl)                                                                                       \
    _Pragma("GCC diagnostic ignored \"-Wunused-parameter\"") decl                                            \
    {                                                                                                        \
        fail();                                                                                              \
        abort();                                                                                             \
    }
/* clang-format off */
NOT_HERE(bool capable(const struct task *t, int cap))
NOT_HERE(int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t n))
NOT_HERE(int poke_memory(struct task *who, uaddr_t at, const void *from, size_t n))
NOT_HERE(int foreign_begin(struct foreign *f, struct process *p, bool writes))
NOT_HERE(bool foreign_same(const struct foreign *f))
NOT_HERE(void foreign_end(struct foreign *f))
NOT_HERE(bool task_is_stopped(const struct task *t))
NOT_HERE(void sites_show_original(struct task *who, uaddr_t at, char *buf, size_t n))
NOT_HERE(int copy_to_user(struct task *t, uaddr_t dst, const void *src, size_t n))
NOT_HERE(ssize_t uio_put(struct uio *u, const void *src, size_t n))
NOT_HERE(ssize_t uio_get(struct uio *u, void *dst, size_t n))
NOT_HERE(struct dentry *dentry_get(struct dentry *d))
NOT_HERE(void dentry_put(struct dentry *d))
NOT_HERE(int dentry_mount_id(struct task *t, struct dentry *d))
NOT_HERE(int dentry_path(struct task *t, struct dentry *d, char *buf, size_t size))
NOT_HERE(int dentry_stat(struct task *t, struct dentry *d, struct stat *st))
NOT_HERE(int devpts_mount(struct container *c, const char *options, struct pnode **ret))
NOT_HERE(int mqueue_mount(struct container *c, const char *options, struct pnode **ret))
NOT_HERE(void fd_for_each(struct fdtable *ft, void (*fn)(int fd, struct file *f, bool cloexec, void *arg), void *arg))
NOT_HERE(struct fdtable *fdtable_get(struct fdtable *ft))
NOT_HERE(void fdtable_put(struct fdtable *ft))
NOT_HERE(struct file *fdtable_get_file(struct fdtable *ft, int fd))
NOT_HERE(void file_link_name(struct file *f, char *buf, size_t size))
NOT_HERE(struct file *file_new(const struct file_ops *ops, unsigned flags, unsigned kind, int hostfd, void *priv))
NOT_HERE(void file_put(struct file *f))
NOT_HERE(int file_reopen(struct task *t, struct file *f, int flags, struct file **ret))
NOT_HERE(long klog_read_once(struct task *t, uaddr_t buf, size_t len, bool nonblock))
NOT_HERE(struct dentry *fs_root(struct fs *fs))
NOT_HERE(void mount_ns_show(struct task *t, struct mount_ns *ns, struct dentry *top, struct strbuf *sb,
                            bool mountinfo))
NOT_HERE(struct process *process_get(struct process *p))
NOT_HERE(void process_put(struct process *p))
NOT_HERE(sigset64 task_mask(struct task *t))
NOT_HERE(struct task *task_get(struct task *t))
NOT_HERE(void task_put(struct task *t))
NOT_HERE(void sysv_show_msg(struct task *t, struct strbuf *sb))
NOT_HERE(void sysv_show_shm(struct task *t, struct strbuf *sb))
NOT_HERE(void sysv_show_sem(struct task *t, struct strbuf *sb))
NOT_HERE(unsigned tty_devnum(const struct tty *tty))
NOT_HERE(pid_t tty_foreground(const struct tty *tty))
/* clang-format on */

struct task *task_by_host_tid(pid_t host_tid)
{
    (void)host_tid;
    return NULL;
}

struct task *task_by_tid(const struct pid_ns *ns, pid_t tid)
{
    (void)ns;
    (void)tid;
    return NULL;
}

struct process *process_by_pid(const struct pid_ns *ns, pid_t pid)
{
    (void)ns;
    (void)pid;
    return NULL;
}

void vfs_assume_self(void) {}
void quiet_await(struct task *t)
{
    (void)t;
}
void quiet_await_pid(const struct task *t, pid_t pid)
{
    (void)t;
    (void)pid;
}
void unheard_find_all(void) {}

void quiet_await_all(const struct container *c)
{
    (void)c;
}
struct pid_ns *pid_ns_get(struct pid_ns *ns)
{
    return ns;
}

void pid_ns_put(struct pid_ns *ns)
{
    (void)ns;
}

static void strbuf_grows(void **state)
{
    (void)state;
    _cleanup_sb_ struct strbuf sb = {0};
    char word[400];
    memset(word, 'x', sizeof(word) - 1);
    word[sizeof(word) - 1] = 0;
    for (int i = 0; i < 100; i++)
        sb_printf(&sb, "%s,", word);
    assert_false(sb.failed);
    assert_int_equal(sb.len, 100 * sizeof(word));
    assert_int_equal(strlen(sb.s), sb.len);
}

static void numbers_are_strict(void **state)
{
    (void)state;
    unsigned long v = 7;
    assert_true(proc_number("0", 10, &v));
    assert_int_equal(v, 0);
    assert_true(proc_number("10", 10, &v));
    assert_int_equal(v, 10);
    const char *const bad[] = {"", "11", "01", "-1", "+1", " 1", "1 ", "1x", "99999999999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(proc_number(bad[i], 10, &v));
}

static void stat_with_odd_name(void **state)
{
    (void)state;
    struct host_stat hs;
    assert_true(host_stat_parse(
        "12 (a) R 1 (b) S 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 "
        "29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52\n",
        &hs));
    assert_int_equal(hs.f[3], 'S');
    assert_int_equal(hs.f[4], 3);
    assert_false(host_stat_parse("nonsense", &hs));
    assert_false(host_stat_parse("1 (x)", &hs));
    assert_false(host_stat_parse("1 (x) R a b", &hs));
}

static void maps_without_the_gate(void **state)
{
    (void)state;
    static const char host[] =
        "00020000-00030000 r-xp 00000000 00:01 9                                  /memfd:gate (deleted)\n"
        "Size:                 64 kB\n"
        "00400000-00401000 r-xp 00000000 fe:00 5                                  /bin/a b\n"
        "Size:                  4 kB\n"
        "555500000000-555500021000 rw-p 00000000 00:00 0 \n"
        "7ffff000000-7ffff021000 rw-p 00000000 00:00 0                            [stack]\n";
    _cleanup_sb_ struct strbuf out = {0};
    proc_maps_filter(host, 0x555500000000, &out);
    assert_string_equal(out.s,
                        "00400000-00401000 r-xp 00000000 fe:00 5                                  /bin/a b\n"
                        "Size:                  4 kB\n"
                        "555500000000-555500021000 rw-p 00000000 00:00 0                          [heap]\n"
                        "7ffff000000-7ffff021000 rw-p 00000000 00:00 0                            [stack]\n");
}

/* Directories ----------------------------------------------------------------------------------------------
 */

struct names {
    struct dir_context ctx;
    struct strbuf sb;
    int room;
};

static int take(struct dir_context *ctx, const char *name, uint64_t ino, unsigned char type, int64_t off)
{
    struct names *n = (struct names *)ctx;
    assert_true(ino != 0);
    assert_true(off > 2);
    (void)type;
    if (n->room-- == 0)
        return -EINVAL;
    sb_printf(&n->sb, "%s ", name);
    return 0;
}

static void list_all(struct pnode *dir, int chunk, struct strbuf *ret)
{
    off_t pos = 2;
    struct names n = {.ctx = {.emit = take}};
    do
        n.room = chunk;
    while (dir->ops->iterate(NULL, dir, &pos, &n.ctx) == 1);
    *ret = n.sb;
}

/* However small the buffer is, every name comes once; and what is listed can be looked up. */
static void check_dir(struct pnode *dir, unsigned depth)
{
    _cleanup_sb_ struct strbuf one = {0}, all = {0};
    list_all(dir, 1, &one);
    list_all(dir, 1000000, &all);
    if (!all.s)
        return;
    assert_string_equal(one.s, all.s);
    char *save;
    for (char *name = strtok_r(all.s, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
        struct pnode *n = NULL;
        assert_int_equal(dir->ops->lookup(NULL, dir, name, &n), 0);
        assert_true(n->ino == pnode_child_ino(dir, name));
        if (S_ISDIR(n->mode) && depth < 12)
            check_dir(n, depth + 1);
        pnode_put(n);
    }
    struct pnode *n = NULL;
    assert_int_equal(dir->ops->lookup(NULL, dir, "no such name", &n), -ENOENT);
}

static struct pid_ns pids = {.refs = 1};
static struct container container = {.pids = &pids};

static void trees_are_whole(void **state)
{
    (void)state;
    static const char *const types[] = {"sysfs", "devtmpfs", "cgroup", "cgroup2"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        const struct pseudo_fs *fs = pseudo_fs_find(&container, types[i], "");
        assert_non_null(fs);
        struct pnode *root = NULL;
        assert_int_equal(fs->mount(&container, "", &root), 0);
        check_dir(root, 0);
        pnode_put(root);
    }
    assert_null(pseudo_fs_find(&container, "ext4", ""));
}

static void proc_root_is_whole(void **state)
{
    (void)state;
    struct pnode *root = NULL;
    assert_int_equal(procfs_mount(&container, "", &root), 0);
    check_dir(root, 0);
    struct pnode *n = NULL;
    assert_int_equal(root->ops->lookup(NULL, root, "1", &n), -ENOENT);
    pnode_put(root);
}

/* sysctl ---------------------------------------------------------------------------------------------------
 */

static struct pnode *walk(const char *path)
{
    struct pnode *at = NULL;
    assert_int_equal(procfs_mount(&container, "", &at), 0);
    char copy[128], *save;
    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
        struct pnode *next = NULL;
        assert_int_equal(at->ops->lookup(NULL, at, name, &next), 0);
        pnode_put(at);
        at = next;
    }
    return at;
}

static void expect_text(const char *path, const char *text)
{
    _cleanup_sb_ struct strbuf sb = {0};
    struct pnode *n = walk(path);
    assert_int_equal(n->ops->show(NULL, n, &sb), 0);
    assert_string_equal(sb.s, text);
    pnode_put(n);
}

static void expect_write(const char *path, const char *text, long result)
{
    struct pnode *n = walk(path);
    assert_int_equal(n->ops->write(NULL, n, text, strlen(text), 0), result);
    pnode_put(n);
}

static void sysctls_are_checked(void **state)
{
    (void)state;
    expect_text("sys/vm/overcommit_memory", "0\n");
    expect_write("sys/vm/overcommit_memory", "1\n", 2);
    expect_text("sys/vm/overcommit_memory", "1\n");
    expect_write("sys/vm/overcommit_memory", "3\n", -EINVAL);
    expect_write("sys/vm/overcommit_memory", "x\n", -EINVAL);
    expect_write("sys/vm/overcommit_memory", "1 2\n", -EINVAL);
    expect_text("sys/net/ipv4/ip_local_port_range", "1024\t2048\n");
    expect_write("sys/net/ipv4/ip_local_port_range", "5000\n", 5);
    expect_text("sys/net/ipv4/ip_local_port_range", "5000\t2048\n");
    expect_write("sys/kernel/cap_last_cap", "1\n", -EACCES);
}

static int start(void **state)
{
    (void)state;
    static char range[] = "net.ipv4.ip_local_port_range=1024 2048";
    static char *const sysctl[] = {range, NULL};
    static const struct keep_boot boot = {.sysctl = sysctl};
    return procfs_init(&boot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strbuf_grows),        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(stat_with_odd_name),  cmocka_unit_test(maps_without_the_gate),
        cmocka_unit_test(trees_are_whole),     cmocka_unit_test(proc_root_is_whole),
        cmocka_unit_test(sysctls_are_checked),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
