/* A directory of a test's own, with a name by which the run finds what was left behind (tests/run.sh). */
#ifndef BAILEY_TESTS_SCRATCH_DIR_H
#define BAILEY_TESTS_SCRATCH_DIR_H

#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_DIR_MAX 64

/* Makes one; path gets its name. False: errno says why. */
static inline int scratch_dir(char path[SCRATCH_DIR_MAX], const char *what)
{
    const char *run = getenv("BAILEY_TEST_RUN");

    snprintf(path, SCRATCH_DIR_MAX, "/tmp/bt-%.20s-%.20s-XXXXXX", run ? run : "0", what);
    return mkdtemp(path) != NULL;
}

#endif
