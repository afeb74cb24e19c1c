#!/bin/bash
# runtime-tools.sh SUITE [TEST...]: runs the validation tests of opencontainers/runtime-tools, a line each, and compares
# the results with expected.txt beside this file. SUITE is the suite's source folder, built (validation/NAME/NAME.t,
# runtimetest and rootfs-amd64.tar.gz in it). It is not a part of `make check`: Debian has no package of the suite.
#   RUNTIME   the runtime under test (build/bailey). Only for it the results are compared with what is expected.
#   V1        if set, the unified hierarchy of a hybrid host is unmounted first (in a mount namespace; crun needs it)
#   LOGS      where each test's output goes (build/runtime-tools)
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
usual=$here/../../build/bailey
RUNTIME=$(realpath "$(command -v "${RUNTIME:-$usual}")") || { echo "no runtime: run make first" >&2; exit 1; }
LOGS=${LOGS:-$here/../../build/runtime-tools}
suite=$(realpath "${1:?runtime-tools.sh SUITE [TEST...]}")
shift
[ -x "$suite/runtimetest" ] || { echo "$suite: no runtimetest in it; is the suite built?" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "the tests make namespaces and mounts: run them as root" >&2; exit 1; }

# The tests leave mounts behind, and state: both end with this namespace.
if [ -z "${RUNTIME_TOOLS_INSIDE:-}" ]; then
    RUNTIME_TOOLS_INSIDE=1 exec unshare --mount --propagation private "$0" "$suite" "$@"
fi
scratch=$(mktemp -d)
mount -t tmpfs -o mode=755 runtime-tools "$scratch"
trap 'cd /; umount -l "$scratch"; rmdir "$scratch"' EXIT
[ -z "${V1:-}" ] || umount /sys/fs/cgroup/unified
for dir in bailey runc crun; do
    mkdir -p /run/$dir && mount -t tmpfs -o mode=700 state /run/$dir
done

# The words that expected.txt uses: pass (no complaint, and status 0), fail, time (not done in time).
run_test() { # name
    local log=$LOGS/$1.log status
    RUNTIME=$RUNTIME TMPDIR=$scratch timeout -k 5 120 "validation/$1/$1.t" >"$log" 2>&1 </dev/null
    status=$?
    ok=$(grep -cE '^ *ok ' "$log")
    not_ok=$(grep -E '^ *not ok ' "$log" | grep -cvE '# (TODO|SKIP)')
    case $status in
    124 | 137) result="time" ;;
    0) [ "$not_ok" = 0 ] && result=pass || result=fail ;;
    *) result=fail ;;
    esac
}

expected_of() { # name
    awk -v name="$1" '$1 == name { print $2 }' "$here/expected.txt"
}

cd "$suite" || exit 1
mkdir -p "$LOGS"
[ $# -gt 0 ] || for test in validation/*/*.t; do set -- "$@" "$(basename "$test" .t)"; done
passed=0 surprises=0 all_ok=0 all_not=0
for name; do
    run_test "$name"
    note=
    if [ "$RUNTIME" = "$(realpath "$usual")" ]; then
        expected=$(expected_of "$name")
        [ "$result" = "${expected:-pass}" ] || [ "$expected" = any ] || { note="EXPECTED ${expected:-pass}"; surprises=$((surprises + 1)); }
    fi
    [ "$result" = pass ] && passed=$((passed + 1))
    all_ok=$((all_ok + ok)) all_not=$((all_not + not_ok))
    printf '%-5s %-38s %4d ok %4d not ok  %s\n' "$result" "$name" "$ok" "$not_ok" "$note"
done
echo "$passed of $# tests passed; assertions: $all_ok ok, $all_not not ok; $surprises not as expected"
[ "$surprises" = 0 ]
