/* System V IPC: what its three kinds share (sysvipc(7)), and the POSIX message queues' place.
 *
 * All of it is guarded by kernel.tasklist_lock. An object that was removed stays in memory while someone
 * waits on it. */
#ifndef BAILEY_KEEP_SYSV_H
#define BAILEY_KEEP_SYSV_H

#include <sys/ipc.h>

#include "sandbox/keep/kernel.h"

struct strbuf;

struct ipc_object {
    key_t key;
    int id;
    uid_t uid, cuid;
    gid_t gid, cgid;
    mode_t mode;   /* 0777 */
    unsigned refs; /* the table's, and one for each waiter */
    bool removed;
    void (*free)(struct ipc_object *o);
};

struct ipc_ids {
    struct ipc_object **slots;
    unsigned nslots, used, max;
    unsigned seq;
};

struct ipc {
    struct ipc_ids sem, msg, shm;
    unsigned long nsems; /* of all sets */
    uint64_t msg_bytes;  /* in all queues */
    uint64_t shm_pages;
    struct mqueue *mqueues; /* mqueue.c */
    unsigned users;         /* containers */
};

/* A new one with one user; NULL: no memory. */
struct ipc *ipc_new(void);
struct ipc *ipc_join(struct ipc *ipc); /* [T] one user more */
/* [T] One user less (NULL: nothing to do). With the last one its objects go; open message queues live on. */
void ipc_leave(struct ipc *ipc);
void mqueue_ipc_ends(struct ipc *ipc);    /* [T] mqueue.c's part of it */
void ipc_free_if_unused(struct ipc *ipc); /* [T] */

/* [T] The object of id: NULL: none, or it is of an older generation. */
struct ipc_object *ipc_find(const struct ipc_ids *ids, int id);
/* [T] What semget, msgget and shmget do with key and flags: 1: *ret is an existing one that t may use; 0: the
 * caller is to make one; -ENOENT, -EEXIST, -EACCES. */
int ipc_lookup(struct task *t, struct ipc_ids *ids, key_t key, int flags, struct ipc_object **ret);
/* [T] Puts a new object (its free set) into the table with t's identity. Its id, or -ENOSPC, -ENOMEM. */
int ipc_add(struct task *t, struct ipc_ids *ids, struct ipc_object *o, key_t key, int flags);
/* [T] Takes it out of the table and drops the table's reference. */
void ipc_remove(struct ipc_ids *ids, struct ipc_object *o);
void ipc_put(struct ipc_object *o); /* [T] */

/* [T] May t read (0444) or write (0222)? 0 or -EACCES. */
int ipc_allowed(struct task *t, const struct ipc_object *o, mode_t want);
/* [T] May t change or remove it (IPC_SET, IPC_RMID)? */
bool ipc_owned(struct task *t, const struct ipc_object *o);
void ipc_fill_perm(const struct ipc_object *o, struct ipc_perm *perm);
/* IPC_SET. */
void ipc_set_perm(struct ipc_object *o, const struct ipc_perm *perm);

/* [T] What SEM_STAT, MSG_STAT and SHM_STAT look at, and (any) those whose names end in _ANY: the object in a
 * slot, if t may read it: 0, -EINVAL, -EACCES. */
int ipc_stat_slot(struct task *t, const struct ipc_ids *ids, int slot, bool any, struct ipc_object **ret);
/* The highest slot in use. */
int ipc_last_slot(const struct ipc_ids *ids);

/* What a control call takes in or gives out: copied while no lock is held. */
struct ipc_buf {
    size_t len;
    char data[128];
};
/* Sets what goes out. 0. */
long ipc_buf_put(struct ipc_buf *buf, const void *data, size_t len);
/* Runs a control call: n_in bytes from arg go into the buffer, fn runs with the lock, what it put goes to
 * arg. */
long ipc_control(struct task *t, const struct sysargs *a, uaddr_t arg, size_t n_in,
                 long (*fn)(struct task *t, const struct sysargs *a, struct ipc_buf *buf));

/* [T] The process ends: its semaphore adjustments are made (SEM_UNDO), and its mq_notify requests end. */
void sysv_process_exit(struct process *p) __attribute__((weak));
void mqueue_process_exit(struct process *p);
/* The text of /proc/sysvipc/{sem,msg,shm}. Takes the lock. */
void sysv_show_sem(struct task *t, struct strbuf *sb);
void sysv_show_msg(struct task *t, struct strbuf *sb);
void sysv_show_shm(struct task *t, struct strbuf *sb);

#endif
