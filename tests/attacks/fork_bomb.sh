#!/bin/bash
# A fork bomb ends at the limit of its user or of the container's cgroup, and leaves the host alone.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
result=0

# First a bounded bomb, in case the limit does not hold; then a real one.
bomb() { # what
    bundle_args "$bundle" /bin/sh -c \
        'n=0; while [ $n -lt 250 ]; do sleep 1000 & n=$((n + 1)); done 2>/dev/null; echo "no limit"; exit 5'
    timeout $hang "$RUNTIME" run --bundle "$bundle" "$(container_id bounded)" </dev/null >"$scratch/out" 2>"$scratch/err"
    echo "$1: the bounded one ended with $?: $(tail -n 1 "$scratch/err")"
    if grep -q 'no limit' "$scratch/out"; then
        echo "$1: 250 processes where 100 are allowed"
        result=1
        return
    fi
    bundle_args "$bundle" /bin/sh -c 'bomb() { bomb | bomb & }; bomb; sleep 3; exit 4'
    timeout -k 1 $hang "$RUNTIME" run --bundle "$bundle" "$(container_id bomb)" </dev/null >"$scratch/out" 2>"$scratch/err"
    local status=$?
    echo "$1: the real one ended with $status"
    [ $status != 124 ] && [ $status != 137 ] || { echo "$1: it had to be killed"; result=1; }
}

bundle_set "$bundle" '.process.user = {uid: 1000, gid: 1000}
    | .process.rlimits += [{type: "RLIMIT_NPROC", soft: 100, hard: 100}]'
bomb "a user's limit"
bundle_set "$bundle" '.process.user = {uid: 0, gid: 0} | .process.rlimits |= map(select(.type != "RLIMIT_NPROC"))
    | .linux.resources.pids = {"limit": 100}'
id=$(container_id probe)
"$RUNTIME" create --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 || die "$(cat "$scratch/out")"
placed=$(find /sys/fs/cgroup -type d -name "*$id*" 2>/dev/null | head -1)
"$RUNTIME" delete --force "$id" || die "it cannot be deleted"
if [ -n "$placed" ]; then
    bomb "the cgroup's limit"
else
    echo "no cgroup was made for the container: its limit is not tried"
fi
exit $result
