/* The doorbell: seccomp user notifications of one guest tree, received by a leader/followers pool of workers.
 */
#ifndef BAILEY_PLATFORM_LISTENER_H
#define BAILEY_PLATFORM_LISTENER_H

#include "sandbox/keep/kernel.h"

struct listener {
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned idle_workers;  /* waiting to become leader */
    unsigned refs;          /* its owner, and every worker */
    bool has_leader;        /* someone is in RECV, or about to be */
    struct worker *leader;  /* who that is; NULL: it has yet to say so */
    bool dead;              /* no guest is left behind this filter */
    struct parked *resumed; /* calls that a worker is to go on with */
    /* A thread that looks whether the leader comes back, while there are calls and others could wait. */
    pthread_cond_t watch;
    bool has_watcher;
    atomic_bool watched;
    /* Who called last, by its host thread, and how many more calls count as made in turns with others. */
    atomic_uint caller, turns;
    atomic_uint slow;   /* so many descriptors are to be given as if it took long */
    struct task *first; /* the task that the first notification is for */
};

/* A listener over fd (taken over), served from now on, for guests of c. The first notification is the native
 * exec of `first`'s gate. Serves until the last guest behind it is gone, whoever has released it before.
 * NULL: no memory, or no thread. */
struct listener *listener_new(int fd, struct container *c, struct task *first);
struct listener *listener_get(struct listener *l);
void listener_release(struct listener *l);

/* A worker calls this before anything that may block for long: another takes over RECV. Cheap when done
 * already. Of what hardly ever blocks (a file system of the host's that is slow, frozen or gone) no worker
 * knows before: there another takes over when it has lasted for a while and somebody waits to be heard. */
void worker_about_to_block(void);

/* A worker of p's listener is to go on with p's call (parked_go_on): this thread, where it is one, as soon as
 * it is back from what it does; it passes it on if that takes long. */
struct parked;
void listener_resume(struct parked *p);

/* Answers. notif_continue lets the host run the call. 0, or -errno (ENOENT: the task is gone). */
int notif_answer(const struct sysargs *a, long result);
int notif_continue(const struct sysargs *a);
/* False: the thread that made the call is gone. What its process's memory is by now, nobody knows. */
bool notif_is_pending(const struct sysargs *a);
/* Puts host descriptor fd into the task as notif_addfd does; its number there is the call's answer. 0 or
 * -errno. The guest goes on, and may make its next call, before this returns: see syscall_answer_fd. */
int notif_answer_fd(const struct sysargs *a, int fd, int at);
/* Puts host descriptor fd into the task at number at (-1: the lowest free), close-on-exec. Returns its
 * number, -errno. */
int notif_addfd(const struct sysargs *a, int fd, int at);

#endif
