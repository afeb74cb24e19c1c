#!/bin/bash
# No file of a guest's is executed by the host in the place of the gate.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/own_image" "$bundle/rootfs/test/own_image"
bundle_args "$bundle" /test/own_image
timeout 500 "$RUNTIME" run --bundle "$bundle" "$(container_id own-image)" </dev/null
status=$?
[ $status = 42 ] || die "status $status"
