# watched.sh: sourced by the attacks that watch what reaches the host. watch_start PID, watch_stop, then $native holds
# "count name" lines: the system calls that PID and its descendants made natively, as the raw_syscalls tracepoint saw
# them behind the filter.
# shellcheck shell=bash
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
    stdbuf -o0 cat "$instance/trace_pipe" 2>/dev/null |
        awk '{ if (match($0, /NR -?[0-9]+/)) n[substr($0, RSTART + 3, RLENGTH - 3)]++ }
             END { for (i in n) print n[i], i }' >"$native" &
    watcher=$!
    echo 1 >"$instance/events/raw_syscalls/sys_enter/enable"
}

watch_stop() {
    echo 0 >"$instance/events/raw_syscalls/sys_enter/enable"
    sleep 0.3
    lost=$(awk '/^(overrun|dropped events)/ { n += $NF } END { print n + 0 }' "$instance"/per_cpu/cpu*/stats)
    # The reader ends with the instance's pipe: kill cat, so that awk reaches its end and prints.
    pkill -P $$ -x cat 2>/dev/null
    wait "$watcher" 2>/dev/null
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
