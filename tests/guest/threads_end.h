/* A thread that is ended before it returns. */
#ifndef TESTS_GUEST_THREADS_END_H
#define TESTS_GUEST_THREADS_END_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/guest/check.h"

static atomic_int returned; /* threads that lived on */

static inline void ended(const char *label, void *(*fn)(void *), intptr_t arg)
{
    pthread_t t;
    returned = 0;
    MUST(pthread_create(&t, NULL, fn, (void *)arg) == 0);
    CHECK(label, pthread_join(t, NULL) == 0 && returned == 0);
}

#endif
