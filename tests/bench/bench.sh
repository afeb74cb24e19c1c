#!/bin/bash
# bench.sh [--rounds N] [--apps N] [--runsc N] [--only ROW]... [--profile] [--write FILE]: measures this runtime beside others
# on this machine, in one run, and says which of the promised figures hold (rows.py). It is not part of the tests: its
# figures depend on what else the machine does.
set -euo pipefail
. "$(dirname "$0")/../lib/bundle.sh"
[ "$(id -u)" = 0 ] || die "bench.sh: needs root"
[ -n "${BENCH_PRIVATE:-}" ] || BENCH_PRIVATE=1 exec unshare --mount --propagation private "$0" "$@"
bench=$repo/tests/bench
umount /sys/fs/cgroup/unified 2>/dev/null || true # crun refuses hybrid control groups
scratch_open
bundle=$(bundle_new bench busybox)
mkdir "$bundle/bind" "$bundle/rootfs/bind"
cp "$B/tests/bench/micro" "$bundle/rootfs/test/micro"
bundle_set "$bundle" --arg bind "$bundle/bind" '.process.env += ["MICRO_BIND=/bind"]
    | .mounts += [{destination: "/bind", type: "bind", source: $bind, options: ["bind", "rw"]}]'
apps=$(bundle_new apps debian)
if layer=$("$bench/roots.sh" layer); then
    umount "$apps/rootfs"
    mount -t overlay -o "lowerdir=$layer:$("$lib/rootfs.sh" debian),upperdir=$apps/upper,workdir=$apps/work" bailey-test "$apps/rootfs"
fi
cp "$bench/apps.sh" "$apps/rootfs/test/apps.sh"
export BENCH_RUNSC
BENCH_RUNSC=$(command -v runsc || "$bench/roots.sh" runsc) || echo "runsc is not to be had: left out" >&2
export BENCH_DEBIAN=$apps
export BENCH_BUNDLE=$bundle BENCH_ROUNDTRIP=$B/tests/bench/roundtrip BENCH_RUNTIME=$RUNTIME BENCH_RUN=$BAILEY_TEST_RUN
status=0
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$bench/bench.py" "$@" || status=$?
umount "$bundle/rootfs" "$apps/rootfs"
exit $status
