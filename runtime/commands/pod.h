/* The pod that a container belongs to, by the annotations that CRI's and CRI-O's engines put into
 * config.json: the containers of a pod share one keep, which that of its sandbox starts. */
#ifndef BAILEY_RUNTIME_POD_H
#define BAILEY_RUNTIME_POD_H

#include <stdbool.h>

#include "runtime/commands/target.h"

struct oci_config;

enum pod_role {
    POD_NONE,    /* a container by itself */
    POD_SANDBOX, /* others may join it */
    POD_MEMBER,  /* it joins the keep of its sandbox */
};

struct pod {
    enum pod_role role;
    struct target sandbox; /* POD_MEMBER; id is in the config */
    int conn;              /* to its keep, else -1 */
};

#define POD_INIT                                                                                             \
    {                                                                                                        \
        .role = POD_NONE, .sandbox = TARGET_INIT, .conn = -1                                                 \
    }

/* By the annotations of a container that was made. */
bool pod_is_sandbox(const struct record *r);

/* Finds and connects to the keep that c is to join. A member whose sandbox is not one of this runtime's
 * (below the same --root), or that does not share its network and user namespace, becomes POD_NONE: it gets a
 * keep of its own. ERR_STATE: the sandbox does not run any more. p is for pod_close. */
int pod_find(const struct globals *g, const struct oci_config *c, struct pod *p, struct err *e);
void pod_close(struct pod *p);

#endif
