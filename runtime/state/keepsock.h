/* The socket by which later commands reach a container's keep: ROOT/ID/keep.sock. */
#ifndef BAILEY_RUNTIME_KEEPSOCK_H
#define BAILEY_RUNTIME_KEEPSOCK_H

/* Makes the socket in the directory, listening. -1 with errno. */
int keepsock_listen(int dir);

/* Connects to it. -1 with errno. */
int keepsock_connect(int dir);

#endif
