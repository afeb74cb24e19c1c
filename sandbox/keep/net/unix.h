/* AF_UNIX sockets, from the inside.
 *
 * Every socket is made of a host socket pair. `a` is the file's hostfd: what it reads from and, for connected
 * streams, writes to. `b` is the other end: stream, seqpacket   unconnected: its own; connect() hands it to
 * the server's side, as that one's `a` listening: a byte is written into it per pending connection, so that
 * `a` is readable dgram               where all who send to this socket write, for as long as anybody refers
 * to it
 *
 * Descriptors and credentials travel as a parcel: a host message carries one token (a memfd whose size is the
 * parcel's number), so that the host keeps parcels and bytes together. Datagrams start with a header that
 * names the sender. */
#ifndef BAILEY_KEEP_UNIX_H
#define BAILEY_KEEP_UNIX_H

#include <sys/un.h>
#include <uthash.h>

#include "sandbox/keep/net/sock.h"
#include "sandbox/keep/fs/vfs.h"

enum unix_status { UNIX_IDLE, UNIX_LISTEN, UNIX_CONNECTED, UNIX_CLOSED };

struct notify;

struct unix_cred {
    uint64_t pids; /* the id of the pid namespace that pid is in */
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

struct unix_addr {
    struct sockaddr_un un;
    socklen_t len; /* 0: unnamed */
};

/* What a name leads to: an inode, or bytes in the abstract name space. */
struct unix_key {
    uint64_t dev, ino;
    char abstract[sizeof(((struct sockaddr_un *)0)->sun_path)];
    socklen_t abstract_len;
};

struct unix_sock {
    struct sock base;
    atomic_int refs;
    int a, b;
    /* All below: unix_state.lock, unless said otherwise. */
    enum unix_status status;
    struct unix_sock *peer; /* a reference; dgram: where send() goes */
    struct unix_addr addr;
    struct unix_key key;  /* valid with addr.len */
    struct dentry *inode; /* keeps the inode of a path name from being used again */
    UT_hash_handle hh;
    struct unix_cred self, remote; /* as SO_PEERCRED tells; self: as of listen() or connect() */
    atomic_bool passcred;
    bool shut_rd, shut_wr;
    atomic_uint parcels; /* perhaps still in a's queue */
    struct file *file;   /* not counted; NULL: not accepted yet, or gone */
    bool laned;          /* what is in a's queue may be read without the keep */
    /* Listening. */
    struct unix_sock *queue, *queue_next, *queue_prev; /* embryos, not yet accepted */
    unsigned qlen, backlog, bytes;
    unsigned waiting;     /* connects that wait for room; tasklist_lock */
    pthread_cond_t room;  /* tasklist_lock is its mutex */
    struct notify *relay; /* not NULL: datagrams to it go there */
};

#define UNIX_PARCEL_FILES 253

struct unix_parcel {
    uint64_t id;
    unsigned refs; /* MSG_PEEK looks into one that stays */
    bool has_cred;
    struct unix_cred cred;
    unsigned nfiles;
    const struct unix_sock *to; /* in whose queue it is; to be compared only */
    struct unix_user *sender;   /* unix_inflight.c */
    int watch;                  /* -1, or hung up once the host's messages have let go of it; unix_lane.c */
    struct unix_parcel *next;   /* in unix_state.trash; unix_gc.c */
    UT_hash_handle hh;
    struct file *files[];
};

struct unix_state {
    pthread_mutex_t lock;
    struct unix_sock *names; /* by key */
    uint32_t next_auto;
    uint64_t next_parcel;
    struct unix_parcel *parcels; /* under way, by id */
    struct unix_user *users;     /* who sent those */
    struct unix_parcel *trash;   /* files yet to be put */
    bool emptying;
    unsigned next_collection; /* unix_gc.c: with so many parcels */
    unsigned ends;            /* of sockets, since the last one */
    int watched;              /* the epoll descriptor of all watches; -1: none yet */
};

/* Once, at the keep's start. 0 or -ENOMEM. */
int unix_init(void);

/* A datagram socket without a file, whose messages the relay takes; it says that its name is the abstract one
 * given, but is found by who knows the relay only. NULL: no memory. */
struct unix_sock *unix_relay(struct notify *relay, const char *name);

struct unix_sock *unix_get(struct unix_sock *u);
void unix_put(struct unix_sock *u); /* unix_state.lock not held */
static inline void unix_put_p(struct unix_sock **u)
{
    if (*u)
        unix_put(*u);
}
#define _cleanup_unix_ _cleanup_(unix_put_p)

static inline struct unix_sock *unix_of(struct file *f)
{
    return f->priv; /* struct sock comes first */
}

/* What connect(2) and listen(2) note of t: its effective ids. */
void unix_cred_of(struct task *t, struct unix_cred *c);
/* What a message of t's carries: its real ones. [tasklist_lock, if t is another's] */
void unix_sender_cred(const struct task *t, struct unix_cred *c);
/* The same as t is to see it: pids of another namespace are 0. */
struct ucred unix_cred_for(const struct task *t, const struct unix_cred *c);

/* Names (unix_name.c). */
int unix_bind(struct task *t, struct file *f, const struct sock_addr *addr);
/* [lock] Takes u's name out of the table. Its dentry is the caller's to put, without the lock. */
struct dentry *unix_unbind(struct unix_sock *u);
/* The bound socket that addr names, with a reference. -ECONNREFUSED, -ENOENT, -EACCES, -EINVAL ... */
int unix_find(struct task *t, const struct sock_addr *addr, struct unix_sock **ret);
void unix_addr_out(const struct unix_addr *from, struct sock_addr *to);

/* Messages (unix_msg.c, unix_parcel.c). */
ssize_t unix_sendmsg(struct task *t, struct file *f, struct sock_msg *m, int flags);
ssize_t unix_recvmsg(struct task *t, struct file *f, struct sock_msg *m, int flags);
/* The size of a datagram's header. */
size_t unix_header_size(void);
/* Forgets what lies unread in fd's queue. */
void unix_drain(int fd);

/* Makes a parcel of m's control messages. *ret NULL: there is nothing to send. 0 or -errno. */
int unix_parcel_make(struct task *t, const struct sock_msg *m, struct unix_parcel **ret);
/* An empty one with t's credentials; NULL: no memory. */
struct unix_parcel *unix_parcel_cred(struct task *t);
/* Registers p, which t is to send to `to`, and makes its token: one descriptor, and a second one (else -1)
 * for a socket that is a lane. 0 or -errno, ETOOMANYREFS as unix(7) has it. p stays the caller's until the
 * token is sent. */
int unix_parcel_token(struct task *t, struct unix_parcel *p, struct unix_sock *to, int token[2]);
/* The parcel behind a token; peek: it stays in the queue. NULL: none. A reference. */
struct unix_parcel *unix_parcel_take(int token, bool peek);
/* Drops a reference; the last one lets the files go. p may be NULL. */
void unix_parcel_put(struct unix_parcel *p);
/* Hands p's contents (p may be NULL) and, with SO_PASSCRED, the sender's credentials (cred NULL: p's) to t as
 * control messages, as far as there is room. */
void unix_parcel_deliver(struct task *t, struct unix_sock *u, struct unix_parcel *p,
                         const struct unix_cred *cred, struct sock_msg *m, int flags);
/* [lock] p is on its way, sent by t, and is so no more (unix_inflight.c). 0, -ETOOMANYREFS, -ENOMEM. */
int unix_inflight_begin(struct task *t, struct unix_parcel *p);
void unix_inflight_end(struct unix_parcel *p);
/* [lock] Lets go of p, whoever has it, and then of all that waits for that. */
void unix_parcel_trash(struct unix_parcel *p);
void unix_trash_empty(void); /* gives the lock away meanwhile */
/* Lets go of sockets, and of what lies in them, that nobody can ever receive again (unix_gc.c): after a send,
 * and at a socket's end. No lock held. */
void unix_collect(bool after_send);
/* Undoes unix_parcel_token for a token that was not sent. */
void unix_parcel_recall(struct unix_parcel *p);
/* The host has let go of the parcel's token without the keep: somebody read past it. */
void unix_parcel_lost(uint64_t id);

/* Lanes (unix_lane.c). */
/* [lock] f is u's file, and new, or u is newly connected: it may become a lane. */
void unix_lane_offer(struct unix_sock *u, struct file *f);
int unix_become_lane(struct file *f);
/* [lock] Has p watched, and returns the descriptor to be sent along, or -errno. */
int unix_lane_watch(struct unix_parcel *p);
/* SO_PASSCRED. 0 or -errno. */
int unix_set_passcred(struct file *f, bool on);
/* The credentials of a message that went by a lane, by its sender as the host sees it. False: not known. */
bool unix_lane_cred(pid_t host_pid, struct unix_cred *c);

#endif
