#!/bin/bash
# demo.sh: makes a bundle from Debian's busybox-static and runs a script in it, under a kernel of its own.
set -euo pipefail
B=${B:-build}
bailey=$(realpath "$B/bailey")
bundle=$(realpath "$B")/demo
[ "$(id -u)" = 0 ] || { echo "the demo makes a container: run it as root" >&2; exit 1; }

rm -rf "$bundle"
mkdir -p "$bundle"/rootfs/{bin,sbin,usr/bin,usr/sbin,etc,proc,sys,dev,tmp,root}
cp /bin/busybox "$bundle/rootfs/bin/"
(
    cd "$bundle/rootfs"
    bin/busybox --list-full | while read -r applet; do
        [ -e "$applet" ] || ln -s /bin/busybox "$applet"
    done
)
echo 'root:x:0:0:root:/root:/bin/sh' >"$bundle/rootfs/etc/passwd"

cat >"$bundle/rootfs/demo.sh" <<'SCRIPT'
show() {
    printf '\n\033[1m# %s\033[0m\n' "$*"
    sh -c "$*"
}
show uname -a
show cat /proc/version
show dmesg
show ps
show cat /proc/mounts
show ls /
show 'echo "$(seq 1000 | wc -l) lines through a pipe; uid $(id -u); $(hostname)"'
SCRIPT

"$bailey" spec --bundle "$bundle"
jq '.process.terminal = false | .process.args = ["/bin/sh", "/demo.sh"] | .hostname = "demo"' \
    "$bundle/config.json" >"$bundle/config.new"
mv "$bundle/config.new" "$bundle/config.json"

echo "The host: $(uname -a)"
echo "It has $(find /proc -maxdepth 1 -regex '/proc/[0-9]+' | wc -l) processes and $(wc -l </proc/mounts) mounts."
echo "In the container:"
"$bailey" run --bundle "$bundle" "demo-$$"
