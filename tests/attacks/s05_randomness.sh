#!/bin/bash
# S5 (CVE-2024-10026, CVE-2024-10603): what a guest could guess of another: where stack and vDSO lie, /dev/urandom,
# unique ids: nothing comes twice.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
bundle_args "$bundle" /bin/sh -c 'grep stack /proc/self/maps | cut -d- -f1; grep vdso /proc/self/maps | cut -d- -f1
    head -c 8 /dev/urandom | od -An -tx8; cat /proc/sys/kernel/random/uuid
    cat /proc/sys/kernel/random/boot_id'
times=8
for ((i = 0; i < times; i++)); do
    try || bad "$(cat "$scratch/out")"
    awk '{ print NR, $0 }' "$scratch/out" >>"$scratch/all"
done
cat "$scratch/out"
for line in 1 2 3 4 5; do
    n=$(awk -v n=$line '$1 == n' "$scratch/all" | sort -u | wc -l)
    [ "$n" -ge $((times - 1)) ] || bad "line $line had $n values in $times containers"
done
# One process after the other in one container.
# shellcheck disable=SC2016
bundle_args "$bundle" /bin/sh -c 'for i in 1 2 3 4 5 6 7 8; do sh -c "grep stack /proc/self/maps" | cut -d- -f1; done'
try || bad "$(cat "$scratch/out")"
[ "$(sort -u "$scratch/out" | wc -l)" -ge 7 ] || bad "stacks in one container: $(sort "$scratch/out" | uniq -c)"
conclude
