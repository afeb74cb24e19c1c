/* The compiled profile of a container, kept in its state directory: to compile one takes longer than much
 * else of an exec. */
#ifndef BAILEY_RUNTIME_SECCOMP_STORE_H
#define BAILEY_RUNTIME_SECCOMP_STORE_H

#include "runtime/seccomp/seccomp.h"

/* Writes what s was compiled to. Best effort: without it, later commands compile again. s may be NULL. */
void seccomp_store(int state_dir, const struct oci_seccomp *s, const struct seccomp_profile *p);

/* As seccomp_compile, from what was stored if that is of this very profile, written by this user with this
 * version of the program and of libseccomp, and whole. */
int seccomp_restore(int state_dir, const struct oci_seccomp *s, struct seccomp_profile *ret, struct err *e);

#endif
