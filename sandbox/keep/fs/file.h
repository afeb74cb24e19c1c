/* Open files and descriptor tables.
 *
 * A file that can be polled has one host descriptor (hostfd) whose readiness is the file's own: the guest's
 * poll, select and epoll are the host's on those descriptors. hostfd == -1: always ready (or not pollable:
 * FILE_NOPOLL). Where one descriptor can not say it all, POLLOUT is that of another (outfd). */
#ifndef BAILEY_KEEP_FILE_H
#define BAILEY_KEEP_FILE_H

#include <fcntl.h>
#include <sys/stat.h>

#include "sandbox/keep/kernel.h"
#include "sandbox/keep/mm/uaccess.h"

struct dentry;
struct file;
struct strbuf;

/* readdir's receiver: returns 0, or -EINVAL when the buffer is full (stop; this entry was not taken). off is
 * the position after the entry. */
struct dir_context {
    int (*emit)(struct dir_context *ctx, const char *name, uint64_t ino, unsigned char type, int64_t off);
};

/* Any member may be NULL: then the call fails as it does on Linux for such a file (EINVAL, ENOTTY, ESPIPE
 * ...). pos: NULL for stream files; else where to read or write, to be advanced by the callee. */
struct file_ops {
    const char *name; /* "pipe", "socket", "anon_inode:[eventpoll]" ... */
    ssize_t (*read)(struct task *t, struct file *f, struct uio *u, off_t *pos);
    ssize_t (*write)(struct task *t, struct file *f, struct uio *u, off_t *pos);
    off_t (*llseek)(struct task *t, struct file *f, off_t off, int whence); /* pos_lock held */
    long (*ioctl)(struct task *t, struct file *f, unsigned cmd, uaddr_t arg);
    long (*call_ioctl)(struct task *t, const struct sysargs *a, struct file *f); /* instead: it may park */
    int (*stat)(struct task *t, struct file *f, struct stat *st);
    int (*iterate)(struct task *t, struct file *f,
                   struct dir_context *ctx); /* pos_lock held; uses and sets f->pos */
    int (*fsync)(struct task *t, struct file *f, bool data_only);
    int (*truncate)(struct task *t, struct file *f, off_t len);
    int (*fallocate)(struct task *t, struct file *f, int mode, off_t off, off_t len);
    int (*set_flags)(struct task *t, struct file *f,
                     unsigned flags); /* F_SETFL changed O_NONBLOCK, O_APPEND ... */
    /* The text of /proc/PID/fd/N for files without a path ("pipe:[123]"). */
    void (*link_name)(struct file *f, char *buf, size_t size);
    /* Appends the file's own lines to /proc/PID/fdinfo/N ("eventfd-count: ..."). */
    void (*show_fdinfo)(struct task *t, struct file *f, struct strbuf *sb);
    /* Opens the same object anew, through /proc/PID/fd/N, for a file without a dentry (a pipe, a memfd).
     * NULL: -ENXIO. */
    int (*reopen)(struct task *t, struct file *f, int flags, struct file **ret);
    /* Makes the host's description fit for guests: it follows f's O_NONBLOCK from then on. Until it
     * succeeds; pos_lock held. 0 or -errno (-EAGAIN: not now). */
    int (*become_lane)(struct file *f);
    void (*release)(struct file *f); /* the last reference is gone; hostfd is closed after it */
    bool in_memory; /* its bytes are memory: the host makes them for the guest, whose control group pays */
};

enum file_flag {
    FILE_SEEKABLE = 1, /* has a position */
    FILE_LANE = 2,     /* hostfd may be donated to guests: a regular file */
    FILE_NOPOLL = 4,   /* epoll_ctl gives EPERM (regular files, directories) */
    FILE_DIR = 8,
    FILE_RAW_READ = 16,  /* host reads of hostfd are the file's own reads (splice and sendfile may use it) */
    FILE_RAW_WRITE = 32, /* likewise for writes */
    FILE_STREAM = 64,    /* may be donated, to be used by the gate alone */
    FILE_PLAIN = 128,    /* a lane of which the host's fstat and lseek say what its operations say */
};

struct file {
    atomic_int refs;
    const struct file_ops *ops;
    atomic_uint flags;  /* O_* as F_GETFL reports them (access mode, O_APPEND, O_NONBLOCK ...) */
    unsigned kind;      /* enum file_flag */
    int hostfd;         /* owned (by the dentry where dentry->fd is the same number); -1 none */
    int outfd;          /* owned; whose POLLOUT is the file's; -1: hostfd's is */
    int lanefd;         /* another description of the same, for guests; -1: theirs is hostfd */
    atomic_bool laned;  /* become_lane was called */
    atomic_bool barred; /* no gate is to use it from now on, whatever was donated (fast_bar) */
    pthread_mutex_t pos_lock;
    off_t pos;             /* of keep-held positions; a lane's is the host's (lseek on hostfd) */
    struct dentry *dentry; /* where it was opened; NULL for pipes, sockets, anonymous inodes */
    pid_t owner;           /* F_SETOWN */
    int owner_sig;
    struct epitem *epitems; /* epoll.c: registrations to undo at release */
    void *priv;
    atomic_bool locked; /* by flock, or as an open file description, at some time */
    pid_t left_to;     /* the process of the host's that it was left to, and is while hostfd is -1; 0: none */
    uint64_t not_exec; /* nobody could execute it when kernel.exec_given was one less; 0: not known */
};

