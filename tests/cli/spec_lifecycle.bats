#!/usr/bin/env bats
# The specification's general rules, the state, and what each operation has to refuse (docs/conformance.md has the rows).
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    GROUP=bailey-spec-lifecycle-$$
}

teardown() {
    delete_all
}

# The error, and a container that is as it was: the same state, the same processes.
refused_without_effect() { # message command...
    local message=$1 before after
    shift
    before=$(bailey state x && bailey ps -f json x)
    run --separate-stderr "$@"
    echo "status $status, stderr: $stderr" >&2
    [ "$status" -eq 1 ]
    [ "$output" = "" ]
    [ "$stderr" = "bailey: $message" ]
    after=$(bailey state x && bailey ps -f json x)
    [ "$before" = "$after" ]
}

# What a container that was never made may not have changed on the host.
host() {
    cat /proc/self/mountinfo
    find /sys/fs/cgroup -maxdepth 3 -path "*$GROUP*" 2>/dev/null || true # others' come and go
    nsenter -t "$NET" -n ip -o link | wc -l
    ls -A "$BUNDLE" "$BUNDLE/rootfs"
    ls -A "$BATS_TEST_TMPDIR" | grep -v separate-stderr
    pgrep -f -- "--root $STATE" || true
}

# --- General rules ---

@test "G1, G2: unknown properties and annotations are no errors, wherever they are" {
    config '.x = 1 | .annotations = {"org.example.unknown": "v", "": "empty key"} | .process.x = {"y": []}
        | .process.user.x = null | .root.x = true | .mounts[0].x = "y" | .hooks = {"x": []} | .linux.x = [1]
        | .linux.resources.x = {"memory": 1} | .linux.namespaces[0].x = 1 | .solaris = {} | .windows = {} | .zos = {} | .vm = {}
        | .process.commandLine = "x"'
    args echo fine
    run --separate-stderr bailey run --bundle "$BUNDLE" x
    [ "$status" -eq 0 ]
    [ "$output" = fine ]
    [ "$stderr" = "" ]
}

@test "G1: config.json is UTF-8" {
    printf '{"ociVersion": "1.0.0",\n "hostname": "\xff\xfe"}' >"$BUNDLE/config.json"
    refused "$BUNDLE/config.json: line 2, column 15: lexical error: invalid bytes in UTF8 string." bailey create --bundle "$BUNDLE" x
}

@test "G3: a value that cannot be is an error that names it" {
    local cases=0 change message
    while IFS='|' read -r change message; do
        cp "$BUNDLE/config.json" "$BATS_TEST_TMPDIR/saved"
        config "$change"
        refused "$message" bailey create --bundle "$BUNDLE" x
        cp "$BATS_TEST_TMPDIR/saved" "$BUNDLE/config.json"
        cases=$((cases + 1))
    done <<'TABLE'
.process.cwd = "tmp"|config.json: process.cwd: must be an absolute path, not "tmp"
.process.user.gid = -1|config.json: process.user.gid: must be a whole number from 0 to 4294967294, not -1
.process.args = []|config.json: process.args: must hold at least the program's name
.hooks.prestart = [{"path": "relative"}]|config.json: hooks.prestart[0].path: must be an absolute path, not "relative"
.hooks.poststop = [{"path": "/x", "timeout": 0}]|config.json: hooks.poststop[0].timeout: must be a whole number from 1 to 2147483647, not 0
.linux.maskedPaths = ["x"]|config.json: linux.maskedPaths[0]: must be an absolute path, not "x"
.linux.namespaces[0].type = "pids"|config.json: linux.namespaces[0].type: unknown namespace type "pids"
.linux.rootfsPropagation = "public"|config.json: linux.rootfsPropagation: unknown propagation "public"
.mounts[0].destination = 7|config.json: mounts[0].destination: must be a string, not a number
TABLE
    [ "$cases" -eq 9 ]
}

