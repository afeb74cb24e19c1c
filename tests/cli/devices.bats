#!/usr/bin/env bats
# linux.devices, the devices that every container has, and nodes that guests make.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    for applet in touch mknod dd readlink od mkdir; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
    config '.root.readonly = false
        | .process.capabilities = ((["CAP_MKNOD", "CAP_SYS_ADMIN"]) as $c | {bounding: $c, effective: $c, permitted: $c})'
}

run_it() {
    run bailey run --bundle "$BUNDLE" x
    echo "$output"
}

@test "devices: those that every container has, and the links" {
    args sh -c 'cd /dev; stat -c "%n %F %t:%T %a" null zero full random urandom tty; for l in fd stdin stdout stderr ptmx; do readlink $l; done
        head -c 2 zero | od -An -tx1; echo x >full; head -c 4 urandom | od -An -tx1 | head -c 3; echo y >null && cat null'
    run_it
    [ "${lines[*]:0:6}" = "null character special file 1:3 666 zero character special file 1:5 666 full character special file 1:7 666 random character special file 1:8 666 urandom character special file 1:9 666 tty character special file 5:0 666" ]
    [ "${lines[*]:6:5}" = "/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 pts/ptmx" ]
    [ "${lines[11]}" = " 00 00" ]
    [[ "${lines[12]}" == *"No space left"* ]]
}

@test "devices: of all types, anywhere, with their mode and owner" {
    config '.linux.devices = [
        {path: "/dev/c", type: "c", major: 1, minor: 5, fileMode: 384, uid: 3, gid: 4},
        {path: "/some/where/u", type: "u", major: 1, minor: 3},
        {path: "/b", type: "b", major: 7, minor: 99, fileMode: 25008},
        {path: "/p", type: "p", fileMode: 420, gid: 5, major: 1, minor: 1}]'
    args sh -c 'stat -c "%F %t:%T %a %u:%g" /dev/c /some/where/u /b /p; (echo through >/p) & cat /p; echo x >/some/where/u && echo ok'
    run_it
    [ "${lines[0]}" = "character special file 1:5 600 3:4" ]
    [ "${lines[1]}" = "character special file 1:3 666 0:0" ]
    [ "${lines[2]}" = "block special file 7:63 660 0:0" ]
    [ "${lines[3]}" = "fifo 0:0 644 0:5" ]
    [ "${lines[4]}" = through ]
    [ "${lines[5]}" = ok ]
}

@test "devices: what is there already stays if it is the same, and is an error if it is not" {
    config '.linux.devices = [{path: "/d", type: "c", major: 1, minor: 3}]'
    mknod "$BUNDLE/rootfs/d" c 1 3
    args sh -c 'echo x >/d && echo ok'
    run_it
    [ "$output" = ok ]
    for make in "mknod $BUNDLE/rootfs/d c 1 5" "touch $BUNDLE/rootfs/d" "ln -s /etc/passwd $BUNDLE/rootfs/d" "mkdir $BUNDLE/rootfs/d"; do
        rm -rf "$BUNDLE/rootfs/d"
        $make
        refused "device /d: something else has that name in the container" bailey run --bundle "$BUNDLE" x
    done
}

@test "devices: a node of the image's leads to no driver of the host's" {
    mknod "$BUNDLE/rootfs/kmsg" c 1 11
    mknod "$BUNDLE/rootfs/mem" c 1 1
    mknod "$BUNDLE/rootfs/loop" b 7 0
    args sh -c 'for d in /mem /loop; do head -c 1 $d; done; head -c 200 /kmsg | grep -c Linux'
    run_it
    [[ "${lines[0]}" == *"/mem"*"No such device"* ]]
    [[ "${lines[1]}" == *"/loop"*"No such device"* ]]
}

@test "devices: guests make nodes; only devices that there are can be opened" {
    args sh -c 'mknod /m c 1 3 && echo x >/m && stat -c "%F %t:%T" /m; mknod /blk b 8 0 && stat -c %F /blk; dd if=/blk count=1
        mknod /fu c 10 229; dd if=/fu count=1; mkdir /t && mount -t tmpfs t /t && mknod /t/blk b 254 0 && dd if=/t/blk count=1'
    run_it
    [ "${lines[0]}" = "character special file 1:3" ]
    [ "${lines[1]}" = "block special file" ]
    [ "$(grep -c "No such device" <<<"$output")" -eq 3 ]
    [ ! -b "$BUNDLE/rootfs/blk" ]
    [ ! -c "$BUNDLE/rootfs/m" ]
}

