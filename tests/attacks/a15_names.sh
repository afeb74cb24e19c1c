#!/bin/bash
# A15: neither an id, nor a cgroup's path, nor another runtime's annotation leads out of where they belong.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
bundle_args "$bundle" /bin/true
mkdir -p "$state"
for id in ../x .. . "" / /x a/b a/../b a//b $'a\nb' 'a b' 'a;b' 'a*' '~' 'a\b' "../../${decoy#/}" $'\x01' é "$(printf 'a%.0s' $(seq 2000))"; do
    for command in "run --bundle $bundle" "create --bundle $bundle" state start kill "delete --force" "exec" ps; do
        # shellcheck disable=SC2086
        if bailey $command -- "$id" </dev/null >"$scratch/out" 2>&1; then
            bad "$command '$id' succeeds"
        fi
        ! grep -q outside "$scratch/out" || bad "$command '$id' reads the host"
    done
    [ -z "$(ls -A "$state")" ] || bad "id '$id' made $(ls -A "$state")"
done
# An id that is a link to the host's directory.
ln -s "$decoy" "$state/link"
for command in "run --bundle $bundle" "create --bundle $bundle" state start kill "delete --force" ps; do
    # shellcheck disable=SC2086
    bailey $command link </dev/null >"$scratch/out" 2>&1 && [ "$command" != "delete --force" ] && bad "$command of a link succeeds"
done
[ -e "$decoy/secret" ] || bad "delete followed a link"
rm -f "$state/link"
roots=$(find /sys/fs/cgroup -maxdepth 2 -type d | sort | sha256sum)
for path in ../../bt-evil /../bt-evil /a/../../bt-evil .. / "" . a/../../../bt-evil "/bt-evil/../.." $'/bt-evil\nx' \
    "$(printf '/a%.0s' $(seq 2000))"; do
    bundle_set "$bundle" --arg p "$path" '.linux.cgroupsPath = $p | .linux.resources.pids = {"limit": 50}'
    try
    status=$?
    echo "cgroupsPath '$(head -c 30 <<<"$path" | tr "\n" " ")': status $status: $(head -1 "$scratch/out" | cut -c1-100)"
done
bundle_set "$bundle" 'del(.linux.cgroupsPath) | .annotations = {"run.oci.delegate-cgroup": "..", "run.oci.systemd.subgroup": "../..",
    "run.oci.hooks.stderr": "/etc/evil", "run.oci.handler": "../x"}'
try || bad "another runtime's annotation matters: $(cat "$scratch/out")"
[ -z "$(find /sys/fs/cgroup -name '*bt-evil*')" ] || bad "a cgroup was made: $(find /sys/fs/cgroup -name '*bt-evil*')"
[ "$(find /sys/fs/cgroup -maxdepth 2 -type d ! -path '*/bailey' | sort | sha256sum)" = "$roots" ] ||
    echo "other cgroups came or went meanwhile"
[ ! -e /etc/evil ] || bad "/etc/evil was written"
conclude
