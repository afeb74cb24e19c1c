#!/bin/bash
# No filter of a guest's own making reaches the host by the way that the gate's take.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/own_filter" "$bundle/rootfs/test/own_filter"
bundle_args "$bundle" /test/own_filter
timeout 500 "$RUNTIME" run --bundle "$bundle" "$(container_id own-filter)" </dev/null
status=$?
[ $status = 42 ] || die "status $status"
