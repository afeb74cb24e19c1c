/* HOME of a program that is started from outside: engines leave it to the runtime. */
#ifndef BAILEY_KEEP_HOME_H
#define BAILEY_KEEP_HOME_H

#include "sandbox/keep/kernel.h"

/* env with HOME as the container's /etc/passwd has it for uid ("/" where it does not say), in place of an
 * empty one. One block for free(); NULL: env has a HOME already, or there is no memory. The file is the
 * image's: it is read without waiting, if it is a regular file, and no further than a bound. */
char **home_add(struct task *t, uid_t uid, char *const *env);

#endif
