#!/usr/bin/env bats
# Control groups of version 2 alone: where the host has others, too, its tree stands at /sys/fs/cgroup in this test's own
# mount namespace. Controllers that the host has in version 1 are not in it.
bats_require_minimum_version 1.5.0
load helpers
load cgroup

setup_file() {
    is_v2_alone && return
    [ "$(readlink /proc/self/ns/mnt)" != "$(readlink /proc/1/ns/mnt)" ] || skip "needs a mount namespace of its own (tests/run.sh)"
    export MOUNTED=1
    umount -R -l /sys/fs/cgroup && mount -t cgroup2 bailey-test /sys/fs/cgroup || skip "no cgroups of version 2 here"
}

teardown_file() {
    [ -z "${MOUNTED:-}" ] || ! mountpoint -q /sys/fs/cgroup || umount /sys/fs/cgroup
}

setup() {
    make_bundle
    id_for cgv2
    CG=/sys/fs/cgroup/$ID
    config --arg p "/$ID" '.linux.cgroupsPath = $p | .root.readonly = false'
}

teardown() {
    delete_it
}

# Runs a command of the host's in the container's cgroup.
in_cgroup() {
    # shellcheck disable=SC2016
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CG" "$@"
}

@test "pause, resume, and KILL of what is paused" {
    start_it
    [ "$(grep -c . "$CG/cgroup.procs")" -ge 2 ]
    bailey pause "$ID"
    [ "$(cat "$CG/cgroup.freeze")" = 1 ]
    bailey resume "$ID"
    [ "$(cat "$CG/cgroup.freeze")" = 0 ]
    bailey pause "$ID"
    bailey kill "$ID" KILL
    wait_for status_is "$ID" stopped
}

@test "rules on devices hold for what is in the cgroup; the last one about a device counts" {
    config '.linux.resources.devices = [{allow: false, access: "rwm"}, {allow: true, type: "c", major: 1, minor: 5, access: "rw"},
        {allow: true, type: "c", major: 1, minor: 3, access: "rwm"}, {allow: false, type: "c", major: 1, minor: 3, access: "r"}]'
    start_it
    in_cgroup head -c 1 /dev/zero >"$BATS_TEST_TMPDIR/zero"
    in_cgroup sh -c 'echo x >/dev/null'
    run ! in_cgroup sh -c "cat </dev/null"
    [[ "$output" == *"not permitted"* ]]
    run ! in_cgroup head -c 1 /dev/urandom
    run ! in_cgroup mknod "$BATS_TEST_TMPDIR/node" c 1 5
    in_cgroup mknod "$BATS_TEST_TMPDIR/node" c 1 3
}

@test "update puts other rules in the place of the old" {
    config '.linux.resources.devices = [{allow: false, access: "rwm"}]'
    start_it
    run ! in_cgroup head -c 1 /dev/zero
    echo '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "access": "r"}]}' |
        bailey update --resources - "$ID"
    in_cgroup head -c 1 /dev/zero
    run ! in_cgroup sh -c 'echo >/dev/null'
}

@test "the container's user owns its cgroup where it has a namespace for it and may write there" {
    config '.process.user.uid = 1234 | .process.user.gid = 5 | .linux.namespaces |= map(select(.type != "cgroup")) + [{type: "cgroup"}]
        | .mounts |= map(select(.destination != "/sys/fs/cgroup")) + [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw"]}]'
    start_it
    [ "$(stat -c %u "$CG")" = 1234 ]
    local file
    while read -r file; do
        [ ! -e "$CG/$file" ] || [ "$(stat -c %u "$CG/$file")" = 1234 ]
    done </sys/kernel/cgroup/delegate
    [ "$(stat -c %u "$CG/cgroup.freeze")" = 0 ]
    bailey delete --force "$ID"
    config '(.mounts[] | select(.destination == "/sys/fs/cgroup")).options = ["ro"]'
    start_it
    [ "$(stat -c %u "$CG")" = 0 ]
    bailey delete --force "$ID"
    config '(.mounts[] | select(.destination == "/sys/fs/cgroup")).options = ["rw"] | .linux.namespaces |= map(select(.type != "cgroup"))'
    start_it
    [ "$(stat -c %u "$CG")" = 0 ]
}

@test "unified: each key is written; one without its controller is an error that names it" {
    config '.linux.resources.unified = {"cgroup.max.depth": "3", "cgroup.max.descendants": "7"}'
    start_it
    [ "$(cat "$CG/cgroup.max.depth")" = 3 ]
    [ "$(cat "$CG/cgroup.max.descendants")" = 7 ]
    bailey delete --force "$ID"
    config '.linux.resources.unified = {"cgroup.max.depth": "3", "nonesuch.max": "1"}'
    refused "linux.resources.unified.nonesuch.max: this kernel has no cgroup file nonesuch.max" bailey create --bundle "$BUNDLE" "$ID"
    config '.linux.resources.unified = {"cgroup.max.depth": "three"}'
    run --separate-stderr bailey create --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *'linux.resources.unified.cgroup.max.depth: writing "three"'* ]]
    nothing_left
    grep -qw memory /sys/fs/cgroup/cgroup.controllers && return 0
    config '.linux.resources.unified = {"memory.high": "100000000"}'
    refused "config.json: linux.resources.unified.memory.high: this host has no cgroup controller for it" bailey create --bundle "$BUNDLE" "$ID"
}

@test "huge pages: the limit on reservations" {
    grep -qw hugetlb /sys/fs/cgroup/cgroup.controllers || skip "no hugetlb controller"
    config '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]'
    start_it
    [ "$(cat "$CG/hugetlb.2MB.rsvd.max")" = 4194304 ]
    echo '{"hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}]}' | bailey update --resources - "$ID"
    [ "$(cat "$CG/hugetlb.2MB.rsvd.max")" = 2097152 ]
}
