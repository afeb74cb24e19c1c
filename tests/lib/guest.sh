#!/bin/bash
# guest.sh NAME: runs build/tests/guest/NAME under $REFERENCE and under $RUNTIME in the busybox root; both must print
# the same and end with 0; so must it with each option of $RUNTIME that the source names in a line " * Also run with: ".
# NAME.sh beside the source, if there, changes the bundle (it is sourced with $bundle set).
set -uo pipefail
. "$(dirname "$0")/bundle.sh"
name=$1

one() { # runtime label [option]
    local bundle
    bundle=$(bundle_new "$2" busybox) || die "no bundle"
    cp "$B/tests/guest/$name" "$bundle/rootfs/test/$name"
    bundle_args "$bundle" "/test/$name"
    # shellcheck disable=SC1090
    [ ! -f "$repo/tests/guest/$name.sh" ] || . "$repo/tests/guest/$name.sh"
    # By a pipe: runc makes one anyway, and limits on file sizes would count for a file.
    bundle_run "$1" "$bundle" "$(container_id "$name")" ${3:+"$3"} </dev/null 2>"$scratch/$2.err" | cat >"$scratch/$2.out"
    local status=${PIPESTATUS[0]}
    umount "$bundle/rootfs"
    echo "$2: $1: status $status"
    grep -v '^ok ' "$scratch/$2.out"
    [ "${3:-}" = --strace ] || cat "$scratch/$2.err"
    return $status
}

scratch_open
result=0
one "$REFERENCE" reference || result=1
one "$RUNTIME" subject || result=1
diff -u "$scratch/reference.out" "$scratch/subject.out" || result=1
[ "$RUNTIME" = "$REFERENCE" ] || while read -r option; do
    echo "$option"
    one "$RUNTIME" again "$option" || result=1
    diff -u "$scratch/reference.out" "$scratch/again.out" || result=1
done < <(sed -n 's/^ \* Also run with: \(--[^ ]*\).*/\1/p' "$repo/tests/guest/$name.c")
exit $result
