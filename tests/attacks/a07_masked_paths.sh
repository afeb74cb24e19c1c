#!/bin/bash
# A7 (CVE-2025-31133): what hides a path is the host's null device, whatever the image has at /dev/null.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
echo hidden >"$root/test/hidden"
mkdir "$root/test/dir"
echo hidden >"$root/test/dir/file"
echo image >"$root/test/target"
bundle_set "$bundle" '.linux.maskedPaths += ["/test/hidden", "/test/dir", "/test/missing", "/proc/kcore"]
    | .mounts |= map(select(.destination | startswith("/dev") | not))'
bundle_args "$bundle" /bin/sh -c 'cat /test/hidden /test/dir/* /proc/kcore; ls /test/dir; echo written >/test/hidden;
    echo written >/dev/null; echo written >/proc/kcore; mv /test/hidden /test/moved; rm -rf /test/dir; umount /test/hidden;
    cat /test/hidden /test/moved /test/target; exit 0'
null_before=$(stat -c '%F %t:%T %a %u:%g' /dev/null)
mkdir -p "$root/dev"
for evil in /test/target "$decoy/secret" ../../../../../../.."$decoy/secret" /proc/sys/kernel/core_pattern file fifo dir; do
    rm -rf "${root:?}/dev/null"
    case $evil in
    file) echo image >"$root/dev/null" ;;
    fifo) mkfifo "$root/dev/null" ;;
    dir) mkdir "$root/dev/null" ;;
    *) ln -s "$evil" "$root/dev/null" ;;
    esac
    try
    echo "/dev/null $evil: status $?: $(grep -v 'No such\|Read-only\|busy\|permitted\|denied' "$scratch/out" | tail -1)"
    ! grep -qx 'hidden\|outside' "$scratch/out" || bad "/dev/null -> $evil: $(cat "$scratch/out")"
    [ "$(cat "$root/test/target")" = image ] || bad "/dev/null -> $evil was written through"
done
# Without tricks it works, and shows nothing.
rm -rf "${root:?}/dev"
try || bad "it does not run: $(cat "$scratch/out")"
! grep -qx 'hidden\|written' "$scratch/out" || bad "the hidden is seen: $(cat "$scratch/out")"
[ "$(stat -c '%F %t:%T %a %u:%g' /dev/null)" = "$null_before" ] || bad "the host's /dev/null changed"
[ "$(cat "$root/test/hidden")" = hidden ] || bad "the hidden file changed"
conclude
