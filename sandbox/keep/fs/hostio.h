/* Files whose bytes are those of a host descriptor: what pipes, FIFOs, event descriptors and terminals share.
 *
 * The host descriptor is O_NONBLOCK on the keep's side; the guest's own O_NONBLOCK is in file.flags. */
#ifndef BAILEY_KEEP_HOSTIO_H
#define BAILEY_KEEP_HOSTIO_H

#include "sandbox/keep/fs/file.h"

#define HOSTIO_CHUNK 65536UL /* at most this much is moved at a time */

/* A buffer for one transfer: small ones stay on the stack. */
struct iobuf {
    char *p;
    size_t size;
    char *heap;
    char small[4096];
};
/* want: the transfer's size. 0 or -ENOMEM. */
int iobuf_init(struct iobuf *b, size_t want);
void iobuf_done(struct iobuf *b);
#define _cleanup_iobuf_ _cleanup_(iobuf_done)

/* Members for struct file_ops. read: one host read, waiting for it unless O_NONBLOCK. write: all of it, with
 * SIGPIPE and EPIPE. */
ssize_t hostio_read(struct task *t, struct file *f, struct uio *u, off_t *pos);
ssize_t hostio_write(struct task *t, struct file *f, struct uio *u, off_t *pos);
int hostio_stat(struct task *t, struct file *f, struct stat *st);
int hostio_fsync(struct task *t, struct file *f, bool data_only);
int hostio_truncate(struct task *t, struct file *f, off_t len);
long hostio_ioctl(struct task *t, struct file *f, unsigned cmd, uaddr_t arg); /* FIONREAD alone */
/* SIGPIPE for t, as a failed write raises it. */
void raise_sigpipe(struct task *t);
/* Re-opens hostfd through the keep's own /proc/PID/fd with flags (O_CLOEXEC and O_NOCTTY are added). fd or
 * -errno. */
int hostfd_reopen(int hostfd, int flags);
/* "pipe:[inode]" and the like. */
void hostio_link_name(struct file *f, char *buf, size_t size);

/* The tail of every call that makes a descriptor: a file over hostfd (taken over, closed on failure),
 * installed. flags are O_*, O_CLOEXEC among them. fd or -errno; priv stays the caller's on failure. */
int hostio_install(struct task *t, const struct file_ops *ops, unsigned flags, unsigned kind, int hostfd,
                   void *priv);

/* A transfer of u's bytes, by the keep and as f's own operations make it: at pos where f has positions. Its
 * access mode has been looked at. Bytes, -errno or -ERESTART*. */
ssize_t file_transfer(struct task *t, struct file *f, bool write, off_t pos, int rwf, struct uio *u);

/* [pos NULL: the host's own position] Reads and writes a regular file's bytes in the keep, for small
 * transfers. */
ssize_t lane_read(struct file *f, struct uio *u, const off_t *pos, int rwf);
ssize_t lane_write(struct file *f, struct uio *u, const off_t *pos, int rwf);

#endif
