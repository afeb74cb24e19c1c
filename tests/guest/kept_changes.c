/* A file that is kept for its next open (kept_opens.c), while another process does something to it, to its
 * path, or looks at what is open.
 *
 * Also run with: --lanes=off */
#include <grp.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#include "tests/guest/kept.h"
#include "tests/guest/steps.h"

static struct shared {
    struct steps steps;
    int stat_first, fd;
    uid_t uid;
    struct seen seen;
} * sh;

static void pause_at(int step)
{
    steps_pause_at(&sh->steps, step);
}

static void await(int step)
{
    steps_await(&sh->steps, step);
}

static pid_t start(void (*fn)(void), uid_t uid, int stat_first)
{
    memset(sh, 0, sizeof(*sh));
    sh->uid = uid;
    sh->stat_first = stat_first;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    await(1);
    return pid;
}

static void go_on(int step)
{
    steps_go_on(&sh->steps, step);
    await(step + 1);
}

static void finish(pid_t pid)
{
    int status;

    steps_go_on(&sh->steps, 100);
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
}

static void see(void)
{
    if (sh->stat_first)
        see_stat(&sh->seen, PATH);
    see_open(&sh->seen, PATH);
    if (!sh->stat_first)
        see_stat(&sh->seen, PATH);
}

static void opener(void)
{
    if (sh->uid)
        MUST(setgroups(0, NULL) == 0 && setresgid(sh->uid, sh->uid, sh->uid) == 0 &&
             setresuid(sh->uid, sh->uid, sh->uid) == 0);
    sh->fd = warm(PATH);
    pause_at(1);
    see();
    pause_at(2);
}

static bool has(const char *text)
{
    return sh->seen.open_errno == 0 && sh->seen.stat_errno == 0 && strcmp(sh->seen.text, text) == 0 &&
           sh->seen.open_ino == sh->seen.ino && sh->seen.fd == sh->fd && sh->seen.at == 0;
}

static bool fails(int err)
{
    return sh->seen.open_errno == err && sh->seen.stat_errno == err;
}

static void nothing(void) {}

static void rename_over(void)
{
    put(TOP "/new", "new");
    MUST(rename(TOP "/new", REAL) == 0);
}

static void remove_it(void)
{
    MUST(unlink(REAL) == 0);
}

static void make_again(void)
{
    remove_it();
    put(REAL, "again");
}

static void swap_link(void)
{
    MUST(symlink("other", TOP "/tmp") == 0 && rename(TOP "/tmp", TOP "/link") == 0);
}

static void remove_link(void)
{
    MUST(unlink(TOP "/link") == 0);
}

static void move_parent(void)
{
    MUST(rename(TOP "/a/b", TOP "/a/c") == 0);
}

static void move_top(void)
{
    MUST(rename(TOP, TOP ".moved") == 0 && mkdir(TOP, 0755) == 0);
}

static void swap_parent(void)
{
    move_parent();
    MUST(rename(TOP "/other/b", TOP "/a/b") == 0);
}

static void shut_parent(void)
{
    MUST(chmod(TOP "/a", 0700) == 0);
}

static void shut_file(void)
{
    MUST(chmod(REAL, 0600) == 0);
}

static void give_file(void)
{
    MUST(chown(REAL, 77, 77) == 0);
}

static void cut_file(void)
{
    MUST(truncate(REAL, 1) == 0);
}

static void write_file(void)
{
    int fd = open(REAL, O_WRONLY);
    MUST(fd >= 0 && pwrite(fd, "written", 7, 0) == 7 && close(fd) == 0);
}

