#!/usr/bin/env bats
# User namespaces: ids of the container, and who stands behind them on the host.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    for applet in touch chown mkdir grep su dd; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
    chown -h -R 100000:200000 "$BUNDLE/rootfs"
    config '.root.readonly = false | .process.noNewPrivileges = false
        | .process.capabilities = ((["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETUID", "CAP_SETGID"]) as $c
            | {bounding: $c, effective: $c, permitted: $c})'
    mapped 100000 200000 65536
}

teardown() {
    [ -z "${HOOKS-}" ] || rm -rf "$HOOKS"
    bailey delete --force u >/dev/null 2>&1 || true
}

mapped() { # first-uid first-gid size
    config --argjson u "$1" --argjson g "$2" --argjson n "$3" \
        '.linux.namespaces |= map(select(.type != "user")) + [{type: "user"}]
        | .linux.uidMappings = [{containerID: 0, hostID: $u, size: $n}]
        | .linux.gidMappings = [{containerID: 0, hostID: $g, size: $n}]'
}

run_it() {
    bailey run --bundle "$BUNDLE" u
}

sh_is() { # script
    args /bin/sh -c "$1"
}

@test "the guest sees its own ids and the mapping; its files are the mapped ids' on the host" {
    sh_is 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; touch /mine; touch /other; chown 5:6 /other
        stat -c %u:%g /mine /other /dev/null /dev /dev/shm /dev/fd'
    run run_it
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = 0 ]
    [ "${lines[1]}" = 0 ]
    read -ra uids <<<"${lines[2]}"
    read -ra gids <<<"${lines[3]}"
    [ "${uids[*]}" = "0 100000 65536" ]
    [ "${gids[*]}" = "0 200000 65536" ]
    [ "${lines[*]:4}" = "0:0 5:6 0:0 0:0 0:0 0:0" ]
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/mine")" = 100000:200000 ]
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/other")" = 100005:200006 ]
}

@test "what is not mapped is nobody's, and cannot be had" {
    touch "$BUNDLE/rootfs/foreign"
    chown 7:7 "$BUNDLE/rootfs/foreign"
    chmod 600 "$BUNDLE/rootfs/foreign"
    sh_is 'stat -c %u:%g /foreign; cat /foreign; touch /t; chown 70000 /t; echo $?'
    run run_it
    echo "$output"
    [ "${lines[0]}" = 65534:65534 ]
    [[ "${lines[1]}" == *"Permission denied"* ]]
    [[ "${lines[2]}" == *"Invalid argument"* ]]
    [ "${lines[3]}" = 1 ]
}

@test "a program of another user works with that user's rights" {
    config '.process.user = {uid: 12, gid: 34, additionalGids: [56]}'
    mkdir "$BUNDLE/rootfs/open"
    chmod 777 "$BUNDLE/rootfs/open"
    sh_is 'id -u; id -G; touch /open/x; touch /x'
    run run_it
    echo "$output"
    [ "${lines[0]}" = 12 ]
    [ "${lines[1]}" = "34 56" ]
    [[ "${lines[2]}" == *"denied"* ]]
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/open/x")" = 100012:200034 ]
}

@test "the porter lives in the mapped user namespace, which owns the others" {
    args sleep 1000
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" u </dev/null >/dev/null 2>&1 3>&-
    pid=$(<"$BATS_TEST_TMPDIR/pid")
    [ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]
    other() { [ "$(readlink "/proc/$pid/ns/$1")" != "$(readlink "/proc/self/ns/$1")" ]; }
    wait_for other mnt
    read -ra map <"/proc/$pid/uid_map"
    [ "${map[*]}" = "0 100000 65536" ]
    read -ra uids < <(grep ^Uid "/proc/$pid/status")
    [ "${uids[1]}" = 100000 ]
    bailey start u
    # Every process of the sandbox is in it, and none is the host's root.
    for p in $(pgrep -P "$pid"); do
        read -ra uids < <(grep ^Uid "/proc/$p/status")
        [ "${uids[1]}" = 165534 ]
    done
    bailey kill u KILL
    wait_for status_is u stopped
    bailey delete u
}

@test "exec enters it too" {
    args sleep 1000
    bailey create --bundle "$BUNDLE" u </dev/null >/dev/null 2>&1 3>&-
    bailey start u
    run bailey exec u sh -c 'id -u; touch /from-exec; cat /proc/self/uid_map'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = 0 ]
    [[ "${lines[1]}" == *100000*65536* ]]
    [ "$(stat -c %u "$BUNDLE/rootfs/from-exec")" = 100000 ]
    run bailey exec --user 70000 u id
    [ "$status" -ne 0 ]
    [[ "$output" == *"70000 is not mapped"* ]]
}

