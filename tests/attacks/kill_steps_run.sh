#!/bin/bash
# `run` killed before each of its steps: the container ends with it, and delete --force leaves nothing.
#: timeout 1800
set -uo pipefail
. "$(dirname "$0")/../lib/killsteps.sh"
bundle_args "$bundle" /bin/true

before() { :; }
after() {
    until_true $patience no_process || bad "processes: $(pgrep -af -- "--root $state")"
    forced
}
each_step before after run --bundle "$bundle" "$id"
[ $status = 0 ] || bad "status $status at the end"
exit $result
