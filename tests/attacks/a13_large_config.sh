#!/bin/bash
# A13 (CVE-2021-43784): lengths beyond 16 bits are taken whole or refused with an error, never cut.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cp "$bundle/config.json" "$scratch/config.json"
with() { # what jq-program...
    local what=$1
    shift
    cp "$scratch/config.json" "$bundle/config.json"
    bundle_set "$bundle" "$@" || bad "$what: jq"
    try
    status=$?
    echo "$what: status $status: $(head -1 "$scratch/out" | cut -c1-120)"
    [ $status -lt 128 ] || bad "$what: status $status"
    [ $status = 0 ] || grep -q '^bailey: ' "$scratch/out" || bad "$what: no message"
}
bundle_args "$bundle" /bin/true
cp "$bundle/config.json" "$scratch/config.json"
with "70000 id mappings" '.linux.namespaces += [{"type": "user"}] |
    .linux.uidMappings = [range(70000) | {"containerID": ., "hostID": (. + 100000), "size": 1}] |
    .linux.gidMappings = .linux.uidMappings'
[ $status != 0 ] || bad "more mappings than Linux has"
with "a host name of 70000" '.hostname = ("h" * 70000)'
[ $status != 0 ] || bad "a host name that cannot be"
with "a path of 70000" '.process.cwd = "/" + ("d" * 70000)'
[ $status != 0 ] || bad "a path that cannot be"
with "a mount destination of 70000" '.mounts += [{"destination": ("/" + "d" * 70000), "type": "tmpfs", "source": "x"}]'
[ $status != 0 ] || bad "a mount that cannot be"
with "mount options of 70000" '.mounts += [{"destination": "/test", "type": "tmpfs", "source": "x", "options": [("o" * 70000)]}]'
with "a capability of 70000" '.process.capabilities.bounding += ["CAP_" + "X" * 70000]'
with "70000 groups" '.process.user.additionalGids = [range(70000)]'
[ $status != 0 ] || bad "more groups than Linux has"
with "70000 limits" '.process.rlimits = [range(70000) | {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}]'
with "70000 masked paths" '.linux.maskedPaths = [range(70000) | "/nowhere/\(.)"]'
with "5000 annotations of 100" '.annotations = ([range(5000) | {key: "k\(.)", value: ("v" * 100)}] | from_entries)'
# Whole, not cut: 100 KiB in one string, and 1 MiB in all.
for n in 65535 65536 65537 100000; do
    with "an argument of $n" --argjson n $n '.process.args = ["/bin/sh", "-c", "echo ${#1}", "sh", ("a" * $n)]'
    [ "$(cat "$scratch/out")" = "$n" ] || bad "an argument of $n was cut: $(head -c 100 "$scratch/out")"
done
with "an argument of 200000, which Linux refuses" '.process.args = ["/bin/sh", "-c", "echo ${#1}", "sh", ("a" * 200000)]'
[ $status != 0 ] || [ "$(cat "$scratch/out")" = 200000 ] || bad "it was cut"
with "a variable of 100000" '.process.env += ["X=" + "a" * 100000] | .process.args = ["/bin/sh", "-c", "echo ${#X}"]'
[ "$(cat "$scratch/out")" = 100000 ] || bad "a variable was cut"
with "10000 variables" '.process.env += [range(10000) | "V\(.)=x"] | .process.args = ["/bin/sh", "-c", "env | grep -c ^V"]'
[ "$(cat "$scratch/out")" = 10000 ] || bad "variables were cut: $(head -c 100 "$scratch/out")"
# The same to exec.
id=$(container_id big)
cp "$scratch/config.json" "$bundle/config.json"
bundle_args "$bundle" /bin/sleep 1000
bailey run -d --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 || bad "$(cat "$scratch/out")"
long=$(printf 'a%.0s' $(seq 70000))
# shellcheck disable=SC2016
[ "$(bailey exec --env "LONG=$long" "$id" /bin/sh -c 'echo ${#LONG} ${#1}' sh "$long" 2>&1 </dev/null)" = "70000 70000" ] ||
    bad "exec cut something"
bailey delete --force "$id"
conclude