@test "hooks in the container's namespaces run as its root" {
    HOOKS=$(mktemp -d "/tmp/bt-${BAILEY_TEST_RUN:-0}-hooks.XXXXXX") # where the container's root may go
    mkdir -m 777 "$HOOKS/out"
    cat >"$HOOKS/hook" <<EOF
#!/bin/sh
{ id -u; cat /proc/self/uid_map; } >$HOOKS/out/said
EOF
    chmod 755 "$HOOKS" "$HOOKS/hook"
    config --arg h "$HOOKS/hook" '.hooks.createContainer = [{path: $h}]'
    args true
    run run_it
    echo "$output"
    [ "$status" -eq 0 ]
    mapfile -t said <"$HOOKS/out/said"
    [ "${said[0]}" = 0 ]
    [[ "${said[1]}" == *100000*65536* ]]
    [ "$(stat -c %u "$HOOKS/out/said")" = 100000 ]
}

@test "one id, a hole at 0, and many ranges" {
    mapped 100000 200000 1
    args id -u
    run run_it
    echo "$output"
    [ "$output" = 0 ]

    config '.linux.uidMappings = [{containerID: 5, hostID: 100000, size: 10}] | .process.user.uid = 7'
    run run_it
    [ "$output" = 7 ]
    config '.process.user.uid = 0'
    refused "process.user.uid: 0 is not mapped in the user namespace" run_it

    config '.linux.uidMappings = [range(200) | {containerID: (. * 2), hostID: (100000 + . * 3), size: 1}]'
    sh_is 'touch /tmp/x; grep -c . /proc/self/uid_map'
    chmod 777 "$BUNDLE/rootfs/tmp"
    config '.process.user.uid = 4'
    run run_it
    echo "$output"
    [ "$output" = 200 ]
    [ "$(stat -c %u "$BUNDLE/rootfs/tmp/x")" = 100006 ]
    config '.linux.uidMappings = [range(340) | {containerID: (. * 2), hostID: (100000 + . * 3), size: 1}]'
    run run_it
    [[ "$output" == *"too many ranges"* ]]
}

@test "a namespace by path is joined, with its mapping" {
    unshare --user sleep 1000 3>&- &
    local holder=$!
    other() { [ "$(readlink "/proc/$holder/ns/user")" != "$(readlink /proc/self/ns/user)" ]; }
    wait_for other
    echo 0 100000 1000 >"/proc/$holder/uid_map"
    echo 0 200000 1000 >"/proc/$holder/gid_map"
    config --arg p "/proc/$holder/ns/user" '.linux.namespaces |= map(if .type == "user" then .path = $p else . end)
        | del(.linux.uidMappings, .linux.gidMappings)'
    sh_is 'cat /proc/self/uid_map; touch /in-path'
    run run_it
    echo "$output"
    kill "$holder"
    [ "$status" -eq 0 ]
    [[ "$output" == *100000*1000* ]]
    [ "$(stat -c %u "$BUNDLE/rootfs/in-path")" = 100000 ]
}

@test "mappings that make no sense are refused, with their place" {
    config '.linux.uidMappings = [range(70000) | {containerID: ., hostID: ., size: 1}]'
    refused "config.json: linux.uidMappings: has 70000 ranges; the kernel takes 340" run_it
    config '.linux.uidMappings = [{containerID: 0, hostID: 0, size: 10}, {containerID: 9, hostID: 100, size: 1}]'
    refused "config.json: linux.uidMappings[1]: overlaps the range before it with index 0" run_it
    config '.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 0}]'
    refused "config.json: linux.uidMappings[0].size: makes an empty or an impossible range" run_it
    config 'del(.linux.uidMappings)'
    refused "config.json: a new user namespace needs both linux.uidMappings and linux.gidMappings" run_it
    mapped 100000 200000 65536
    config '.linux.namespaces |= map(select(.type != "user"))'
    refused 'config.json: linux.uidMappings and gidMappings need a namespace of type "user"' run_it
}

@test "the owner of a tmpfs and of a device is the container's" {
    config '.mounts += [{destination: "/t", type: "tmpfs", source: "t", options: ["uid=3", "gid=4", "mode=700"]}]
        | .linux.devices = [{path: "/dev/x", type: "c", major: 1, minor: 3, uid: 8, gid: 9, fileMode: 432}]'
    args stat -c '%u:%g %a' /t /dev/x
    run run_it
    echo "$output"
    [ "$output" = $'3:4 700\n8:9 660' ]
    config '.mounts[-1].options = ["uid=99999"]'
    refused 'config.json: mounts[7] (/t): option "uid=99999": not mapped in the user namespace' run_it
}
