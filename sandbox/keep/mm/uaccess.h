/* Guest memory. Every access of the keep to it goes through here: copied once, length-checked by the caller.
 */
#ifndef BAILEY_KEEP_UACCESS_H
#define BAILEY_KEEP_UACCESS_H

#include <sys/uio.h>

#include "sandbox/keep/kernel.h"

/* 0 or -EFAULT (a short copy is -EFAULT too; what was copied stays copied). n == 0 is 0. */
int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t n);
int copy_to_user(struct task *t, uaddr_t dst, const void *src, size_t n);

/* To the memory of a guest's host thread that waits for the answer to a call. 0 or -EFAULT. */
int copy_to_host_thread(pid_t host_tid, uaddr_t dst, const void *src, size_t n);

/* Several places at once: all or -EFAULT, at most 8. */
struct user_copy {
    uaddr_t to;
    const void *from;
    size_t n;
};
int copy_all_to_user(struct task *t, const struct user_copy *c, unsigned n);

/* The same the other way. -EFAULT: some of it is not there; what was read is not said. */
struct user_fetch {
    void *to;
    uaddr_t from;
    size_t n;
};
int copy_all_from_user(struct task *t, const struct user_fetch *f, unsigned n);

/* Copies a NUL-terminated string of at most size - 1 bytes. Returns its length; -EFAULT; -ENAMETOOLONG. */
long strncpy_from_user(struct task *t, char *dst, uaddr_t src, size_t size);

/* A path (size PATH_MAX): as strncpy_from_user. The empty string is the caller's to judge. */
long path_from_user(struct task *t, char dst[4096], uaddr_t src);

#define get_user(t, ptr_, addr) copy_from_user((t), (ptr_), (addr), sizeof(*(ptr_)))
#define put_user(t, val, type, addr) copy_to_user((t), (addr), &(type){(type)(val)}, sizeof(type))

/* A cursor over guest buffers, for read and write alike. */
struct uio {
    struct task *task; /* NULL: the buffers are the keep's own */
    struct iovec *iov; /* iov_base are guest addresses */
    unsigned count;
    unsigned i;       /* the current one */
    size_t off;       /* into it */
    size_t resid;     /* bytes left in all */
    struct iovec one; /* for a single buffer */
};

/* Over one buffer of t, at most as long as one transfer may be (read(2), NOTES). Needs no uio_done. */
void uio_init_one(struct uio *u, struct task *t, uaddr_t base, size_t len);
/* Over memory of the keep, for what moves bytes from file to file. */
static inline void uio_init_kernel(struct uio *u, void *base, size_t len)
{
    *u = (struct uio){.count = 1, .resid = len, .one = {base, len}};
    u->iov = &u->one;
}
/* Copies the iovec array in (IOV_MAX and SSIZE_MAX checked). *u->iov is allocated when count > 1; free by
 * uio_done. */
int uio_init_vec(struct uio *u, struct task *t, uaddr_t vec, unsigned long count);
void uio_done(struct uio *u);
/* Moves up to n bytes and advances. Returns the bytes moved; -EFAULT if none could be. */
ssize_t uio_put(struct uio *u, const void *src, size_t n); /* into the guest */
ssize_t uio_get(struct uio *u, void *dst, size_t n);       /* out of the guest */

#endif
