#!/bin/bash
# A5 (CVE-2024-21626): a working directory, or a standard descriptor, that is a directory of the host does not lead there.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
look='pwd; cat secret ../secret; cat /proc/self/cwd/secret; ls -a . ..; for fd in 0 1 2 3 4 5 6 7 8 9; do
    ls /proc/self/fd/$fd/ 2>/dev/null; (cd /proc/self/fd/$fd && cat secret ../secret) 2>/dev/null; done; exit 0'
clean() { # what
    ! grep -qE 'outside|secret$' <(grep -v "can't open" "$scratch/out") || bad "$1: $(cat "$scratch/out")"
}
# The caller stands in the host's directory and has it open, too.
cd "$decoy" || exit 1
exec 5<"$decoy" 6<"$decoy/secret" 9<"$decoy"
bundle_args "$bundle" /bin/sh -c "$look"
for fd in $(seq 0 30); do
    bundle_set "$bundle" ".process.cwd = \"/proc/self/fd/$fd\""
    ! try || bad "cwd /proc/self/fd/$fd: it runs: $(cat "$scratch/out")"
    ! grep -q 'ended before' "$scratch/out" || bad "cwd /proc/self/fd/$fd: the keep ended"
    clean "cwd /proc/self/fd/$fd"
done
for cwd in /proc/self/cwd /proc/1/cwd /proc/self/root/.. /proc/thread-self/cwd /test/link /test/fd/9; do
    ln -sfn /proc/self/fd/9 "$bundle/rootfs/test/link"
    ln -sfn /proc/self/fd "$bundle/rootfs/test/fd"
    bundle_set "$bundle" ".process.cwd = \"$cwd\""
    try || true
    clean "cwd $cwd"
done
bundle_set "$bundle" '.process.cwd = "relative"'
! try || bad "a relative cwd runs"
bundle_set "$bundle" '.process.cwd = "/"'
# The same through exec, and by a link that the container itself makes.
id=$(container_id cwd)
bundle_args "$bundle" /bin/sh -c 'ln -s /proc/self/fd/9 /test/late; while :; do sleep 1; done'
bailey run -d --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 || bad "$(cat "$scratch/out")"
for cwd in /test/late /test/link /proc/self/cwd $(seq -f /proc/self/fd/%.0f 0 15); do
    bailey exec --cwd "$cwd" "$id" /bin/sh -c "$look" </dev/null >"$scratch/out" 2>&1
    clean "exec --cwd $cwd"
done
bailey delete --force "$id"
# A directory as a standard descriptor: the guest may not leave through it.
bundle_args "$bundle" /bin/sh -c "$look"
for dir in "$decoy" /; do
    bailey run --bundle "$bundle" "$(container_id cwd)" <"$dir" >"$scratch/out" 2>&1
    echo "stdin $dir: status $?: $(head -1 "$scratch/out")"
    clean "stdin a directory"
done
exec 5<&- 6<&- 9<&-
cd /
conclude
