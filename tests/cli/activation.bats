#!/usr/bin/env bats
# What a program gets from the runtime's caller beside its streams: descriptors, sockets, a way to say "ready".
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    bailey delete --force x 3>&-
    [ -z "${helper:-}" ] || kill "$helper" 2>/dev/null || true
}

@test "run --preserve-fds N passes 3 to N+2, and nothing else" {
    echo from-four >four
    args sh -c 'cat <&4; echo to-five >&5; [ ! -e /proc/self/fd/6 ] && echo no six; cat <&3'
    run bailey run --preserve-fds 3 -b "$BUNDLE" x 3</etc/hostname 4<four 5>five 6</etc/passwd
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = from-four ]
    [ "${lines[1]}" = "no six" ]
    [ "${lines[2]}" = "$(cat /etc/hostname)" ]
    [ "$(cat five)" = to-five ]
}

@test "without the option, nothing is passed" {
    args sh -c 'ls -l /proc/self/fd'
    run bailey run -b "$BUNDLE" x 3</etc/passwd 4</etc/group
    [ "$status" -eq 0 ]
    [[ "$output" != *" 4 -> "* ]]
}

@test "a descriptor that is not open, a directory, a bad number" {
    args true
    refused 'option --preserve-fds: descriptor 4 of 3 to 4 is not open' \
        bailey run --preserve-fds 2 -b "$BUNDLE" x 3</etc/passwd 4<&- 5</etc/group
    refused 'option --preserve-fds: descriptor 3 is a directory or a path, by which a container could be left' \
        bailey run --preserve-fds 1 -b "$BUNDLE" x 3</
    for n in -1 x 1x 513 ""; do
        run bailey run --preserve-fds "$n" -b "$BUNDLE" x 3</etc/passwd
        [ "$status" -eq 1 ]
        [ "$output" = "bailey: option --preserve-fds: must be a number of 0 to 512, not \"$n\"" ]
    done
}

@test "exec --preserve-fds, and more of them than fit into one message" {
    args sleep 1000
    bailey run -d -b "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
    run bailey exec --preserve-fds 1 x sh -c 'cat <&3' 3</etc/hostname
    [ "$output" = "$(cat /etc/hostname)" ]
    run python3 - "$BAILEY" "$STATE" <<'PY'
import os, subprocess, sys
# 100 pipes' reading ends at 3 to 102, each with its own number in it.
os.closerange(3, 400)
for n in range(3, 103):
    r, w = os.pipe()
    os.write(w, b"%d\n" % n)
    os.close(w)
    os.dup2(r, 200 + n)
    os.close(r)
for n in range(3, 103):
    os.dup2(200 + n, n, inheritable=True)
os.closerange(203, 400)
os.execv(sys.argv[1], [sys.argv[1], "--root", sys.argv[2], "exec", "--preserve-fds=100", "x", "sh", "-c",
    "for n in 3 30 31 60 102; do cat /proc/self/fd/$n; done; [ -e /proc/self/fd/103 ] || echo none"])
PY
    echo "$output"
    [ "$(echo $output)" = "3 30 31 60 102 none" ]
    bailey kill x KILL
}

# Listens at host.sock (stream), hands it to the command as LISTEN_FDS does, and talks to it once.
activated() { # command...
    python3 - "$@" 3>&- <<'PY'
import os, socket, subprocess, sys
family = socket.AF_UNIX if os.environ.get("FAMILY") == "unix" else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM)
s.bind("host.sock" if family == socket.AF_UNIX else ("127.0.0.1", 0))
s.listen(4)
peer = s.getsockname()
def child():
    os.dup2(s.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ["LISTEN_FDS"] = "1"
    os.environ["LISTEN_FDNAMES"] = "web"
    os.environ["LISTEN_PID"] = os.environ.get("FAKE_PID", str(os.getpid()))
    os.execv(sys.argv[1], sys.argv[1:])
pid = os.fork()
if pid == 0:
    child()
s.close()
if "FAKE_PID" not in os.environ:
    c = socket.socket(family, socket.SOCK_STREAM)
    c.settimeout(100)
    c.connect(peer)
    c.sendall(b"hello\n")
    print(c.makefile().readline(), end="", flush=True)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
}

make_server() {
    cp "$B/tests/cli/activated" "$BUNDLE/rootfs/bin/activated"
    args activated
}

