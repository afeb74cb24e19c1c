#!/usr/bin/env bats
# "mounts" of config.json: options, what mountinfo tells of them, owners, propagation, hostile roots.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    for applet in touch chown mkdir grep dd awk cut find umount readlink sort; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
    SRC=$BATS_TEST_TMPDIR/source
    mkdir "$SRC" "$SRC/sub"
    touch "$SRC/file"
    config '.root.readonly = false
        | .process.capabilities = ((["CAP_SYS_ADMIN", "CAP_CHOWN"]) as $c | {bounding: $c, effective: $c, permitted: $c})'
}

teardown() {
    bailey delete --force x >/dev/null 2>&1 || true
    umount -R "$SRC/sub" "$SRC" 2>/dev/null || true
}

run_it() {
    run bailey run --bundle "$BUNDLE" x
    echo "$output"
}

mounts() { # a jq list
    config --arg s "$SRC" ".mounts += $1"
}

script() {
    args /bin/sh -c "$1"
}

@test "mounts: mountinfo lists them in order, with destination, type, source and, for binds, the source's name" {
    mounts '[{destination: "/b", source: $s, options: ["bind", "ro", "nosuid", "nosymfollow", "noatime"]},
        {destination: "relative/t", type: "tmpfs", source: "mine", options: ["size=1m", "mode=750", "lazytime", "sync"]},
        {destination: "/f", type: "bind", source: ($s + "/file"), options: ["rbind", "strictatime", "size=1k", "mode=755"]}]'
    script 'grep -E " /(b|relative/t|f) " /proc/self/mountinfo; stat -c %a /relative/t; stat -c %F /f'
    run_it
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == *" /source /b ro,nosuid,noatime,nosymfollow - "* || "${lines[0]}" == *" /source /b ro,nosuid,nosymfollow,noatime - "* ]]
    [[ "${lines[1]}" == *" / /relative/t rw,relatime - tmpfs mine rw,size=1m,mode=750,sync,lazytime" ]]
    [[ "${lines[2]}" == *" /file /f rw - "* ]]
    [ "${lines[3]}" = 750 ]
    [ "${lines[4]}" = "regular empty file" ]
}

@test "mounts: recursive options reach what is mounted below, plain ones do not" {
    mount -t tmpfs below "$SRC/sub"
    mounts '[{destination: "/r", source: $s, options: ["rbind", "rro", "rnoexec"]},
        {destination: "/p", source: $s, options: ["rbind", "ro"]},
        {destination: "/w", source: $s, options: ["rbind", "rro", "rrw", "rnoatime", "rstrictatime"]}]'
    cp "$BUNDLE/rootfs/bin/busybox" "$SRC/sub/true"
    script 'touch /r/x /r/sub/x; touch /p/x; touch /p/sub/x && echo p; touch /w/sub/y && echo w; /r/sub/true
        /p/sub/true && echo runs; grep -E " /./sub " /proc/self/mountinfo | cut -d" " -f5,6'
    run_it
    [[ "$output" == *"/r/x: Read-only"*"/r/sub/x: Read-only"*"/p/x: Read-only"* ]]
    [[ "$output" != *"/p/sub/x: Read"* ]]
    [[ "$output" == *$'p\nw\n'*"/r/sub/true: Permission denied"*runs* ]]
    [[ "$output" == *"/r/sub ro,noexec,relatime"*"/p/sub rw,relatime"*"/w/sub rw"* ]]
}

@test "mounts: nosymfollow is obeyed" {
    ln -s file "$SRC/link"
    mounts '[{destination: "/n", source: $s, options: ["bind", "nosymfollow"]}, {destination: "/y", source: $s, options: ["bind", "symfollow"]}]'
    script 'cat /y/link && echo follows; cat /n/link; readlink /n/link'
    run_it
    [[ "$output" == follows*"ymbolic link"*file* ]]
}

