#!/bin/bash
# `start`, `exec`, `kill`, `pause`, `update` and `delete` killed before each of their steps: the container is there and can
# be deleted, or is gone.
#: timeout 1800
set -uo pipefail
. "$(dirname "$0")/../lib/killsteps.sh"

created() { bailey create --bundle "$bundle" "$id" || bad "create: $(cat "$scratch/out")"; }
running() {
    created
    bailey start "$id" || bad "start: $(cat "$scratch/out")"
}
known() {
    bailey state "$id" || bad "state fails: $(cat "$scratch/out")"
    grep -qE '"status": "(created|running|stopped|paused)"' "$scratch/out" || bad "$(cat "$scratch/out")"
}
known_and_deleted() {
    known
    forced
}
each_step created known_and_deleted start "$id"
each_step running known_and_deleted kill "$id" KILL
each_step running known_and_deleted pause "$id"
each_step running known_and_deleted update --memory 90000000 --pids-limit 50 "$id"
each_step running forced delete --force "$id"

# A program of exec does not outlive its command, nor is it there when a detached one's was killed before its end.
nothing() { :; }
alone() {
    timeout $hang "$RUNTIME" --root "$state" ps -f json "$id" 2>/dev/null | jq -e 'length == 1' >/dev/null
}
only_init() {
    until_true $patience alone || bad "in the container: $("$RUNTIME" --root "$state" ps "$id")"
}
running
each_step nothing only_init exec "$id" /bin/true
exec_detached() {
    # Without a pid file nobody knows of it; with one it may be there.
    [ $status != 99 ] || [ -e "$scratch/pid" ] || only_init
    bailey exec "$id" killall sleep
    rm -f "$scratch/pid"
    only_init
}
each_step nothing exec_detached exec --detach --pid-file "$scratch/pid" "$id" /bin/sleep 1000
forced
exit $result
