/* User notification (seccomp_unotify(2)) among guests: a filter with a listener, the calls that wait for its
 * supervisor, and the supervisor's descriptor. All of it is the keep's; the host's own user notification is
 * how any call gets here. tasklist_lock guards everything. */
#ifndef BAILEY_KEEP_SECCOMP_NOTIFY_H
#define BAILEY_KEEP_SECCOMP_NOTIFY_H

#include "sandbox/keep/seccomp/seccomp_internal.h"
#include "sandbox/keep/task/park.h"

enum notif_state { NOTIF_WAITS, NOTIF_SENT, NOTIF_REPLIED };

/* A call that waits. Its task is parked, and no more than that: whatever ends the task ends this. */
struct notif {
    struct parked parked; /* first */
    struct notif *next, *prev;
    struct seccomp_notifier *notifier; /* a reference */
    uint64_t id;
    struct seccomp_data data;
    enum notif_state state;
    unsigned adding; /* descriptors at this moment */
    long val;
    int error;
    uint32_t flags; /* SECCOMP_USER_NOTIF_FLAG_* */
};

/* What filter and descriptor share; each has a reference, and either may go first. */
struct seccomp_notifier {
    atomic_int refs;
    struct seccomp_filter *filter; /* NULL once no task uses it */
    struct file *file;             /* NULL once it is closed; no reference */
    bool killable;
    uint64_t next_id;
    struct notif *calls;
    unsigned requests; /* to be received; as on Linux, those that were taken back still count */
    unsigned nwaits, nsent;
    struct recv_call *receivers; /* parked */
    int in_fd;                   /* the end of file's pipe that is written to: a byte for each that waits */
    unsigned in_bytes;
    bool out; /* file->outfd is writable: some notification waits for its answer */
};

/* seccomp_notify.c: the target's side ---------------------------------------------------------------------
 */

/* Puts t's call a, which is *d to its filter by, to the supervisor: SYS_PARKED, or what it ends with. */
long seccomp_notify(struct task *t, const struct seccomp_filter *by, const struct sysargs *a,
                    const struct seccomp_data *d);
/* [T] What the descriptor's readiness is to be, after a change. */
void notifier_sync(struct seccomp_notifier *n);
void notifier_put(struct seccomp_notifier *n);

/* seccomp_listener.c: the supervisor's ---------------------------------------------------------------------
 */

/* A notifier with its descriptor in t's table, for f, which is not in use yet. Its number or -errno. */
int notifier_install(struct task *t, struct seccomp_filter *f, bool killable);
/* [T] A call has come, or none will: whoever waits for one looks. */
void notifier_wake(struct seccomp_notifier *n);
/* [T] No task uses the filter any more. */
void notifier_hang_up(struct seccomp_notifier *n);

#endif
