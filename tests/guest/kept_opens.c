/* A file that is opened, used and closed again and again may be kept for the next time, and its status told,
 * without asking anybody, as long as nobody can tell: whatever is done to it, to its path, to the process or
 * its descriptors counts from the next call on.
 *
 * Also run with: --lanes=off */
#include <dirent.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>

#include "tests/guest/check.h"
#include "tests/guest/steps.h"

#define OFTEN 150
#define TOP "/tmp/kept"
#define PATH TOP "/link/b/file"
#define REAL TOP "/a/b/file"
#define FLAGS (O_RDONLY | O_NONBLOCK)

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void make_tree(void)
{
    MUST(system("rm -rf " TOP "; mkdir -p " TOP "/a/b " TOP "/other/b") == 0);
    MUST(symlink("a", TOP "/link") == 0);
    put(REAL, "old");
    put(TOP "/other/b/file", "other");
    MUST(chmod(TOP, 0755) == 0);
}

/* What one finds. */
struct seen {
    int stat_errno, open_errno, read_errno, fd;
    char text[8];
    mode_t mode;
    off_t size, at;
    ino_t ino, open_ino;
    uid_t uid;
    long mtime;
};

static void see_open(struct seen *s, const char *path)
{
    struct stat st;

    memset(s->text, 0, sizeof(s->text));
    errno = 0;
    s->fd = open(path, FLAGS);
    s->open_errno = errno;
    if (s->fd < 0)
        return;
    s->at = lseek(s->fd, 0, SEEK_CUR);
    errno = 0;
    (void)!read(s->fd, s->text, sizeof(s->text) - 1);
    s->read_errno = errno;
    MUST(fstat(s->fd, &st) == 0 && close(s->fd) == 0);
    s->open_ino = st.st_ino;
}

static void see_stat(struct seen *s, const char *path)
{
    struct stat st = {0};

    errno = 0;
    s->stat_errno = stat(path, &st) == 0 ? 0 : errno;
    s->mode = st.st_mode & 07777;
    s->size = st.st_size;
    s->ino = st.st_ino;
    s->uid = st.st_uid;
    s->mtime = (long)st.st_mtime;
}

/* All instructions are hot from then on, and the file is one of those. Returns its number. */
static int warm(const char *path)
{
    struct seen s;

    for (int i = 0; i < OFTEN; i++) {
        see_stat(&s, path);
        see_open(&s, path);
        MUST(s.stat_errno == 0 && s.open_errno == 0 && s.at == 0 && s.open_ino == s.ino);
    }
    return s.fd;
}

/* Two processes --------------------------------------------------------------------------------------------
 */

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

/* The process itself ---------------------------------------------------------------------------------------
 */

static bool is_closed(int fd)
{
    struct stat st;
    char c;

    return read(fd, &c, 1) == -1 && errno == EBADF && pread(fd, &c, 1, 0) == -1 && errno == EBADF &&
           fstat(fd, &st) == -1 && errno == EBADF && lseek(fd, 0, SEEK_CUR) == -1 && errno == EBADF &&
           close(fd) == -1 && errno == EBADF && fcntl(fd, F_GETFD) == -1 && errno == EBADF;
}

static void test_closed(void)
{
    int wrong = 0;
    char c;

    for (int i = 0; i < 10; i++) {
        int fd = warm(PATH);
        switch (i) {
        case 0:
            wrong += read(fd, &c, 1) != -1 || errno != EBADF;
            break;
        case 1:
            wrong += pread(fd, &c, 1, 0) != -1 || errno != EBADF;
            break;
        case 2:
            wrong += close(fd) != -1 || errno != EBADF;
            break;
        case 3:
            wrong += lseek(fd, 0, SEEK_SET) != -1 || errno != EBADF;
            break;
        case 4:
            wrong += dup(fd) != -1 || errno != EBADF;
            break;
        case 5:
            wrong += flock(fd, LOCK_SH) != -1 || errno != EBADF;
            break;
        case 6:
            wrong += mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED || errno != EBADF;
            break;
        default:
            wrong += !is_closed(fd);
        }
        wrong += !is_closed(fd) || open(PATH, FLAGS) != fd || close(fd) != 0;
    }
    CHECK("closed is closed", wrong == 0);
}

