#!/bin/bash
# A14 (CVE-2026-30892): a user that is not exactly a number, or two, is refused; none becomes root by mistake.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
id=$(container_id user)
bundle_args "$bundle" /bin/sleep 1000
bailey run -d --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 || bad "$(cat "$scratch/out")"
for user in "" " " 1: :1 : 0x1 0b1 4294967295 4294967296 18446744073709551617 " 1" "1 " +1 -1 -0 1e0 1.0 1:1:1 "1:-1" "1: 1" \
    root nobody "1;0" $'1\n' "１" 1:4294967296 "99999999999999999999999"; do
    if out=$(bailey exec --user "$user" "$id" id -u </dev/null 2>&1); then
        bad "user '$user' runs as $out"
    fi
done
while read -r user expected; do
    out=$(bailey exec --user "$user" "$id" /bin/sh -c 'echo $(id -u):$(id -g)' </dev/null 2>&1)
    [ "$out" = "$expected" ] || bad "user '$user' runs as $out, not $expected"
done <<<$'1 1:0\n1:2 1:2\n0 0:0\n0:0 0:0\n4294967294:4294967294 4294967294:4294967294\n00001 1:0'
bundle_args "$bundle" /bin/true
for value in '"1"' -1 1.5 4294967296 1e10 null '[]' true; do
    bundle_set "$bundle" ".process.user.uid = $value"
    if try; then
        [ "$value" = null ] || bad "uid $value runs"
    fi
done
bailey delete --force "$id"
conclude
