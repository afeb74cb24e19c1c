#!/usr/bin/env bats
# The closed list of error codes: what has which, and that the docs tell of all of them.
bats_require_minimum_version 1.5.0
load helpers

DOC=$BATS_TEST_DIRNAME/../../docs/errors.md

setup() {
    make_bundle
    args sleep 1000
}

teardown() {
    bailey delete --force x 3>&-
}

# The command fails with that code in the log, the text in the message, and the status.
fails() { # code status text command...
    local code=$1 want=$2 text=$3
    shift 3
    rm -f "$BATS_TEST_TMPDIR/log"
    run --separate-stderr "$BAILEY" --root "$STATE" --log "$BATS_TEST_TMPDIR/log" --log-format json "$@" </dev/null 3>&-
    echo "status $status, $stderr, $(cat "$BATS_TEST_TMPDIR/log")"
    [ "$status" -eq "$want" ]
    [ "$(jq -r 'select(.level == "error") | .code' "$BATS_TEST_TMPDIR/log")" = "$code" ]
    jq -r 'select(.level == "error") | .msg' "$BATS_TEST_TMPDIR/log" | grep -qF -- "$text"
    # The code is documented, with this status.
    grep -q "^| \`$code\` | 1 | " "$DOC"
    echo "$code" >>"$BATS_FILE_TMPDIR/seen"
}

in_background() { # command...
    "$BAILEY" --root "$STATE" "$@" </dev/null >/dev/null 2>&1 3>&-
}

@test "USAGE" {
    fails USAGE 1 'unknown command "x"' x
    fails USAGE 1 "needs a container id" start
    fails USAGE 1 'container id "a/b"' state a/b
    fails USAGE 255 "needs a container id" exec
    fails USAGE 1 'unknown signal "SIGFOO"' kill x SIGFOO
    fails USAGE 1 'unknown signal "65"' kill x 65
}

@test "NO_CONTAINER: 'does not exist', by every command" {
    for command in state start kill delete pause resume ps events update stop; do
        fails NO_CONTAINER 1 "container x does not exist" $command x
    done
    fails NO_CONTAINER 255 "container x does not exist" exec x true
}

@test "delete --force of an unknown id: 0 and silent" {
    run bailey delete --force x
    [ "$status" -eq 0 ]
    [ "$output" = "" ]
    [ ! -e "$STATE/x" ]
}

@test "NOT_RUNNING: 'container not running'" {
    in_background create -b "$BUNDLE" x
    fails NOT_RUNNING 255 "container not running" exec x true
    bailey kill x KILL
    wait_for status_is x stopped
    for command in kill pause resume ps events update; do
        fails NOT_RUNNING 1 "container not running" $command x
    done
    fails NOT_RUNNING 255 "container not running" exec x true
}

@test "STATE" {
    in_background run -d -b "$BUNDLE" x
    fails STATE 1 "cannot start container x: it is running, not created" start x
    fails STATE 1 "cannot delete container x: it is running" delete x
    fails STATE 1 "cannot resume container x: it is running" resume x
    bailey kill x KILL
    wait_for status_is x stopped
    fails STATE 1 "cannot start container x: it is stopped, not created" start x
}

@test "EXISTS" {
    in_background create -b "$BUNDLE" x
    fails EXISTS 1 "a container with the id x exists already" create -b "$BUNDLE" x
    fails EXISTS 1 "config.json exists" spec -b "$BUNDLE"
}

@test "NOENT" {
    fails NOENT 1 "bundle /nonexistent" create -b /nonexistent x
    rm "$BUNDLE/config.json"
    fails NOENT 1 "no such file" create -b "$BUNDLE" x
}

@test "CONFIG, of each file that is read" {
    in_background run -d -b "$BUNDLE" x
    echo '{"memory": {"limit": "much"}}' >"$BATS_TEST_TMPDIR/r.json"
    fails CONFIG 1 "r.json: memory.limit: must be a number" update -r "$BATS_TEST_TMPDIR/r.json" x
    echo '{"args": []}' >"$BATS_TEST_TMPDIR/p.json"
    fails CONFIG 255 "p.json: " exec -p "$BATS_TEST_TMPDIR/p.json" x
    config '.process.cwd = "tmp"'
    fails CONFIG 1 'config.json: process.cwd: must be an absolute path, not "tmp"' create -b "$BUNDLE" y
    echo '{' >"$BUNDLE/config.json"
    fails CONFIG 1 "config.json: line 2, column 1: parse error" create -b "$BUNDLE" y
}

