#!/bin/bash
# thousand.sh [N]: starts N idle sandboxes (1000), asks each to run a program, and ends them all. Prints, at each tenth of the way,
# what a sandbox takes. Fails if one does not start, answer or end, if memory for each has grown by more than a tenth from
# the first tenth to the last, if they use the processor, or if something is left. Not part of the tests, which have a
# small one (tests/endurance/many.sh); a thousand take about two minutes and 1 GiB.
set -uo pipefail
. "$(dirname "$0")/../lib/endurance.sh"
n=${1:-1000}
tenth=$((n / 10))
[ "$tenth" -gt 0 ] || die "thousand.sh: at least 10"
lib=$repo/tests/lib

bundle=$(bundle_new b busybox) || die "no bundle"
bundle_args "$bundle" /bin/sleep 100000
bundle_set "$bundle" '.root.readonly = true'

# The host pids of some sandboxes, all their processes.
processes() { # ids...
    local one
    for one in "$@"; do
        jq -r '.keep, .pid' "$state/$one/state.json"
        tree "$(jq .pid "$state/$one/state.json")" | tail -n +2
    done
}

proportional() { # pids...
    local pid
    for pid in "$@"; do
        cat "/proc/$pid/smaps_rollup"
    done 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum }'
}

available() { awk '/^MemAvailable:/ { print $2 }' /proc/meminfo; }
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# Ten of those that there are, from all ages.
sample() { # how many there are
    local i
    for i in 0 1 2 3 4 5 6 7 8 9; do
        echo "$id-$((i * ($1 - 1) / 9 + 1))"
    done
}

end_all() {
    local i
    for i in $(seq "$n"); do
        [ ! -e "$state/$id-$i" ] || bailey delete --force "$id-$i" || bad "delete $i: status $?"
    done
}
trap 'end_all >/dev/null 2>&1; scratch_close' EXIT

# One after the other; the last pids and memory are those of the tenth that has been made.
start_all() {
    local i begin took before used first_pss=0 ids
    before=$(available)
    begin=$(now_ms)
    echo "sandboxes  ms to start one  PSS of one, KiB  memory of the host for one, KiB"
    for i in $(seq "$n"); do
        bailey create --bundle "$bundle" "$id-$i" </dev/null >/dev/null 2>"$scratch/err" && bailey start "$id-$i" ||
            { bad "start $i: $(cat "$scratch/err")" && return; }
        [ $((i % tenth)) = 0 ] || continue
        took=$((($(now_ms) - begin) / tenth))
        mapfile -t ids < <(sample "$i")
        used=$(($(proportional $(processes "${ids[@]}")) / 10))
        echo "$i $took $used $(((before - $(available)) / i))" | column -t
        [ "$first_pss" != 0 ] || first_pss=$used
        begin=$(now_ms)
    done
    [ "$used" -le $((first_pss * 11 / 10)) ] || bad "a sandbox took $first_pss KiB, and $used when there were $n"
}

ask_all() {
    local i begin
    begin=$(now_ms)
    for i in $(seq "$n"); do
        [ "$(bailey exec "$id-$i" /bin/echo "$i" </dev/null 2>&1)" = "$i" ] || bad "exec in $i"
    done
    echo "each answers exec: $((($(now_ms) - begin) / n)) ms"
}

# Nanoseconds on a processor, and times it was given one.
work() { # pids...
    local pid
    for pid in "$@"; do
        cat /proc/"$pid"/task/*/schedstat
    done 2>/dev/null | awk '{ ns += $1; times += $3 } END { printf "%.0f %d\n", ns, times }'
}

# What is regular shows at each look; what the last command left to be put away, at the first ones only.
rest_all() {
    local pids ns times ns2 times2 look
    mapfile -t pids < <(pgrep -f -- "--root $state"; sample "$n" | while read -r one; do processes "$one"; done)
    for ((look = 0; look < 12; look++)); do
        read -r ns times < <(work "${pids[@]}")
        sleep 5
        read -r ns2 times2 < <(work "${pids[@]}")
        echo "idle for 5 s: $((ns2 - ns)) ns of processor time, $((times2 - times)) switches, ${#pids[@]} processes looked at"
        [ $((times2 - times)) -gt 0 ] || return 0
    done
    bad "they do not rest"
}

remember
start_all
[ "$result" != 0 ] || ask_all
[ "$result" != 0 ] || rest_all
begin=$(now_ms)
end_all
echo "each ends: $((($(now_ms) - begin) / n)) ms"
compare
exit "$result"
