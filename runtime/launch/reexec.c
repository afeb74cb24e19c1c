#include "runtime/launch/reexec.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "common/cleanup.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

enum { SEAL_TRIES = 50 };
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static int make_memfd(void)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("bailey", flags | MFD_EXEC);

    /* Before Linux 6.3 there is no such flag, and every memfd can be executed. */
    return fd < 0 && errno == EINVAL ? memfd_create("bailey", flags) : fd;
}

/* How much of the program its segments take. What follows in the file, symbols and the debugger's tables, is
 * never loaded and need not be copied. */
static off_t loaded_size(int fd, off_t file_size)
{
    Elf64_Ehdr eh;
    Elf64_Phdr ph[32];
    off_t end = 0;

#ifdef __SANITIZE_ADDRESS__
    return file_size; /* its reports name functions */
#endif
    if (pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) || eh.e_phentsize != sizeof(ph[0]) ||
        eh.e_phnum > ARRAY_SIZE(ph))
        return file_size;
    size_t bytes = eh.e_phnum * sizeof(ph[0]);
    if (pread(fd, ph, bytes, (off_t)eh.e_phoff) != (ssize_t)bytes)
        return file_size;
    for (unsigned i = 0; i < eh.e_phnum; i++)
        if (ph[i].p_type == PT_LOAD && (off_t)(ph[i].p_offset + ph[i].p_filesz) > end)
            end = (off_t)(ph[i].p_offset + ph[i].p_filesz);
    return end > 0 && end < file_size ? end : file_size;
}

static int copy_program(int from, int to)
{
    struct stat st;

    if (fstat(from, &st))
        return -1;
    for (off_t left = loaded_size(from, st.st_size); left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t)left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        left -= n;
    }
    return 0;
}

/* The kernel waits for whoever holds a page of the file still, but not for long; on a busy machine that is
 * not enough (fcntl(2): EBUSY). */
static int seal(int fd)
{
    for (int i = 0; i < SEAL_TRIES; i++)
        if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
            return 0;
        else if (errno != EBUSY)
            break;
    return -1;
}

/* Whether fd, our own program, is the copy, or the program through a read-only mount of nothing but itself.
 * Unlike a variable neither can be forged, and neither can be undone by what has no rights outside of a
 * container. */
static bool is_sealed(int fd)
{
    struct statvfs fs;
    struct statx st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals >= 0 && (seals & SEALS) == SEALS)
        return true;
    return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) && fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

/* A mount of the program that is in nobody's namespace, and so can be neither changed nor copied
 * (mount_setattr(2), open_tree(2): EINVAL); it lasts as long as what runs from it. -1 where the caller may
 * not mount. */
static int read_only_mount(int self)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    _cleanup_close_ int fd =
        (int)syscall(SYS_open_tree, self, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0 || syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -1;
    return is_sealed(fd) ? steal_fd(&fd) : -1;
}

static int memory_copy(int self, struct err *e)
{
    _cleanup_close_ int copy = make_memfd();

    if (copy < 0)
        return err_set(e, ERR_SYS, errno, "memfd_create");
    if (copy_program(self, copy))
        return err_set(e, ERR_SYS, errno, "copying the program to memory");
    if (fchmod(copy, 0500) || seal(copy))
        return err_set(e, ERR_SYS, errno, "sealing the program's copy");
    return steal_fd(&copy);
}

int reexec_sealed(char **argv, struct err *e)
{
    _cleanup_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (self < 0)
        return err_set(e, ERR_SYS, errno, "/proc/self/exe");
    if (is_sealed(self)) {
        prctl(PR_SET_NAME, "bailey");
        return 0;
    }
    _cleanup_close_ int mounted = read_only_mount(self);
    if (mounted >= 0)
        fexecve(mounted, argv, environ);
    _cleanup_close_ int copy = memory_copy(self, e);
    if (copy < 0)
        return -1;
    fexecve(copy, argv, environ);
    return err_set(e, ERR_SYS, errno, "executing the program's copy");
}
