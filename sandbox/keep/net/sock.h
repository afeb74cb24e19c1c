/* Sockets: what the calls (sock.c, sock_msg.c) and the families (inet.c, unix.c) say to each other.
 *
 * Addresses, options and ancillary data are copied in once and bounded before a family sees them. */
#ifndef BAILEY_KEEP_SOCK_H
#define BAILEY_KEEP_SOCK_H

#include <sys/socket.h>

#include "sandbox/keep/fs/file.h"

struct sock_addr {
    struct sockaddr_storage ss;
    socklen_t len; /* 0: none */
};

/* One message, either way. */
struct sock_msg {
    struct uio *u;
    struct sock_addr addr; /* send: the destination; receive: filled with the sender's */
    bool want_addr;        /* receive: someone will look at addr */
    char *control;         /* the keep's memory */
    size_t control_len;    /* send: its length; receive: its size, then what was filled */
    int flags;             /* receive: the resulting MSG_* */
};

struct sock;

/* flags are MSG_*; bounded lists of them are the family's to make. All return -errno, -ERESTARTSYS where they
 * wait. */
struct sock_proto {
    int (*bind)(struct task *t, struct file *f, const struct sock_addr *addr);
    int (*listen)(struct task *t, struct file *f, int backlog);
    int (*connect)(struct task *t, struct file *f, const struct sock_addr *addr);
    int (*accept)(struct task *t, struct file *f, unsigned flags, struct file **ret, struct sock_addr *from);
    int (*getname)(struct task *t, struct file *f, bool peer, struct sock_addr *addr);
    ssize_t (*sendmsg)(struct task *t, struct file *f, struct sock_msg *m, int flags);
    ssize_t (*recvmsg)(struct task *t, struct file *f, struct sock_msg *m, int flags);
    int (*shutdown)(struct task *t, struct file *f, int how);
    int (*setsockopt)(struct task *t, struct file *f, int level, int opt, const void *val, socklen_t len);
    int (*getsockopt)(struct task *t, struct file *f, int level, int opt, void *val, socklen_t *len);
    long (*ioctl)(struct task *t, struct file *f, unsigned cmd, uaddr_t arg);
    int (*become_lane)(struct file *f); /* of a FILE_STREAM; as file_ops' */
    void (*release)(struct file *f);
};

/* The start of every family's own structure; file.priv. */
struct sock {
    const struct sock_proto *proto;
    int family, type, protocol;
    struct timespec rcvtimeo, sndtimeo; /* zero: none */
    bool timed;                         /* one of them was set once */
    bool lingers;                       /* SO_LINGER with a time */
    bool tells;                         /* it has had options by which an open connection can have an error */
    bool listens;
    uint64_t cookie; /* the host's, once it was asked for */
    bool joins;      /* its connect goes on, and its guest's gate may hear how it went */
    bool joined;     /* and has heard: the host has yet to be asked again */
    bool fresh;      /* TCP, never used: may be so for its process (later.c) */
};

extern const struct file_ops sock_ops;

/* The socket behind f, or NULL. */
static inline struct sock *sock_of(struct file *f)
{
    return f->ops == &sock_ops ? f->priv : NULL;
}

/* A socket of a stream whose bytes the host moves, at the guest's number, too. */
static inline bool sock_is_stream(const struct file *f)
{
    const unsigned stream = FILE_STREAM | FILE_RAW_WRITE;

    return f->ops == &sock_ops && (f->kind & stream) == stream;
}

/* New sockets; type without SOCK_NONBLOCK and SOCK_CLOEXEC. 0 or -errno. */
int unix_create(struct task *t, int type, int protocol, unsigned flags, struct file **ret);
int unix_pair(struct task *t, int type, int protocol, unsigned flags, struct file *ret[2]);
int inet_create(struct task *t, int family, int type, int protocol, unsigned flags, struct file **ret);

/* A receive or send on f that would block: waits for events on hostfd, unless the call must not. timeo: of
 * the socket (zero: none); *deadline is made of it at the first call, when its tv_sec is 0. 0: try again. */
int sock_wait(struct task *t, struct file *f, int hostfd, short events, int msg_flags,
              const struct timespec *timeo, struct timespec *deadline);

/* Lets the host's own calls on f, a lane, wait as the guest's should; or not at all: for calls of the keep,
 * which no signal could end. 0 or -errno. */
int sock_host_waits(struct file *f, bool may);

/* f may be, or is, fresh. */
bool sock_is_fresh(struct file *f);
/* It is not, or no more: O_NONBLOCK or not, as its process has said. Takes f's pos_lock. */
void sock_settle(struct file *f, bool nonblock);

/* Appends one control message; false when it did not fit whole (then it is cut and MSG_CTRUNC set). */
bool sock_put_cmsg(struct sock_msg *m, size_t *used, int level, int type, const void *data, size_t len);

#endif
