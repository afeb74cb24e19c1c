#!/usr/bin/env bats
# Options of other runtimes' command lines, and what they do here.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    args sleep 1000
}

teardown() {
    bailey delete --force --regex '.*' 3>&-
    [ -z "${receiver:-}" ] || kill "$receiver" 2>/dev/null || true
}

detached() { # command...
    "$@" </dev/null >/dev/null 2>&1 3>&-
}

# Listens on $BATS_TEST_TMPDIR/NAME.sock; the message's text is in NAME.name, what its descriptor is in NAME.fd.
receive_fd() { # name
    python3 - "$BATS_TEST_TMPDIR/$1" 3>&- <<'PY' &
import array, os, socket, sys
at = sys.argv[1]
s = socket.socket(socket.AF_UNIX)
s.bind(at + ".sock")
s.listen(1)
open(at + ".ready", "w")
c, _ = s.accept()
text, anc, _, _ = c.recvmsg(256, 256)
fd = array.array("i", anc[0][2])[0]
open(at + ".fd", "w").write(open(f"/proc/self/fdinfo/{fd}").read())
open(at + ".name", "w").write(text.decode())
PY
    receiver=$!
    wait_for test -e "$BATS_TEST_TMPDIR/$1.ready"
}

@test "options as Go programs and as GNU programs write them, before and behind the id" {
    detached bailey create -bundle "$BUNDLE" -no-pivot --no-new-keyring x -no-subreaper --pid-file="$BATS_TEST_TMPDIR/pid"
    [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(bailey state x | jq .pid)" ]
    detached bailey start x
    [ "$(bailey exec -eA=1 x sh -c 'echo $A' 3>&-)" = 1 ]
    bailey kill x -a 9
    detached bailey delete x -f
}

@test "global options in any order; --systemd-cgroup against --cgroup-manager" {
    [ "$("$BAILEY" --debug=false --root="$STATE" --log-format text --log-level error list -q)" = "" ]
    refused 'option --systemd-cgroup: contradicts --cgroup-manager cgroupfs' \
        "$BAILEY" --systemd-cgroup --cgroup-manager=cgroupfs list
    refused 'option --cgroup-manager: must be cgroupfs, systemd or disabled, not "x"' "$BAILEY" --cgroup-manager x list
    refused 'option --rootless: must be auto, true or false, not "x"' "$BAILEY" --rootless x list
}

@test "--log-level chooses what is logged" {
    config '.hooks.prestart = [{"path": "/bin/true"}] | .process.capabilities.bounding += ["CAP_NOT_KNOWN"]'
    for level in error warning debug; do
        "$BAILEY" --root "$STATE" --log "file:$BATS_TEST_TMPDIR/$level" --log-level "$level" create -b "$BUNDLE" x \
            </dev/null >/dev/null 2>&1 3>&-
        bailey delete -f x
    done
    [ ! -s "$BATS_TEST_TMPDIR/error" ]
    grep -q "warning: .*CAP_NOT_KNOWN" "$BATS_TEST_TMPDIR/warning"
    ! grep -q "debug:" "$BATS_TEST_TMPDIR/warning"
    grep -q "debug:" "$BATS_TEST_TMPDIR/debug"
}

@test "--log journald: and syslog: speak their services' formats" {
    command -v unshare
    for form in journald:me=/run/systemd/journal/socket syslog:me=/dev/log; do
        socket=${form#*=}
        # The service's socket is made on a tmpfs of our own over its directory.
        unshare -m bash -ec '
            mkdir -p "$(dirname "$1")"
            [ "$1" = /dev/log ] || mount -t tmpfs none "$(dirname "$1")"
            if [ "$1" = /dev/log ]; then
                mkdir "$3/dev" && mount -t tmpfs none "$3/dev"
                for n in null zero ptmx tty random urandom; do touch "$3/dev/$n"; mount --bind "/dev/$n" "$3/dev/$n"; done
                mount --rbind "$3/dev" /dev
            fi
            python3 -c "
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
open(sys.argv[2] + \".ready\", \"w\")
open(sys.argv[2], \"wb\").write(s.recv(4096))" "$1" "$3/got" 3>&- &
            while [ ! -e "$3/got.ready" ]; do sleep 0.05; done
            "$4" --log "$2" --root "$3/state" state nobody 2>/dev/null 3>&- || true
            wait
        ' - "$socket" "${form%%=*}" "$BATS_TEST_TMPDIR" "$BAILEY"
        cat "$BATS_TEST_TMPDIR/got"
        case $form in
        journald:*)
            grep -x 'MESSAGE=container nobody does not exist' "$BATS_TEST_TMPDIR/got"
            grep -x 'PRIORITY=3' "$BATS_TEST_TMPDIR/got"
            grep -x 'SYSLOG_IDENTIFIER=me' "$BATS_TEST_TMPDIR/got"
            ;;
        *) [ "$(cat "$BATS_TEST_TMPDIR/got")" = "<11>me: container nobody does not exist" ] ;;
        esac
        rm -f "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/got.ready"
    done
    refused 'option --log: journald: needs a name of at most 64 bytes' "$BAILEY" --log journald: list
}

@test "without root, the state is below XDG_RUNTIME_DIR" {
    mkdir -m 777 "$BATS_TEST_TMPDIR/xdg"
    XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/xdg run "$BAILEY" --rootless true list -q
    [ "$status" -eq 0 ]
    XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/xdg detached "$BAILEY" --rootless=true create -b "$BUNDLE" x
    [ -d "$BATS_TEST_TMPDIR/xdg/bailey/x" ]
    "$BAILEY" --root "$BATS_TEST_TMPDIR/xdg/bailey" delete -f x
}

@test "the root of a user's namespace has its state below XDG_RUNTIME_DIR, the host's root there has not" {
    local xdg=$BATS_TEST_TMPDIR/xdg inside=(unshare --user --map-root-user)
    detached "$BAILEY" --root "$xdg/bailey" create -b "$BUNDLE" x
    run env -u USER XDG_RUNTIME_DIR="$xdg" "${inside[@]}" "$BAILEY" list -q
    [ "$output" = x ]
    run env USER=someone XDG_RUNTIME_DIR="$xdg" "${inside[@]}" "$BAILEY" list -q
    [ "$output" = x ]
    run env USER=root XDG_RUNTIME_DIR="$xdg" "${inside[@]}" "$BAILEY" state x
    [ "$status" -eq 1 ]
    run env -u USER XDG_RUNTIME_DIR="$xdg" "$BAILEY" state x
    [ "$status" -eq 1 ]
    "$BAILEY" --root "$xdg/bailey" delete -f x
}

@test "--config: a configuration of another name" {
    mv "$BUNDLE/config.json" "$BATS_TEST_TMPDIR/other.json"
    cd "$BATS_TEST_TMPDIR"
    detached bailey create --config other.json --bundle "$BUNDLE" x
    [ "$(status_of x)" = created ]
    cmp other.json "$STATE/x/config.json"
    bailey delete x
    refused 'bundle-less.json: no such file' bailey create -f bundle-less.json -b "$BUNDLE" y
}

@test "run --keep leaves the container for delete" {
    args sh -c 'exit 3'
    run bailey run --keep -b "$BUNDLE" x 3>&-
    [ "$status" -eq 3 ]
    [ "$(bailey state x | jq -c '[.status, .exitStatus]')" = '["stopped",3]' ]
    bailey delete x
    nothing_left
}

@test "--pidfd-socket gets a pidfd of the porter, named as runc names it" {
    receive_fd init
    detached bailey run -d -b "$BUNDLE" --pidfd-socket "$BATS_TEST_TMPDIR/init.sock" x
    wait "$receiver"
    [ "$(cat "$BATS_TEST_TMPDIR/init.name")" = standard ]
    grep -qx "Pid:.$(bailey state x | jq .pid)" "$BATS_TEST_TMPDIR/init.fd"
    receive_fd exec
    detached bailey exec -d --pid-file "$BATS_TEST_TMPDIR/pid" --pidfd-socket "$BATS_TEST_TMPDIR/exec.sock" x sleep 100
    wait "$receiver"
    [ "$(cat "$BATS_TEST_TMPDIR/exec.name")" = setns ]
    grep -qx "Pid:.$(cat "$BATS_TEST_TMPDIR/pid")" "$BATS_TEST_TMPDIR/exec.fd"
}

@test "kill and delete of all that match" {
    for id in ab1 ab2 c1; do detached bailey create -b "$BUNDLE" "$id"; done
    bailey kill --regex '^ab' KILL
    for id in ab1 ab2; do
        wait_for status_is $id stopped
    done
    [ "$(status_of c1)" = created ]
    bailey delete -r 'b[12]$'
    [ "$(bailey list -q)" = c1 ]
    run bailey delete --regex '('
    [ "$status" -eq 1 ]
    [[ "$output" == "bailey: option --regex: (: "* ]]
}

@test "delete --force --regex goes on after one that it cannot delete" {
    for id in a b; do detached bailey run -d -b "$BUNDLE" $id; done
    run bailey delete --regex '^[ab]$'
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot delete container a: it is running"*"cannot delete container b: it is running"* ]]
}

@test "exec in a paused container waits with --ignore-paused, and is refused without" {
    detached bailey run -d -b "$BUNDLE" x
    bailey pause x
    run bailey exec x true 3>&-
    [ "$status" -eq 255 ]
    [ "$output" = "bailey: container x is paused (see --ignore-paused)" ]
    detached bailey exec --ignore-paused x sh -c 'exit 7' &
    waiter=$!
    sleep 0.3
    kill -0 "$waiter"
    bailey resume x
    wait "$waiter" && status=0 || status=$?
    [ "$status" -eq 7 ]
}

@test "checkpoint and restore take runc's flags and refuse" {
    for command in "checkpoint --image-path i --work-path w -leave-running --tcp-established --manage-cgroups-mode soft" \
        "restore -bundle b --image-path i --detach --pid-file p -no-subreaper --console-socket s"; do
        # shellcheck disable=SC2086
        run bailey $command x
        [ "$status" -eq 1 ]
        [[ "$output" == "bailey: ${command%% *} is not supported: "* ]]
    done
}

@test "update refuses what it does not do" {
    run bailey update --l3-cache-schema L3:0=f x
    [ "$output" = "bailey: option --l3-cache-schema: Intel RDT is not supported" ]
    [ "$status" -eq 1 ]
}

@test "ps is the host's, with the commands that the guests run" {
    args sh -c 'sleep 1111 & exec sleep 2222'
    detached bailey run -d -b "$BUNDLE" x
    both() { bailey ps x | grep -q "sleep 1111" && bailey ps x | grep -q "sleep 2222"; }
    wait_for both
    run bailey ps x
    echo "$output"
    [[ "${lines[0]}" =~ ^UID\ +PID\ +PPID.*CMD$ ]]
    [ "${#lines[@]}" -eq 3 ]
    [[ "$output" == *" sleep 1111"* && "$output" == *" sleep 2222"* ]]
    # The same by what engines do: the host's ps, and the pids as JSON.
    for pid in $(bailey ps -f json x | jq '.[]'); do
        [[ "$(ps -o args= -p "$pid")" =~ ^(sleep 1111|sleep 2222)\ *$ ]]
    done
    [ "$(bailey ps x -e -o pid | tail -n +2 | tr -d ' ' | sort | xargs)" = "$(bailey ps -f json x | jq '.[]' | sort | xargs)" ]
    run bailey ps x -o user
    [ "$output" = "bailey: ps prints no column PID with these arguments" ]
    [ "$status" -eq 1 ]
}

@test "a long command shows as far as it fits, and is whole inside" {
    long=$(printf 'x%.0s' $(seq 1000))
    config --arg long "$long" '.process.args = ["sh", "-c", "sleep 1000; : \($long)"]'
    detached bailey run -d -b "$BUNDLE" x
    bailey ps x | grep -q "sh -c sleep 1000; : xxxx"
    [ "$(bailey exec x sh -c 'tr "\0" " " </proc/1/cmdline | wc -c' 3>&-)" -gt 1000 ]
}

@test "--rootless true: a user's container goes without the limits that only root could set" {
    open=$(mktemp -d "/tmp/bt-${BAILEY_TEST_RUN:-0}-open.XXXXXX")
    chmod 755 "$open"
    cp -r "$BUNDLE" "$open/bundle"
    rm "$open/bundle/config.json"
    cp "$BAILEY" "$open/bailey"
    chown -R 1234:1234 "$open/bundle"
    as_user() {
        setpriv --reuid 1234 --regid 1234 --clear-groups timeout $LIMIT "$open/bailey" --root "$open/bundle/state" "$@" 3>&-
    }
    as_user spec --rootless --bundle "$open/bundle"
    BUNDLE=$open/bundle config '.process.terminal = false | .process.args = ["id", "-u"]
        | .linux.resources = {"memory": {"limit": 100000000}}'
    run --separate-stderr as_user run -b "$open/bundle" r
    without=$status
    run --separate-stderr as_user --rootless true run -b "$open/bundle" r
    rm -r "$open"
    echo "$without $status $output $stderr"
    [ "$without" -eq 1 ]
    [ "$status" -eq 0 ]
    [ "$output" = 0 ]
    [[ "$stderr" == *"warning: cannot make cgroup "*": the container has no control group, and no limits" ]]
}
