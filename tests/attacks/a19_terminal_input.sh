#!/bin/bash
# A19: a guest whose standard descriptors are the caller's terminal can not push input into it, nor make it its own.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cp "$B/tests/attacks/reach" "$bundle/rootfs/test/reach"
bundle_set "$bundle" '.process.capabilities |= with_entries(.value += ["CAP_SYS_ADMIN", "CAP_SYS_TTY_CONFIG"])'
bundle_args "$bundle" /test/reach tty
# A shell on a terminal runs the container, then reads what is there to be read.
attempt() { # terminal
    bundle_set "$bundle" ".process.terminal = $1"
    id=$(container_id sti)
    printf '%s\n' "cd $scratch; $RUNTIME --root $state run --bundle $bundle $id; echo \"status \$?\"; ps -o tty=,sid= -p \$\$ >/dev/null && echo mine" >"$scratch/script"
    timeout -k 5 $hang script -qec "bash -i $scratch/script" /dev/null </dev/null >"$scratch/out" 2>&1
    echo "terminal $1: $(tr -d '\r' <"$scratch/out" | xargs -0 | head -12)"
    grep -q tried "$scratch/out" || bad "terminal $1: it was not tried"
    [ ! -e "$scratch/pushed" ] || bad "terminal $1: input was pushed to the caller's shell"
    [ "$1" = true ] || ! grep -q REACHED "$scratch/out" || bad "terminal $1: the caller's terminal was reached"
}
attempt false
attempt true
conclude
