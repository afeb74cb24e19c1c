#!/bin/bash
# Six callers who know nothing of each other create, start, exec, kill, pause, update, look at and delete the same two
# containers: each command succeeds or says why not, none hangs, the state is never half written, and nothing is left.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
bundle_args "$bundle" /bin/sleep 1000
ids=("bt-$BAILEY_TEST_RUN-both-$$-a" "bt-$BAILEY_TEST_RUN-both-$$-b")
commands=("create --bundle $bundle ID" "create --bundle $bundle ID" "create --bundle $bundle ID" "start ID" "start ID" "start ID"
    "exec ID /bin/true" "exec ID /bin/true" "exec --detach ID /bin/sleep 1" "state ID" "state ID" "ps ID" "list" "kill ID TERM"
    "kill ID KILL" "pause ID" "resume ID" "resume ID" "update --pids-limit 50 ID" "events --stats ID" "delete ID" "delete --force ID"
    "stop --time 0 ID")

# Each line that a command may end with; all else is bad.
known='does not exist|exists already|not running|cannot (start|delete) container|is paused|is not paused|cannot (pause|resume)|not in the state|has ended|ended before|has no cgroup|it is (stopped|created|running|paused)|No such (process|device)'
caller() { # number
    local i line status limit out=$scratch/out.$1
    RANDOM=$1
    for ((i = 0; i < 40; i++)); do
        line=${commands[RANDOM % ${#commands[@]}]//ID/${ids[RANDOM % 2]}}
        # A program that is frozen on its way waits for "resume", which may not come.
        [[ $line = exec* ]] && limit=10 || limit=$hang
        # shellcheck disable=SC2086
        timeout -k 2 $limit "$RUNTIME" --root "$state" $line </dev/null >/dev/null 2>"$out"
        status=$?
        [ $status != 124 ] && [ $status != 137 ] || [[ $line = exec* ]] || echo "hangs: $line" >>"$scratch/bad"
        [ $status = 0 ] || [ $status -gt 128 ] || grep -qE "$known" "$out" || echo "$line: status $status: $(cat "$out")" >>"$scratch/bad"
        ! grep -qE 'damaged|Segmentation|Bad file' "$out" || echo "$line: $(cat "$out")" >>"$scratch/bad"
        echo "$status" >>"$scratch/statuses"
    done
}
: >"$scratch/bad"
for n in 1 2 3 4 5 6; do
    caller $n &
    callers[n]=$!
done
wait "${callers[@]}"
sort "$scratch/statuses" | uniq -c
[ "$(grep -cx 0 "$scratch/statuses")" -gt 40 ] || bad "hardly anything succeeded"
[ ! -s "$scratch/bad" ] || bad "$(cat "$scratch/bad")"
for id in "${ids[@]}"; do
    bailey delete --force "$id" || bad "$id cannot be deleted"
done
no_process() { ! pgrep -f -- "--root $state" >/dev/null; }
until_true $patience no_process || bad "processes: $(pgrep -af -- "--root $state")"
[ -z "$(find /sys/fs/cgroup -name "*both-$$-*")" ] || bad "cgroups are left"
conclude
