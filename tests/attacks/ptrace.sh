#!/bin/bash
# A guest that traces guests gets nothing by it that guests have not: neither its tracee's gate, nor native calls outside the
# lists, nor calls that were judged as others, nor the programs of other containers of its pod.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
. "$(dirname "$0")/../lib/watched.sh"
scratch_open
state=$scratch/state
result=0

alone() {
    local bundle
    bundle=$(bundle_new alone busybox) || die "no bundle"
    cp "$B/tests/attacks/ptrace" "$bundle/rootfs/test/ptrace"
    bundle_args "$bundle" /test/ptrace
    host_state >"$scratch/before"
    watched_run "$bundle" ptrace
    grep -q '^survived' "$scratch/out" || bad "the guest did not come to its end"
    host_state >"$scratch/after"
    diff "$scratch/before" "$scratch/after" || bad "the host changed"
    umount "$bundle/rootfs"
}

of_pod() { # bundle role namespaces
    bundle_set "$1" --arg role "$2" --arg id "$pod" --argjson ns "${3:-null}" '
        .annotations = {"io.kubernetes.cri.container-type": $role, "io.kubernetes.cri.sandbox-id": $id}
        | if $ns then .linux.namespaces = $ns else . end'
}

in_pod() {
    local sandbox hostile ns status
    pod=$(container_id ptrace-pod)
    sandbox=$(bundle_new sandbox busybox) || die "no bundle"
    bundle_args "$sandbox" /bin/sleep 1000
    of_pod "$sandbox" sandbox
    bailey create --bundle "$sandbox" --pid-file "$scratch/pid" "$pod" </dev/null >/dev/null 2>&1 || die "no sandbox"
    bailey start "$pod"
    ns=$(jq -n --arg p "/proc/$(cat "$scratch/pid")/ns/" '[{type: "mount"}]
        + [["pid", "pid"], ["network", "net"], ["ipc", "ipc"], ["uts", "uts"] | {type: .[0], path: ($p + .[1])}]')
    hostile=$(bundle_new hostile busybox)
    cp "$B/tests/attacks/ptrace" "$hostile/rootfs/test/ptrace"
    bundle_set "$hostile" '.process.capabilities |= with_entries(.value += ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"])'
    bundle_args "$hostile" /test/ptrace pod
    of_pod "$hostile" container "$ns"
    bailey run --bundle "$hostile" "$pod-hostile" </dev/null
    status=$?
    [ $status = 42 ] || bad "the hostile container ended with $status"
    bailey delete --force "$pod"
    umount "$sandbox/rootfs" "$hostile/rootfs"
    [ -z "$(ls -A "$state" 2>/dev/null)" ] || bad "state is left: $(ls -A "$state")"
}

alone
in_pod
exit $result
