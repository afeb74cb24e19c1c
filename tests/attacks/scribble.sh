#!/bin/bash
# A guest that destroys its own gate harms itself only.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/scribble" "$bundle/rootfs/test/scribble"
bundle_args "$bundle" /test/scribble
timeout 500 "$RUNTIME" run --bundle "$bundle" "$(container_id scribble)" </dev/null
status=$?
[ $status = 42 ] || die "status $status"
