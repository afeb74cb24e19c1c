/* Labels of security modules: process.apparmorProfile, process.selinuxLabel, linux.mountLabel. */
#ifndef BAILEY_RUNTIME_LSM_H
#define BAILEY_RUNTIME_LSM_H

#include <stdbool.h>

#include "common/err.h"
#include "sandbox/platform/label.h"

struct oci_config;
struct oci_process;

/* What the host processes of a program's guests are to be labelled with, as text for the kernel. Where
 * SELinux is off its label is warned about and left out; an AppArmor profile that cannot be applied is an
 * error, as in runc ("unconfined" asks for nothing). p may be NULL. On success lsm_release is due. 0, or -1
 * with *e. */
int lsm_init(const struct oci_process *p, struct guest_label *ret, struct err *e);
void lsm_release(struct guest_label *l);

/* Sets l's SELinux label, if there is one, for the execve of this thread's descendants: for a porter, while
 * /proc is still the caller's, since libselinux finds it by name (CVE-2019-16884, CVE-2025-52881). That it
 * arrived is checked. l may be NULL. 0, or -1 with *e. */
int lsm_take_selinux(const struct guest_label *l, struct err *e);

/* The same with the host's answers given, for tests. */
int lsm_init_with(const struct oci_process *p, bool apparmor, bool selinux, struct guest_label *ret,
                  struct err *e);

/* linux.mountLabel becomes the context of the file systems that are made for the container; a warning where
 * SELinux is off. */
void lsm_label_mounts(struct oci_config *c);
void lsm_label_mounts_with(struct oci_config *c, bool selinux);

#endif
