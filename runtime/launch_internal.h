/* Shared by launch.c and launch_exec.c. */
#ifndef BAILEY_RUNTIME_LAUNCH_INTERNAL_H
#define BAILEY_RUNTIME_LAUNCH_INTERNAL_H

#include <stdint.h>

#include "runtime/launch.h"

/* The gate's image in a sealed memfd; -1 with *e set. */
int launch_gate_memfd(struct err *e);
/* A namespace of a process, by its name in /proc/PID/ns. */
int launch_open_ns(pid_t pid, const char *name, struct err *e);
/* Sends a request without arguments; waits for an answer of that type (FAILED: its error is *e). */
int launch_say(int sock, uint32_t type, struct err *e);
int launch_expect(int sock, uint32_t type, struct err *e);
/* Kills and reaps a child; nothing if pid <= 0. */
void launch_put_down(pid_t pid);

#endif
