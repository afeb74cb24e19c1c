/* The first guest process of an image: from the porter's child to the gate. */
#ifndef BAILEY_PLATFORM_GUEST_H
#define BAILEY_PLATFORM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/platform/porter.h"

/* Memory shared by porter and child while the child becomes a guest. */
struct guest_boot {
    _Atomic int listener; /* the child's descriptor + 1, once its filter is in place */
    _Atomic int failed;   /* errno of the step that failed */
    _Atomic int step;
    const char *_Atomic
        field;         /* of config.json, that step 0 is about; in the program's constants, which both have */
    _Atomic int taken; /* stand-in: the porter has the listener */
};

/* Whether the child wakes who waits for listener by futex(2): its filter may have it ask the keep. */
bool guest_wakes(const struct porter *p);

/* In the child: leaves every namespace, right and descriptor behind, puts the filter in place and executes
 * the gate. Returns only on failure, which is in *b. */
void guest_become(const struct porter *p, struct guest_boot *b);

/* The same for the stand-in (sandbox/gate/standin.h), which gets requests on socket. */
void standin_become(const struct porter *p, int socket, struct guest_boot *b);

#endif
