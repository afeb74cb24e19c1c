#!/bin/bash
# Descriptors do not travel through the unix sockets that guests have the host's ends of.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
. "$(dirname "$0")/../lib/watched.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/descriptors" "$bundle/rootfs/test/descriptors"
bundle_args "$bundle" /test/descriptors
bundle_run "$RUNTIME" "$bundle" "$(container_id descriptors)" >"$scratch/out" 2>&1 </dev/null &
run=$!
has_guest() { [ -n "$(guests $run)" ]; }
until_true 10 has_guest || die "no guest process came up: $(cat "$scratch/out")"
watching=0
watch_start "$(guests $run | head -1)" && watching=1
touch "$bundle/rootfs/test/go"
wait $run
status=$?
result=0
[ $watching = 0 ] || watch_stop
cat "$scratch/out"
[ $status = 42 ] || { echo "the sandbox ended with $status"; result=1; }
if [ $watching = 1 ]; then
    [ -s "$native" ] || { echo "the watch saw nothing"; result=1; }
    outside_the_list || result=1
fi
exit $result