@test "G4, G5: a create that fails leaves the host as it was" {
    local change NET
    unshare --net sleep 1000 3>&- & # whose interfaces nobody else changes
    NET=$!
    wait_for sh -c "[ \"\$(readlink /proc/$NET/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]"
    create y
    bailey delete y
    : >"$BATS_TEST_TMPDIR/before"
    args sleep 1000
    cp "$BUNDLE/config.json" "$BATS_TEST_TMPDIR/saved"
    config '.linux.cgroupsPath = "/'$GROUP'/x"'
    while read -r change; do
        host >"$BATS_TEST_TMPDIR/before" 2>&1
        config "$change"
        run --separate-stderr timeout -k 5 $LIMIT nsenter -t "$NET" -n "$BAILEY" --root "$STATE" create --bundle "$BUNDLE" \
            --pid-file "$BATS_TEST_TMPDIR/pid" x 3>&-
        echo "$change: $status $stderr" >&2
        [ "$status" -eq 1 ]
        [ "$output" = "" ]
        [[ "$stderr" == *bailey:* ]]
        cp "$BATS_TEST_TMPDIR/saved" "$BUNDLE/config.json"
        host | diff "$BATS_TEST_TMPDIR/before" - >&2
        nothing_left
    done <<'TABLE'
.process.args = ["/nonexistent"]
.process.cwd = "/bin/busybox"
.root.path = "nonexistent"
.mounts += [{"destination": "/t", "type": "bind", "source": "/nonexistent", "options": ["bind"]}]
.mounts += [{"destination": "/bin/busybox/x", "type": "tmpfs"}]
.hooks.createRuntime = [{"path": "/bin/false"}]
.hooks.createContainer = [{"path": "/bin/false"}]
.linux.namespaces |= map(if .type == "network" then .path = "/nonexistent" else . end)
.linux.namespaces |= map(if .type == "ipc" then .path = "/proc/self/ns/uts" else . end)
.linux.resources.cpu.cpus = "999"
.linux.cgroupsPath = "../../x"
TABLE
    kill $NET
}

@test "G6: versions of the specification" {
    local version
    args true
    for version in 1.0.0 1.0.2 1.0.2-dev 1.1.0 1.2.1 1.3.0 1.3.0+build.5 1.0.0-rc5; do
        config --arg v $version '.ociVersion = $v'
        bailey run --bundle "$BUNDLE" x
    done
    for version in 2.0.0 0.9.0 1 1.0 v1.0.0 " 1.0.0" 1.0.0.0 +1.0.0 1.-1.0 01.0.0 1.0.0x ""; do
        config --arg v "$version" '.ociVersion = $v'
        run --separate-stderr bailey run --bundle "$BUNDLE" x
        echo "$version: $stderr" >&2
        [ "$status" -eq 1 ]
        [[ "$stderr" == "bailey: config.json: ociVersion: "* ]]
    done
}

@test "G7: changes of config.json after create have no effect" {
    args sh -c 'echo first; exit 4'
    config --arg out "$BATS_TEST_TMPDIR/hooks" '
        .hooks.poststop = [{"path": "/bin/sh", "args": ["sh", "-c", ("echo old >>" + $out)]}]'
    create x
    args sh -c 'echo second'
    config --arg out "$BATS_TEST_TMPDIR/hooks" '.hooks.poststop[0].args[2] = ("echo new >>" + $out)
        | .hooks.poststart = [{"path": "/bin/false"}] | .annotations.late = "yes"'
    bailey start x
    wait_for status_is x stopped
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = first ]
    [ "$(bailey state x | jq -c '[.exitStatus, .annotations.late]')" = '[4,null]' ]
    rm "$BUNDLE/config.json"
    bailey delete x
    [ "$(cat "$BATS_TEST_TMPDIR/hooks")" = old ]
}

@test "G8: a warning changes nothing" {
    config '.process.capabilities.bounding += ["CAP_FROM_THE_FUTURE"]'
    args sh -c 'echo on; exit 3'
    run --separate-stderr bailey run --bundle "$BUNDLE" x
    [ "$status" -eq 3 ]
    [ "$output" = on ]
    [[ "$stderr" == "bailey: warning: "*CAP_FROM_THE_FUTURE* ]]
}

# --- State ---

@test "state: what the specification requires, at each point of the life" {
    local good='.ociVersion == "1.3.0" and .id == "x" and .bundle == $bundle and .annotations == {"a": "b"}'
    config '.annotations = {"a": "b"}'
    args sleep 1000
    create x
    bailey state x | jq -e --arg bundle "$BUNDLE" "$good"' and .status == "created" and .pid > 1'
    kill -0 "$(bailey state x | jq .pid)"
    bailey start x
    bailey state x | jq -e --arg bundle "$BUNDLE" "$good"' and .status == "running" and .pid > 1'
    bailey pause x
    bailey state x | jq -e --arg bundle "$BUNDLE" "$good"' and .status == "paused" and .pid > 1'
    bailey resume x
    bailey kill x KILL
    wait_for status_is x stopped
    bailey state x | jq -e --arg bundle "$BUNDLE" "$good"' and .status == "stopped" and .pid == 0'
}

@test "state: the bundle is absolute, however it was given" {
    args true
    (cd "$BUNDLE" && bailey create x </dev/null >/dev/null 2>&1 3>&-)
    [ "$(bailey state x | jq -r .bundle)" = "$BUNDLE" ]
    bailey delete x
    (cd "$BUNDLE/rootfs" && bailey create -b ../rootfs/.. x </dev/null >/dev/null 2>&1 3>&-)
    [ "$(bailey state x | jq -r .bundle)" = "$BUNDLE" ]
}

