/* A session: one program that was started from outside (the container's own, or an exec's), with the porter
 * that stands for it. Made and ended by the control thread; process->session and everything here under
 * tasklist_lock. */
#ifndef BAILEY_KEEP_SESSION_H
#define BAILEY_KEEP_SESSION_H

#include "common/err.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/platform/listener.h"

struct session {
    struct session *next, *prev; /* kernel.sessions */
    struct container *container; /* a reference */
    struct process *process;     /* a reference */
    struct task *first;          /* a reference */
    struct tty *tty;             /* a reference; NULL without `terminal` */
    struct listener *listener;   /* NULL until it has come */
    int porter_fd;
    int client_fd; /* who waits to hear that the program runs; -1: nobody. Not owned */
    int maker_fd;  /* whose end before CONTROL_DETACH ends the program; -1: nobody's. Not owned */
    bool running;  /* the program was loaded */
    bool ended;
};

/* Makes the first task of spec's program in c: checks that it can be executed, gives it its files. Its host
 * process comes with the porter's listener. porter_fd and spec's descriptors are taken over. NULL with *e
 * set. */
struct session *session_new(struct container *c, const struct keep_process *spec, int porter_fd,
                            struct err *e);

/* The porter's guest is there: serves it. 0 or -errno. */
int session_serve(struct session *s, int listener_fd);

/* The porter is gone: so is the program, if it was not yet. Frees s. */
void session_end(struct session *s);

/* [tasklist_lock] p's program has been loaded / p has ended: tells client and porter. */
void session_running(struct process *p);
void session_exited(struct process *p);

/* Waits, as part of the gate's last question, until t's container may run its program. 0; -EINTR: it never
 * will, some signal ended it. */
int session_wait_for_start(struct task *t);

#endif