@test "socket activation: an inet socket is accepted from inside" {
    make_server
    config '.linux.namespaces |= map(select(.type != "network"))'
    run activated "$BAILEY" --root "$STATE" run -b "$BUNDLE" x
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "hello LISTEN_FDS=1 LISTEN_PID=1 LISTEN_FDNAMES=web" ]
}

@test "socket activation: a unix socket is, and no descriptor comes through it" {
    make_server
    FAMILY=unix run activated "$BAILEY" --root "$STATE" run -b "$BUNDLE" x
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "hello LISTEN_FDS=1 LISTEN_PID=1 LISTEN_FDNAMES=web" ]
}

@test "LISTEN_FDS for another process are not ours" {
    args sh -c 'echo "[$LISTEN_FDS]"; [ -e /proc/self/fd/3 ] || echo none'
    FAKE_PID=2 run activated "$BAILEY" --root "$STATE" run -b "$BUNDLE" x
    [ "$(echo $output)" = "[] none" ]
    # Who knows of containers says 1.
    FAKE_PID=1 run activated "$BAILEY" --root "$STATE" run -b "$BUNDLE" x
    [ "$(echo $output)" = "[1]" ]
}

@test "LISTEN_FDS that are not open are a warning" {
    args sh -c 'echo "[$LISTEN_FDS]"'
    LISTEN_FDS=2 run --separate-stderr bailey run -b "$BUNDLE" x 3</etc/passwd 4<&-
    [ "$output" = "[]" ]
    [ "$stderr" = "bailey: warning: LISTEN_FDS: of 2 descriptors from 3 on only 1 are open: none is passed on" ]
    LISTEN_FDS=x run bailey run -b "$BUNDLE" x
    [ "$status" -eq 1 ]
    [[ "$output" == *"LISTEN_FDS: must be a number of 0 to 512, not \"x\"" ]]
}

# Binds notify.sock and writes each message to notify.got as one line.
listen_notify() {
    python3 - <<'PY' 3>&- &
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify.sock")
out = open("notify.got", "w")
open("notify.ready", "w").write("ready")
while True:
    out.write(repr(s.recv(4096).decode()) + "\n")
    out.flush()
PY
    helper=$!
    wait_for test -s notify.ready
}

# What came to notify.sock up to now: each message as one line.
notified() {
    python3 -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"end", "notify.sock")'
    wait_for grep -qx "'end'" notify.got
    grep -vx "'end'" notify.got
}

@test "sd_notify: READY=1 reaches the host once, with the porter's pid, and nothing else does" {
    make_server
    args activated notify
    listen_notify
    NOTIFY_SOCKET=$BATS_TEST_TMPDIR/notify.sock bailey create -b "$BUNDLE" --pid-file pid x </dev/null >out 2>&1 3>&-
    [ ! -s notify.got ]
    bailey start x 3>&-
    wait_for status_is x stopped
    got=$(notified)
    echo "$got"
    cat out
    [ "$(bailey state x | jq .exitStatus)" = 0 ]
    [ "$got" = "'READY=1\\nMAINPID=$(cat pid)\\n'" ]
}

@test "a NOTIFY_SOCKET that nobody listens on is a warning" {
    args sh -c 'echo "[$NOTIFY_SOCKET]"'
    NOTIFY_SOCKET=/nonexistent/notify run --separate-stderr bailey run -b "$BUNDLE" x 3>&-
    [ "$status" -eq 0 ]
    [ "$output" = "[]" ]
    [[ "$stderr" == "bailey: warning: NOTIFY_SOCKET: /nonexistent/notify: No such file or directory: "* ]]
}

@test "a container that joins a pod's keep gets them, too" {
    args sleep 1000
    config '.annotations = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "x"}'
    bailey run -d -b "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
    make_server
    args sh -c 'cat <&3; echo "$LISTEN_FDS"; exec activated notify'
    net=/proc/$(bailey state x | jq .pid)/ns/net
    config --arg net "$net" '.annotations = {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "x"}
        | .linux.namespaces |= map(if .type == "network" then .path = $net else . end)'
    listen_notify
    NOTIFY_SOCKET=$BATS_TEST_TMPDIR/notify.sock run bailey run --pid-file pid --preserve-fds 1 -b "$BUNDLE" y 3</etc/hostname
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "$(cat /etc/hostname)" ]
    [ "$(notified)" = "'READY=1\\nMAINPID=$(cat pid)\\n'" ]
}
