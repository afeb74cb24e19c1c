#!/bin/bash
# What killed guests had, of every kind, the keep gives back: descriptors, threads and memory do not grow with their number.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cp "$B/tests/attacks/leak" "$bundle/rootfs/test/leak"
id=$(container_id leak)
# What the keep holds now. What the last rounds left it gives back by and by.
count() {
    fds=$(ls "/proc/$keep/fd" | wc -l)
    threads=$(awk '/^Threads/ { print $2 }' "/proc/$keep/status")
}
few_enough() { count && [ "$fds" -le $((few + 5)) ] && [ "$threads" -le 16 ]; }

measure() { # rounds
    bundle_args "$bundle" /test/leak "$1"
    bailey create --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 && bailey start "$id" || die "$(cat "$scratch/out")"
    until_true 300 grep -q done "$scratch/out" || bad "it does not come to its end: $(cat "$scratch/out")"
    keep=$(jq .keep "$state/$id/state.json")
    until_true $patience few_enough
    readlink "/proc/$keep"/fd/* | sed 's/\[.*//; s/[0-9]\+/N/g' | sort | uniq -c | sort -rn >"$scratch/fds.$1"
    rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$keep/status")
    echo "$1 rounds: $fds descriptors, $threads threads, $rss KiB"
    bailey delete --force "$id"
}
few=30
measure 5
few=$fds
measure 200
[ "$fds" -le $((few + 5)) ] || bad "descriptors: $(head -15 "$scratch/fds.200")"
[ "$threads" -le 16 ] || bad "threads"
[ "$rss" -le 16384 ] || bad "memory"
conclude
