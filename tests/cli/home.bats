#!/usr/bin/env bats
# HOME, which engines leave to the runtime.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    args sh -c 'echo "[$HOME]"'
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'bad:x:5x:0::/bad:/bin/sh' 'bad:x:+5:0::/bad:/bin/sh' 'short:x:5' '' \
        'five:x:5:5::/home/five:/bin/sh' 'again:x:5:5::/other:/bin/sh' 'none:x:6:6:::/bin/sh' >"$BUNDLE/rootfs/etc/passwd"
}

teardown() {
    bailey delete --force x 3>&-
}

home_of() { # uid
    config --argjson uid "$1" '.process.user.uid = $uid'
    timeout $LIMIT "$BAILEY" --root "$STATE" run -b "$BUNDLE" x </dev/null 3>&-
}

@test "it is the user's in the container's passwd, and / where that does not say" {
    [ "$(home_of 0)" = "[/root]" ]
    [ "$(home_of 5)" = "[/home/five]" ]
    [ "$(home_of 6)" = "[/]" ]
    [ "$(home_of 7)" = "[/]" ]
}

@test "one that config.json sets stays; an empty one does not" {
    config '.process.env += ["HOME=/mine"]'
    [ "$(home_of 5)" = "[/mine]" ]
    config '.process.env[-1] = "HOME=" | .process.args = ["sh", "-c", "env | grep -c ^HOME; echo $HOME"]'
    [ "$(home_of 5 | xargs)" = "1 /home/five" ]
}

@test "exec: that of --user" {
    config '.process.args = ["sleep", "1000"]'
    bailey run -d -b "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
    [ "$(bailey exec -u 5 x sh -c 'echo $HOME' 3>&-)" = /home/five ]
    [ "$(bailey exec x sh -c 'echo $HOME' 3>&-)" = /root ]
    [ "$(bailey exec -e HOME=/e x sh -c 'echo $HOME' 3>&-)" = /e ]
}

@test "a passwd that is no file, or too much of one, does not hold it up" {
    rm "$BUNDLE/rootfs/etc/passwd"
    [ "$(home_of 5)" = "[/]" ]
    mkfifo "$BUNDLE/rootfs/etc/passwd"
    [ "$(home_of 5)" = "[/]" ]
    rm "$BUNDLE/rootfs/etc/passwd"
    mkdir "$BUNDLE/rootfs/etc/passwd"
    [ "$(home_of 5)" = "[/]" ]
    rmdir "$BUNDLE/rootfs/etc/passwd"
    for target in /dev/zero /dev/tty /proc/self/environ /proc/kmsg passwd; do
        ln -sf "$target" "$BUNDLE/rootfs/etc/passwd"
        [ "$(home_of 5)" = "[/]" ]
    done
    # A link is followed in the container's root, not in the host's.
    printf 'five:x:5:5::/from-host:/bin/sh\n' >"$BATS_TEST_TMPDIR/passwd"
    ln -sf "$BATS_TEST_TMPDIR/passwd" "$BUNDLE/rootfs/etc/passwd"
    [ "$(home_of 5)" = "[/]" ]
    rm "$BUNDLE/rootfs/etc/passwd"
    { head -c 2000000 /dev/zero | tr '\0' x; printf '\nfive:x:5:5::/late:/bin/sh\n'; } >"$BUNDLE/rootfs/etc/passwd"
    [ "$(home_of 5)" = "[/]" ]
    printf 'five:x:5:5::/%s:/bin/sh\n' "$(head -c 5000 /dev/zero | tr '\0' y)" >"$BUNDLE/rootfs/etc/passwd"
    [ "$(home_of 5)" = "[/]" ]
}

@test "a hook of startContainer gets only what it was given" {
    config '.root.readonly = false | .hooks.startContainer = [{"path": "/bin/sh", "args": ["sh", "-c", "echo \"[${HOME-none}]\" >/tmp/hook"]}]'
    home_of 5
    [ "$(cat "$BUNDLE/rootfs/tmp/hook")" = "[none]" ]
}