@test "devices: without the capability no node is made" {
    config '.process.capabilities = {}'
    args sh -c 'mknod /m c 1 3; mknod /b b 1 3; mknod /f p && echo fifo'
    run_it
    [ "$(grep -c "Operation not permitted" <<<"$output")" -eq 2 ]
    [ "${lines[-1]}" = fifo ]
}

# A loop device: the host's driver, of which the container gets what annotation, node and rules give it.
loop_up() {
    head -c 65536 /dev/zero | tr '\0' 'x' >"$BATS_TEST_TMPDIR/disk"
    LOOP=$(losetup --show --find "$BATS_TEST_TMPDIR/disk") || skip "no loop devices"
    local minor=$((0x$(stat -c %T "$LOOP")))
    config --arg path "$LOOP" --argjson minor "$minor" '.linux.devices = [{path: $path, type: "b", major: 7, minor: $minor, fileMode: 432}]
        | .annotations = {"dev.bailey.hostDevices": $path} | del(.linux.resources.devices)'
    ln -sf busybox "$BUNDLE/rootfs/bin/blockdev"
}

teardown() {
    [ -z "${LOOP:-}" ] || losetup --detach "$LOOP"
}

@test "devices: one of the host's by annotation: bytes, positions, size, and what is written arrives" {
    loop_up
    args sh -c "blockdev --getsize64 $LOOP; head -c 3 $LOOP; echo; echo hello | dd of=$LOOP bs=1 seek=1000 conv=notrunc,fsync 2>/dev/null
        dd if=$LOOP bs=1 skip=999 count=6 2>/dev/null; echo; blockdev --setro $LOOP"
    run_it
    [ "${lines[0]}" = 65536 ]
    [ "${lines[1]}" = xxx ]
    [ "${lines[2]}" = xhello ]
    [[ "${lines[3]}" == *"Inappropriate ioctl"* ]]
    [ "$(dd if="$BATS_TEST_TMPDIR/disk" bs=1 skip=1000 count=5 status=none)" = hello ]
}

@test "devices: rules, node and annotation each have a say in one of the host's" {
    loop_up
    args sh -c "head -c 3 $LOOP; echo; echo y >$LOOP"
    config '.linux.resources.devices = [{allow: false, access: "rwm"}, {allow: true, type: "b", major: 7, access: "r"}]'
    run_it
    [ "${lines[0]}" = xxx ]
    [[ "${lines[1]}" == *"Operation not permitted"* ]]
    config 'del(.linux.resources.devices) | .process.user = {uid: 7, gid: 7} | .process.capabilities = {}'
    run_it
    [[ "${lines[0]}" == *"Permission denied"* ]]
    config '.process.user = {uid: 0, gid: 0} | .annotations["dev.bailey.hostDevices"] = "all"'
    run_it
    [ "${lines[0]}" = xxx ]
    config 'del(.annotations)'
    run_it
    [[ "${lines[0]}" == *"No such device"* ]]
    config '.annotations = {"dev.bailey.hostDevices": "/dev/nothing"}'
    refused "config.json: annotations: dev.bailey.hostDevices: /dev/nothing is not in linux.devices" bailey run --bundle "$BUNDLE" x
    config '.annotations = {"dev.bailey.hostDevices": "/dev/n"} | .linux.devices = [{path: "/dev/n", type: "c", major: 1, minor: 3}]'
    refused "config.json: annotations: dev.bailey.hostDevices: /dev/n is no device of the host's: the sandbox has its own" bailey run --bundle "$BUNDLE" x
}

@test "devices: a character device of the host's is read, also by exec" {
    { [ -c /dev/hwrng ] && head -c 1 /dev/hwrng >/dev/null 2>&1; } || skip "no /dev/hwrng that works"
    config '.linux.devices = [{path: "/dev/hwrng", type: "c", major: 10, minor: 183}] | .annotations = {"dev.bailey.hostDevices": "all"}
        | del(.linux.resources.devices)'
    args sh -c 'head -c 4 /dev/hwrng | od -An -tx1; sleep 1000'
    bailey run --detach --bundle "$BUNDLE" x </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    run bailey exec x sh -c 'head -c 4 /dev/hwrng | od -An -tx1'
    wait_for test -s "$BATS_TEST_TMPDIR/out"
    bailey delete --force x
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^(\ [0-9a-f]{2}){4}$ ]]
    [[ "$(cat "$BATS_TEST_TMPDIR/out")" =~ ^(\ [0-9a-f]{2}){4}$ ]]
}
