#!/usr/bin/env bats
#: timeout 60
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
