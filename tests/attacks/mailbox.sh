#!/bin/bash
# What a guest writes into the memory that its gate shares with the keep harms itself only.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/mailbox" "$bundle/rootfs/test/mailbox"
bundle_args "$bundle" /test/mailbox
timeout 500 "$RUNTIME" run --bundle "$bundle" "$(container_id mailbox)" </dev/null
status=$?
[ $status = 42 ] || die "status $status"
