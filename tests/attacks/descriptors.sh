#!/bin/bash
# Descriptors do not travel through the unix sockets that guests have the host's ends of.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
. "$(dirname "$0")/../lib/watched.sh"
scratch_open
result=0
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/descriptors" "$bundle/rootfs/test/descriptors"
bundle_args "$bundle" /test/descriptors
watched_run "$bundle" descriptors
exit $result
