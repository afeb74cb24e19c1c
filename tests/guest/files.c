/* Files: open's flags, positions, links, renames, modes, times, directories, attributes, holes. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "tests/guest/check.h"

static char buf[8192];

static int make(const char *path, const char *text)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

static bool holds(const char *path, const char *text)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, buf, sizeof(buf));
    close(fd);
    return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static void test_open(void)
{
    close(make("f", "0123456789"));
    CHECK_ERRNO("O_EXCL", open("f", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
    CHECK_ERRNO("not there", open("none", O_RDONLY), ENOENT);
    CHECK_ERRNO("a directory to write", open(".", O_WRONLY), EISDIR);
    CHECK_ERRNO("O_DIRECTORY of a file", open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO("through a file", open("f/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO("a slash behind a file", open("f/", O_RDONLY), ENOTDIR);
    CHECK_ERRNO("an empty name", open("", O_RDONLY), ENOENT);
    memset(buf, 'n', 300);
    buf[300] = 0;
    CHECK_ERRNO("a name too long", open(buf, O_RDONLY), ENAMETOOLONG);
    memset(buf, '/', 5000);
    buf[5000] = 0;
    CHECK_ERRNO("a path too long", open(buf, O_RDONLY), ENAMETOOLONG);
    int fd = open("f", O_WRONLY | O_TRUNC);
    CHECK("O_TRUNC", fd >= 0 && lseek(fd, 0, SEEK_END) == 0);
    CHECK_ERRNO("read of what is write-only", read(fd, buf, 1), EBADF);
    close(fd);
    fd = open("f", O_RDONLY | O_CLOEXEC);
    CHECK("O_CLOEXEC", fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO("write of what is read-only", write(fd, "x", 1), EBADF);
    close(fd);
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    CHECK("O_TMPFILE", fd >= 0 && write(fd, "tmp", 3) == 3);
    snprintf(buf, 100, "/proc/self/fd/%d", fd);
    CHECK("is given a name",
          linkat(AT_FDCWD, buf, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 && holds("named", "tmp"));
    close(fd);
    fd = open("f", O_PATH);
    struct stat st;
    CHECK("O_PATH", fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
    CHECK_ERRNO("is not to read", read(fd, buf, 1), EBADF);
    close(fd);
    CHECK("the lowest number",
          (fd = open("f", O_RDONLY)) >= 3 && close(fd) == 0 && open("f", O_RDONLY) == fd && close(fd) == 0);
    CHECK_ERRNO("closed twice", close(fd), EBADF);
    umask(027);
    close(open("masked", O_CREAT | O_WRONLY, 0666));
    CHECK("umask", stat("masked", &st) == 0 && (st.st_mode & 07777) == 0640 && umask(022) == 027);
}

static void test_positions(void)
{
    int fd = make("p", "0123456789"), d = dup(fd);
    CHECK("a duplicate shares the position",
          lseek(d, 3, SEEK_SET) == 3 && read(fd, buf, 2) == 2 && buf[0] == '3' && lseek(d, 0, SEEK_CUR) == 5);
    pid_t pid = fork();
    if (pid == 0)
        _exit(read(fd, buf, 2) == 2 && buf[0] == '5' ? 0 : 1);
    int status;
    waitpid(pid, &status, 0);
    CHECK("a child too", status == 0 && lseek(fd, 0, SEEK_CUR) == 7);
    int other = open("p", O_RDWR);
    CHECK("another open not", lseek(other, 0, SEEK_CUR) == 0);
    CHECK("pread leaves it",
          pread(fd, buf, 3, 1) == 3 && memcmp(buf, "123", 3) == 0 && lseek(fd, 0, SEEK_CUR) == 7);
    CHECK("pwrite", pwrite(fd, "ABC", 3, 20) == 3 && lseek(fd, 0, SEEK_END) == 23 &&
                        pread(fd, buf, 1, 15) == 1 && buf[0] == 0);
    CHECK_ERRNO("before the start", lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO("no such whence", lseek(fd, 0, 9), EINVAL);
    CHECK("behind the end", lseek(fd, 1000, SEEK_SET) == 1000 && read(fd, buf, 10) == 0);
    struct iovec v[2] = {{buf, 2}, {buf + 100, 3}};
    CHECK("preadv",
          preadv(fd, v, 2, 0) == 5 && memcmp(buf, "01", 2) == 0 && memcmp(buf + 100, "234", 3) == 0);
    v[0].iov_base = "xy", v[1].iov_base = "zzz";
    CHECK("pwritev", pwritev(fd, v, 2, 0) == 5 && pread(fd, buf, 5, 0) == 5 && memcmp(buf, "xyzzz", 5) == 0);
    CHECK_ERRNO("a negative offset", pread(fd, buf, 1, -1), EINVAL);
    int a = open("p", O_WRONLY | O_APPEND);
    CHECK("O_APPEND", lseek(a, 0, SEEK_SET) == 0 && write(a, "end", 3) == 3 && lseek(a, 0, SEEK_CUR) == 26);
    CHECK("by fcntl", fcntl(fd, F_SETFL, O_APPEND) == 0 && (lseek(fd, 0, SEEK_SET), write(fd, "!", 1)) == 1 &&
                          lseek(fd, 0, SEEK_CUR) == 27);
    CHECK("for the duplicate too",
          fcntl(d, F_GETFL) == (O_RDWR | O_APPEND | 0100000) || (fcntl(d, F_GETFL) & O_APPEND));
    CHECK("dup2", dup2(fd, 100) == 100 && dup2(100, 100) == 100 && fcntl(fd, F_DUPFD, 150) == 150 &&
                      dup3(fd, 151, O_CLOEXEC) == 151);
    CHECK_ERRNO("dup3 onto itself", dup3(fd, fd, 0), EINVAL);
    CHECK_ERRNO("dup of nothing", dup(999), EBADF);
    CHECK("F_DUPFD_CLOEXEC", fcntl(fcntl(fd, F_DUPFD_CLOEXEC, 0), F_GETFD) == FD_CLOEXEC);
    CHECK("close_range", syscall(SYS_close_range, 100, 200, 0) == 0 && fcntl(150, F_GETFD) == -1);
    close(fd), close(d), close(a), close(other);
}

static void test_size(void)
{
    int fd = make("size", "0123456789");
    struct stat st;
    CHECK("ftruncate", ftruncate(fd, 4) == 0 && holds("size", "0123"));
    CHECK("truncate", truncate("size", 5000000) == 0 && fstat(fd, &st) == 0 && st.st_size == 5000000 &&
                          st.st_blocks < 100);
    CHECK_ERRNO("a negative one", ftruncate(fd, -1), EINVAL);
    CHECK_ERRNO("of a directory", truncate(".", 1), EISDIR);
    CHECK("fallocate", fallocate(fd, 0, 0, 100000) == 0 && fstat(fd, &st) == 0 && st.st_blocks >= 190 &&
                           st.st_size == 5000000);
    CHECK("punch a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0 &&
                              pread(fd, buf, 1, 0) == 1 && buf[0] == 0);
    CHECK("sync", fsync(fd) == 0 && fdatasync(fd) == 0 && syncfs(fd) == 0);
    CHECK("posix_fadvise", posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
    close(fd);
}

static void test_links(void)
{
    struct stat a, b;
    close(make("one", "text"));
    CHECK("link", link("one", "two") == 0 && stat("one", &a) == 0 && stat("two", &b) == 0 &&
                      a.st_ino == b.st_ino && a.st_nlink == 2);
    CHECK_ERRNO("over another", link("one", "two"), EEXIST);
    CHECK_ERRNO("of a directory", link(".", "dir"), EPERM);
    CHECK("symlink", symlink("one", "soft") == 0 && readlink("soft", buf, 100) == 3 && holds("soft", "text"));
    CHECK("cut", readlink("soft", buf, 2) == 2);
    CHECK("lstat", lstat("soft", &b) == 0 && S_ISLNK(b.st_mode) && b.st_size == 3 && b.st_ino != a.st_ino);
    CHECK_ERRNO("O_NOFOLLOW", open("soft", O_RDONLY | O_NOFOLLOW), ELOOP);
    MUST(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0 &&
         symlink("nowhere", "dangling") == 0);
    CHECK_ERRNO("a loop", open("loop1", O_RDONLY), ELOOP);
    CHECK_ERRNO("a dangling one", open("dangling", O_RDONLY), ENOENT);
    CHECK("made through",
          close(open("dangling", O_CREAT | O_WRONLY, 0600)) == 0 && access("nowhere", F_OK) == 0);
    CHECK_ERRNO("O_EXCL does not follow", open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
    CHECK_ERRNO("not a link", readlink("one", buf, 100), EINVAL);
    MUST(mkdir("d", 0755) == 0 && symlink("../one", "d/up") == 0 && symlink("/tmp/files/d", "absolute") == 0);
    CHECK("up and down", holds("d/up", "text") && holds("absolute/../d/./up", "text"));
    MUST(symlink("/", "root") == 0 && symlink("../../../../../..", "far") == 0);
    CHECK("not above the root", stat("root/../../etc/passwd", &a) == 0 && stat("/etc/passwd", &b) == 0 &&
                                    a.st_ino == b.st_ino && stat("far/etc/passwd", &a) == 0 &&
                                    a.st_ino == b.st_ino);
    CHECK("unlink", unlink("two") == 0 && stat("one", &a) == 0 && a.st_nlink == 1);
    CHECK_ERRNO("of a directory", unlink("d"), EISDIR);
    int fd = open("one", O_RDONLY);
    unlink("one");
    CHECK("an open file lives on", read(fd, buf, 10) == 4 && fstat(fd, &a) == 0 && a.st_nlink == 0);
    snprintf(buf, 100, "/proc/self/fd/%d", fd);
    char target[100] = "";
    CHECK("named deleted", readlink(buf, target, 99) > 0 && strcmp(target, "/tmp/files/one (deleted)") == 0);
    CHECK("and opened again", (close(open(buf, O_RDONLY)), open(buf, O_RDONLY)) >= 0);
    close(fd);
}

static void test_rename(void)
{
    close(make("r1", "one"));
    close(make("r2", "two"));
    CHECK("rename over", rename("r1", "r2") == 0 && holds("r2", "one") && access("r1", F_OK) == -1);
    CHECK_ERRNO("what is not there", rename("r1", "r2"), ENOENT);
    MUST(mkdir("rd", 0755) == 0 && mkdir("rd/sub", 0755) == 0 && mkdir("re", 0755) == 0);
    CHECK_ERRNO("a directory into itself", rename("rd", "rd/sub/x"), EINVAL);
    CHECK_ERRNO("a file over a directory", rename("r2", "re"), EISDIR);
    CHECK_ERRNO("a directory over a file", rename("re", "r2"), ENOTDIR);
    CHECK("over an empty one", rename("rd", "re") == 0 && access("re/sub", F_OK) == 0);
    MUST(mkdir("rf", 0755) == 0);
    CHECK("not over a full one", rename("rf", "re") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
    close(make("r3", "three"));
    CHECK_ERRNO("RENAME_NOREPLACE", renameat2(AT_FDCWD, "r3", AT_FDCWD, "r2", RENAME_NOREPLACE), EEXIST);
    CHECK("RENAME_EXCHANGE",
          renameat2(AT_FDCWD, "r3", AT_FDCWD, "r2", RENAME_EXCHANGE) == 0 && holds("r2", "three"));
    CHECK_ERRNO("to another file system", rename("r2", "/dev/shm/r2"), EXDEV);
    CHECK_ERRNO("rmdir of a full one", rmdir("re"), ENOTEMPTY);
    CHECK_ERRNO("of a file", rmdir("r2"), ENOTDIR);
    CHECK_ERRNO("of .", rmdir("."), EINVAL);
    CHECK("of an empty one", rmdir("rf") == 0);
    CHECK_ERRNO("mkdir over", mkdir("re", 0755), EEXIST);
    CHECK_ERRNO("in nothing", mkdir("no/x", 0755), ENOENT);
}

static void test_meta(void)
{
    struct stat st;
    struct statx sx;
    close(make("m", "meta"));
    CHECK("chmod", chmod("m", 04755) == 0 && stat("m", &st) == 0 && st.st_mode == (S_IFREG | 04755));
    CHECK("chown takes set-user-id away", chown("m", 5, 6) == 0 && stat("m", &st) == 0 && st.st_uid == 5 &&
                                              st.st_gid == 6 && st.st_mode == (S_IFREG | 0755));
    struct timespec t[2] = {{.tv_sec = 1000000000, .tv_nsec = 123456789}, {.tv_sec = 1100000000}};
    CHECK("utimensat", utimensat(AT_FDCWD, "m", t, 0) == 0 && stat("m", &st) == 0 &&
                           st.st_atim.tv_nsec == 123456789 && st.st_mtim.tv_sec == 1100000000);
    t[0].tv_nsec = UTIME_OMIT, t[1].tv_nsec = UTIME_NOW;
    CHECK("now and omit", utimensat(AT_FDCWD, "m", t, 0) == 0 && stat("m", &st) == 0 &&
                              st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec > 1600000000);
    CHECK("statx", statx(AT_FDCWD, "m", 0, STATX_BASIC_STATS, &sx) == 0 && sx.stx_size == 4 &&
                       sx.stx_uid == 5 && (sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    int fd = open("m", O_RDWR);
    uint64_t mount = sx.stx_mnt_id;
    CHECK("its mount, asked for or not",
          statx(AT_FDCWD, "m", 0, STATX_MNT_ID, &sx) == 0 && sx.stx_mnt_id == mount);
    CHECK("statx of a descriptor", statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx) == 0 && sx.stx_size == 4);
    CHECK("fchmod", fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK("access", access("m", R_OK | W_OK) == 0 && access("m", X_OK) == -1 && errno == EACCES &&
                        faccessat(AT_FDCWD, "m", F_OK, AT_EACCESS) == 0);
    CHECK("mkfifo and modes",
          mkfifo("fifo", 0640) == 0 && stat("fifo", &st) == 0 && st.st_mode == (S_IFIFO | 0640));
    CHECK("set-group-id directories hand down", mkdir("sg", 0755) == 0 && chown("sg", 0, 77) == 0 &&
                                                    chmod("sg", 02755) == 0 && mkdir("sg/x", 0755) == 0 &&
                                                    stat("sg/x", &st) == 0 && st.st_gid == 77 &&
                                                    (st.st_mode & S_ISGID));
    CHECK("mknod of a device", mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && stat("null", &st) == 0 &&
                                   st.st_rdev == makedev(1, 3));
    CHECK("xattr", setxattr("m", "user.a", "value", 5, 0) == 0 && getxattr("m", "user.a", buf, 100) == 5 &&
                       memcmp(buf, "value", 5) == 0);
    CHECK("its size",
          fgetxattr(fd, "user.a", NULL, 0) == 5 && getxattr("m", "user.a", buf, 2) == -1 && errno == ERANGE);
    CHECK_ERRNO("XATTR_CREATE", setxattr("m", "user.a", "v", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO("none of that name", getxattr("m", "user.b", buf, 100), ENODATA);
    CHECK("list and remove", listxattr("m", buf, 100) == 7 && strcmp(buf, "user.a") == 0 &&
                                 removexattr("m", "user.a") == 0 && listxattr("m", buf, 100) == 0);
    CHECK_ERRNO("no such space", setxattr("m", "nope.a", "v", 1, 0), EOPNOTSUPP);
    struct statfs sf;
    struct statvfs sv;
    CHECK("statfs", statfs(".", &sf) == 0 && sf.f_bsize == 4096 && sf.f_namelen == 255 &&
                        fstatfs(fd, &sf) == 0 && statvfs("/proc", &sv) == 0);
    CHECK("statfs of /proc", statfs("/proc", &sf) == 0 && sf.f_type == 0x9fa0);
    close(fd);
}

static int count_entries(DIR *d)
{
    int n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n++;
    return n;
}

static void test_directories(void)
{
    MUST(mkdir("many", 0755) == 0 && chdir("many") == 0);
    for (int i = 0; i < 1500; i++) {
        snprintf(buf, 100, "entry-with-a-rather-long-name-%04d", i);
        close(open(buf, O_CREAT | O_WRONLY, 0600));
    }
    DIR *d = opendir(".");
    CHECK("readdir", count_entries(d) == 1502);
    rewinddir(d);
    CHECK("rewinddir", count_entries(d) == 1502);
    rewinddir(d);
    for (int i = 0; i < 700; i++)
        readdir(d);
    long at = telldir(d);
    char name[256];
    strcpy(name, readdir(d)->d_name);
    count_entries(d);
    seekdir(d, at);
    CHECK("seekdir", strcmp(readdir(d)->d_name, name) == 0);
    rewinddir(d);
    bool dots = false, types = true;
    int removed = 0;
    for (struct dirent *e; (e = readdir(d));) {
        dots = dots || strcmp(e->d_name, "..") == 0;
        types = types && (e->d_type == DT_REG || e->d_type == DT_UNKNOWN || e->d_name[0] == '.');
        removed += e->d_name[0] != '.' && unlink(e->d_name) == 0;
    }
    CHECK("removing while reading", removed == 1500 && dots && types);
    CHECK("getdents with little room",
          (lseek(dirfd(d), 0, SEEK_SET), syscall(SYS_getdents64, dirfd(d), buf, 10)) == -1 &&
              errno == EINVAL);
    closedir(d);
    CHECK_ERRNO("of a file", syscall(SYS_getdents64, open("../m", O_RDONLY), buf, 1000), ENOTDIR);
    MUST(chdir("..") == 0 && rmdir("many") == 0);
    int fd = open("d", O_RDONLY | O_DIRECTORY);
    CHECK("openat", close(openat(fd, "in", O_CREAT | O_WRONLY, 0600)) == 0 && access("d/in", F_OK) == 0);
    CHECK("fstatat, unlinkat, mkdirat", faccessat(fd, "in", F_OK, 0) == 0 && unlinkat(fd, "in", 0) == 0 &&
                                            mkdirat(fd, "dir", 0700) == 0 &&
                                            unlinkat(fd, "dir", AT_REMOVEDIR) == 0);
    CHECK("fchdir and getcwd", fchdir(fd) == 0 && getcwd(buf, 100) && strcmp(buf, "/tmp/files/d") == 0);
    CHECK_ERRNO("getcwd with little room", (long)(getcwd(buf, 5) ? 0 : -1), ERANGE);
    MUST(chdir("..") == 0 && mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
    CHECK_ERRNO("a directory that is gone", open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
    CHECK_ERRNO("has no name", (long)(getcwd(buf, 100) ? 0 : -1), ENOENT);
    MUST(chdir("/tmp/files") == 0);
    CHECK_ERRNO("a descriptor that is none", openat(999, "x", O_RDONLY), EBADF);
    CHECK_ERRNO("one of a file", openat(open("m", O_RDONLY), "x", O_RDONLY), ENOTDIR);
    CHECK("an absolute path needs none", openat(999, "/etc/passwd", O_RDONLY) >= 0);
    CHECK("the root's parent is the root", stat("/..", &(struct stat){0}) == 0 && chdir("/..") == 0 &&
                                               getcwd(buf, 100) && strcmp(buf, "/") == 0);
}

static void changed_root(void)
{
    MUST(mkdir("/tmp/root", 0755) == 0 && mkdir("/tmp/root/in", 0755) == 0);
    int out = open("/", O_RDONLY | O_DIRECTORY);
    CHECK("chroot", chroot("/tmp/root") == 0 && chdir("/") == 0 && access("/in", F_OK) == 0 &&
                        access("/etc", F_OK) == -1);
    CHECK("no way up", chdir("../../..") == 0 && access("in", F_OK) == 0);
    CHECK("but by a descriptor", fchdir(out) == 0 && access("etc/passwd", F_OK) == 0);
}

static void devices(void)
{
    int fd = open("/dev/null", O_RDWR);
    CHECK("/dev/null", write(fd, "x", 1) == 1 && read(fd, buf, 10) == 0);
    fd = open("/dev/zero", O_RDWR);
    memset(buf, 1, 10);
    CHECK("/dev/zero", read(fd, buf, 10) == 10 && buf[9] == 0);
    CHECK_ERRNO("/dev/full", write(open("/dev/full", O_WRONLY), "x", 1), ENOSPC);
    CHECK("/dev/urandom", read(open("/dev/urandom", O_RDONLY), buf, 4096) == 4096);
    struct stat st;
    CHECK("their numbers", stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 7));
    CHECK_ERRNO("no terminal", open("/dev/tty", O_RDWR), ENXIO);
    CHECK("/dev/fd", readlink("/dev/fd", buf, 100) == 13 && memcmp(buf, "/proc/self/fd", 13) == 0);
    CHECK("/dev/stdin", readlink("/dev/stdin", buf, 100) == 15);
    CHECK("/dev/shm", stat("/dev/shm", &st) == 0 && (st.st_mode & 07777) == 01777);
}

/* Files and directories have them, and nothing else. */
static void users_attributes(void)
{
    static const char *const others[] = {"null", "fifo", "socket", "/dev/ptmx"};
    MUST(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && mknod("fifo", S_IFIFO | 0666, 0) == 0 &&
         mknod("socket", S_IFSOCK | 0666, 0) == 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CHECK_ERRNO("not to be set", setxattr(others[i], "user.a", "x", 1, 0), EPERM);
        CHECK_ERRNO("not there", getxattr(others[i], "user.a", buf, 10), ENODATA);
        CHECK_ERRNO("nor to be removed", removexattr(others[i], "user.a"), EPERM);
    }
    int fd = open("null", O_RDWR);
    CHECK_ERRNO("by a descriptor", fsetxattr(fd, "user.a", "x", 1, 0), EPERM);
    close(fd);
}

