/* prowl MARKER SECONDS: looks at every process in /proc for a way to the host's file MARKER, which holds
 * "outside", again and again: by its root, working directory, executable, descriptors and memory, and by
 * ptrace. Prints each way that leads there, and at last how often it looked; ends with 1 if one did. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *marker;
static int found;
static long looked;

static void try_file(const char *path)
{
    char text[16] = "";
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    looked++;
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0 && strncmp(text, "outside", 7) == 0) {
        printf("ESCAPED: %s\n", path);
        found++;
    }
    close(fd);
}

/* dir is a directory of some process: is the marker below it, or below what is above it? */
static void try_dir(const char *dir)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s%s", dir, marker);
    try_file(path);
    snprintf(path, sizeof(path), "%s/../../../../../../../../../..%s", dir, marker);
    try_file(path);
    snprintf(path, sizeof(path), "%s/secret", dir);
    try_file(path);
}

/* Its program must be one of the container's own, by its name and by what is there. */
static void try_exe(const char *pid)
{
    char path[300], name[PATH_MAX];
    struct stat st, own;

    snprintf(path, sizeof(path), "/proc/%s/exe", pid);
    ssize_t n = readlink(path, name, sizeof(name) - 1);
    int fd = open(path, O_RDONLY);
    if (n < 0 || fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0)
            close(fd);
        return;
    }
    looked++;
    name[n] = '\0';
    if (stat(name, &own) != 0 || own.st_ino != st.st_ino || own.st_dev != st.st_dev) {
        printf("ESCAPED: %s is %s, which is not the container's\n", path, name);
        found++;
    }
    close(fd);
}

static void try_fds(const char *pid)
{
    char path[300];

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, e->d_name);
        if (e->d_name[0] != '.')
            try_dir(path);
    }
    if (d)
        closedir(d);
}

static void try_ptrace(const char *pid)
{
    int n = atoi(pid), status;

    if (n == getpid() || n == 1 || ptrace(PTRACE_ATTACH, n, 0, 0) != 0)
        return;
    /* A process of the container may be traced; it is the container's. */
    waitpid(n, &status, __WALL);
    try_fds(pid);
    ptrace(PTRACE_DETACH, n, 0, 0);
}

static void look_around(void)
{
    char path[300];
    DIR *d = opendir("/proc");

    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "/proc/%s/root", e->d_name);
        try_dir(path);
        snprintf(path, sizeof(path), "/proc/%s/cwd", e->d_name);
        try_dir(path);
        try_exe(e->d_name);
        try_fds(e->d_name);
        try_ptrace(e->d_name);
    }
    if (d)
        closedir(d);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    marker = argv[1];
    time_t end = time(NULL) + atoi(argv[2]);
    puts("prowling");
    fflush(stdout);
    while (time(NULL) < end && access("/test/enough", F_OK) != 0)
        look_around();
    printf("looked %ld times, found %d\n", looked, found);
    return found > 0;
}
