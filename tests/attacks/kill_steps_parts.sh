#!/bin/bash
# The porter, then the keep, killed before each of their steps while `create` makes them: it fails with an error, not a hang,
# and leaves nothing, poststop hooks run; or the container was made and has ended.
#: timeout 1800
set -uo pipefail
. "$(dirname "$0")/../lib/killsteps.sh"

bundle_set "$bundle" 'del(.hooks.prestart, .hooks.startContainer, .hooks.poststart)'

before() { :; }
after() {
    case $status in
    99)
        grep -q '^bailey: ' "$scratch/out" || bad "no message"
        nothing_left
        ;;
    98)
        bailey state "$id" || bad "state fails: $(cat "$scratch/out")"
        forced
        ;;
    0) forced ;;
    *) bad "status $status: $(cat "$scratch/out")" ;;
    esac
}
for part in 1 2; do
    victim=(-c $part)
    each_step before after create --bundle "$bundle" "$id"
    [ $status = 0 ] || bad "status $status at the end"
done
exit $result
