#!/bin/bash
# No road leads out of the root: dots, links, /proc, changed roots, moved directories, handles, devices.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/escape" "$bundle/rootfs/test/escape"
echo outside >"$scratch/marker"
host_state >"$scratch/before"
bundle_args "$bundle" /test/escape "$scratch/marker"
timeout 500 "$RUNTIME" run --bundle "$bundle" "$(container_id escape)" </dev/null
status=$?
if dmesg 2>/dev/null | grep -q 'written by an attacker'; then
    echo "the host's log was written to"
    status=1
fi
host_state >"$scratch/after"
result=0
[ $status = 0 ] || { echo "status $status"; result=1; }
diff "$scratch/before" "$scratch/after" || { echo "the host changed"; result=1; }
exit $result
