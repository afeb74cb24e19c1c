#!/bin/bash
# A18 (CVE-2022-36109, CVE-2023-25173): a program has the groups that the configuration lists, and none of its caller's.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
mkdir "$root/test/negative"
chgrp 4711 "$root/test/negative"
chmod 0705 "$root/test/negative"
caller() { # command...
    if command -v setpriv >/dev/null; then
        setpriv --groups 4711,4712 "$@"
    else
        python3 -c 'import os, sys; os.setgroups([4711, 4712]); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
    fi
}
groups_of() { # user-json
    bundle_set "$bundle" --argjson u "$1" '.process.user = $u'
    caller "$RUNTIME" --root "$state" run --bundle "$bundle" "$(container_id groups)" </dev/null 2>&1
}
bundle_args "$bundle" /bin/sh -c 'echo $(id -G); grep ^Groups /proc/self/status | xargs'
[ "$(groups_of '{"uid": 0, "gid": 0}' | xargs)" = "0 Groups:" ] || bad "root: $(groups_of '{"uid": 0, "gid": 0}')"
[ "$(groups_of '{"uid": 5, "gid": 6}' | xargs)" = "6 Groups:" ] || bad "5:6: $(groups_of '{"uid": 5, "gid": 6}')"
[ "$(groups_of '{"uid": 5, "gid": 6, "additionalGids": [9, 7]}' | xargs)" = "6 7 9 Groups: 7 9" ] ||
    [ "$(groups_of '{"uid": 5, "gid": 6, "additionalGids": [9, 7]}' | xargs)" = "6 9 7 Groups: 9 7" ] ||
    bad "additional: $(groups_of '{"uid": 5, "gid": 6, "additionalGids": [9, 7]}')"
# A group that is kept out: who is not listed as a member is "other", who is has no access.
bundle_args "$bundle" /bin/ls /test/negative
groups_of '{"uid": 5, "gid": 6}' >"$scratch/out" || bad "other: $(cat "$scratch/out")"
! groups_of '{"uid": 5, "gid": 6, "additionalGids": [4711]}' >"$scratch/out" || bad "a member gets in"
! groups_of '{"uid": 5, "gid": 4711}' >"$scratch/out" || bad "the group gets in"
# exec, with other groups and with its caller's.
id=$(container_id groups)
bundle_args "$bundle" /bin/sleep 1000
bundle_set "$bundle" '.process.user = {"uid": 5, "gid": 6, "additionalGids": [7]}'
bailey run -d --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 || bad "$(cat "$scratch/out")"
for options in "" "--user 8:8" "--user 8:8 --additional-gids 12"; do
    # shellcheck disable=SC2086
    out=$(caller "$RUNTIME" --root "$state" exec $options "$id" id -G </dev/null 2>&1)
    echo "exec $options: $out"
    [[ $out =~ ^[0-9\ ]+$ && ! $out =~ 471 ]] || bad "exec $options: the caller's groups: $out"
done
bailey delete --force "$id"
conclude
