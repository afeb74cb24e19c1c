#!/bin/bash
# Whichever of the host's processes is killed, the guests die, the command ends and nothing stays.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
bundle_args "$bundle" /bin/sh -c \
    '(sleep 1000 & setsid sleep 1000 & while :; do :; done) & (while :; do true; done) & touch /test/up; sleep 1000'
result=0

up() { [ -e "$bundle/rootfs/test/up" ] && [ "$(guests $run | wc -l)" -ge 5 ]; }
start() {
    rm -f "$bundle/rootfs/test/up"
    id=$(container_id kill)
    "$RUNTIME" run --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 &
    run=$!
    until_true $patience up || die "the container did not come up: $(cat "$scratch/out")"
    all=$(guests $run)
    parts=$(helpers $run)
    # shellcheck disable=SC2086
    names=$(named $all $parts)
}

# The sandbox has ended, or is ended here.
dead() { # complaint
    # shellcheck disable=SC2086
    until_true $patience gone $names || { echo "$1:"; result=1; }
    local name
    for name in $(living $names); do
        ps -o pid,stat,args -p "${name%:*}"
    done
    # shellcheck disable=SC2086
    kill_rest $names
}

check() { # what
    wait $run
    status=$?
    echo "$1: status $status"
    [ $status != 0 ] || { echo "$1: the command says that all is well"; result=1; }
    dead "$1: still there"
}

# What only a killed command can leave: its state, for `delete`.
forget() {
    "$RUNTIME" delete --force "$id" >/dev/null 2>&1 || rm -rf "/run/bailey/$id"
}

start
count=$(wc -w <<<"$parts")
[ "$count" -ge 2 ] || { echo "expected a keep and a porter, found $count processes"; result=1; }
kill -KILL $run
wait $run 2>/dev/null
dead "the command killed: its sandbox lives on"
forget
for n in $(seq 1 "$count"); do
    start
    victim=$(sed -n "${n}p" <<<"$parts")
    kill -KILL "$victim"
    check "helper $n killed"
done
start
kill -KILL "$(head -1 <<<"$all")"
check "init killed from outside"
[ "$status" = 137 ] || { echo "expected 137"; result=1; }
start
kill -SEGV "$(head -1 <<<"$all")"
sleep 0.2
kill -TERM $run
sleep 0.5
kill -KILL $run 2>/dev/null
wait $run 2>/dev/null
dead "the command killed: its sandbox lives on"
forget
exit $result
