#!/bin/bash
# A11 (CVE-2022-29162, 2022-27650, 2022-24769, 2025-27612): no capability is inheritable unless the configuration says so;
# exec --cap adds none there.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
caps='grep -E "^Cap(Inh|Amb)" /proc/self/status'
none=$'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000'
bundle_args "$bundle" /bin/sh -c "$caps"
try || bad "$(cat "$scratch/out")"
[ "$(cat "$scratch/out")" = "$none" ] || bad "run: $(cat "$scratch/out")"
# A caller with inheritable and ambient capabilities of its own.
if command -v setpriv >/dev/null; then
    setpriv --inh-caps +net_raw,+chown --ambient-caps +net_raw "$RUNTIME" --root "$state" run --bundle "$bundle" \
        "$(container_id caps)" </dev/null >"$scratch/out" 2>&1
    [ "$(cat "$scratch/out")" = "$none" ] || bad "the caller's leak: $(cat "$scratch/out")"
fi
mkdir "$scratch/spec"
bailey spec --bundle "$scratch/spec"
[ "$(jq '.process.capabilities.inheritable // [] | length' "$scratch/spec/config.json")" = 0 ] || bad "spec: inheritable"
[ "$(jq '.process.capabilities.ambient // [] | length' "$scratch/spec/config.json")" = 0 ] || bad "spec: ambient"
id=$(container_id caps)
bundle_args "$bundle" /bin/sleep 1000
bailey run -d --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1 || bad "$(cat "$scratch/out")"
for extra in "" "--cap CAP_NET_ADMIN" "--cap CAP_SYS_ADMIN --user 1000:1000"; do
    # shellcheck disable=SC2086
    bailey exec $extra "$id" /bin/sh -c "$caps" </dev/null >"$scratch/out" 2>&1
    grep -q "^CapInh:.0000000000000000" "$scratch/out" || bad "exec $extra: $(cat "$scratch/out")"
done
bailey delete --force "$id"
conclude
