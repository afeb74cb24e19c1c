#!/bin/bash
# 1000 programs run in one container, every tenth command killed midway: keep and porter hold no more descriptors, threads
# and memory than before, and the container has no more processes.
set -uo pipefail
. "$(dirname "$0")/../lib/endurance.sh"
bundle=$(bundle_new b busybox) || die "no bundle"
bundle_args "$bundle" /bin/sleep 1000
remember
bailey create --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 && bailey start "$id" || die "no container: $(cat "$scratch/out")"
keep=$(jq .keep "$state/$id/state.json")
porter=$(jq .pid "$state/$id/state.json")

execs() { # times seed
    "$B/tests/tools/cycles" "$1" 10 "$2" "$state" "$RUNTIME" exec "$id" /bin/true 2>"$scratch/err" ||
        bad "execs: $(sort "$scratch/err" | uniq -c | sort -rn | head -5)"
}
alone() { [ "$(bailey ps -f json "$id" | jq length)" = 1 ]; }
descriptors() { # pid
    readlink "/proc/$1"/fd/* | sed 's/\[.*//' | sort | uniq -c
}
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$keep/status"; }
threads() { awk '/^Threads/ { print $2 }' "/proc/$keep/status"; }
# What the last ones left is given back by and by.
holds_no_more() {
    descriptors "$keep" >"$scratch/keep.now"
    descriptors "$porter" >"$scratch/porter.now"
    no_more "$scratch/keep.fds" "$scratch/keep.now" && no_more "$scratch/porter.fds" "$scratch/porter.now" &&
        [ "$(threads)" -le 16 ]
}
no_more() { # before now
    awk 'NR == FNR { had[$2] = $1; next } $1 > had[$2] { exit 1 }' "$1" "$2"
}

execs 100 3 # what is made once is there
until_true $patience alone || bad "processes in the container: $(bailey ps "$id")"
descriptors "$keep" >"$scratch/keep.fds"
descriptors "$porter" >"$scratch/porter.fds"
rss=$(rss_kb)
execs 450 4 &
first=$!
execs 450 5
wait $first || bad "the other half failed"
until_true $patience alone || bad "processes in the container: $(bailey ps "$id")"
until_true $patience holds_no_more || bad "descriptors: $(diff "$scratch/keep.fds" "$scratch/keep.now"; diff "$scratch/porter.fds" "$scratch/porter.now")"
echo "keep: $(wc -l <"$scratch/keep.now") kinds of descriptors, $(threads) threads, $rss KiB, then $(rss_kb) KiB"
[ "$(threads)" -le 16 ] || bad "threads: $(threads)"
[ "$(rss_kb)" -le $((rss + 2048)) ] || bad "memory grew from $rss to $(rss_kb) KiB"
bailey exec "$id" /bin/true || bad "it does not work any more"
bailey delete --force "$id"
compare
exit $result
