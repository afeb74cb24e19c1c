/* The labels of guests' host processes: set by the process itself for its next execve, that of the gate. */
#ifndef BAILEY_PLATFORM_LABEL_H
#define BAILEY_PLATFORM_LABEL_H

struct guest_label {
    char *apparmor; /* for attr/apparmor/exec; NULL: none */
    char *selinux;  /* NULL: none. Not set here: the porter inherits it (lsm_take_selinux) */
    int proc; /* the host's procfs, by a path descriptor, checked to be one; -1 where there is no label */
};

#define GUEST_LABEL_INIT                                                                                     \
    {                                                                                                        \
        .proc = -1                                                                                           \
    }

/* Opens ATTR of this thread in the procfs at proc: no link and no mount is followed (CVE-2019-16884,
 * CVE-2025-52881). A descriptor, or -errno. */
int label_open(int proc, const char *attr, int flags);

/* Sets l's AppArmor profile. 0, or -errno with *what naming the field of config.json. */
int label_apply(const struct guest_label *l, const char **what);

#endif
