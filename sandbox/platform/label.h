/* The labels of guests' host processes: set by the process itself for its next execve, that of the gate. */
#ifndef BAILEY_PLATFORM_LABEL_H
#define BAILEY_PLATFORM_LABEL_H

struct guest_label {
    char *apparmor; /* for attr/apparmor/exec; NULL: none */
    char *selinux;  /* for attr/exec; NULL: none */
    int proc; /* the host's procfs, by a path descriptor, checked to be one; -1 where there is no label */
};

#define GUEST_LABEL_INIT                                                                                     \
    {                                                                                                        \
        .proc = -1                                                                                           \
    }

/* 0, or -errno with *what naming the field of config.json. Nothing but files of l->proc itself is written to:
 * no link and no mount is followed (CVE-2019-16884, CVE-2025-52881). */
int label_apply(const struct guest_label *l, const char **what);

#endif