@test "mounts: size of a tmpfs is enforced" {
    mounts '[{destination: "/t", type: "tmpfs", source: "t", options: ["size=64k"]}]'
    script 'dd if=/dev/zero of=/t/x bs=4k count=100 2>&1; stat -c %s /t/x'
    run_it
    [[ "$output" == *"No space left on device"* ]]
    [ "${lines[-1]}" -le 65536 ]
}

@test "mounts: an option's value may be quoted, as one with commas in it is" {
    mounts '[{destination: "/t", type: "tmpfs", source: "t", options: ["size=\"64k\"", "mode=\"0750\""]}]'
    script 'stat -c %a /t; dd if=/dev/zero of=/t/f bs=1k count=100 2>&1 | grep -c "No space"'
    run_it
    [ "$output" = $'750\n1' ]
}

@test "mounts: what guests mount as tmpfs holds no more than the container's memory limit" {
    config '.linux.resources.memory.limit = 33554432 | .process.args = ["true"]'
    script 'mkdir /t; mount -t tmpfs t /t; stat -f -c "%b %S" /t'
    run_it
    if [[ "$output" == *cgroup* ]]; then skip "no memory controller"; fi
    read -r blocks size <<<"$output"
    [ $((blocks * size)) -eq 33554432 ]
}

@test "mounts: tmpcopyup begins with what it hides, and leaves that alone" {
    mkdir -p "$BUNDLE/rootfs/etc/d/e"
    echo hello >"$BUNDLE/rootfs/etc/d/e/f"
    chown 3:4 "$BUNDLE/rootfs/etc/d/e/f"
    chmod 4777 "$BUNDLE/rootfs/etc/d/e/f"
    ln -s ../../../../../etc/shadow "$BUNDLE/rootfs/etc/link"
    mkfifo "$BUNDLE/rootfs/etc/fifo"
    mounts '[{destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m"]},
        {destination: "/nowhere", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "ro"]}]'
    script 'cat /etc/d/e/f; stat -c "%u:%g %a" /etc/d/e/f; readlink /etc/link; stat -c %F /etc/fifo
        echo new >/etc/d/e/f; touch /etc/more; touch /nowhere/x'
    run_it
    [ "${lines[0]}" = hello ]
    [ "${lines[1]}" = "3:4 4777" ]
    [ "${lines[2]}" = ../../../../../etc/shadow ]
    [ "${lines[3]}" = fifo ]
    [[ "${lines[4]}" == *"Read-only"* ]]
    [ "$(<"$BUNDLE/rootfs/etc/d/e/f")" = hello ]
    [ ! -e "$BUNDLE/rootfs/etc/more" ]
    # What does not fit fails the container, in one line.
    dd if=/dev/zero of="$BUNDLE/rootfs/etc/big" bs=1M count=2 status=none
    refused "config.json: mounts[7] (/etc): tmpcopyup: No space left on device" bailey run --bundle "$BUNDLE" x
}

@test "mounts: idmap by mappings of its own, by the container's, and neither" {
    chown 5:6 "$SRC"
    chown 7:8 "$SRC/file"
    mounts '[{destination: "/i", source: $s, options: ["bind"],
        uidMappings: [{containerID: 5, hostID: 50, size: 10}], gidMappings: [{containerID: 6, hostID: 60, size: 10}]}]'
    script 'stat -c %u:%g /i /i/file; touch /i/new; chown 51:61 /i/new 2>/dev/null; stat -c %u:%g /i/new'
    run_it
    if [[ "$output" == *"can not be idmapped"* ]]; then skip "the file system of $SRC takes no mappings"; fi
    [ "${lines[0]}" = 50:60 ]
    [ "${lines[1]}" = 52:62 ]

    config '.mounts[-1] |= (del(.uidMappings, .gidMappings) | .options = ["bind", "ridmap"])'
    refused "config.json: mounts[7] (/i): idmap needs uidMappings and gidMappings, or a user namespace of the container" \
        bailey run --bundle "$BUNDLE" x
    chown 0:0 "$SRC" "$SRC/file"
    chown -h -R 100000:100000 "$BUNDLE/rootfs"
    config '.linux.namespaces += [{type: "user"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}] | .linux.gidMappings = .linux.uidMappings'
    script 'stat -c %u:%g /i /i/file; touch /i/new'
    run_it
    [ "$output" = $'0:0\n0:0' ]
    [ "$(stat -c %u:%g "$SRC/new")" = 0:0 ]
    config '.mounts[-1].uidMappings = .linux.uidMappings'
    refused "config.json: mounts[7]: uidMappings and gidMappings go together" bailey run --bundle "$BUNDLE" x
}