static void date_file(void)
{
    const struct timespec ts[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
    MUST(utimensat(AT_FDCWD, REAL, ts, 0) == 0);
}

static void link_and_move(void)
{
    MUST(link(REAL, TOP "/second") == 0 && unlink(REAL) == 0 && rename(TOP "/other/b/file", REAL) == 0);
}

static void replace_by_directory(void)
{
    remove_it();
    MUST(mkdir(REAL, 0755) == 0);
}

static bool is_old(void)
{
    return has("old") && sh->seen.mode == 0644;
}

static bool is_new(void)
{
    return has("new");
}

static bool is_missing(void)
{
    return fails(ENOENT);
}

static bool is_again(void)
{
    return has("again");
}

static bool is_other(void)
{
    return has("other");
}

static bool is_shut(void)
{
    return fails(EACCES);
}

static bool is_secret(void)
{
    return sh->seen.stat_errno == 0 && sh->seen.mode == 0600 && sh->seen.open_errno == EACCES;
}

static bool is_given(void)
{
    return has("old") && sh->seen.uid == 77;
}

static bool is_cut(void)
{
    return has("o") && sh->seen.size == 1;
}

static bool is_written(void)
{
    return has("written") && sh->seen.size == 7;
}

static bool is_dated(void)
{
    return has("old") && sh->seen.mtime == 2000;
}

static bool is_directory(void)
{
    return sh->seen.stat_errno == 0 && sh->seen.mode == 0755 && sh->seen.fd == sh->fd &&
           sh->seen.read_errno == EISDIR;
}

static const struct {
    const char *label;
    void (*change)(void);
    bool (*is_right)(void);
    uid_t uid;
} changes[] = {
    {"nothing", nothing, is_old, 0},
    {"another file by its name", rename_over, is_new, 0},
    {"removed", remove_it, is_missing, 0},
    {"made again", make_again, is_again, 0},
    {"a link on the way, changed", swap_link, is_other, 0},
    {"and removed", remove_link, is_missing, 0},
    {"its directory is moved", move_parent, is_missing, 0},
    {"and another in its place", swap_parent, is_other, 0},
    {"the directory above all", move_top, is_missing, 0},
    {"a directory that is shut", shut_parent, is_shut, 1000},
    {"the file's mode", shut_file, is_secret, 1000},
    {"its owner", give_file, is_given, 0},
    {"its size", cut_file, is_cut, 0},
    {"its bytes", write_file, is_written, 0},
    {"its times", date_file, is_dated, 0},
    {"its names", link_and_move, is_other, 0},
    {"a directory in its place", replace_by_directory, is_directory, 0},
};

static void test_changes(void)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        int wrong = 0;
        for (int stat_first = 0; stat_first < 2; stat_first++) {
            MUST(system("rm -rf " TOP ".moved") == 0);
            make_tree();
            pid_t pid = start(opener, changes[i].uid, stat_first);
            changes[i].change();
            go_on(1);
            wrong += !changes[i].is_right();
            finish(pid);
        }
        CHECK(changes[i].label, wrong == 0);
    }
}

/* What others see */

static bool shows(pid_t pid, int fd)
{
    char path[64], to[64] = "";

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
    return readlink(path, to, sizeof(to) - 1) > 0;
}

static void holder(void)
{
    sh->fd = warm(PATH);
    pause_at(1);
    int fd = open(PATH, FLAGS);
    MUST(fd == sh->fd);
    pause_at(2);
    MUST(close(fd) == 0);
    pause_at(3);
    see();
    pause_at(4);
}

static void test_shown(void)
{
    make_tree();
    pid_t pid = start(holder, 0, 0);
    bool before = shows(pid, sh->fd);
    go_on(1);
    bool open = shows(pid, sh->fd);
    go_on(2);
    bool after = shows(pid, sh->fd);
    go_on(3);
    CHECK("shown while it is open", !before && open && !after && is_old());
    finish(pid);
    pid = start(holder, 0, 0); /* looked at only while it is open */
    go_on(1);
    open = shows(pid, sh->fd);
    go_on(2);
    go_on(3);
    CHECK("and used after that", open && is_old());
    finish(pid);
}

#define BIG (4 << 20)
#define LARGE "/dev/shm/kept"

static void large_opener(void)
{
    warm(LARGE);
    pause_at(1);
    pause_at(2);
}

static void test_space(void)
{
    struct statfs before, after;
    int fd = open(LARGE, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    MUST(fd >= 0 && posix_fallocate(fd, 0, BIG) == 0 && close(fd) == 0);
    pid_t pid = start(large_opener, 0, 0);
    MUST(statfs("/dev/shm", &before) == 0 && unlink(LARGE) == 0 && statfs("/dev/shm", &after) == 0);
    CHECK("the space of what is removed", (long)(after.f_bfree - before.f_bfree) * 4096 >= BIG);
    finish(pid);
}

static void test_watched(void)
{
    char events[4096];
    int wrong = 0, in;

    make_tree();
    pid_t pid = start(opener, 0, 0);
    MUST((in = inotify_init1(IN_NONBLOCK)) >= 0);
    MUST(inotify_add_watch(in, REAL, IN_OPEN | IN_CLOSE_NOWRITE) >= 0);
    wrong += read(in, events, sizeof(events)) != -1;
    go_on(1);
    ssize_t n = read(in, events, sizeof(events));
    wrong +=
        n < 2 * (ssize_t)sizeof(struct inotify_event) || ((struct inotify_event *)events)->mask != IN_OPEN;
    CHECK("watched", wrong == 0 && is_old());
    finish(pid);
    close(in);
}

static void test_limit(void)
{
    pid_t pid = start(opener, 0, 0);
    struct rlimit few = {(rlim_t)sh->fd, (rlim_t)sh->fd};

    MUST(prlimit(pid, RLIMIT_NOFILE, &few, NULL) == 0);
    go_on(1);
    CHECK("a limit", sh->seen.open_errno == EMFILE && sh->seen.stat_errno == 0);
    finish(pid);
}

int main(void)
{
    sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(sh != MAP_FAILED);
    test_changes();
    test_shown();
    test_space();
    test_watched();
    make_tree();
    test_limit();
    MUST(system("rm -rf " TOP) == 0);
    return check_failures != 0;
}
