#!/bin/bash
# A21: no socket, descriptor or directory of the runtime can be found from inside, by a file, a name or a number.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
bundle_set "$bundle" '.process.capabilities |= with_entries(.value += ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"])'
bundle_args "$bundle" /bin/sh -c 'find / -xdev -type s; find / \( -name keep.sock -o -name "*.fifo" -o -name state.json \) 2>/dev/null
    cat /proc/net/unix | sed 1d; for fd in /proc/[0-9]*/fd/*; do readlink $fd; done | grep -v "^/dev/null$\|^/proc\|^pipe:\|^/test/in$\|^/$"
    ls "$1" 2>/dev/null; echo looked' sh "$state"
id=$(container_id sockets)
bailey run --bundle "$bundle" "$id" </dev/null >"$scratch/pipe.out" 2>&1
grep -v "^$scratch/pipe.out$\|^/.*pipe.out\|^host:" "$scratch/pipe.out" >"$scratch/out"
[ "$(cat "$scratch/out")" = looked ] || bad "found: $(cat "$scratch/out")"
# Beside others, with an exec, and with everything that the command can be given.
mkdir "$scratch/xdg"
NOTIFY_SOCKET=$scratch/notify.sock timeout $hang "$RUNTIME" --root "$state" run --bundle "$bundle" --pid-file "$scratch/pid" "$id" \
    </dev/null >"$scratch/pipe.out" 2>&1
grep -v "^$scratch/pipe.out$\|^/.*pipe.out" "$scratch/pipe.out" | grep -v '^bailey: warning\|^host:' >"$scratch/out"
[ "$(cat "$scratch/out")" = looked ] || bad "with NOTIFY_SOCKET: $(cat "$scratch/out")"
rm -f "$scratch/pid"
conclude
