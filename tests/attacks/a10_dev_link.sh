#!/bin/bash
# A10 (CVE-2026-41579, CVE-2026-47766): an image whose /dev leads to the host gets nothing made or removed there.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
echo keep >"$decoy/ptmx"
echo keep >"$decoy/null"
mkdir "$decoy/pts" "$decoy/shm" "$decoy/mqueue"
decoy_state >"$scratch/decoy.before"
cp "$bundle/config.json" "$scratch/config.json"
bundle_args "$bundle" /bin/true
cp "$bundle/config.json" "$scratch/with.json"
bundle_set "$bundle" '.mounts |= map(select(.destination != "/dev"))'
cp "$bundle/config.json" "$scratch/without.json"
bundle_set "$bundle" '.mounts |= map(select(.destination | startswith("/dev") | not))
    | .linux.devices = [{"type": "c", "path": "/dev/deep/made", "major": 1, "minor": 3}]'
cp "$bundle/config.json" "$scratch/bare.json"
for link in "$decoy" ../../../../../../../../.."$decoy" /test/../.."$decoy" /proc/self/cwd /proc/self/root"$decoy"; do
    for config in with without bare; do
        rm -rf "${root:?}/dev"
        ln -s "$link" "$root/dev"
        cp "$scratch/$config.json" "$bundle/config.json"
        try
        echo "/dev -> $link, $config mounts: status $?: $(head -1 "$scratch/out" | cut -c1-150)"
    done
done
rm -f "${root:?}/dev"
mkdir "$root/dev"
for name in pts shm mqueue fd stdin ptmx null console; do
    rm -rf "${root:?}/dev/$name"
    ln -s "$decoy/$name" "$root/dev/$name"
    cp "$scratch/without.json" "$bundle/config.json"
    try
    echo "/dev/$name a link: status $?: $(head -1 "$scratch/out" | cut -c1-150)"
    rm -rf "${root:?}/dev/$name"
done
[ -z "$(find "$root$decoy" -type c -o -type b 2>/dev/null)" ] || bad "devices below the image's own $decoy"
conclude
