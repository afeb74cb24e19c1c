/* Mounts: fresh file systems, binds, flags, umount, chroot into them; hidden and read-only paths. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "tests/guest/check.h"

#define OFTEN 100

static bool put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return done;
}

static bool holds(const char *path, const char *text)
{
    char buf[64];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static bool is_at(const char *path)
{
    char buf[4096];
    return getcwd(buf, sizeof(buf)) && strcmp(buf, path) == 0;
}

/* The number of times that a line of /proc/self/mountinfo has this mount point. */
static int listed(const char *target)
{
    char line[4096], at[4096];
    int n = 0;
    FILE *f = fopen("/proc/self/mountinfo", "r");
    while (f && fgets(line, sizeof(line), f))
        n += sscanf(line, "%*d %*d %*s %*s %4095s", at) == 1 && strcmp(at, target) == 0;
    if (f)
        fclose(f);
    return n;
}

static void test_tmpfs(void)
{
    struct stat st, up;
    struct statfs sf;
    MUST(mkdir("/m", 0755) == 0 && mkdir("/m/t", 0755) == 0 && mkdir("/m/b", 0755) == 0);
    MUST(put("/m/t/lower", "lower"));
    CHECK("tmpfs", mount("none", "/m/t", "tmpfs", 0, "mode=750,uid=5") == 0);
    CHECK("its root", stat("/m/t", &st) == 0 && (st.st_mode & 07777) == 0750 && st.st_uid == 5);
    CHECK("another device", stat("/m", &up) == 0 && up.st_dev != st.st_dev);
    CHECK("its kind", statfs("/m/t", &sf) == 0 && sf.f_type == 0x01021994);
    CHECK_ERRNO("what it covers", open("/m/t/lower", O_RDONLY), ENOENT);
    CHECK("a file", put("/m/t/f", "upper") && holds("/m/t/f", "upper") && holds("/m/b/../t/f", "upper"));
    CHECK("listed", listed("/m/t") == 1);
    CHECK("from within",
          chdir("/m/t") == 0 && is_at("/m/t") && holds("f", "upper") && holds("../t/f", "upper"));
    CHECK("by a link", symlink("/m/t", "/m/link") == 0 && holds("/m/link/f", "upper"));
    CHECK_ERRNO("busy", umount("/m/t"), EBUSY);
    CHECK("out", chdir("/") == 0);
    CHECK_ERRNO("a mount point stays", rmdir("/m/t"), EBUSY);
    CHECK_ERRNO("and keeps its name", rename("/m/t", "/m/u"), EBUSY);
    CHECK_ERRNO("no link across", link("/m/t/f", "/m/f"), EXDEV);
    CHECK_ERRNO("no rename across", rename("/m/t/f", "/m/f"), EXDEV);
}

