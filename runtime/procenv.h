/* The environment of a program that is to be run. */
#ifndef BAILEY_RUNTIME_PROCENV_H
#define BAILEY_RUNTIME_PROCENV_H

struct arena;
struct oci_process;

/* Sets a variable ("NAME=VALUE", copied), in its old place where there is one of that name. */
void procenv_set(struct arena *a, struct oci_process *p, const char *pair);

#endif
