#!/bin/bash
# On one CPU nobody looks at a guest's mailbox, and the keep has nothing more to ask of the host than what the calls are: one that
# is made again and again does not make it find out each time.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
. "$lib/watched.sh"
decoy_open
bundle_args "$bundle" /bin/sh -c 'i=0
    until [ -e /test/go ]; do sleep 0.1; done
    while [ $i -lt 4000 ]; do [ -e /etc/hostname ]; i=$((i + 1)); done
    echo done'
id=$(container_id one-cpu)
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
taskset -c "$cpu" "$RUNTIME" --root "$state" create --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 || die "$(cat "$scratch/out")"
bailey start "$id"
keep=$(jq .keep "$state/$id/state.json")
watch_start "$keep" || skip "no tracing"
ls "/proc/$keep/task" >"$instance/set_event_pid"
touch "$bundle/rootfs/test/go"
until_true $hang grep -q done "$scratch/out" || bad "it does not come to its end"
watch_stop
calls=$(awk '{ n += $1 } END { print n + 0 }' "$native")
asked=$(awk '$2 == 204 { n += $1 } END { print n + 0 }' "$native")
echo "the keep's host calls: $calls, of these sched_getaffinity: $asked"
[ "$calls" -ge 4000 ] || bad "the watch saw too little"
[ "$asked" -le 1000 ] || bad "the keep asks for its CPUs again and again"
bailey delete --force "$id"
conclude
