#!/bin/bash
# fuzz.sh own|gate|x32|int80: runs the hostile guest (attacks/fuzz.c) and watches what of it reaches the host.
set -uo pipefail
. "$(dirname "$0")/attack.sh"
. "$(dirname "$0")/watched.sh"
scratch_open
result=0
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/fuzz" "$bundle/rootfs/test/fuzz"
bundle_args "$bundle" /test/fuzz "$1"
host_state >"$scratch/before"
watched_run "$bundle" "fuzz $1"
grep -q '^survived' "$scratch/out" || { echo "the guest did not come to its end"; result=1; }
umount "$bundle/rootfs"
host_state >"$scratch/after"
diff "$scratch/before" "$scratch/after" || { echo "the host changed"; result=1; }
bundle=$(bundle_new again busybox)
bundle_args "$bundle" /bin/echo fine
[ "$(bundle_run "$RUNTIME" "$bundle" "$(container_id after)" 2>&1)" = fine ] || { echo "no sandbox after it"; result=1; }
exit $result
