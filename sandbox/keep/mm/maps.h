/* A host process's mappings, from the text of its /proc/PID/maps (proc_pid_maps(5)). */
#ifndef SANDBOX_KEEP_MAPS_H
#define SANDBOX_KEEP_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mapping {
    uint64_t start, end, off;
    int prot; /* PROT_* */
    bool shared;
    dev_t dev;
    ino_t ino; /* 0: of no file */
};

/* The next mapping of the text at *at (NULL: none), which is moved behind it; false: there are no more. */
bool maps_next(const char **at, struct mapping *m);

/* Whether that file is the gate's image. */
bool maps_gate_image(dev_t dev, ino_t ino);

#endif
