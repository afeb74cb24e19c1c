/* What the keep gets of the host's devices that config.json lists. */
#ifndef BAILEY_RUNTIME_DEVICE_VIEW_H
#define BAILEY_RUNTIME_DEVICE_VIEW_H

#include <stdint.h>

#include "common/err.h"

struct oci_config;

/* In config.json's annotations: "all", or the paths of some of linux.devices with commas between them. Only
 * what it asks for reaches a driver of the host's. */
#define DEVICE_VIEW_ANNOTATION "dev.bailey.hostDevices"

/* Checks the annotation: each path is of one of linux.devices, and none that the keep serves. 0, or -1 with
 * *e. */
int device_view_check(const struct oci_config *c, struct err *e);

/* Makes nodes of those devices in a detached tmpfs, and sends its root to the keep on sock, as
 * CONTROL_DEVICES. Nothing is sent where none is asked for. 0, or -1 with *e. */
int device_view_send(int sock, const struct oci_config *c, struct err *e);

#endif