static void test_numbers(void)
{
    int wrong = 0, low = open("/dev/null", O_RDONLY), fd = warm(PATH), extra[3];

    MUST(low >= 0);
    for (int i = 0; i < 3; i++) {
        warm(PATH);
        MUST(close(low) == 0);
        wrong += open(PATH, FLAGS) != low || open(PATH, FLAGS) != fd || open(PATH, FLAGS) != fd + 1;
        wrong += close(fd + 1) != 0 || close(low) != 0 || close(fd) != 0;
        wrong += open("/dev/null", O_RDONLY) != low || open(PATH, FLAGS) != fd || close(fd) != 0;
        wrong += open("/dev/null", O_RDONLY) != fd || open(PATH, FLAGS) != fd + 1;
        wrong += close(fd) != 0 || open(PATH, FLAGS) != fd || close(fd + 1) != 0 || close(fd) != 0;
        warm(PATH);
        wrong += pipe(extra) != 0 || extra[0] != fd || open(PATH, FLAGS) != fd + 2;
        wrong += close(extra[0]) != 0 || close(extra[1]) != 0 || close(fd + 2) != 0;
        warm(PATH);
        wrong += dup2(low, fd) != fd || open(PATH, FLAGS) != fd + 1 || close(fd) != 0 || close(fd + 1) != 0;
        warm(PATH);
        wrong += dup(low) != fd || !!close(fd) || fcntl(low, F_DUPFD, fd) != fd || close(fd) != 0;
    }
    close(low);
    CHECK("the lowest number that is free", wrong == 0);
}

static void test_flags(void)
{
    static const int others[] = {O_RDONLY, O_RDONLY | O_CLOEXEC, FLAGS | O_CLOEXEC,
                                 O_RDWR,   O_WRONLY | O_APPEND,  O_RDONLY | O_NOATIME};
    int wrong = 0;

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        int n = warm(PATH), fd = open(PATH, others[i]);
        wrong += fd != n || (fcntl(fd, F_GETFL) & ~0100000) != (others[i] & ~O_CLOEXEC) ||
                 fcntl(fd, F_GETFD) != (others[i] & O_CLOEXEC ? FD_CLOEXEC : 0) || close(fd) != 0;
    }
    warm(PATH);
    wrong += open(PATH, FLAGS | O_DIRECTORY) != -1 || errno != ENOTDIR;
    warm(PATH);
    wrong += open(PATH, FLAGS | O_CREAT | O_EXCL, 0644) != -1 || errno != EEXIST;
    warm(PATH);
    wrong += open(PATH "/", FLAGS) != -1 || errno != ENOTDIR;
    warm(PATH);
    wrong += open((const char *)bad_address, FLAGS) != -1 || errno != EFAULT;
    warm(PATH);
    wrong += stat(PATH, bad_address) != -1 || errno != EFAULT;
    CHECK("other flags", wrong == 0);
    warm(PATH);
    int fd = open(PATH, FLAGS | O_TRUNC | O_WRONLY);
    struct seen s;
    close(fd);
    see_open(&s, PATH);
    CHECK("emptied", s.open_errno == 0 && s.text[0] == 0);
    put(REAL, "old");
}

/* What a description can be told; the next one is as new. */
static void test_fresh(void)
{
    int wrong = 0, other;
    char c;

    for (int i = 0; i < 8; i++) {
        int n = warm(PATH), fd = open(PATH, FLAGS);
        MUST(fd == n);
        switch (i) {
        case 0:
            wrong += lseek(fd, 2, SEEK_SET) != 2;
            break;
        case 1:
            wrong += read(fd, &c, 1) != 1;
            break;
        case 2:
            wrong += fcntl(fd, F_SETFL, 0) != 0;
            break;
        case 3:
            wrong += flock(fd, LOCK_EX) != 0;
            break;
        case 4:
            wrong += fcntl(fd, F_SETFD, FD_CLOEXEC) != 0;
            break;
        case 5:
            wrong += (other = dup(fd)) < 0;
            break;
        case 6:
            wrong += posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) != 0;
            break;
        default:
            wrong += mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED;
        }
        wrong += close(fd) != 0 || (fd = open(PATH, FLAGS)) != n || lseek(fd, 0, SEEK_CUR) != 0;
        wrong += !(fcntl(fd, F_GETFL) & O_NONBLOCK) || fcntl(fd, F_GETFD) != 0;
        int third = open(PATH, O_RDONLY);
        wrong += flock(third, LOCK_EX | LOCK_NB) != 0 || close(third) != 0 || close(fd) != 0;
        if (i == 5)
            wrong += lseek(other, 1, SEEK_SET) != 1 || (fd = open(PATH, FLAGS)) != n ||
                     lseek(fd, 0, SEEK_CUR) != 0 || close(other) != 0 || close(fd) != 0;
    }
    CHECK("each open is a new one", wrong == 0);
}

