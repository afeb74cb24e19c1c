/* The namespaces of the guests that a container has, for those of one more program. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/state/procid.h"

static const char *const names[GUEST_NS] = {"net", "ipc", "uts", "mnt"};

/* A porter's oldest child; -1: there is none, or the host does not say (CONFIG_PROC_CHILDREN). */
static pid_t first_child(pid_t porter)
{
    char path[64];
    int child;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", porter, porter);
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    return f && fscanf(f, "%d", &child) == 1 ? child : -1;
}

/* Behind a relay the child is a porter, which is in namespaces that are no guest's. */
static bool is_guests_own(int fd, const char *name, pid_t porter, pid_t keep)
{
    const pid_t others[] = {porter, keep, getpid()};
    struct stat st, other;
    char path[64];

    if (fstat(fd, &st) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", others[i], name);
        if (stat(path, &other) < 0 || (other.st_ino == st.st_ino && other.st_dev == st.st_dev))
            return false;
    }
    return true;
}

static int open_all(pid_t guest, pid_t porter, pid_t keep, int fds[GUEST_NS])
{
    struct err ignored = ERR_INIT;

    for (int i = 0; i < GUEST_NS; i++) {
        fds[i] = launch_open_ns(guest, names[i], &ignored);
        if (fds[i] < 0 || !is_guests_own(fds[i], names[i], porter, keep))
            return -1;
    }
    return 0;
}

void launch_guests_close(int fds[GUEST_NS])
{
    for (int i = 0; i < GUEST_NS; i++) {
        cleanup_close_p(&fds[i]);
        fds[i] = -1;
    }
}

void launch_guests_open(int porter_fd, pid_t porter, pid_t keep, int fds[GUEST_NS])
{
    pid_t child = first_child(porter);
    _cleanup_close_ int guest = child > 0 ? (int)syscall(SYS_pidfd_open, child, 0) : -1;

    for (int i = 0; i < GUEST_NS; i++)
        fds[i] = -1;
    /* The number is a child's now, and was the same process's since before: so that is the child. */
    if (guest < 0 || first_child(porter) != child || open_all(child, porter, keep, fds) < 0 ||
        procid_wait(guest, 0) || procid_wait(porter_fd, 0))
        launch_guests_close(fds);
}
