/* Scope-bound release of resources: `_cleanup_free_ char *s = NULL;`.
 * A variable so marked is released at the end of its scope unless its value was moved out with a steal. */
#ifndef BAILEY_COMMON_CLEANUP_H
#define BAILEY_COMMON_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_p(void *p)
{
    free(*(void **)p);
}

/* Closes *fd and keeps errno, so that the error of the step that failed survives its clean-up. */
static inline void cleanup_close_p(const int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        (void)close(*fd);
        errno = saved;
    }
}

static inline void cleanup_fclose_p(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

static inline void cleanup_closedir_p(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static inline void cleanup_unlock_p(pthread_mutex_t **m)
{
    if (*m)
        (void)pthread_mutex_unlock(*m);
}

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(cleanup_free_p)
#define _cleanup_close_ _cleanup_(cleanup_close_p)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose_p)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir_p)

/* Holds a mutex until the end of the scope: `LOCKED(&k->lock);` (one per scope). */
#define LOCKED(m)                                                                                            \
    _cleanup_(cleanup_unlock_p) __attribute__((unused)) pthread_mutex_t *locked_scope_ = (m);                \
    pthread_mutex_lock(locked_scope_)

/* Moves ownership out of a cleanup variable. */
static inline int steal_fd(int *fd)
{
    int r = *fd;
    *fd = -1;
    return r;
}

static inline void *steal_ptr_(void *pp)
{
    void *r = *(void **)pp;
    *(void **)pp = NULL;
    return r;
}
#define steal_ptr(p) ((__typeof__(*(p)))steal_ptr_(p))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
