#!/bin/bash
# A24: a seccomp profile that asks a listener about the very calls with which its descriptor would be handed over, a listener
# that is not there, goes away, or never answers: no command hangs, and the call is not allowed.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cat >"$scratch/listener" <<'PY'
# listener PATH HOW: accepts once; "close": hangs up; "keep": takes the message, says "asked" when there is something to
# answer, and never answers.
import array, select, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
print("listening", flush=True)
c, _ = s.accept()
if sys.argv[2] == "keep":
    _, ((_, _, fds), *_), _, _ = c.recvmsg(65536, 4096)
    select.select([array.array("i", fds)[0]], [], [])
    print("asked", flush=True)
    time.sleep(100000)
PY
calls='["sendmsg", "sendmmsg", "connect", "socket", "socketpair", "recvmsg", "mkdir", "mkdirat"]'
# And one that a guest makes by itself, mkdir.
bundle_args "$bundle" /bin/sh -c 'mkdir /test/made 2>&1 && echo allowed; echo end'
profile() { # path
    bundle_set "$bundle" --arg p "$1" --argjson n "$calls" '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": $p, "listenerMetadata": "m", "syscalls": [{"names": $n, "action": "SCMP_ACT_NOTIFY"}]}'
}
judge() { # what
    echo "$1: status $?: $(head -c 150 "$scratch/out" | tr "\n" " ")"
    ! grep -qx allowed "$scratch/out" || bad "$1: the call was allowed"
}
profile "$scratch/nobody"
try
judge "nobody listens"
: >"$scratch/file"
profile "$scratch/file"
try
judge "a file"
profile "$scratch/socket"
python3 "$scratch/listener" "$scratch/socket" close >"$scratch/said" &
until_true $patience grep -q listening "$scratch/said" || bad "no listener"
try
judge "a listener that hangs up"
kill $! 2>/dev/null
wait 2>/dev/null
rm -f "$scratch/socket" "$scratch/said"
# One that never answers: the call waits, as it must; kill and delete work all the same.
python3 "$scratch/listener" "$scratch/socket" keep >"$scratch/said" &
listener=$!
until_true $patience grep -q listening "$scratch/said" || bad "no listener"
id=$(container_id notify)
bailey run -d --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1
echo "a listener that does not answer: status $?: $(head -c 150 "$scratch/out" | tr "\n" " ")"
until_true $patience grep -q asked "$scratch/said" || bad "it is not asked"
sleep 0.3
! grep -qx allowed "$scratch/out" || bad "the call was allowed without an answer"
bailey delete --force "$id" || bad "it cannot be deleted"
kill $listener 2>/dev/null
wait 2>/dev/null
# Without a listener in the profile there is nobody to ask: an error, before anything runs.
bundle_set "$bundle" 'del(.linux.seccomp.listenerPath, .linux.seccomp.listenerMetadata)'
! try || bad "a profile without a listener runs"
grep -q listenerPath "$scratch/out" || bad "the error does not name it: $(cat "$scratch/out")"
conclude
