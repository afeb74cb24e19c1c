#!/bin/bash
# fuzz.sh own|gate|x32|int80: runs the hostile guest (attacks/fuzz.c) and watches what of it reaches the host.
set -uo pipefail
. "$(dirname "$0")/attack.sh"
. "$(dirname "$0")/watched.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$B/tests/attacks/fuzz" "$bundle/rootfs/test/fuzz"
bundle_args "$bundle" /test/fuzz "$1"
host_state >"$scratch/before"
bundle_run "$RUNTIME" "$bundle" "$(container_id "fuzz $1")" >"$scratch/out" 2>"$scratch/err" </dev/null &
run=$!
has_guest() { [ -n "$(guests $run)" ]; }
until_true 10 has_guest || die "no guest process came up: $(cat "$scratch/err")"
watching=0
watch_start "$(guests $run | head -1)" && watching=1
touch "$bundle/rootfs/test/go"
wait $run
status=$?
result=0
[ $watching = 0 ] || watch_stop
cat "$scratch/out"
sort "$scratch/err" | uniq -c | sort -rn | head -20
[ $status = 42 ] || { echo "the sandbox ended with $status"; result=1; }
grep -q '^survived' "$scratch/out" || { echo "the guest did not come to its end"; result=1; }
if [ $watching = 1 ]; then
    [ -s "$native" ] || { echo "the watch saw nothing, not even memory calls"; result=1; }
    echo "events lost: $lost"
    outside_the_list || result=1
fi
umount "$bundle/rootfs"
host_state >"$scratch/after"
diff "$scratch/before" "$scratch/after" || { echo "the host changed"; result=1; }
bundle=$(bundle_new again busybox)
bundle_args "$bundle" /bin/echo fine
[ "$(bundle_run "$RUNTIME" "$bundle" "$(container_id after)" 2>&1)" = fine ] || { echo "no sandbox after it"; result=1; }
exit $result
