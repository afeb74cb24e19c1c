#!/usr/bin/env bats
# Containers of ordinary users: without root, without cgroups, with one id or with a range of subordinate ones.
bats_require_minimum_version 1.5.0
load helpers

ID=54321 # of a user that only this test knows: passwd, subuid and subgid are its own

setup() {
    HOME_DIR=$(mktemp -d "/tmp/bt-${BAILEY_TEST_RUN:-0}-rootless.XXXXXX")
    BATS_TEST_TMPDIR=$HOME_DIR make_bundle
    for applet in touch chown mkdir grep dd readlink; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
    cp "$BAILEY" "$HOME_DIR/bailey"
    mkdir "$HOME_DIR/run"
    config '.root.readonly = false | del(.linux.resources)
        | .linux.namespaces |= map(select(.type != "network"))
        | .process.capabilities = ((["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"]) as $c
            | {bounding: $c, effective: $c, permitted: $c})'
    one_id
    chown -hR $ID:$ID "$HOME_DIR"
    chmod 755 "$HOME_DIR" "$HOME_DIR/bailey"
    { cat /etc/passwd && echo "bailey-test:x:$ID:$ID::$HOME_DIR:/bin/sh"; } >"$BATS_TEST_TMPDIR/passwd"
    echo "bailey-test:300000:65536" >"$BATS_TEST_TMPDIR/subuid"
}

teardown() {
    rootless delete --force r >/dev/null 2>&1 || true
    rm -rf "$HOME_DIR"
}

# The command as that user, with root's state out of reach.
rootless() {
    unshare --mount --propagation private sh -c '
        mount --bind "$1/passwd" /etc/passwd
        touch /etc/subuid /etc/subgid
        mount --bind "$1/subuid" /etc/subuid
        mount --bind "$1/subuid" /etc/subgid
        cd / && shift && exec "$@"' sh "$BATS_TEST_TMPDIR" \
        setpriv --reuid $ID --regid $ID --clear-groups env -i PATH="${ROOTLESS_PATH-$PATH}" HOME="$HOME_DIR" \
        XDG_RUNTIME_DIR="$HOME_DIR/run" "$(command -v timeout)" -k 5 $LIMIT "$HOME_DIR/bailey" "$@"
}

run_it() {
    rootless run --bundle "$BUNDLE" r
}

namespace() { # mappings as a jq list, first container id, host id, size ...
    config --argjson m "$1" '.linux.namespaces |= map(select(.type != "user")) + [{type: "user"}]
        | .linux.uidMappings = $m | .linux.gidMappings = $m'
}

one_id() {
    namespace "[{\"containerID\": 0, \"hostID\": $ID, \"size\": 1}]"
}

range() {
    namespace "[{\"containerID\": 0, \"hostID\": $ID, \"size\": 1},
        {\"containerID\": 1, \"hostID\": 300000, \"size\": 65536}]"
}

@test "rootless: run with one id" {
    args /bin/sh -c 'id -u; touch /mine /dev/shm/x; echo x >/dev/null; head -c 3 /dev/zero | od -An -c
        cat /proc/self/setgroups; chown 5 /mine; exit 3'
    ln -sf busybox "$BUNDLE/rootfs/bin/od"
    run run_it
    echo "$output"
    [ "$status" -eq 3 ]
    [ "${lines[0]}" = 0 ]
    [[ "${lines[1]}" == *'\0  \0  \0'* ]]
    [ "${lines[2]}" = deny ]
    [[ "${lines[3]}" == *"Invalid argument"* ]]
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/mine")" = $ID:$ID ]
    [ -z "$(ls -A "$HOME_DIR/run/bailey")" ]
}

@test "rootless: create, start, state, exec, ps, kill, delete; limits by cgroup are told to be missing" {
    args sleep 1000
    rootless create --bundle "$BUNDLE" --pid-file "$HOME_DIR/run/pid" r </dev/null >"$BATS_TEST_TMPDIR/log" 2>&1 3>&-
    [ ! -s "$BATS_TEST_TMPDIR/log" ]
    pid=$(<"$HOME_DIR/run/pid")
    read -ra map <"/proc/$pid/uid_map"
    [ "${map[*]}" = "0 $ID 1" ]
    read -ra uids < <(grep ^Uid "/proc/$pid/status")
    [ "${uids[1]}" = $ID ]
    rootless start r
    run rootless exec r sh -c 'id -u; exit 4'
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$output" = 0 ]
    run rootless exec --user 5 r id
    [[ "$output" == *"process.user.uid: 5 is not mapped in the user namespace" ]]
    run rootless exec --additional-gids 7 r id
    [[ "$output" == *"process.user.additionalGids: "* ]]
    run rootless pause r
    [ "$output" = "bailey: the container has no cgroup with a freezer" ]
    [ "$(rootless state r | jq -r .status)" = running ]
    rootless kill r TERM
    rootless kill r KILL
    stopped() { [ "$(rootless state r | jq -r .status)" = stopped ]; }
    wait_for stopped
    rootless delete r
    [ -z "$(ls -A "$HOME_DIR/run/bailey")" ]
}

