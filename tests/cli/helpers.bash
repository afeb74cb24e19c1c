# helpers.bash: sourced by the .bats files. A bundle over busybox, and checks of the runtime's one-line errors.
# shellcheck shell=bash
B=${B:-$BATS_TEST_DIRNAME/../../build}
B=$(realpath "$B")
BAILEY=${RUNTIME:-$B/bailey}
STATE=$BATS_TEST_TMPDIR/state

# The longest that anything may take: to end what hangs, not to say how quick a machine must be.
LIMIT=100

bailey() {
    timeout -k 5 $LIMIT "$BAILEY" --root "$STATE" "$@"
}

# Until the command succeeds.
wait_for() { # command...
    local end=$((SECONDS + LIMIT))
    until "$@"; do
        if [ $SECONDS -ge $end ]; then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

status_of() { # id
    bailey state "$1" 3>&- | jq -r .status
}

status_is() { # id status
    [ "$(status_of "$1")" = "$2" ]
}

# A container of the bundle; what its programs say goes to $BATS_TEST_TMPDIR/out. (The keep and the porter would hold the test's own
# output open.)
create() { # id [option...]
    bailey create --bundle "$BUNDLE" "${@:2}" "$1" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- || {
        local status=$?
        cat "$BATS_TEST_TMPDIR/out" >&2
        return $status
    }
}

# Every container that there is, as teardown.
delete_all() {
    local dir
    for dir in "$STATE"/*/; do
        [ ! -d "$dir" ] || bailey delete --force "$(basename "$dir")" 3>&- || true
    done
}

# Whether the programs that run with its output to $BATS_TEST_TMPDIR/out have said this line.
said() { # line
    grep -qxsF -- "$1" "$BATS_TEST_TMPDIR/out"
}

# A process that has ended, though its parent may not have looked yet.
gone() { # pid...
    local pid
    for pid; do
        ! grep -qs "^State:.[^ZX]" "/proc/$pid/status" || return 1
    done
}

# Runs a shell command on a terminal, where ^C is typed when a line of its output is "ready". Its output is that of the terminal.
interrupted_when_ready() { # command
    local out=$BATS_TEST_TMPDIR/terminal
    : >"$out"
    {
        wait_for grep -q "^ready" "$out"
        printf '\003'
        wait_for grep -q "^status=" "$out"
    } 3>&- | timeout $LIMIT script -qefc "$1" /dev/null >"$out" 3>&-
    cat "$out"
}

# Seconds that no program sleeps but those of this test, for pgrep on a host that others use, too.
NAP=1$$

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

# Ends with this status, and says exactly this one line on stderr.
fails_with() { # status message command...
    local want=$1 message=$2
    run --separate-stderr "${@:3}"
    echo "status $status, stderr: $stderr" >&2
    [ "$status" -eq "$want" ]
    [ "$stderr" = "bailey: $message" ]
}

# The same for most commands, which say nothing else and leave no state.
refused() { # message command...
    fails_with 1 "$@"
    [ "$output" = "" ]
    nothing_left
}

# The bundle as this jq program changes it is refused; it is as it was afterwards.
config_refused() { # jq-program message-about-it
    cp "$BUNDLE/config.json" "$BATS_TEST_TMPDIR/saved"
    config "$1"
    refused "config.json: $2" bailey run --bundle "$BUNDLE" x
    cp "$BATS_TEST_TMPDIR/saved" "$BUNDLE/config.json"
}

nothing_left() {
    [ ! -d "$STATE" ] || [ -z "$(ls -A "$STATE")" ]
}