@test "UNSUPPORTED" {
    fails UNSUPPORTED 1 "checkpoint is not supported" checkpoint x
    fails UNSUPPORTED 1 "restore is not supported" restore x
    fails UNSUPPORTED 1 "Intel RDT is not supported" update --l3-cache-schema x x
}

@test "PERM" {
    # Where somebody who is not root can get at all.
    open=$(mktemp -d "/tmp/bt-${BAILEY_TEST_RUN:-0}-open.XXXXXX")
    chmod 755 "$open"
    mkdir -m 700 "$open/closed"
    cp "$BAILEY" "$open/bailey"
    : >"$open/log"
    chmod 666 "$open/log"
    run setpriv --reuid 65534 --clear-groups "$open/bailey" --root "$open/closed/state" --log "$open/log" --log-format json \
        state x
    code=$(jq -r .code "$open/log")
    rm -r "$open"
    echo "$output"
    [ "$status" -eq 1 ]
    [ "$code" = PERM ]
    echo PERM >>"$BATS_FILE_TMPDIR/seen"
}

@test "EXEC" {
    in_background run -d -b "$BUNDLE" x
    fails EXEC 255 "cannot execute /nonexistent" exec x /nonexistent
    fails EXEC 255 "cannot execute /etc" exec x /etc
    args /nonexistent
    fails EXEC 1 "process.args[0]: cannot execute /nonexistent" create -b "$BUNDLE" y
}

@test "HOOK and TIMEOUT" {
    config '.hooks.prestart = [{"path": "/bin/false"}]'
    fails HOOK 1 "hook prestart[0] (/bin/false) failed: exit status 1" create -b "$BUNDLE" x
    config '.hooks.prestart = [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]'
    fails TIMEOUT 1 "hook prestart[0] (/bin/sleep) failed: not done after its 1 s" create -b "$BUNDLE" x
}

@test "SYS" {
    fails SYS 1 "option --pidfd-socket: /nonexistent/socket: No such file" create --pidfd-socket /nonexistent/socket -b "$BUNDLE" x
}

# In the place of the keep's socket: who takes a connection and is gone. Before a request comes, or after.
@test "NOT_RUNNING where the keep ends between a question and its answer" {
    in_background run -d -b "$BUNDLE" x
    rm "$STATE/x/keep.sock"
    python3 - "$STATE/x" 3>&- <<'PY' &
import os, socket, sys
os.chdir(sys.argv[1])
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("new.sock")
s.listen(16)
os.rename("new.sock", "keep.sock")
for n in range(1000):
    c, _ = s.accept()
    if n % 2:
        c.recv(4096)
    c.close()
PY
    local listener=$!
    until [ -S "$STATE/x/keep.sock" ]; do sleep 0.02; done
    for _ in 1 2 3 4; do
        fails NOT_RUNNING 1 "container not running" kill x TERM
        fails NOT_RUNNING 1 "container not running" kill --all x TERM
        fails NOT_RUNNING 1 "container not running" ps x
    done
    kill "$listener"
}

@test "every code was seen, has its section, and there are no others" {
    sed -n 's/^| `\([A-Z_]*\)` | .*/\1/p' "$DOC" | sort >"$BATS_TEST_TMPDIR/table"
    diff "$BATS_TEST_TMPDIR/table" <(sed -n 's/^### //p' "$DOC" | sort)
    [ "$(wc -l <"$BATS_TEST_TMPDIR/table")" -ge 13 ]
    diff "$BATS_TEST_TMPDIR/table" <(sort -u "$BATS_FILE_TMPDIR/seen")
}

@test "the tables of docs/errors.md and docs/cli.md, and the man page, are what the command has" {
    for doc in errors cli; do
        "$B/cli-doc" tables "$BATS_TEST_DIRNAME/../../docs/$doc.md" | diff "$BATS_TEST_DIRNAME/../../docs/$doc.md" -
    done
    "$B/cli-doc" man >"$BATS_TEST_TMPDIR/bailey.1"
    for word in preserve\\\\-fds NO_CONTAINER 'bailey kill'; do grep -q -- "$word" "$BATS_TEST_TMPDIR/bailey.1"; done
    ! command -v man >/dev/null || [ -z "$(man --warnings -l "$BATS_TEST_TMPDIR/bailey.1" 2>&1 >/dev/null)" ]
}
