#!/bin/bash
# A17 (CVE-2024-0132's kind): a hook of the host is the host's file whatever the image has there; one inside is the image's
# and cannot become the host's.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
log=$scratch/log
printf '#!/bin/sh\necho "host $(pwd)" >>%s\n' "$log" >"$decoy/hook"
chmod 755 "$decoy/hook"
decoy_state >"$scratch/decoy.before"
bundle_args "$bundle" /bin/true
# The image has a file of the same name, which must not run in its place.
mkdir -p "$root$decoy"
printf '#!/bin/sh\necho image >/test/ran\n' >"$root$decoy/hook"
chmod 755 "$root$decoy/hook"
for kind in prestart createRuntime createContainer poststart poststop; do
    : >"$log"
    rm -f "${root:?}/test/ran"
    bundle_set "$bundle" --arg k $kind --arg p "$decoy/hook" '.hooks = {($k): [{"path": $p}]}'
    try || bad "$kind: $(cat "$scratch/out")"
    [ "$(cat "$log")" = "host $bundle" ] || bad "$kind: ran '$(cat "$log")'"
    [ ! -e "$root/test/ran" ] || bad "$kind: the image's file ran"
done
# startContainer's path is the image's; a link in it does not lead out.
rm -rf "${root:?}$decoy"
: >"$log"
for link in "$decoy/hook" "../../../../../../../../..$decoy/hook" /proc/self/root"$decoy/hook" /proc/1/root"$decoy/hook"; do
    ln -sfn "$link" "$root/test/hook"
    bundle_set "$bundle" '.hooks = {"startContainer": [{"path": "/test/hook"}]}'
    ! try || bad "startContainer by $link runs"
    [ ! -s "$log" ] || bad "startContainer by $link ran the host's"
done
conclude
