#!/bin/bash
# A16: whatever an image has as /etc/passwd and /etc/group, no command hangs, and none reads the host's.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
printf 'root:x:0:0:root:%s:/bin/sh\n' "$decoy" >"$decoy/passwd"
decoy_state >"$scratch/decoy.before"
# Without a HOME, which could be looked up.
bundle_set "$bundle" '.process.env |= map(select(startswith("HOME=") | not)) | .process.user.uid = 1000'
bundle_args "$bundle" /bin/sh -c 'echo "home $HOME"; exec grep ^Uid /proc/self/status'
for file in passwd group hostname hosts resolv.conf; do
    for kind in fifo huge link dotdot dir loop device garbage; do
        rm -rf "${root:?}/etc/$file"
        case $kind in
        fifo) mkfifo "$root/etc/$file" ;;
        huge) truncate -s 1T "$root/etc/$file" ;;
        link) ln -s "$decoy/passwd" "$root/etc/$file" ;;
        dotdot) ln -s "../../../../../../../../..$decoy/passwd" "$root/etc/$file" ;;
        dir) mkdir "$root/etc/$file" ;;
        loop) ln -s "$file" "$root/etc/$file" ;;
        device) mknod "$root/etc/$file" c 1 5 ;;
        garbage) printf '\0\xff:::::\n%0100000d\n1000:x' 7 >"$root/etc/$file" ;;
        esac
        # A terabyte is not read in the time that `try` gives.
        try || bad "$file a $kind: status $?: $(cat "$scratch/out")"
        ! grep -qF "$decoy" "$scratch/out" || bad "$file a $kind: the host's was read: $(cat "$scratch/out")"
        grep -q "^Uid:.1000" "$scratch/out" || bad "$file a $kind: $(cat "$scratch/out")"
        rm -rf "${root:?}/etc/$file"
    done
done
conclude
