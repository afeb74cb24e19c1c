#!/bin/bash
# A8 (CVE-2025-52565): the console is the terminal that was made for it, whatever the image has at /dev/pts and /dev/console.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
echo image >"$root/test/target"
bundle_set "$bundle" '.process.terminal = true | .mounts |= map(select(.destination | startswith("/dev") | not))'
bundle_args "$bundle" /bin/sh -c 'test -t 0 && echo written >/dev/console; echo written >/dev/pts/0; tty; cat /dev/pts/0 </dev/null &
    sleep 0.1; kill $! 2>/dev/null; cat /test/target; exit 0'
mkdir -p "$root/dev"
attempt() { # what
    timeout -k 5 $hang script -qec "$RUNTIME --root $state run --bundle $bundle $(container_id tty)" /dev/null \
        </dev/null >"$scratch/out" 2>&1
    echo "$1: status $?: $(head -1 "$scratch/out" | tr -d '\r')"
    ! grep -q outside "$scratch/out" || bad "$1: $(cat "$scratch/out")"
    [ "$(cat "$root/test/target")" = image ] || bad "$1: the image's file was written through"
}
for evil in /test "$decoy" ../../../../../../../.."$decoy" /proc/sys/kernel; do
    rm -rf "${root:?}/dev/pts"
    ln -s "$evil" "$root/dev/pts"
    attempt "/dev/pts -> $evil"
done
rm -rf "${root:?}/dev/pts"
mkdir "$root/dev/pts"
ln -s "$decoy/secret" "$root/dev/pts/0"
ln -s "$decoy/secret" "$root/dev/pts/ptmx"
attempt "/dev/pts/0 -> decoy"
rm -rf "${root:?}/dev/pts"
for evil in /test/target "$decoy/secret" /proc/sysrq-trigger; do
    rm -rf "${root:?}/dev/console"
    ln -s "$evil" "$root/dev/console"
    attempt "/dev/console -> $evil"
done
rm -rf "${root:?}/dev"
attempt "nothing there"
bundle_set "$bundle" '.mounts += [{"destination": "/dev/pts", "type": "devpts", "source": "devpts"}]'
attempt "a devpts"
grep -q /dev/pts/0 "$scratch/out" || bad "no console: $(cat "$scratch/out")"
conclude