/* Once, at the keep's start. 0 or -errno. */
int files_init(void);

/* A new file with one reference; hostfd and dentry are taken over. NULL: no memory (nothing is taken over).
 */
struct file *file_new(const struct file_ops *ops, unsigned flags, unsigned kind, int hostfd, void *priv);
struct file *file_get(struct file *f);
void file_put(struct file *f);
static inline void file_put_p(struct file **f)
{
    if (*f)
        file_put(*f);
}
#define _cleanup_file_ _cleanup_(file_put_p)

/* Another open file description of f's object (pipes, memfds ...), or -ENXIO where there is no such thing. */
int file_reopen(struct task *t, struct file *f, int flags, struct file **ret);
/* The text of /proc/PID/fd/N for a file without a dentry. */
void file_link_name(struct file *f, char *buf, size_t size);
/* As fsync(2); -EINVAL where f has nothing to write back. */
int file_fsync(struct task *t, struct file *f, bool data_only);
/* Adds one to the counter of an eventfd, as far as it goes. Any thread. */
void eventfd_signal(struct file *f);
bool file_is_eventfd(const struct file *f);
/* True if a call on f is not to wait. */
static inline bool file_nonblock(struct file *f)
{
    return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}
/* The container's stdio over a descriptor of the caller of the runtime, which is taken over. NULL: no memory.
 */
struct file *host_stdio_file(int fd);
/* The same over a socket of AF_UNIX, AF_INET or AF_INET6; NULL for others, too (nothing is taken over). */
struct file *host_sock_file(int fd);

/* Descriptor tables ----------------------------------------------------------------------------------------
 */

struct fdtable;
struct fdtable *fdtable_new(void);
struct fdtable *fdtable_get(struct fdtable *ft);
void fdtable_put(struct fdtable *ft);            /* the last one closes all; no lock held */
struct fdtable *fdtable_dup(struct fdtable *ft); /* fork: lanes are copied by the host's own fork */
void fdtable_close_on_exec(struct fdtable *ft);  /* and forgets all lanes: the host closed them */

/* The file behind fd with a reference, or NULL. O_PATH files only with fd_get_path. */
struct file *fd_get(struct task *t, int fd);
struct file *fd_get_path(struct task *t, int fd);
/* Installs f (reference taken over on success) at the lowest free number >= min. Returns fd, -EMFILE. */
int fd_install(struct task *t, struct file *f, bool cloexec, int min);
/* As fd_install with min 0, dropping f on failure too: for the tail of every call that makes a file. */
int fd_return(struct task *t, struct file *f, bool cloexec);
/* The same for a stream: where t's process uses such as lanes, it is one from the start, and SYS_NOANSWER is
 * returned, as the host has answered with its number. */
long fd_return_stream(struct task *t, const struct sysargs *a, struct file *f, bool cloexec);
/* At exactly fd, closing what was there (dup2; only for the container's set-up and dup2 itself). */
int fd_install_at(struct task *t, struct file *f, bool cloexec, int fd, const struct sysargs *a);
/* Calls fn for every open fd in order; the table is locked meanwhile. */
void fd_for_each(struct fdtable *ft, void (*fn)(int fd, struct file *f, bool cloexec, void *arg), void *arg);

/* Lanes: puts f's hostfd into the guest at its own number fd, unless it is there already. 0, or -errno. */
int lane_donate(struct task *t, const struct sysargs *a, int fd, struct file *f);
/* It pays to make t's files lanes as they are opened, so many times more than a doorbell. */
bool lane_pays_at_open(struct task *t, unsigned times);
/* fd_return for a file that t's call a has opened, as a lane where that pays: then the call is answered. */
long fd_return_lane(struct task *t, const struct sysargs *a, struct file *f, bool cloexec);
/* fd_return for what t's gate is to map: a lane at once. Its number, or -errno. */
int fd_return_donated(struct task *t, const struct sysargs *a, struct file *f);
/* True if fd is a lane of t. */
bool lane_is(struct task *t, int fd);
/* Neither the guest nor its gate can mean anything by that number. */
bool lane_is_free(struct task *t, int fd);
/* A guest used the FILE_STREAM f behind fd by the keep: once that pays, the gate is given its descriptor.
 * True: it has it. */
bool lane_stream(struct task *t, const struct sysargs *a, int fd, struct file *f);
/* The same at once, and whether or not t's gate may use it: for a call that the host is to run itself. 0 or
 * -errno, -EBADF where fd is too high for the host's table. */
int lane_stream_now(struct task *t, const struct sysargs *a, int fd, struct file *f);
/* f, a signalfd that was read at fd, becomes a lane once that pays: 0. -EAGAIN: it does not yet; -ENODEV:
 * there is no mailbox, which it takes; or another -errno. */
int lane_tokens(struct task *t, const struct sysargs *a, int fd, struct file *f);
/* As lane_donate, but only once that pays: for transfers of len bytes that the keep could as well make
 * itself. True: the host may run the call. */
bool lane_ready(struct task *t, const struct sysargs *a, int fd, struct file *f, size_t len);
/* As that, whatever it costs: f is an end of what only the host may make, for the guest's control group to
 * pay. */
bool lane_for_host(struct task *t, const struct sysargs *a, int fd, struct file *f);
/* The same for fstat and lseek, which the keep makes this time. True: the gate could. */
bool lane_plain(struct task *t, const struct sysargs *a, int fd, struct file *f);

#endif
