/* Shared by launch.c and launch_exec.c. */
#ifndef BAILEY_RUNTIME_LAUNCH_INTERNAL_H
#define BAILEY_RUNTIME_LAUNCH_INTERNAL_H

#include <stdint.h>

#include "oci/config.h"
#include "runtime/launch/launch.h"
#include "sandbox/platform/porter.h"

/* The gate's image in a sealed memfd; -1 with *e set. */
int launch_gate_memfd(struct err *e);
/* A namespace of a process, by its name in /proc/PID/ns. */
int launch_open_ns(pid_t pid, const char *name, struct err *e);
/* The porter, in the namespaces that the config asks for: new ones; those with a path are joined on the way
 * only where it has to be. cgroup: as for cgroup_birth_fork. Returns like fork(2); -1 with *e set. */
pid_t launch_ns_fork(const struct oci_config *c, int cgroup, struct err *e);
/* In the porter: what of them is still to be joined, and the names. */
int launch_ns_enter(const struct oci_config *c, struct err *e);
/* In the porter, when it is in its cgroup: the cgroup namespace. */
int launch_ns_cgroup(const struct oci_config *c, struct err *e);
/* Joins the namespace that path names, of that type (CLONE_NEW*; name: as config.json has it). 0 or -1 with
 * *e. */
int launch_ns_join_path(const char *path, int type, const char *name, struct err *e);
/* In the keep to be: the mount namespace that its own is to be a copy of, if the config names one. */
/* Joins the namespace that path names, of that type (CLONE_NEW*; name: as config.json has it). 0 or -1 with
 * *e. */
int launch_ns_join_path(const char *path, int type, const char *name, struct err *e);
int launch_ns_mount(const struct oci_config *c, struct err *e);
/* Whether the container is to have one of its own. */
bool launch_ns_is_new(const struct oci_config *c, enum oci_ns_type type);
/* The network namespace that the porter has, for the keep, which makes its guests' inet sockets. */
int launch_ns_network(const struct oci_config *c, pid_t porter, struct err *e);
/* Waits until the porter has entered the last of its namespaces, the mount namespace: it does so while the
 * keep starts, and usually before. Whoever looks at the pid after create must find them all. */
void launch_ns_await(const struct oci_config *c, pid_t porter);
/* Enters all of a porter's namespaces but the mount namespace, as they are of a process whose pidfd that is;
 * the pid namespace takes effect for children. *ret_userns: its user namespace was another. */
int launch_ns_join(int pidfd, bool *ret_userns, struct err *e);
/* The namespaces of the container's guests (platform/porter.h), which hold nothing: making new ones would
 * cost more than all else in an exec. All -1 where they cannot be had; then there will be new ones. */
void launch_guests_open(int porter_fd, pid_t porter, pid_t keep, int fds[GUEST_NS]);
void launch_guests_close(int fds[GUEST_NS]);
/* The number of a pidfd's process (proc(5), fdinfo), or -1. */
pid_t launch_pid_of(int pidfd);
/* Sends a request without arguments; waits for an answer of that type (FAILED: its error is *e). */
int launch_say(int sock, uint32_t type, struct err *e);
int launch_expect(int sock, uint32_t type, struct err *e);
/* Kills and reaps a child; nothing if pid <= 0. */
void launch_put_down(pid_t pid);

#endif
