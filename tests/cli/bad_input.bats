#!/usr/bin/env bats
# Whatever is wrong, there is one clear line, a status that is not 0, and nothing left behind.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
}

run_it() {
    bailey run --bundle "$BUNDLE" "$@"
}

@test "container ids" {
    allowed="only letters, digits and _+.- may stand in it"
    refused "container id: must not be empty" run_it ""
    refused 'container id ".." is not allowed' run_it ..
    refused 'container id "." is not allowed' run_it .
    refused "container id \"../x\": $allowed" run_it ../x
    refused "container id \"a/b\": $allowed" run_it a/b
    refused "container id \"a b\": $allowed" run_it "a b"
    refused "container id \"ä\": $allowed" run_it "ä"
    refused "container id: longer than 1024 bytes" run_it "$(printf 'a%.0s' $(seq 1025))"
}

@test "no bundle" {
    refused "bundle /nonexistent: No such file or directory" bailey run -b /nonexistent x
    refused "bundle /dev/null: Not a directory" bailey run -b /dev/null x
}

@test "no config.json" {
    rm "$BUNDLE/config.json"
    refused "$BUNDLE/config.json: no such file (is --bundle right?)" run_it x
}

@test "config.json is a directory, a fifo, empty, huge" {
    rm "$BUNDLE/config.json"
    mkdir "$BUNDLE/config.json"
    refused "$BUNDLE/config.json: not a regular file" run_it x
    rmdir "$BUNDLE/config.json"
    mkfifo "$BUNDLE/config.json"
    refused "$BUNDLE/config.json: not a regular file" run_it x
    rm "$BUNDLE/config.json"
    : >"$BUNDLE/config.json"
    refused "$BUNDLE/config.json: empty" run_it x
    truncate -s 20M "$BUNDLE/config.json"
    refused "$BUNDLE/config.json: larger than 16 MiB" run_it x
}

@test "broken JSON: line and column" {
    printf '{\n  "ociVersion": "1.0.2",\n  "process" 3\n}\n' >"$BUNDLE/config.json"
    refused "$BUNDLE/config.json: line 3, column 13: parse error: object key and value must be separated by a colon (':')" \
        run_it x
}

@test "wrong types and values: the field's path" {
    config '.process.rlimits[0].type = "RLIMIT_X"'
    refused 'config.json: process.rlimits[0].type: unknown resource limit "RLIMIT_X"' run_it x
    config '.process.rlimits = [] | .process.user.uid = "root"'
    refused 'config.json: process.user.uid: must be a number, not a string' run_it x
    config '.process.user.uid = 0 | .linux.namespaces += [{"type": "pid"}]'
    refused 'config.json: linux.namespaces[6].type: "pid" is listed twice' run_it x
}

@test "no process" {
    config 'del(.process)'
    refused "config.json: process: is required to run a container" run_it x
}

@test "what would be unsafe to ignore is refused" {
    config '.linux.namespaces += [{"type": "user"}]'
    refused "config.json: a new user namespace needs both linux.uidMappings and linux.gidMappings" run_it x
    config 'del(.linux.namespaces[-1]) | .linux.intelRdt = {"closID": "x"}'
    refused "config.json: linux.intelRdt: not supported: caches and memory bandwidth cannot be shared out" run_it x
}

@test "a missing rootfs, or one that is no directory" {
    config '.root.path = "nonexistent"'
    refused "config.json: root.path: nonexistent: No such file or directory" run_it x
    config '.root.path = "config.json"'
    refused "config.json: root.path: config.json: Not a directory" run_it x
}

@test "a terminal without one" {
    config '.process.terminal = true'
    refused "process.terminal is set, but stdin is not a terminal and there is no --console-socket" run_it x </dev/null
    refused "option --console-socket: /nonexistent: No such file or directory" run_it --console-socket /nonexistent x
    config '.process.terminal = false'
    refused "option --console-socket needs process.terminal in config.json" run_it --console-socket /nonexistent x
}

@test "not root" {
    command -v setpriv || skip "no setpriv"
    dir=$(mktemp -d "/tmp/bt-${BAILEY_TEST_RUN:-0}-user.XXXXXX") # where that user may look
    cp "$BAILEY" "$dir/bailey"
    cp -r "$BUNDLE" "$dir/bundle"
    chmod 755 "$dir"
    run --separate-stderr setpriv --reuid 65534 --clear-groups "$dir/bailey" --root "$STATE" run -b "$dir/bundle" x
    rm -rf "$dir"
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: without root a container needs a user namespace in config.json (see bailey spec --rootless)" ]
    nothing_left
}

@test "a state directory that cannot be made" {
    refused "making the state directory /proc/nonexistent: No such file or directory" \
        "$BAILEY" --root /proc/nonexistent/x run -b "$BUNDLE" x
}
