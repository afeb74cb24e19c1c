#!/bin/bash
# `create` killed before each of its steps: without a container all that it made ends, and delete --force leaves nothing.
#: timeout 1800
set -uo pipefail
. "$(dirname "$0")/../lib/killsteps.sh"

before() { :; }
after() {
    gone_without_help
    # What is written down is whole.
    [ ! -e "$state/$id/state.json" ] || bailey state "$id" || bad "state fails: $(cat "$scratch/out")"
    forced
}
each_step before after create --bundle "$bundle" --pid-file "$scratch/pid" "$id"
[ $status = 0 ] || bad "status $status at the end"
# The next one with that id does not mind either.
before() { :; }
after() {
    gone_without_help
    if [ ! -e "$state/$id/state.json" ]; then
        bailey create --bundle "$bundle" "$id" || bad "the next create fails: $(cat "$scratch/out")"
    fi
    forced
}
each_step before after create --bundle "$bundle" "$id"
exit $result
