#!/bin/bash
# A2: nothing in the container leads to the runtime's own executable, neither by /proc/PID/exe nor through an image that
# asks to be run as it, and what is written there does not reach the host.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
bundle=$(bundle_new b busybox) || die "no bundle"
cp "$RUNTIME" "$scratch/runtime" # what is attacked is a copy
chmod 755 "$scratch/runtime"
before=$(sha256sum <"$scratch/runtime")
cat >"$bundle/rootfs/test/script" <<'EOF'
ls -l /proc/[0-9]*/exe | sed 's/.*-> //' | sort -u
for exe in /proc/[0-9]*/exe /proc/self/exe /proc/self/task/*/exe; do
    echo hacked 2>/dev/null >"$exe"
    echo hacked 2>/dev/null >>"$exe"
    dd if=/dev/zero of="$exe" bs=1 count=4 conv=notrunc 2>/dev/null
    rm -f "$exe" 2>/dev/null
    chmod 777 "$exe" 2>/dev/null
    exec 9<"$exe"
    for fd in /proc/self/fd/*; do
        echo hacked 2>/dev/null >"$fd" </dev/null
    done
    exec 9<&-
done
for fd in /proc/[0-9]*/fd/*; do
    readlink "$fd"
done | sed 's/[0-9]\+/N/g' | sort -u
for map in /proc/[0-9]*/maps; do
    awk '{ print $6 }' "$map"
done | sort -u
EOF
bundle_args "$bundle" /bin/sh /test/script
bundle_run "$scratch/runtime" "$bundle" "$(container_id exe)" >"$scratch/out" 2>"$scratch/err" </dev/null
echo "status $?"
cat "$scratch/out"
result=0
grep -E 'bailey|memfd|gate|runtime' "$scratch/out" | grep -v '^/test' && { echo "the guest sees the runtime's own files"; result=1; }
# The image itself asks for the runtime: as its program, as an interpreter, as a link.
for trick in '["/proc/self/exe"]' '["/test/link"]' '["/test/interpreted"]'; do
    ln -sfn /proc/self/exe "$bundle/rootfs/test/link"
    printf '#!/proc/self/exe\n' >"$bundle/rootfs/test/interpreted"
    chmod 755 "$bundle/rootfs/test/interpreted"
    bundle_set "$bundle" ".process.args = $trick"
    timeout $hang "$scratch/runtime" run --bundle "$bundle" "$(container_id exe)" </dev/null >"$scratch/out" 2>&1
    echo "$trick: status $?: $(head -1 "$scratch/out")"
    grep -qiE 'usage: |subcommand' "$scratch/out" && { echo "the runtime was run inside"; result=1; }
done
[ "$(sha256sum <"$scratch/runtime")" = "$before" ] || { echo "the runtime's file was changed"; result=1; }
exit $result
