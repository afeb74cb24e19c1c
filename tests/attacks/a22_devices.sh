#!/bin/bash
# A22: no device node that a guest makes, or finds in a volume, is a device of the host.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cp "$B/tests/attacks/reach" "$bundle/rootfs/test/reach"
# Nodes of the host in a volume, and in the image: the kernel's log and two disks, which may or may not be there.
mkdir "$scratch/volume"
for dir in "$scratch/volume" "$bundle/rootfs/test"; do
    mknod -m 666 "$dir/node0" c 1 11
    mknod -m 666 "$dir/node1" b 7 0
    mknod -m 666 "$dir/node2" b 8 0
    mknod -m 666 "$dir/node3" b 254 0
done
bundle_set "$bundle" --arg v "$scratch/volume" '
    .process.capabilities |= with_entries(.value += ["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_SYS_RAWIO"])
    | .mounts += [{"destination": "/vol", "type": "bind", "source": $v, "options": ["bind", "dev"]}]
    | .linux.resources.devices = [{"allow": true, "access": "rwm"}]'
for where in /vol /test; do
    bundle_args "$bundle" /test/reach devices $where
    try || bad "$where: status $?"
    cat "$scratch/out"
    ! grep -q REACHED "$scratch/out" || bad "$where: a device was reached"
    grep -q tried "$scratch/out" || bad "$where: it was not tried"
done
# A device that the configuration names is the keep's, or refused; never the host's disk.
for device in '{"type": "b", "path": "/dev/disk", "major": 8, "minor": 0}' '{"type": "c", "path": "/dev/log1", "major": 1, "minor": 11}'; do
    bundle_set "$bundle" --argjson d "$device" '.linux.devices = [$d]'
    bundle_args "$bundle" /bin/sh -c 'head -c 1 /dev/disk /dev/log1 | wc -c'
    try
    echo "$device: $(tail -1 "$scratch/out")"
done
# Nothing was left in the volume.
[ "$(ls "$scratch/volume" | wc -l)" = 4 ] || bad "nodes are left: $(ls "$scratch/volume")"
conclude
