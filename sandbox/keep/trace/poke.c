/* Writing to another's memory as a tracer does: to text, too, of which the process then has a private copy.
 * By the host's /proc/PID/mem, which alone lets read-only pages be written to; never to the gate, on whose
 * text the keep relies (seccomp_native.c). */
#include <fcntl.h>
#include <stdio.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/fs/vfs.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/trace/trace.h"

/* Whatever the mapping allows. */
static int force(struct task *who, uaddr_t at, const void *from, size_t n)
{
    char name[48];

    if (gate_meets(at, n))
        return -EIO;
    if (copy_to_user(who, at, from, n) == 0)
        return 0;
    (void)snprintf(name, sizeof(name), "%d/mem", who->host_tid);
    vfs_assume_self(); /* procfs asks for rights that the guest may not have */
    _cleanup_close_ int fd = openat(kernel.procfd, name, O_RDWR | O_CLOEXEC);
    return fd >= 0 && pwrite(fd, from, n, (off_t)at) == (ssize_t)n ? 0 : -EIO;
}

void poke_site(struct task *who, uaddr_t site, const unsigned char *text, unsigned len)
{
    (void)force(who, site, text, len);
}

int poke_memory(struct task *who, uaddr_t at, const void *from, size_t n)
{
    if (gate_meets(at, n))
        return -EIO;
    return poke_sites_back(who, at, n) < 0 ? -EIO : force(who, at, from, n);
}
