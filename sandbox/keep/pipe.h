/* Pipes: host pipes, held by the keep. */
#ifndef BAILEY_KEEP_PIPE_H
#define BAILEY_KEEP_PIPE_H

#include "sandbox/keep/file.h"

/* What an anonymous pipe does; FIFOs share most of it. The host descriptor is O_NONBLOCK. */
extern const struct file_ops pipe_ops;

ssize_t pipe_read(struct task *t, struct file *f, struct uio *u, off_t *pos);
ssize_t pipe_write(struct task *t, struct file *f, struct uio *u, off_t *pos);
int pipe_set_flags(struct task *t, struct file *f, unsigned flags);

#endif
