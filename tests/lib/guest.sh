#!/bin/bash
# guest.sh NAME: runs build/tests/guest/NAME under $REFERENCE and under $RUNTIME in the busybox root; both must print
# the same and end with 0. NAME.sh beside the source, if there, changes the bundle (it is sourced with $bundle set).
set -uo pipefail
. "$(dirname "$0")/bundle.sh"
name=$1

one() { # runtime label
    local bundle
    bundle=$(bundle_new "$2" busybox) || die "no bundle"
    cp "$B/tests/guest/$name" "$bundle/rootfs/test/$name"
    bundle_args "$bundle" "/test/$name"
    # shellcheck disable=SC1090
    [ ! -f "$repo/tests/guest/$name.sh" ] || . "$repo/tests/guest/$name.sh"
    # By a pipe: runc makes one anyway, and limits on file sizes would count for a file.
    bundle_run "$1" "$bundle" "$(container_id "$name")" </dev/null 2>"$scratch/$2.err" | cat >"$scratch/$2.out"
    local status=${PIPESTATUS[0]}
    umount "$bundle/rootfs"
    echo "$2: $1: status $status"
    grep -v '^ok ' "$scratch/$2.out"
    cat "$scratch/$2.err"
    return $status
}

scratch_open
result=0
one "$REFERENCE" reference || result=1
one "$RUNTIME" subject || result=1
if ! diff -u "$scratch/reference.out" "$scratch/subject.out"; then
    result=1
fi
exit $result