static void test_bind(void)
{
    CHECK("bind", mount("/m/t", "/m/b", NULL, MS_BIND, NULL) == 0 && holds("/m/b/f", "upper"));
    CHECK("the same files", put("/m/b/g", "g") && holds("/m/t/g", "g"));
    CHECK("read-only", mount(NULL, "/m/b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
    CHECK_ERRNO("no new file", open("/m/b/h", O_CREAT | O_WRONLY, 0644), EROFS);
    CHECK_ERRNO("no writing", open("/m/b/g", O_WRONLY), EROFS);
    CHECK_ERRNO("no removing", unlink("/m/b/g"), EROFS);
    CHECK_ERRNO("no mode", chmod("/m/b/g", 0600), EROFS);
    CHECK_ERRNO("access says so", access("/m/b/g", W_OK), EROFS);
    CHECK("elsewhere still", put("/m/t/g", "h"));
    CHECK("umount", umount("/m/b") == 0 && access("/m/b/f", F_OK) < 0 && listed("/m/b") == 0);
    CHECK("a file over a file", put("/m/on", "on") && mount("/m/t/f", "/m/on", NULL, MS_BIND, NULL) == 0);
    CHECK("seen so", holds("/m/on", "upper") && chdir("/m") == 0 && holds("on", "upper") && chdir("/") == 0);
    CHECK_ERRNO("nor goes it", unlink("/m/on"), EBUSY);
    for (int i = 0; i < OFTEN; i++)
        MUST(access("/m/on/..", F_OK) == -1 && errno == ENOTDIR);
    CHECK("nothing above it", holds("/m/on", "upper") && listed("/m/on") == 1);
    CHECK("until it is gone", umount("/m/on") == 0 && holds("/m/on", "on"));
    CHECK("a tree", mount("/m", "/m/b", NULL, MS_BIND | MS_REC, NULL) == 0 && holds("/m/b/t/f", "upper"));
    CHECK_ERRNO("is busy", umount("/m/b"), EBUSY);
    CHECK("goes as a whole", umount2("/m/b", MNT_DETACH) == 0 && listed("/m/b/t") == 0);
}

static void test_chroot(void)
{
    MUST(mkdir("/m/t/proc", 0755) == 0 && symlink("/f", "/m/t/abs") == 0);
    CHECK("proc", mount("proc", "/m/t/proc", "proc", 0, NULL) == 0 && access("/m/t/proc/version", R_OK) == 0);
    int out = open("/", O_RDONLY | O_DIRECTORY);
    CHECK("chroot", chroot("/m/t") == 0 && chdir("/") == 0 && is_at("/"));
    CHECK("inside", holds("/f", "upper") && holds("/../../f", "upper") && holds("abs", "upper"));
    CHECK("its /proc", access("/proc/self/status", R_OK) == 0 && listed("/proc") == 1);
    CHECK("and out", fchdir(out) == 0 && chroot(".") == 0 && close(out) == 0 && is_at("/"));
    CHECK("umount from outside", umount("/m/t/proc") == 0 && umount("/m/t") == 0);
    CHECK("what was covered", holds("/m/t/lower", "lower") && access("/m/t/f", F_OK) < 0);
    CHECK_ERRNO("not mounted", umount("/m/t"), EINVAL);
    CHECK_ERRNO("no such kind", mount("x", "/m/t", "nosuchfs", 0, NULL), ENODEV);
    CHECK_ERRNO("no such place", mount("x", "/m/none", "tmpfs", 0, NULL), ENOENT);
    CHECK_ERRNO("no directory", mount("x", "/m/on", "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERRNO("a bad string", mount("x", bad_address, "tmpfs", 0, NULL), EFAULT);
}

/* A directory above a mount gets another name, and the mount goes with it. */
static void test_moved(void)
{
    MUST(mkdir("/n", 0755) == 0 && mkdir("/n/a", 0755) == 0 && mkdir("/n/a/on", 0755) == 0);
    MUST(mount("none", "/n/a/on", "tmpfs", 0, NULL) == 0 && put("/n/a/on/f", "f"));
    CHECK("a directory above a mount moves", rename("/n/a", "/n/b") == 0);
    CHECK("what was there is there", holds("/n/b/on/f", "f") && access("/n/a/on", F_OK) == -1);
    CHECK("what is made is", mkdir("/n/b/on/d", 0755) == 0 && put("/n/b/on/g", "g") &&
                                 rename("/n/b/on/g", "/n/b/on/h") == 0 &&
                                 link("/n/b/on/h", "/n/b/on/d/l") == 0 && symlink("h", "/n/b/on/s") == 0);
    CHECK_ERRNO("a mount point stays", rmdir("/n/b/on"), EBUSY);
    CHECK("the old name is free", mkdir("/n/a", 0755) == 0 && mkdir("/n/a/on", 0755) == 0 &&
                                      put("/n/a/on/f", "other") && holds("/n/b/on/f", "f"));
    CHECK("umount", umount("/n/b/on") == 0);
    CHECK("below it was nothing", rmdir("/n/b/on") == 0);
}

static void test_hidden(void)
{
    struct stat st;
    DIR *d = opendir("/hidden");
    int n = 0;
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    CHECK("a hidden directory", d && n == 0);
    CHECK_ERRNO("what was in it", access("/hidden/file", F_OK), ENOENT);
    CHECK_ERRNO("by a link", access("/tohidden/in", F_OK), ENOENT);
    CHECK_ERRNO("nothing new", mkdir("/hidden/new", 0755), EROFS);
    CHECK("a hidden file", stat("/secret", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
    CHECK("is empty", holds("/secret", ""));
    CHECK("fixed", holds("/fixed/sub/file", "text\n"));
    CHECK_ERRNO("not to be written", open("/fixed/sub/file", O_WRONLY), EROFS);
    CHECK_ERRNO("nor from within", (chdir("/fixed/sub"), unlink("file")), EROFS);
    CHECK_ERRNO("nor moved", rename("/fixed/sub", "/fixed/x"), EROFS);
    CHECK_ERRNO("nor out", rename("/fixed/sub", "/x"), EXDEV);
    CHECK("back", is_at("/fixed/sub") && chdir("/") == 0);
    CHECK_ERRNO("a setting", open("/proc/sys/kernel/hostname", O_WRONLY), EROFS);
}

static int up_as_user(void)
{
    struct stat st;
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000) ? 99
              : stat("/tmp/above/covered/..", &st) == 0                  ? 0
                                                                         : errno);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What the mount covers is not looked into, the mount's own directory is. */
static void test_up(void)
{
    CHECK("made", mkdir("/tmp/above", 0755) == 0 && mkdir("/tmp/above/covered", 0700) == 0);
    CHECK("covered", mount("none", "/tmp/above/covered", "tmpfs", 0, "mode=755") == 0);
    CHECK("up", up_as_user() == 0);
    CHECK("closed", chmod("/tmp/above/covered", 0700) == 0);
    CHECK("not up", up_as_user() == EACCES);
    CHECK("gone", umount("/tmp/above/covered") == 0 && rmdir("/tmp/above/covered") == 0);
}

int main(void)
{
    test_tmpfs();
    test_bind();
    test_chroot();
    test_hidden();
    test_moved();
    test_up();
    return check_done();
}