static int open2(const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .resolve = resolve};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static void no_links(void)
{
    static const uint64_t no_magic = RESOLVE_NO_MAGICLINKS, none = RESOLVE_NO_SYMLINKS;
    static const char *const magic[] = {"/proc/self/exe", "/proc/self/fd/0", "/proc/self/root/etc",
                                        "/dev/fd/0"};
    for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++) {
        CHECK_ERRNO("a magic link", open2(magic[i], O_RDONLY, no_magic), ELOOP);
        CHECK_ERRNO("its place", open2(magic[i], O_PATH, no_magic), ELOOP);
        CHECK_ERRNO("any link", open2(magic[i], O_RDONLY, none), ELOOP);
    }
    CHECK("the link itself", open2("/proc/self/exe", O_PATH | O_NOFOLLOW, no_magic) == 0);
    CHECK_ERRNO("not behind another", open2("/proc/self/exe", O_PATH | O_NOFOLLOW, none), ELOOP);
    CHECK("one that is text", open2("/proc/self/status", O_RDONLY, no_magic) == 0);
    CHECK_ERRNO("is a link", open2("/proc/self/status", O_RDONLY, none), ELOOP);
    CHECK("no link", open2("/proc/version", O_RDONLY, none) == 0);
    CHECK("to a directory", open2("/proc/sys/kernel", O_RDONLY | O_DIRECTORY, none | no_magic) == 0);
    CHECK("a device", open2("/dev/null", O_RDWR, none) == 0);
    CHECK("a new file", open2("made", O_RDWR | O_CREAT, none) == 0);
    CHECK_ERRNO("nothing", open2("/proc/nothing", O_RDONLY, none), ENOENT);
    MUST(symlink("made", "link") == 0);
    CHECK_ERRNO("one of the program's", open2("link", O_RDONLY, none), ELOOP);
    CHECK("which is not magic", open2("link", O_RDONLY, no_magic) == 0);
}

int main(void)
{
    MUST(mkdir("/tmp/files", 0755) == 0 && chdir("/tmp/files") == 0);
    umask(022);
    test_open();
    test_positions();
    test_size();
    test_links();
    test_rename();
    test_meta();
    test_directories();
    CHECK("chroot", in_child(changed_root) == 0);
    devices();
    users_attributes();
    no_links();
    return check_done();
}