@test "rootless: a range of subordinate ids, by newuidmap" {
    command -v newuidmap >/dev/null || skip "newuidmap is not installed"
    range
    args /bin/sh -c 'touch /mine /other; chown 7:8 /other; cat /proc/self/setgroups; stat -c %u /other'
    run run_it
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = $'allow\n7' ]
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/other")" = 300006:300007 ]
    config '.process.user = {uid: 3, gid: 4, additionalGids: [5]}'
    args id -G
    run run_it
    echo "$output"
    [ "$output" = "4 5" ]
}

@test "rootless: who is root inside may be another user than the caller" {
    command -v newuidmap >/dev/null || skip "newuidmap is not installed"
    namespace '[{"containerID": 0, "hostID": 300000, "size": 1000}]'
    chown -hR 300000:300000 "$BUNDLE/rootfs"
    chmod 755 "$BUNDLE"
    args sleep 1000
    rootless create --bundle "$BUNDLE" r </dev/null >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- || { cat "$BATS_TEST_TMPDIR/log"; false; }
    rootless start r
    run rootless exec r sh -c 'touch /mine; id -u'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(stat -c %u "$BUNDLE/rootfs/mine")" = 300000 ]
    rootless delete --force r
}

@test "rootless: what cannot be had is refused in one line" {
    config '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
    args true
    run run_it
    echo "$output"
    [ "$output" = "bailey: without root a container needs a user namespace in config.json (see bailey spec --rootless)" ]
    namespace "[{\"containerID\": 0, \"hostID\": 0, \"size\": 1}]"
    run run_it
    echo "$output"
    [[ "$output" == *"newuidmap refused the mappings of config.json (see /etc/subuid)" ]]
    ROOTLESS_PATH=/nonexistent run run_it
    echo "$output"
    [[ "$output" == *"which needs newuidmap (Debian: package uidmap)" ]]
    one_id
    config '.linux.resources = {pids: {limit: 5}}'
    run run_it
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"cgroup"* ]]
    [ -z "$(ls -A "$HOME_DIR/run/bailey")" ]
}

@test "rootless: host's files stay out of reach, also those that DAC would hide from the user" {
    args /bin/sh -c 'cat /secret; ls /proc/1/root; mkdir /x && echo made'
    echo secret >"$BUNDLE/rootfs/secret"
    chmod 600 "$BUNDLE/rootfs/secret"
    chown 0:0 "$BUNDLE/rootfs/secret"
    run run_it
    echo "$output"
    [[ "$output" == *"/secret': Permission denied"* ]]
    [[ "$output" == *made* ]]
}

@test "rootless: spec --rootless makes a config that runs" {
    rm "$BUNDLE/config.json"
    rootless spec --rootless --bundle "$BUNDLE" || skip "spec --rootless is not there yet"
    config '.process.terminal = false | .process.args = ["id", "-u"]'
    chown $ID:$ID "$BUNDLE/config.json"
    run run_it
    echo "$output"
    [ "$output" = 0 ]
}

@test "rootless: the root of somebody's user namespace, as engines without root run it" {
    config '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
    args sleep 1000
    run setpriv --reuid $ID --regid $ID --clear-groups unshare --user --map-root-user --mount sh -c '
        bailey() { timeout -k 5 100 "$0/bailey" --root "$0/run/nested" "$@"; }
        bailey create --bundle "$1" n </dev/null >"$0/run/log" 2>&1 3>&- && bailey start n &&
            bailey exec n sh -c "id -u; touch /mine; cat /proc/self/uid_map"
        bailey delete --force n; cat "$0/run/log"' "$HOME_DIR" "$BUNDLE"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = 0 ]
    read -ra map <<<"${lines[1]}"
    [ "${map[*]}" = "0 0 1" ]
    [ "${#lines[@]}" -eq 2 ]
    [ "$(stat -c %u "$BUNDLE/rootfs/mine")" = $ID ]
}
