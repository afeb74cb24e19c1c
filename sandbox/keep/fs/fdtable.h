/* Descriptor tables from the inside: for the calls in file_calls.c and their kin. */
#ifndef BAILEY_KEEP_FDTABLE_H
#define BAILEY_KEEP_FDTABLE_H

#include "sandbox/keep/fs/file.h"

/* From then on a lane pays: bytes in one transfer, or number of transfers. To donate it costs two switches to
 * the guest; to do without it costs a copy. */
#define LANE_BYTES 131072U
#define LANE_USES 8
/* After so many streams that became lanes, a process's new ones are from the start. */
#define LANES_USUAL 8

/* RLIMIT_NOFILE of t, capped at what a table can hold. */
unsigned fd_limit(struct task *t);
/* More than one task uses ft. */
bool fdtable_shared(struct fdtable *ft);
unsigned fdtable_users(struct fdtable *ft);
/* There is a number for one descriptor more. */
bool fd_has_room(struct task *t);
/* The file (O_PATH ones too) behind fd in any table, with a reference; NULL. */
struct file *fdtable_get_file(struct fdtable *ft, int fd);
/* Who holds this lock finds the threads of the table with the affinity that they were given: the keep pins
 * one to a CPU while it puts a descriptor into it. Not with tasklist_lock. */
pthread_mutex_t *fdtable_pins(struct fdtable *ft);

/* Puts a host descriptor that no file stands for into t at a native number. 0 or -errno. */
int fd_lend(struct task *t, const struct sysargs *a, int hostfd, int number);
/* Takes that away again, unless something else lies there by now. */
void fd_unlend(struct task *t, const struct sysargs *a, int number);
/* The socket f that a call of t's has used at fd need not be the keep's any more: then it is left to the
 * guest, if it is a lane there. joins: its connect goes on. True: it is, and t's gate may hear of that. */
bool fd_leave(struct task *t, int fd, struct file *f, bool joins);
/* ft's sockets are the keep's, too, from now on: its process is to be another program, or not to be alone. */
void fdtable_fetch_left(struct fdtable *ft);
/* Closes fd. *native is set where the call must be continued, so that the host closes a lane. 0 or -EBADF;
 * -ERESTARTNOINTR where that takes a notification, and a has none. */
int fd_close(struct task *t, const struct sysargs *a, int fd, bool *native);
/* Closes first..last, or marks them close-on-exec. True: continue the call, for the lanes' sake. */
bool fd_close_range(struct task *t, const struct sysargs *a, unsigned first, unsigned last, bool only_mark);
/* Whether others would notice that the host's process still holds what it was given of ft: the end of a pipe,
 * say. */
bool fdtable_lent(struct fdtable *ft);
/* ft is the copy of a table that others were using: the host's copy is of another moment, and may hold what
 * no slot of either knows of. Or of one that fdtable_has_tokens. */
bool fdtable_is_strange(struct fdtable *ft);
/* The host's process may hold a signalfd that is its own (signalfd.c), and no child of it is to have that. */
bool fdtable_has_tokens(struct fdtable *ft);
/* The host is about to close all that it holds for ft's only thread. False: ft is not strange. */
bool fdtable_clear_native(struct fdtable *ft);
/* The process of t's call a ends: takes that back. */
void fdtable_withdraw(struct fdtable *ft, const struct sysargs *a);
/* Reads (set < 0) or writes the close-on-exec flag: 0, 1 or -EBADF. */
int fd_cloexec(struct task *t, int fd, int set);

/* The host has closed fd already, a plain lane or a socket that was left to the guest: its file, out of the
 * table, with the slot's reference. NULL: it is none, or ft has had record locks. */
struct file *fdtable_closed(struct fdtable *ft, unsigned fd);
/* The gate has closed fd, the file f, which is no lane there; or it has it again, where nothing else has that
 * number. The slot's reference is dropped, or made. False: it can not have. */
bool fdtable_lull(struct fdtable *ft, unsigned fd, const struct file *f);
bool fdtable_rouse(struct fdtable *ft, unsigned fd, struct file *f, bool cloexec);
/* f is at fd, and no lane; NULL: that is free. */
bool fdtable_is(struct fdtable *ft, unsigned fd, const struct file *f);
/* The lowest number that is free. */
unsigned fdtable_lowest(struct fdtable *ft);
/* ft has record locks, or has had some. */
void fdtable_note_locks(struct fdtable *ft);
bool fdtable_has_locks(struct fdtable *ft);

/* A slot of ft let go of f: what closing means besides dropping the reference (POSIX locks), which is done
 * too. No lock held. */
void file_closed(struct fdtable *ft, struct file *f);

#endif
