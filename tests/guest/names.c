/* Names made, removed and renamed often, so that the calls come from hot call sites: beside links, below file
 * systems of the kernel's own, by paths with dots. Also run with: --lanes=off */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/guest/check.h"

#define OFTEN 40

static int wrong;

/* Counted, since it is asked often; the first that does not hold is named. */
#define WANT(cond)                                                                                           \
    do {                                                                                                     \
        if (!(cond) && wrong++ == 0)                                                                         \
            printf("%s:%d: %s, errno %d\n", __FILE__, __LINE__, #cond, errno);                               \
    } while (0)

static bool is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static ino_t inode(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static void make(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    MUST(fd >= 0 && close(fd) == 0);
}

static void test_plain(void)
{
    struct stat st;

    MUST(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0 && mkdir("c", 0755) == 0);
    for (int i = 0; i < OFTEN; i++) {
        WANT(mkdir("a/b/d", 0750) == 0);
        WANT(stat("a/b/d", &st) == 0);
        WANT((st.st_mode & 07777) == 0750);
        make("a/b/f");
        ino_t f = inode("a/b/f");
        WANT(link("a/b/f", "a/b/l") == 0);
        WANT(inode("a/b/l") == f);
        WANT(link("a/b/f", "c/l") == 0);
        WANT(inode("c/l") == f);
        WANT(rename("a/b/f", "a/b/g") == 0);
        WANT(inode("a/b/g") == f);
        WANT(inode("a/b/f") == 0);
        WANT(rename("a/b/g", "c/g") == 0);
        WANT(inode("c/g") == f);
        WANT(inode("a/b/g") == 0);
        WANT(rename("c/g", "a/b/d/../g") == 0);
        WANT(inode("a/b/g") == f);
        WANT(rename("./a/./b//g", "./a/./b//h") == 0);
        WANT(inode("a/b/h") == f);
        WANT(rename("a/b/h", "a/b/l") == 0); /* the same file: nothing happens */
        WANT(inode("a/b/h") == f);
        WANT(symlink("f", "a/b/s") == 0);
        WANT(link("a/b/s", "a/b/t") == 0);
        WANT(is_link("a/b/t"));
        WANT(rename("a/b/d/", "a/b/e/") == 0);
        WANT(rmdir("a/b/e") == 0);
        WANT(unlink("a/b/s") == 0);
        WANT(unlink("a/b/t") == 0);
        WANT(unlink("a/b/h") == 0);
        WANT(unlink("a/b/l") == 0);
        WANT(unlink("c/l") == 0);
    }
    CHECK("names made, changed and removed", wrong == 0);
}

static bool failed(int r, int err)
{
    return r == -1 && errno == err;
}

static void test_errors(void)
{

    make("a/f");
    make("a/g");
    for (int i = 0; i < OFTEN; i++) {
        WANT(failed(mkdir("none/d", 0755), ENOENT));
        WANT(failed(mkdir("a/f/d", 0755), ENOTDIR));
        WANT(failed(mkdir("a/f", 0755), EEXIST));
        WANT(failed(mkdir("none/../d", 0755), ENOENT));
        WANT(failed(mkdir("a/.", 0755), EEXIST));
        WANT(failed(rmdir("a/b/."), EINVAL));
        WANT(failed(rename("none/f", "none/g"), ENOENT));
        WANT(failed(rename("a/none", "a/g"), ENOENT));
        WANT(failed(rename("a/f", "none/g"), ENOENT));
        WANT(failed(rename("a/f", "a/f/x"), ENOTDIR));
        WANT(failed(rename("a/f", "a/x/"), ENOTDIR));
        WANT(failed(rename("a/b", "a/b/x"), EINVAL));
        WANT(failed(link("a/f", "a/g"), EEXIST));
        WANT(failed(link("a/none", "a/g"), ENOENT));
        WANT(failed(link("a/b", "a/x"), EPERM));
        WANT(failed(link("a/f", "none/x"), ENOENT));
        WANT(failed(link("a/f/", "a/x"), ENOTDIR));
        WANT(failed(symlink("x", "a/f"), EEXIST));
        WANT(failed(symlink("x", "none/s"), ENOENT));
        WANT(failed(rmdir("none/d"), ENOENT));
    }
    CHECK("errors", wrong == 0);
}

/* A link on the way, one of them to the root: what is there is the kernel's, and nothing gets below it. */
static void test_links(void)
{
    char here[4096], up[4200];

    MUST(getcwd(here, sizeof(here)) && symlink("/", "up") == 0 && symlink("a/b", "in") == 0 &&
         symlink("/proc", "sys") == 0);
    snprintf(up, sizeof(up), "up%s/a/b", here);
    for (int i = 0; i < OFTEN; i++) {
        WANT(mkdir("in/d", 0755) == 0);
        WANT(rename("in/d", "in/e") == 0);
        WANT(access("a/b/e", F_OK) == 0);
        WANT(rename("in/e", "a/b/d") == 0);
        WANT(rename("a/b/d", "in/e") == 0);
        WANT(rmdir("a/b/e") == 0);
        make("in/f");
        WANT(link("in/f", "in/g") == 0);
        WANT(rename("in/g", "a/b/h") == 0);
        WANT(unlink("in/h") == 0);
        WANT(unlink("a/b/f") == 0);
        WANT(symlink("x", "in/s") == 0);
        WANT(unlink("a/b/s") == 0);
        WANT(failed(mkdir("up/proc/x", 0755), ENOENT));
        WANT(failed(mkdir("sys/x", 0755), ENOENT));
        WANT(failed(symlink("x", "up/proc/x"), ENOENT));
        WANT(failed(rmdir("up/proc"), EBUSY));
        WANT(failed(rename("up/proc", "c/x"), EBUSY));
        WANT(failed(mkdir("up/proc", 0755), EEXIST));
        WANT(failed(rename("c", "up/proc"), EBUSY));
        WANT(failed(rename("a/f", "up/proc/x"), EXDEV));
        WANT(failed(link("a/f", "up/proc/x"), ENOENT));
        WANT(failed(rmdir("/proc"), EBUSY));
        WANT(failed(rename("/proc", "/x"), EBUSY));
        WANT(failed(rename("/dev/pts", "/dev/x"), EBUSY));
    }
    CHECK("links on the way", wrong == 0);
    MUST(chdir(up) == 0);
    for (int i = 0; i < OFTEN; i++) {
        WANT(mkdir("x", 0755) == 0);
        WANT(rename("x", "y") == 0);
        WANT(rmdir("../b/y") == 0);
    }
    CHECK("in a directory that links led to", wrong == 0);
}

int main(void)
{
    MUST(mkdir("/tmp/names", 0755) == 0 && chdir("/tmp/names") == 0);
    setvbuf(stdout, NULL, _IONBF, 0);
    test_plain();
    test_errors();
    test_links();
    return check_done();
}
