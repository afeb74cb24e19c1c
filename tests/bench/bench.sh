#!/bin/bash
# bench.sh [--rounds N] [--write FILE] [--quick]: measures this runtime beside others on this machine, in one run, and says
# which of the promised figures hold. It is not part of the tests: its figures depend on what else the machine does.
set -euo pipefail
. "$(dirname "$0")/../lib/bundle.sh"
[ "$(id -u)" = 0 ] || die "bench.sh: needs root"
[ -n "${BENCH_PRIVATE:-}" ] || BENCH_PRIVATE=1 exec unshare --mount --propagation private "$0" "$@"
umount /sys/fs/cgroup/unified 2>/dev/null || true # crun refuses hybrid control groups
scratch_open
bundle=$(bundle_new bench busybox)
cp "$B/tests/bench/micro" "$bundle/rootfs/test/micro"
debian=$(bundle_new apps debian)
cp "$repo/tests/bench/apps.sh" "$debian/rootfs/test/apps.sh"
bundle_args "$debian" /bin/bash /test/apps.sh
export BENCH_DEBIAN=$debian
export BENCH_BUNDLE=$bundle BENCH_ROUNDTRIP=$B/tests/bench/roundtrip BENCH_RUNTIME=$RUNTIME BENCH_RUN=$BAILEY_TEST_RUN
status=0
/usr/bin/python3 "$repo/tests/bench/bench.py" "$@" || status=$?
umount "$bundle/rootfs" "$debian/rootfs"
exit $status
