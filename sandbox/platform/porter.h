/* The porter: the small host process that stands for a container towards the host. */
#ifndef BAILEY_PLATFORM_PORTER_H
#define BAILEY_PLATFORM_PORTER_H

#include <stdbool.h>

struct call_set;
struct guest_label;
struct keep_confine;

/* What guests have of their own, with nothing in them: network, ipc, names, mounts. */
#define GUEST_NS 4

struct porter {
    int keep_fd;  /* SOCK_SEQPACKET to the keep */
    int mntns_fd; /* the keep's mount namespace: the container's tree, and no host; guests always begin there
                   */
    bool enter_mntns; /* the porter, too */
    int userns_fd;    /* the keep's user namespace, for the guests */
    int gate_fd;      /* the gate's image */
    int tty_fd;       /* the host pty's slave that becomes the porter's controlling terminal, or -1 */
    bool in_userns;   /* this is the porter's own one already, and it is root there */
    bool all_calls;   /* guests get the filter without native calls of their own */
    int agent_fd; /* to the runtime, which passes the stand-in's listener to the seccomp agent; -1: no agent
                   */
    bool agent_killable;                /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
    const struct keep_confine *confine; /* what the first guest's host process gets; NULL: nothing */
    const struct guest_label *label;    /* of the guests; NULL: none */
    int guest_ns[GUEST_NS]; /* those of guests that are there, for more of them to join; -1: make new ones */
    const struct call_set *judged; /* what the seccomp profile has a say in (gate_filter.h) */
};

/* The porter's life, as pid 1 of the container's host pid namespace: makes the first guest process, forwards
 * signals to the keep, and ends as the keep says; its children the host reaps. Never returns. */
_Noreturn void porter_main(const struct porter *p);

#endif