static int child_status(pid_t pid)
{
    int status;

    MUST(pid >= 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void test_forks(void)
{
    static volatile int wrong; /* vfork */
    int n = warm(PATH);
    pid_t pid = fork();

    if (pid == 0)
        _exit(is_closed(n) && open(PATH, FLAGS) == n && lseek(n, 2, SEEK_SET) == 2 && warm(PATH) == n + 1
                  ? 0
                  : 1);
    wrong += child_status(pid) != 0;
    int fd = open(PATH, FLAGS);
    pid = fork();
    if (pid == 0)
        _exit(lseek(n, 2, SEEK_SET) == 2 && close(n) == 0 && open(PATH, FLAGS) == n &&
                      lseek(n, 0, SEEK_CUR) == 0
                  ? 0
                  : 1);
    wrong += child_status(pid) != 0 || fd != n || lseek(fd, 0, SEEK_CUR) != 2 || close(fd) != 0;
    warm(PATH);
    pid = vfork();
    if (pid == 0)
        _exit(is_closed(n) && open(PATH, FLAGS) == n ? 0 : 1);
    wrong += child_status(pid) != 0 || !is_closed(n);
    CHECK("forks", wrong == 0);
}

static void *thread_opens(void *arg)
{
    int *wrong = arg;
    for (int i = 0; i < OFTEN; i++) {
        int fd = open(PATH, FLAGS);
        char c;
        *wrong += fd < 0 || read(fd, &c, 1) != 1 || c != 'o' || close(fd) != 0;
    }
    return NULL;
}

static void test_threads(void)
{
    int wrong[2] = {0, 0};
    pthread_t t;

    warm(PATH);
    MUST(pthread_create(&t, NULL, thread_opens, &wrong[0]) == 0);
    thread_opens(&wrong[1]);
    MUST(pthread_join(t, NULL) == 0);
    CHECK("threads", wrong[0] + wrong[1] == 0);
}

static void test_rights(void)
{
    pid_t pid = fork();

    MUST(chmod(REAL, 0600) == 0);
    if (pid == 0) {
        warm(PATH);
        MUST(seteuid(1000) == 0);
        int r = open(PATH, FLAGS) == -1 && errno == EACCES ? 0 : 1;
        MUST(seteuid(0) == 0);
        warm(PATH);
        MUST(chdir(TOP) == 0 && open(PATH, FLAGS) >= 0 && chroot(TOP) == 0);
        r |= open(PATH, FLAGS) == -1 && errno == ENOENT ? 0 : 2;
        r |= open("/link/b/file", FLAGS) >= 0 ? 0 : 4;
        _exit(r);
    }
    CHECK("ids and the root directory", child_status(pid) == 0);
    MUST(chmod(REAL, 0644) == 0);
}

static void test_limit(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        int n = warm(PATH);
        struct rlimit l = {(rlim_t)n, 4096};
        MUST(setrlimit(RLIMIT_NOFILE, &l) == 0);
        _exit(open(PATH, FLAGS) == -1 && errno == EMFILE ? 0 : 1);
    }
    CHECK("a limit", child_status(pid) == 0);
    pid = start(opener, 0, 0);
    struct rlimit few = {(rlim_t)sh->fd, (rlim_t)sh->fd};
    MUST(prlimit(pid, RLIMIT_NOFILE, &few, NULL) == 0);
    go_on(1);
    CHECK("set by another", sh->seen.open_errno == EMFILE && sh->seen.stat_errno == 0);
    finish(pid);
}

static void test_table(void)
{
    int n = warm(PATH), found = 0;
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;

    MUST(d && dirfd(d) == n);
    while ((e = readdir(d)))
        found += atoi(e->d_name) > n;
    closedir(d);
    CHECK("nothing else in /proc/self/fd", found == 0);
}

/* Signals, in the middle of it ------------------------------------------------------------------------------
 */

static atomic_int handled, handled_wrong;
static int signal_number;

static void on_alarm(int sig)
{
    int saved = errno, fd;
    struct stat st;

    (void)sig;
    if (++handled % 3 == 0) {
        fd = open("/dev/null", O_RDONLY);
        handled_wrong += (fd != signal_number && fd != signal_number + 1) || close(fd) != 0;
    } else if (handled % 3 == 1) {
        fd = open(PATH, FLAGS);
        handled_wrong +=
            (fd != signal_number && fd != signal_number + 1) || lseek(fd, 0, SEEK_CUR) != 0 || close(fd) != 0;
    } else {
        handled_wrong += stat(PATH, &st) != 0 || st.st_size != 3;
    }
    errno = saved;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    struct itimerval every = {{0, 500}, {0, 500}}, never = {0};
    int wrong = 0;

    signal_number = warm(PATH);
    MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (int i = 0; handled < 60; i++) {
        struct seen s;
        see_stat(&s, PATH);
        wrong += s.stat_errno != 0 || s.size != 3;
        see_open(&s, PATH);
        wrong += s.open_errno != 0 || s.fd != signal_number || s.at != 0 || strcmp(s.text, "old") != 0;
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK("signals in the middle", wrong == 0 && handled_wrong == 0);
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
    test_closed();
    test_numbers();
    test_flags();
    test_fresh();
    test_table();
    test_forks();
    test_rights();
    test_limit();
    test_signals();
    test_threads();
    MUST(system("rm -rf " TOP) == 0);
    return check_failures != 0;
}
