#!/usr/bin/env bats
# What the host processes of a sandbox hold: nothing that leads into the host, no right, a filter each.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    args /bin/sh -c 'echo ready; exec sleep 1000'
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null \
        >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    RUN=$!
    wait_for said ready
    PORTER=$(cat "$BATS_TEST_TMPDIR/pid")
    GUEST=$(pgrep -P "$PORTER")
    KEEP=$(pgrep -P "$RUN" | grep -vx "$PORTER")
}

teardown() {
    kill -KILL "$PORTER" 2>/dev/null
    wait "$RUN" || true
}

@test "each is behind a filter, with no new privileges and no capability on the host" {
    for p in "$PORTER" "$KEEP" "$GUEST"; do
        grep -q '^NoNewPrivs:	1$' "/proc/$p/status"
        grep -q '^Seccomp:	2$' "/proc/$p/status"
    done
    for p in "$PORTER" "$GUEST"; do
        grep -qE '^CapEff:	0+$' "/proc/$p/status"
        grep -qE '^CapBnd:	0+$' "/proc/$p/status"
    done
    [ "$(readlink "/proc/$KEEP/ns/user")" != "$(readlink /proc/self/ns/user)" ]
    [ "$(readlink "/proc/$GUEST/ns/user")" != "$(readlink /proc/self/ns/user)" ]
    grep -qE '^Uid:	65534	65534	65534	65534$' "/proc/$GUEST/status"
}

@test "none sees the host's mounts" {
    for p in "$PORTER" "$KEEP" "$GUEST"; do
        [ "$(readlink "/proc/$p/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]
        [ ! -e "/proc/$p/root/$BATS_TEST_TMPDIR" ]
    done
    [ "$(wc -l <"/proc/$GUEST/mountinfo")" -eq 1 ]
    [ -z "$(ls -A "/proc/$GUEST/root")" ]
}

# By device and inode: what a descriptor leads to must not be a directory of the host's.
@test "no descriptor leads to a directory of the host" {
    for p in "$PORTER" "$KEEP" "$GUEST"; do
        for fd in "/proc/$p/fd"/*; do
            [ -d "$fd" ] || continue
            id=$(stat -Lc %d:%i "$fd")
            for dir in / "$STATE" "$STATE/c" "$BUNDLE" /run /tmp /proc /sys /dev; do
                if [ "$id" = "$(stat -c %d:%i "$dir")" ]; then
                    echo "$p: $fd is $dir" >&2
                    return 1
                fi
            done
        done
    done
}

@test "a guest has no descriptor but those of its own files, and the gate's image, which nobody can write to" {
    run ls -A "/proc/$GUEST/fd"
    [ "$output" = 63 ]
    [[ "$(readlink "/proc/$GUEST/fd/63")" == "/memfd:gate"* ]]
    run sh -c "echo >/proc/$GUEST/fd/63"
    [ "$status" -ne 0 ]
    run truncate -s 0 "/proc/$GUEST/fd/63"
    [ "$status" -ne 0 ]
}

@test "the network, ipc and uts namespaces of porter and guest are not the host's" {
    for ns in net ipc uts; do
        [ "$(readlink "/proc/$PORTER/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ]
        [ "$(readlink "/proc/$GUEST/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ]
    done
    [ "$(readlink "/proc/$GUEST/ns/pid")" != "$(readlink /proc/self/ns/pid)" ]
}
