/* Threads of the keep that are no workers: small, detached, and never interrupted by a signal. */
#ifndef BAILEY_KEEP_THREAD_H
#define BAILEY_KEEP_THREAD_H

/* Starts fn(arg). 0 or -errno; what says what it is for, in the log of a failure. */
int thread_start(const char *what, void *(*fn)(void *), void *arg);

#endif
