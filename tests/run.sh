#!/bin/bash
# run.sh [SUITE | SUITE/NAME]...: runs the tests (all without arguments), one line each, and says how many passed.
#   RUNTIME    the runtime under test (build/bailey)      REFERENCE  what it is compared with (runc)
#   JOBS       how many tests at once (the CPUs)          B          the build folder (build)
# Each test's output is in $B/test-logs. What a test needs from the build (`make test-programs`) must be there.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export B=${B:-$here/../build} RUNTIME REFERENCE BAILEY_TEST_RUN
B=$(cd "$B" && pwd)
RUNTIME=${RUNTIME:-$B/bailey}
REFERENCE=${REFERENCE:-runc}
[[ $RUNTIME != */* ]] || RUNTIME=$(realpath "$RUNTIME")
logs=$B/test-logs

run_one_line() { # result suite/name seconds [reason]
    printf '%s\t%s\n' "$1" "$2" >>"$logs/results"
    printf '%-4s %-44s %7.1f s  %s\n' "$1" "$2" "$3" "${4:-}"
}

# The lines of TAP in a log, as results of their own. Returns 1 if there were none.
tap_results() { # log suite/name seconds
    local verdict number text reason any=1
    while read -r verdict number text; do
        [ "$verdict" = not ] && verdict="fail" && text=${text#* }
        [ "$verdict" = ok ] && verdict=pass
        reason=
        [[ $text =~ '# skip' ]] && verdict=skip && reason=${text#*# skip}
        text=${text%%# skip*}
        run_one_line "$verdict" "$2: ${text#- }" "$3" "$reason"
        any=0
    done < <(grep -E '^(not )?ok [0-9]+' "$1")
    return $any
}

# One entry of the list, in a process of its own: "suite name seconds command...".
run_one() {
    local suite=$1 name=$2 limit=$3 status begin seconds log
    shift 3
    log=$logs/$suite.$name.log
    begin=$EPOCHREALTIME
    export BAILEY_TEST_NAME=${name//_/-}
    "$B/tests/supervise" "$limit" "$@" >"$log" 2>&1 </dev/null
    status=$?
    seconds=$(bc <<<"$EPOCHREALTIME - $begin")
    case $suite in
    unit | cli | callers)
        if tap_results "$log" "$suite/$name" "$seconds"; then
            [ $status -ne 124 ] || echo "$BAILEY_TEST_NAME" >>"$logs/timed-out"
            # Every line may be fine and the program still end badly.
            [ $status -eq 0 ] || grep -q '^not ok' "$log" ||
                run_one_line fail "$suite/$name" "$seconds" "status $status: $log"
            return
        fi
        ;;
    esac
    case $status in
    0) run_one_line pass "$suite/$name" "$seconds" ;;
    77) run_one_line skip "$suite/$name" "$seconds" "$(sed -n 's/^SKIP: //p' "$log" | head -1)" ;;
    70) run_one_line fail "$suite/$name" "$seconds" "left something behind: $log" ;;
    124)
        echo "$BAILEY_TEST_NAME" >>"$logs/timed-out"
        run_one_line fail "$suite/$name" "$seconds" "not done after $limit s: $log"
        ;;
    *) run_one_line fail "$suite/$name" "$seconds" "status $status: $log" ;;
    esac
}

limit_of() { # file default
    local limit
    limit=$(sed -nE 's;^(#|//): timeout ([0-9]+)$;\2;p' "$1" | head -1)
    echo "${limit:-$2}"
}

# The longest first, so that the end is not one test's. The limits are for what hangs: a machine may be slow.
list_tests() {
    local file name
    shopt -s nullglob
    for file in "$here"/callers/*.bats; do
        echo "callers $(basename "$file" .bats) $(limit_of "$file" 900) bats --tap $file"
    done
    for file in "$here"/workloads/*.{sh,py,pl,js}; do
        echo "workloads $(basename "${file%.*}") $(limit_of "$file" 600) $here/lib/workload.sh $file"
    done
    for file in "$here"/attacks/*.sh; do
        echo "attacks $(basename "$file" .sh) $(limit_of "$file" 600) $file"
    done
    for file in "$here"/endurance/*.sh; do
        echo "endurance $(basename "$file" .sh) $(limit_of "$file" 600) $file"
    done
    for file in "$here"/guest/*.c; do
        name=$(basename "$file" .c)
        echo "guest $name 180 $here/lib/guest.sh $name"
    done
    for file in "$here"/cli/*.bats; do
        echo "cli $(basename "$file" .bats) $(limit_of "$file" 600) bats --tap $file"
    done
    for file in "$here"/unit/test_*.c; do
        name=$(basename "$file" .c)
        echo "unit $name 180 env CMOCKA_MESSAGE_OUTPUT=TAP $B/tests/unit/$name"
    done
}

chosen() {
    local suite name rest want
    while read -r suite name rest; do
        [ $# -gt 0 ] || echo "$suite $name $rest"
        for want in "$@"; do
            # shellcheck disable=SC2053
            [[ $suite = "$want" || $suite/$name = $want ]] && echo "$suite $name $rest"
        done
    done < <(list_tests)
}

# What no test may leave on the host. Processes and mounts are looked after test by test (lib/supervise.c).
leftovers() {
    local found
    found=$(
        find /sys/fs/cgroup -depth -type d -name "*bt-$BAILEY_TEST_RUN-*" 2>/dev/null
        find /run/bailey /run/runc /tmp /var/tmp -maxdepth 2 -name "*bt-$BAILEY_TEST_RUN-*" 2>/dev/null
        find "$B/test-run" -mindepth 1 -maxdepth 1 -newer "$logs/begin" 2>/dev/null
    )
    # What was killed for its time could not put its things away; that is one failure, not two.
    if [ -e "$logs/timed-out" ]; then
        grep -hFf "$logs/timed-out" <<<"$found" | tac | xargs -r rmdir 2>/dev/null
        found=$(grep -vFf "$logs/timed-out" <<<"$found")
    fi
    if [ -n "$found" ]; then
        echo "$found" | sed 's/^/left behind: /'
        run_one_line fail "host/nothing-left" 0
    else
        run_one_line pass "host/nothing-left" 0
    fi
}

if [ "${1:-}" = --one ]; then
    shift
    # shellcheck disable=SC2086
    run_one $1
    exit 0
fi
[ "$(id -u)" = 0 ] || { echo "the tests make namespaces and mounts: run them as root" >&2; exit 1; }
BAILEY_TEST_RUN=${BAILEY_TEST_RUN:-$$}
rm -rf "$logs"
mkdir -p "$logs" "$B/test-run"
: >"$logs/results"
: >"$logs/begin"
sleep 0.01
chosen "$@" >"$logs/list"
if grep -qE '^(workloads|attacks|endurance|guest|cli|callers)' "$logs/list"; then
    "$here/lib/rootfs.sh" busybox >/dev/null || exit 1
    if grep -q '^workloads' "$logs/list"; then
        "$here/lib/rootfs.sh" debian >/dev/null && "$here/lib/rootfs.sh" gobin >/dev/null || exit 1
    fi
fi
xargs -r -d '\n' -P "${JOBS:-$(nproc)}" -n 1 "$0" --one <"$logs/list"
leftovers
# What failed stands at the end, with what its log says: whoever reads only that sees why.
retell_failures() {
    local name log
    sed -n 's/^fail\t//p' "$logs/results" | while IFS= read -r name; do
        log=${name%%: *}
        log=$logs/${log/\//.}.log
        echo "failed: $name"
        [ -e "$log" ] && grep -vE '^(ok [0-9]|1\.\.)' "$log" | tail -n 12 | cut -c1-200 | sed 's/^/    /'
    done
}

count() { grep -c "^$1" "$logs/results"; }
retell_failures
echo "$(count pass) passed, $(count fail) failed, $(count skip) skipped"
[ "$(count fail)" = 0 ] && [ "$(count pass)" -gt 1 ]