@test "mounts: what the host mounts later appears in an rslave bind, and in no other" {
    mount -t tmpfs shared "$SRC"
    mount --make-shared "$SRC"
    mkdir "$SRC/later"
    mounts '[{destination: "/slave", source: $s, options: ["rbind", "rslave"]},
        {destination: "/private", source: $s, options: ["rbind", "rprivate"]},
        {destination: "/shared", source: $s, options: ["rbind", "rshared"]}]'
    args sleep 1000
    bailey create --bundle "$BUNDLE" x </dev/null >"$BATS_TEST_TMPDIR/log" 2>&1 3>&-
    bailey start x
    mount -t tmpfs later "$SRC/later"
    touch "$SRC/later/mark"
    run bailey exec x sh -c 'ls /slave/later /private/later /shared/later; grep -E " /(slave|private|shared) " /proc/self/mountinfo'
    echo "$output"
    [[ "$output" == *$'/private/later:\n\n/shared/later:\nmark\n\n/slave/later:\nmark'* ]]
    grep -E ' /slave .* master:[0-9]+ - ' <<<"$output"
    grep -E ' /shared .* shared:[0-9]+ .*- ' <<<"$output"
    ! grep -E ' /private .*(shared|master)' <<<"$output"
    # Nothing goes the other way.
    bailey exec x sh -c 'mkdir /shared/mine && mount -t tmpfs m /shared/mine && touch /shared/mine/x'
    [ -z "$(ls -A "$SRC/mine")" ]
    bailey delete --force x
}

@test "mounts: rootfsPropagation and unbindable mounts" {
    config '.linux.rootfsPropagation = "unbindable"'
    mounts '[{destination: "/u", source: $s, options: ["bind", "runbindable"]}, {destination: "/s", source: $s, options: ["bind", "shared"]}]'
    script 'mkdir /x; mount --bind / /x; echo $?; mount --rbind / /x; echo $?; mount --bind /u /x; echo $?; mount --bind /s /x; echo $?
        grep -E " /(u|s|) " /proc/self/mountinfo | cut -d" " -f5,7; mount --make-private /s; awk "\$5 == \"/s\" { print \$7 }" /proc/self/mountinfo'
    run_it
    [[ "$output" == *"Invalid argument"* ]]
    mapfile -t codes < <(grep -xE '[0-9]+' <<<"$output")
    [ "${codes[0]}" -ne 0 ]
    [ "${codes[1]}" -ne 0 ]
    [ "${codes[2]}" -ne 0 ]
    [ "${codes[3]}" -eq 0 ]
    grep -x '/ unbindable' <<<"$output"
    grep -x '/u unbindable' <<<"$output"
    grep -xE '/s shared:[0-9]+' <<<"$output"
    [ "${lines[-1]}" = - ]
}

@test "mounts: options that nobody knows go to the file system, which may refuse them" {
    mounts '[{destination: "/t", type: "tmpfs", source: "t", options: ["nosuchoption=1"]}]'
    refused 'config.json: mounts[7] (/t): option "nosuchoption": Invalid argument' bailey run --bundle "$BUNDLE" x
}

