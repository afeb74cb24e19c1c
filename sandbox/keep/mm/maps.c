#include "sandbox/keep/mm/maps.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/keep/kernel.h"

static bool parse(const char *line, struct mapping *m)
{
    unsigned long start, end, off, ino;
    unsigned maj, min;
    char perm[5];

    if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, perm, &off, &maj, &min, &ino) != 7)
        return false;
    *m = (struct mapping){.start = start, .end = end, .off = off, .dev = makedev(maj, min), .ino = ino};
    m->prot = (perm[0] == 'r' ? PROT_READ : 0) | (perm[1] == 'w' ? PROT_WRITE : 0) |
              (perm[2] == 'x' ? PROT_EXEC : 0);
    m->shared = perm[3] == 's';
    return true;
}

bool maps_next(const char **at, struct mapping *m)
{
    while (*at && **at) {
        const char *line = *at;
        size_t len = strcspn(line, "\n");
        *at += len + (line[len] == '\n');
        if (parse(line, m))
            return true;
    }
    return false;
}

bool maps_gate_image(dev_t dev, ino_t ino)
{
    struct stat image;
    return fstat(kernel.gate_fd, &image) == 0 && dev == image.st_dev && ino == image.st_ino;
}
