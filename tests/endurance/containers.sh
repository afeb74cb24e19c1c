#!/bin/bash
# 1000 containers created, started, killed and deleted, every tenth command killed midway: nothing is more than before.
#: timeout 1800
set -uo pipefail
. "$(dirname "$0")/../lib/endurance.sh"
bundle=$(bundle_new b busybox) || die "no bundle"
bundle_args "$bundle" /bin/sleep 1000
bundle_set "$bundle" '.linux.resources.memory = {"limit": 100000000} | .linux.resources.pids = {"limit": 100}'
remember
for worker in 1 2; do
    "$B/tests/tools/cycles" 500 10 $worker "$state" "$RUNTIME" create "$bundle" "$id-$worker" \
        >"$scratch/said.$worker" 2>"$scratch/err.$worker" &
    workers[worker]=$!
done
for worker in 1 2; do
    wait "${workers[worker]}" || bad "worker $worker: status $?: $(sort "$scratch/err.$worker" | uniq -c | sort -rn | head -5)"
    cat "$scratch/said.$worker"
    [[ $(cat "$scratch/said.$worker") =~ ([0-9]+)\ killed ]] && [ "${BASH_REMATCH[1]}" -ge 20 ] || bad "too few were killed"
done
compare
exit $result
