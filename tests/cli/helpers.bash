# helpers.bash: sourced by the .bats files. A bundle over busybox, and checks of the runtime's one-line errors.
# shellcheck shell=bash
B=${B:-$BATS_TEST_DIRNAME/../../build}
B=$(realpath "$B")
BAILEY=${RUNTIME:-$B/bailey}
STATE=$BATS_TEST_TMPDIR/state

bailey() {
    timeout -k 5 30 "$BAILEY" --root "$STATE" "$@"
}

# A bundle in $BUNDLE whose rootfs is busybox, copied.
make_bundle() {
    BUNDLE=$BATS_TEST_TMPDIR/bundle
    mkdir -p "$BUNDLE"/rootfs/{bin,etc,proc,sys,dev,tmp}
    cp /bin/busybox "$BUNDLE/rootfs/bin/busybox"
    local applet
    for applet in sh ls cat echo sleep kill ps stat true id stty tty hostname dmesg mount head; do
        ln -s busybox "$BUNDLE/rootfs/bin/$applet"
    done
    "$BAILEY" spec --bundle "$BUNDLE"
    config '.process.terminal = false'
}

# Changes the bundle's config.json by a jq program.
config() {
    jq "$@" <"$BUNDLE/config.json" >"$BUNDLE/config.new"
    mv "$BUNDLE/config.new" "$BUNDLE/config.json"
}

# The program that the container runs.
args() {
    config --args '.process.args = $ARGS.positional' -- "$@"
}

# "Fails with exactly this one line on stderr, quickly, and leaves no state."
refused() { # message command...
    local message=$1
    shift
    run --separate-stderr "$@"
    echo "status $status, stderr: $stderr" >&2
    [ "$status" -eq 1 ]
    [ "$output" = "" ]
    [ "$stderr" = "bailey: $message" ]
    nothing_left
}

nothing_left() {
    [ ! -d "$STATE" ] || [ -z "$(ls -A "$STATE")" ]
}
