#!/usr/bin/env bats
# podman of a user who is not root, in the user namespace that it makes for itself. docs/podman.md
bats_require_minimum_version 1.5.0
load helpers
load engine

ID=54322 # of a user that only this test knows: passwd, subuid and subgid are its own

setup_file() {
    engine_begin
    mkdir "$S/home" "$S/run"
    { cat /etc/passwd && echo "bailey-test:x:$ID:$ID::$S/home:/bin/sh"; } >"$S/passwd"
    { cat /etc/group && echo "bailey-test:x:$ID:"; } >"$S/group"
    echo "bailey-test:300000:65536" >"$S/subuid"
    replace /etc/passwd "$S/passwd"
    replace /etc/group "$S/group"
    replace /etc/subuid "$S/subuid"
    replace /etc/subgid "$S/subuid"
    export STATES=$S/run/bailey
    image
    cp "$BAILEY" "$S/bailey"
    chown $ID:$ID "$S/home" "$S/run"
    chmod 700 "$S/run"
    chmod 755 "$S" "$S/bailey"
    chmod 644 "$S/image.tar"
    set_podman
    podman load --quiet --input "$S/image.tar" >/dev/null
}

teardown_file() {
    podman rm --all --force --time 0 >/dev/null 2>&1 3>&- 4>&-
    kill "$(cat "$S/run/libpod/tmp/pause.pid")" # what keeps podman's namespace
    umount /etc/passwd /etc/group /etc/subuid /etc/subgid
    engine_end
}

setup() {
    cd "$S/home" || return 1
}

teardown() {
    podman rm --all --force --time 0 --volumes
} >/dev/null 2>&1

# A file of the system's, for as long as this test is there.
replace() { # file with
    touch "$1"
    mount --bind "$2" "$1"
}

set_podman() {
    PODMAN=(setpriv --reuid $ID --regid $ID --clear-groups env -i PATH="$PATH" HOME="$S/home" XDG_RUNTIME_DIR="$S/run"
        /usr/bin/podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --log-level error --runtime "$S/bailey")
}
[ -z "${S:-}" ] || set_podman

podman() {
    timeout -k 5 $LIMIT "${PODMAN[@]}" "$@" 3>&- 4>&-
}

ENGINE=podman COMMAND=("${PODMAN[@]}") OPTIONS=(--network none)

@test "run: streams and exit status; it is bailey's kernel" {
    streams_and_status
    wait_for no_states
}

@test "run: 127, 126 for programs that cannot be" {
    programs_that_cannot_be
}

@test "run -it and exec -it: a terminal" {
    terminals
}

@test "exec: user, environment, directory, status, detached" {
    execs
}

@test "stop by TERM, and by KILL after the time; start, kill, wait, logs" {
    stops_by_term
}

@test "the user is root inside; others are its subordinate ids; a volume's files are the user's" {
    mkdir "$S/home/v"
    chown $ID:$ID "$S/home/v"
    run e_run --volume "$S/home/v:/v" $IMAGE sh -c 'echo >/v/mine; echo >/v/other; chown 5:6 /v/other; id -u'
    [ "$output" = 0 ]
    [ "$(stat -c %u:%g "$S/home/v/mine")" = "$ID:$ID" ]
    [ "$(stat -c %u:%g "$S/home/v/other")" = "300004:300005" ]
    run e_run --userns keep-id --volume "$S/home/v:/v" $IMAGE sh -c 'id -u; stat -c %u /v/mine'
    [ "$output" = $ID$'\n'$ID ]
}

@test "the host's network" {
    run podman run --rm --network host $IMAGE cat /sys/class/net/lo/operstate /etc/hostname </dev/null
    [ "${lines[*]}" = "unknown $(hostname)" ]
}

@test "an image is built" {
    printf 'FROM %s\nRUN uname -r >/kernel && touch /other && chown 5:6 /other\n' $IMAGE >"$S/home/Containerfile"
    podman build --quiet --network none --tag built --file "$S/home/Containerfile" "$S/home" >/dev/null
    run e_run built sh -c 'cat /kernel; stat -c %u:%g /other'
    [[ "${lines[0]}" == *bailey* ]]
    [ "${lines[1]}" = 5:6 ]
}