@test "state: no id, an unknown one" {
    refused "state needs a container id (see bailey state --help)" bailey state
    refused "container x does not exist" bailey state x
}

# --- Operations ---

@test "create: no id, no bundle" {
    refused "create needs a container id (see bailey create --help)" bailey create --bundle "$BUNDLE"
    cd "$BATS_TEST_TMPDIR"
    refused "$BATS_TEST_TMPDIR/config.json: no such file (is --bundle right?)" bailey create x
}

@test "create: all but process is applied, the program does not run before start" {
    config '.hostname = "castle" | .root.readonly = false | .mounts += [{"destination": "/made", "type": "tmpfs"}]'
    args sh -c 'echo ran >/bin/ran; hostname'
    create x
    pid=$(bailey state x | jq .pid)
    [ "$(nsenter -t "$pid" -u hostname)" = castle ]
    [ -d "$BUNDLE/rootfs/made" ]
    sleep 0.1
    [ ! -e "$BUNDLE/rootfs/bin/ran" ]
    bailey start x
    wait_for status_is x stopped
    [ -e "$BUNDLE/rootfs/bin/ran" ]
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = castle ]
}

@test "create without process; start is what refuses it" {
    config --arg out "$BATS_TEST_TMPDIR/hooks" 'del(.process) | .hooks = {
        "startContainer": [{"path": "/bin/true"}],
        "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", ("cat >" + $out)]}]}'
    refused "config.json: process: is required to run a container" bailey run --bundle "$BUNDLE" x
    create x
    status_is x created
    run --separate-stderr bailey exec x true
    [ "$status" -eq 255 ]
    run --separate-stderr bailey start x
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: config.json: process: is not set, so there is nothing to start" ]
    status_is x stopped
    [ "$(jq -r .status "$BATS_TEST_TMPDIR/hooks")" = stopped ]
    bailey delete x
    create x
    bailey kill x TERM
    wait_for status_is x stopped
    bailey delete x
    nothing_left
}

@test "start: no id, an unknown one; running or stopped: no effect" {
    refused "start needs a container id (see bailey start --help)" bailey start
    refused "container x does not exist" bailey start x
    args sh -c 'echo once; exec sleep 1000'
    create x
    bailey start x
    wait_for said once
    refused_without_effect "cannot start container x: it is running, not created" bailey start x
    bailey kill x KILL
    wait_for status_is x stopped
    run --separate-stderr bailey start x
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: cannot start container x: it is stopped, not created" ]
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = once ]
}

@test "kill: no id, an unknown one, a wrong signal; a stopped container: no effect" {
    refused "kill needs a container id (see bailey kill --help)" bailey kill
    refused "container x does not exist" bailey kill x
    args sleep 1000
    create x
    bailey start x
    refused_without_effect 'unknown signal "NOSUCH"' bailey kill x NOSUCH
    bailey kill x KILL
    wait_for status_is x stopped
    before=$(bailey state x)
    for sig in TERM KILL 0; do
        run --separate-stderr bailey kill x $sig
        [ "$status" -eq 1 ]
    done
    [ "$stderr" = 'bailey: unknown signal "0"' ] || [ "$stderr" = "bailey: container not running: x" ]
    [ "$(bailey state x)" = "$before" ]
}

@test "delete: no id, an unknown one; a running container: no effect" {
    refused "delete needs a container id (see bailey delete --help)" bailey delete
    refused "container x does not exist" bailey delete x
    args sleep 1000
    create x
    bailey start x
    refused_without_effect "cannot delete container x: it is running, not stopped (see --force)" bailey delete x
}

@test "delete: what create made goes, all else stays, and the id is free" {
    local parent
    mkdir "$BUNDLE/own"
    echo kept >"$BUNDLE/own/file"
    for parent in /sys/fs/cgroup/pids /sys/fs/cgroup/freezer; do
        [ ! -d $parent ] || mkdir -p $parent/$GROUP/other
    done
    config '.linux.cgroupsPath = "/'$GROUP'/x" | .linux.resources.pids = {"limit": 50}'
    args true
    find "$BUNDLE" | sort >"$BATS_TEST_TMPDIR/before"
    for _ in 1 2; do
        create x
        bailey start x
        wait_for status_is x stopped
        bailey delete x
        nothing_left
        [ ! -e /sys/fs/cgroup/pids/$GROUP/x ]
    done
    find "$BUNDLE" | sort | diff "$BATS_TEST_TMPDIR/before" -
    for parent in /sys/fs/cgroup/pids /sys/fs/cgroup/freezer; do
        [ ! -d $parent ] || rmdir $parent/$GROUP/other $parent/$GROUP
    done
}