@test "mounts: /proc and /sys that are symlinks are refused; other destinations stay inside" {
    decoy=$BATS_TEST_TMPDIR/decoy
    mkdir "$decoy"
    for dir in proc sys; do
        rmdir "$BUNDLE/rootfs/$dir"
        ln -s /tmp "$BUNDLE/rootfs/$dir"
        args true
        run --separate-stderr bailey run --bundle "$BUNDLE" x
        echo "$stderr"
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"(/$dir): not an ordinary directory in the container"* ]]
        rm "$BUNDLE/rootfs/$dir"
        mkdir "$BUNDLE/rootfs/$dir"
    done
    ln -s "$decoy" "$BUNDLE/rootfs/way"
    ln -s "../../../../..$decoy" "$BUNDLE/rootfs/up"
    mounts '[{destination: "/way/in", type: "tmpfs", source: "t", options: []}, {destination: "/up/other", source: ($s + "/file"), options: ["bind"]}]'
    script 'ls -d /way/in; ls /up/other'
    run_it
    [ "$status" -eq 0 ]
    [ -z "$(ls -A "$decoy")" ]
}

@test "mounts: /dev as a symlink gets nothing made behind it" {
    config 'del(.mounts[] | select(.destination | startswith("/dev")))'
    decoy=$BATS_TEST_TMPDIR/decoy
    mkdir "$decoy"
    touch "$decoy/ptmx"
    rm -r "$BUNDLE/rootfs/dev"
    for target in "$decoy" ../../../../../../../../../.."$decoy" /tmp; do
        ln -sfn "$target" "$BUNDLE/rootfs/dev"
        args true
        run --separate-stderr bailey run --bundle "$BUNDLE" x
        echo "$stderr"
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"/dev in the container"* ]]
        [ "$(ls -A "$decoy")" = ptmx ]
        [ -z "$(ls -A "$BUNDLE/rootfs/tmp")" ]
    done
}

@test "mounts: masked paths are the host's null device, whatever the image has there" {
    ln -sf /etc/passwd "$BUNDLE/rootfs/dev/null"
    echo secret >"$BUNDLE/rootfs/secret"
    mkdir "$BUNDLE/rootfs/hidden"
    echo secret >"$BUNDLE/rootfs/hidden/file"
    echo plain >"$BUNDLE/rootfs/etc/passwd"
    config 'del(.mounts[] | select(.destination == "/dev")) | .linux.maskedPaths += ["/secret", "/hidden", "/not/there"]
        | .linux.readonlyPaths += ["/etc"]'
    rm "$BUNDLE/rootfs/dev/null"
    script 'cat /secret; ls -A /hidden; echo x >/secret; touch /hidden/x; touch /etc/x; cat /etc/passwd'
    run_it
    [[ "$output" != *secret$'\n'* ]]
    [[ "$output" == *"/hidden/x: Read-only"*"/etc/x: Read-only"*plain ]]
    [ "$(<"$BUNDLE/rootfs/secret")" = secret ]
    ln -sf /etc/passwd "$BUNDLE/rootfs/dev/null"
    refused "device /dev/null: something else has that name in the container" bailey run --bundle "$BUNDLE" x
    [ "$(<"$BUNDLE/rootfs/etc/passwd")" = plain ]
}

@test "mounts: inside, what is mounted on a shared mount appears on its peers, until it is unmounted" {
    config '.linux.rootfsPropagation = "shared"'
    script 'mkdir /peer /here /away && mount --bind / /peer && mount -t tmpfs t /here && touch /here/x && ls /peer/here
        mount --make-private /peer; mount -t tmpfs u /away && touch /away/y; ls /peer/away; umount /away
        umount /here; ls /here /peer/here; umount /peer/here; mkdir /second && mount --bind / /second
        mount -t tmpfs v /here && ls -d /second/here; grep -c " v " /proc/self/mountinfo
        umount /second/here; grep -c " v " /proc/self/mountinfo'
    run_it
    [ "${lines[0]}" = x ]
    [ "${lines[1]}" = /here: ]
    [ "${lines[2]}" = /peer/here: ]
    [ "${lines[3]}" = x ] # it has left the group
    [ "${lines[5]}" = 2 ]
    [ "${lines[6]}" = 0 ]
}
