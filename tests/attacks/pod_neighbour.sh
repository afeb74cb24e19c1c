#!/bin/bash
# A hostile container of a pod, with random calls of every kind: its neighbour in the same keep goes on, with its files, its
# processes and its objects as they were.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
state=$scratch/state
result=0

of_pod() { # bundle role
    bundle_set "$1" --arg role "$2" --arg id "$pod" --argjson ns "${3:-null}" '
        .annotations = {"io.kubernetes.cri.container-type": $role, "io.kubernetes.cri.sandbox-id": $id}
        | if $ns then .linux.namespaces = $ns else . end'
}

beats() {
    cat "$neighbour/rootfs/test/beat" 2>/dev/null || echo 0
}

more_beats() { # than
    [ "$(beats)" -gt "$1" ]
}

pod=$(container_id pod)
sandbox=$(bundle_new sandbox busybox) || die "no bundle"
bundle_args "$sandbox" /bin/sleep 1000
of_pod "$sandbox" sandbox
bailey create --bundle "$sandbox" --pid-file "$scratch/pid" "$pod" </dev/null >/dev/null 2>&1 || die "no sandbox"
bailey start "$pod"
ns=$(jq -n --arg p "/proc/$(cat "$scratch/pid")/ns/" '[{type: "pid"}, {type: "mount"}]
    + [["network", "net"], ["ipc", "ipc"], ["uts", "uts"] | {type: .[0], path: ($p + .[1])}]')

neighbour=$(bundle_new neighbour busybox)
echo precious >"$neighbour/rootfs/test/precious"
bundle_args "$neighbour" /bin/sh -c 'n=0; while :; do n=$((n + 1)); echo $n >/test/beat.new; mv /test/beat.new /test/beat; done'
of_pod "$neighbour" container "$ns"
bailey create --bundle "$neighbour" "$pod-neighbour" </dev/null >/dev/null 2>&1 || die "no neighbour"
bailey start "$pod-neighbour"
until_true $patience more_beats 3 || die "the neighbour does not run"

hostile=$(bundle_new hostile busybox)
cp "$B/tests/attacks/fuzz" "$hostile/rootfs/test/fuzz"
touch "$hostile/rootfs/test/go"
bundle_args "$hostile" /test/fuzz own
of_pod "$hostile" container "$ns"
host_state >"$scratch/before"
bailey_long() {
    timeout -k 5 500 "$RUNTIME" --root "$state" "$@"
}
bailey_long run --bundle "$hostile" "$pod-hostile" >"$scratch/out" 2>"$scratch/err" </dev/null
status=$?
tail -3 "$scratch/out"
[ $status = 42 ] || bad "the hostile container ended with $status"
host_state >"$scratch/after"
diff "$scratch/before" "$scratch/after" || bad "the host changed"

begin=$(beats)
until_true $patience more_beats "$begin" || bad "the neighbour has stopped"
[ "$(bailey exec "$pod-neighbour" cat /test/precious)" = precious ] || bad "the neighbour's file changed"
[ "$(bailey exec "$pod-neighbour" ls /test | tr '\n' ' ')" != *fuzz* ] || bad "files went across"
for id in "$pod" "$pod-neighbour"; do
    [ "$(bailey state "$id" | jq -r .status)" = running ] || bad "$id does not run"
done
bailey delete --force "$pod-neighbour"
bailey delete --force "$pod"
for dir in "$sandbox" "$neighbour" "$hostile"; do
    umount "$dir/rootfs"
done
[ -z "$(ls -A "$state" 2>/dev/null)" ] || bad "state is left: $(ls -A "$state")"
exit $result
