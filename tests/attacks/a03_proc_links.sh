#!/bin/bash
# A3 (CVE-2019-16884, 2019-19921, 2023-27561, 2023-28642): an image or a volume that leads /proc or /sys elsewhere gets no
# container.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
mkdir -p "$root/elsewhere/self/attr"
decoy_state >"$scratch/decoy.before"
refused() { # what
    ! try || bad "$1: it runs"
    grep -q 'not an ordinary directory\|Not a directory\|Too many levels\|File exists' "$scratch/out" ||
        bad "$1: $(cat "$scratch/out")"
}
for place in proc sys; do
    for link in /elsewhere elsewhere "$decoy" ../../../../../../../../.."$decoy" /proc /sys . / loop; do
        rmdir "${root:?}/$place" 2>/dev/null || rm -f "${root:?}/$place"
        ln -s "$link" "$root/$place"
        [ "$link" != loop ] || ln -sfn "$place" "$root/loop"
        [ "$link" != "/$place" ] || continue # a loop of one, below
        refused "/$place -> $link"
    done
    rm -f "${root:?}/$place"
    ln -s "$place" "$root/$place"
    refused "/$place -> itself"
    rm -f "${root:?}/$place"
    echo text >"$root/$place"
    refused "/$place a file"
    rm -f "${root:?}/$place"
    mkdir "$root/$place"
done
# The same by a volume, with the mount of /proc after it.
mkdir -p "$scratch/volume"
ln -s /elsewhere "$scratch/volume/proc"
bundle_set "$bundle" --arg v "$scratch/volume" '.mounts = [
    {"destination": "/vol", "type": "bind", "source": $v, "options": ["bind"]},
    {"destination": "/vol/proc", "type": "proc", "source": "proc"}] + .mounts'
refused "/vol/proc -> /elsewhere"
[ -z "$(ls -A "$root/elsewhere/self/attr")" ] || bad "something was written to the image's /proc"
conclude
