/* Calls on stream sockets that the gate makes by itself, as parts of a call by the mailbox (mailbox.c). `l`
 * is the process's page of notes; NULL: none. */
#ifndef BAILEY_GATE_SOCKET_CALLS_H
#define BAILEY_GATE_SOCKET_CALLS_H

#include "sandbox/gate/mailbox_thread.h"

/* A sendfile(2): t's phase says whether it is made (PHASE_DONE) or the keep's (PHASE_RING). */
void socket_sendfile(struct mailbox_thread *t, const struct gate_later *l);
/* What is left to do for one that a signal or a fault has ended (PHASE_SENDS). */
void socket_sent(struct mailbox_thread *t);

/* A connect(2), likewise. 0: it is another call. */
int socket_connect(struct mailbox_thread *t, struct gate_later *l);
/* What the host has said of the socket of such a call, if it says so only once, is noted for the keep. */
void socket_refused(struct mailbox_thread *t, struct gate_later *l);

#endif
