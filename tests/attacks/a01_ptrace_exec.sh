#!/bin/bash
# A1 (CVE-2016-9962): a program that enters the container is looked at and traced while it does: no descriptor, directory
# or executable of the host can be had from it.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cp "$B/tests/attacks/prowl" "$bundle/rootfs/test/prowl"
# As much as a container can be given.
bundle_set "$bundle" '.process.capabilities |= with_entries(.value += ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"])'
bundle_args "$bundle" /test/prowl "$decoy/secret" 100000
id=$(container_id prowl)
bailey_stays run --bundle "$bundle" "$id" </dev/null >"$scratch/prowl" 2>&1 &
run=$!
until_true $patience grep -q prowling "$scratch/prowl" || bad "$(cat "$scratch/prowl")"
# From a directory of the host, with one of its files and directories open: that is what there would be to be had.
cd "$decoy" || exit 1
for ((i = 0; i < 150; i++)); do
    bailey exec "$id" /bin/true </dev/null >/dev/null 2>"$scratch/err" 7<"$decoy" 8<"$decoy/secret" ||
        bad "exec $i: $(cat "$scratch/err")"
done
cd /
touch "$bundle/rootfs/test/enough"
wait $run || bad "something was found"
cat "$scratch/prowl"
grep -q 'looked [0-9]\{3,\} times, found 0' "$scratch/prowl" || bad "it did not look"
conclude
