/* reach WHAT: tries to reach what is the host's. Prints each success as "REACHED: ..." and ends with 1 then.
 *   tty         push input to the terminal that the caller has, by TIOCSTI and TIOCLINUX; take it over
 *   keys        read, add and join keyrings
 *   devices     make device nodes and open them */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int reached;

static void success(const char *what)
{
    printf("REACHED: %s\n", what);
    reached++;
}

static void push(int fd, const char *name)
{
    char line[80], linux_paste[] = {3, 0};

    if (fd < 0)
        return;
    for (const char *s = "echo pushed >pushed\n"; *s; s++) {
        if (ioctl(fd, TIOCSTI, s) == 0) {
            snprintf(line, sizeof(line), "TIOCSTI on %s", name);
            success(line);
            break;
        }
    }
    if (ioctl(fd, TIOCLINUX, linux_paste) == 0)
        success("TIOCLINUX");
    printf("%s: a terminal: %d, its session: %d\n", name, isatty(fd), ioctl(fd, TIOCSCTTY, 1));
}

static void tty(void)
{
    push(0, "0");
    push(1, "1");
    push(2, "2");
    push(open("/dev/tty", O_RDWR), "/dev/tty");
    push(open("/dev/console", O_RDWR), "/dev/console");
    push(open("/dev/pts/0", O_RDWR), "/dev/pts/0");
    (void)setsid();
    push(open("/dev/tty", O_RDWR), "/dev/tty of a new session");
}

static void keys(void)
{
    char text[4096];

    for (long ring = -1; ring >= -5; ring--)
        if (syscall(SYS_keyctl, 11 /* READ */, ring, text, sizeof(text)) >= 0)
            success("a keyring of the host is read");
    if (syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3, 0) >= 0)
        success("a session keyring");
    if (syscall(SYS_keyctl, 1 /* JOIN_SESSION_KEYRING */, "bailey-test") >= 0)
        success("a session keyring is joined");
    if (syscall(SYS_add_key, "user", "bailey-test", "x", 1UL, -3) >= 0)
        success("a key is added");
    if (syscall(SYS_request_key, "user", "bailey-test-secret", NULL, -3) >= 0)
        success("the caller's key is found");
    int fd = open("/proc/keys", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n > 0 && memmem(text, (size_t)n, "bailey-test-secret", 18))
        success("the caller's key is listed");
}

static void try_node(const char *dir, mode_t type, unsigned major, unsigned minor)
{
    char path[100], byte;

    snprintf(path, sizeof(path), "%s/node-%o-%u-%u", dir, (unsigned)type, major, minor);
    int made = mknod(path, type | 0666, makedev(major, minor));
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    if (fd >= 0 && read(fd, &byte, 1) >= 0) {
        printf("%s %d:%d: made %d\n", path, (int)major, (int)minor, made);
        success("a device of the host is read");
    }
    if (fd >= 0)
        close(fd);
    (void)unlink(path);
}

static void devices(const char *given)
{
    static const char *const dirs[] = {"/test", "/tmp", "/dev", "/dev/shm"};
    static const unsigned disks[] = {1, 7, 8, 9, 252, 253, 254, 259};
    char path[200], byte;

    (void)mkdir("/test/m", 0755);
    (void)mount("tmpfs", "/test/m", "tmpfs", 0, "");
    (void)mount(NULL, "/test", NULL, MS_REMOUNT | MS_BIND, NULL); /* to take nodev off */
    (void)mount(NULL, "/dev", NULL, MS_REMOUNT | MS_BIND, NULL);
    for (size_t d = 0; d < sizeof(dirs) / sizeof(*dirs); d++) {
        for (size_t i = 0; i < sizeof(disks) / sizeof(*disks); i++) {
            try_node(dirs[d], S_IFBLK, disks[i], 0);
            try_node(dirs[d], S_IFBLK, disks[i], 1);
        }
        for (unsigned minor = 1; minor <= 12; minor++)
            if (minor != 3 && minor != 5 && minor != 7 && minor != 8 && minor != 9)
                try_node(dirs[d], S_IFCHR, 1, minor); /* mem, kmem, port, kmsg ... */
        try_node(dirs[d], S_IFCHR, 10, 200);          /* tun */
        try_node(dirs[d], S_IFCHR, 10, 229);          /* fuse */
        try_node(dirs[d], S_IFCHR, 10, 232);          /* kvm */
        try_node(dirs[d], S_IFCHR, 4, 0);             /* the console */
    }
    /* Nodes that somebody made on the host, in a volume. */
    for (int i = 0; given && i < 4; i++) {
        snprintf(path, sizeof(path), "%s/node%d", given, i);
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        if (fd >= 0 && read(fd, &byte, 1) >= 0)
            success(path);
        if (fd >= 0)
            close(fd);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "tty") == 0)
        tty();
    else if (strcmp(what, "keys") == 0)
        keys();
    else if (strcmp(what, "devices") == 0)
        devices(argv[2]);
    else
        return 2;
    puts("tried");
    return reached > 0;
}
