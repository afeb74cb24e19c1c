#include "sandbox/keep/thread.h"

#include <pthread.h>
#include <signal.h>

#include "common/log.h"

#define STACK_SIZE (160 * 1024) /* as a worker: it may run calls */

int thread_start(const char *what, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&thread, &attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (r)
        log_error("%s: cannot start their thread: error %d", what, r);
    return -r;
}
