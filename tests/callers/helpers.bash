# helpers.bash: sourced by the .bats files. An engine with folders of its own, and how nothing of it stays.
# shellcheck shell=bash
B=$(realpath "${B:-$BATS_TEST_DIRNAME/../../build}")
BAILEY=${RUNTIME:-$B/bailey}
IMAGE=localhost/busybox:1

# The packages' own programs, whatever else is first in PATH. ENGINES: a folder with others, to try another version.
export PATH=${ENGINES:+$ENGINES:}/usr/sbin:/usr/bin:/sbin:/bin

# The runtime's --root is in $STATES, for the check at the end. A folder for the engine in $S: short, since sockets have their place in it. The folders that engines insist on
# (/run/containerd and the like) become mounts of ours in this test's own mount namespace.
engine_begin() { # folder...
    local dir
    S=$(mktemp -d "/tmp/bt-${BAILEY_TEST_RUN:-$$}-XXXXX")
    export S
    for dir in /run/netns "$@"; do
        [ -d "$dir" ] || { mkdir -p "$dir" && echo "$dir" >>"$S/made"; }
        mount -t tmpfs -o mode=755 bailey-test "$dir"
        echo "$dir" >>"$S/mounted"
    done
    export GROUP=${S##*/} # where the containers' control groups are, in each hierarchy
}

# Control groups below the engine's own.
cgroups() {
    find /sys/fs/cgroup -depth -type d -path "*/$GROUP*/*" 2>/dev/null
}

no_cgroups() {
    [ -z "$(cgroups)" ]
}

# Starts a daemon whose output is in $S/NAME.log. Its pid is in $S/NAME.pid.
daemon() { # name command...
    local name=$1
    shift
    setsid "$@" </dev/null >"$S/$name.log" 2>&1 3>&- 4>&- &
    echo $! >"$S/$name.pid"
}

daemon_stop() { # name
    local pid
    pid=$(cat "$S/$1.pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null
    wait_for gone "$pid" || kill -KILL "$pid" 2>/dev/null
}

# A zombie is gone: it waits for a parent that is none of ours.
gone() { # pid
    local state
    state=$(ps -o stat= -p "$1" 2>/dev/null) || return 0
    [[ $state == Z* ]]
}

# The longest that anything may take: to end what hangs, not to say how quick a machine must be.
LIMIT=100

wait_for() { # command...
    local end=$((SECONDS + LIMIT))
    while [ $SECONDS -lt $end ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    echo "waited in vain for: $*" >&2
    return 1
}

# What runs from the runtime under test with the engine's folder on its command line.
of_engine() {
    local p
    for p in $(pgrep -f "$S"); do
        gone "$p" || ps -o pid=,args= -p "$p"
    done | grep -E 'bailey|shim|conmon' | grep -v "bats"
}

no_processes() {
    [ -z "$(of_engine)" ]
}

# The runtime knows no container.
no_states() {
    [ -d "$STATES" ] && [ -z "$(ls -A "$STATES")" ]
}

# The engine has ended: says what it left, and puts the folder away. Fails where there was something.
engine_end() {
    local left=0 dir
    wait_for no_processes || { of_engine | sed 's/^/left behind: /' && left=1; } >&2
    wait_for no_cgroups || true
    cgroups >"$S/more"
    find /sys/fs/cgroup -depth -type d -name "$GROUP*" -exec rmdir {} + 2>/dev/null
    grep -oE " ($S|/run/netns)/[^ ]*" /proc/self/mountinfo >>"$S/more"
    find "$STATES" -mindepth 1 -maxdepth 1 >>"$S/more" 2>/dev/null
    if [ -s "$S/more" ]; then
        sed 's/^/left behind: /' "$S/more" >&2
        left=1
    fi
    [ ! -e "$S/mounted" ] || tac "$S/mounted" | xargs -r umount
    [ ! -e "$S/made" ] || tac "$S/made" | xargs -r rmdir
    [ $left = 1 ] || rm -rf --one-file-system "$S"
    return $left
}

# The test image, as a file.
image() { # [file [name [config]]]
    "$BATS_TEST_DIRNAME/image.sh" "$("$BATS_TEST_DIRNAME/../lib/rootfs.sh" busybox)" "${2:-$IMAGE}" "${1:-$S/image.tar}" \
        "${3:-{\"Cmd\": [\"/bin/sh\"]\}}"
}

needs() { # program...
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "no $program"
    done
}

# Says what terminal it has, and how large that is; ends when /seen is there: an engine may end before it has shown the last of what
# was said, with runc as well.
SHOWS_SIZE='tty; until stty size 2>/dev/null | grep -v "^0"; do sleep 0.1; done; until [ -e /seen ]; do sleep 0.1; done; exit 4'

# Runs a shell command, whose program is that, on a terminal of a size of its own.
on_terminal() { # command what-makes-seen...
    local out=$BATS_TEST_TMPDIR/terminal pid status=0
    : >"$out"
    timeout $LIMIT script -qefc "stty rows 33 cols 44; $1" /dev/null </dev/null >"$out" 3>&- 4>&- &
    pid=$!
    wait_for grep -q "33 44" "$out" || status=$?
    "${@:2}" || status=$?
    wait $pid || status=$?
    cat "$out" >&2
    [ "$status" -eq 4 ]
    [[ "$(cat "$out")" == *"/dev/pts/0"*"33 44"* ]]
}
