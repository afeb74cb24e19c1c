# watched.sh: sourced by the attacks that watch what reaches the host. watched_run runs such an attack and judges it;
# watch_start PID, watch_stop are its parts: then $native holds "count number" lines, the system calls that PID and its
# descendants made natively, as the raw_syscalls tracepoint saw them behind the filter.
# shellcheck shell=bash

# Runs the bundle, whose program waits for /test/go, and watches it: $scratch/out, $scratch/err. Sets result to 1 where it
# does not end with 42, the watch saw nothing, or there was a call outside the lists.
watched_run() { # bundle name
    local watching=0 status
    bundle_run "$RUNTIME" "$1" "$(container_id "$2")" >"$scratch/out" 2>"$scratch/err" </dev/null &
    run=$!
    has_guest() { [ -n "$(guests $run)" ]; }
    until_true $patience has_guest || die "no guest process came up: $(cat "$scratch/err")"
    watch_start "$(guests $run | head -1)" && watching=1
    touch "$1/rootfs/test/go"
    wait $run
    status=$?
    [ $watching = 0 ] || watch_stop
    cat "$scratch/out"
    sort "$scratch/err" | uniq -c | sort -rn | head -20
    [ $status = 42 ] || { echo "the sandbox ended with $status"; result=1; }
    [ $watching = 1 ] || return
    [ -s "$native" ] || { echo "the watch saw nothing, not even memory calls"; result=1; }
    echo "events lost: $lost"
    outside_the_list || result=1
}

watch_start() { # pid
    tracefs=$scratch/tracefs
    native=$scratch/native
    : >"$native"
    mkdir -p "$tracefs"
    mount -t tracefs tracefs "$tracefs" 2>/dev/null || { echo "no tracefs here: not watched"; return 1; }
    instance=$tracefs/instances/bt$BAILEY_TEST_RUN-$$
    mkdir "$instance" 2>/dev/null || { umount "$tracefs"; echo "no tracing here: not watched"; return 1; }
    echo 8192 >"$instance/buffer_size_kb"
    echo 1 >"$instance/options/event-fork"
    echo "$1" >"$instance/set_event_pid"
    # Numbers only, counted as they come: the buffer never holds much.
    python3 - "$instance/trace_pipe" >"$native" <<'PY' &
import collections, os, re, sys
fd, n, rest, ended = os.open(sys.argv[1], os.O_RDONLY), collections.Counter(), b"", False
while not ended:
    *lines, rest = (rest + os.read(fd, 1 << 16)).split(b"\n")
    for line in lines:
        ended |= b": the end of the watch" in line
        if nr := re.search(rb"NR (-?\d+)", line):
            n[nr[1].decode()] += 1
for nr, count in n.items():
    print(count, nr)
PY
    watcher=$!
    echo 1 >"$instance/events/raw_syscalls/sys_enter/enable"
}

watch_stop() {
    echo 0 >"$instance/events/raw_syscalls/sys_enter/enable"
    # In its place behind all that was seen: who counts ends there, however late that is.
    echo "the end of the watch" >"$instance/trace_marker"
    wait "$watcher"
    lost=$(awk '/^(overrun|dropped events)/ { n += $NF } END { print n + 0 }' "$instance"/per_cpu/cpu*/stats)
    rmdir "$instance"
    umount "$tracefs"
    rmdir "$tracefs"
}

# Prints the native calls that are in neither list. Returns 1 if there are any.
outside_the_list() {
    local -A number
    local name nr count bad=0
    while read -r name nr; do
        number[$nr]=$name
    done < <(sed -nE 's/^SYS(_NONE|_ALIAS)?\(([0-9]+), ([a-z0-9_]+),.*/\3 \2/p' "$repo/sandbox/keep/syscalls.def")
    local allowed
    allowed=" $(sed -nE 's/^(GUEST|GATE|LANE)\(([a-z0-9_]+),.*/\2/p' "$repo/seccomp-profiles/gate.def" | tr '\n' ' ')"
    allowed+=" $(awk '!/^#/ { print $1 }' "$repo/tests/attacks/native.list" | tr '\n' ' ')"
    while read -r count nr; do
        name=${number[$nr]:-number $nr}
        echo "natively: $name $count times"
        [[ $allowed = *" $name "* ]] || { echo "OUTSIDE THE LIST: $name ($nr), $count times"; bad=1; }
    done <"$native"
    return $bad
}
