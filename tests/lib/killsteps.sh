# killsteps.sh: sourced by attacks/kill_steps_*.sh. Kills a command before each of its steps (tools/killat.c) and looks
# what is left: nothing that `delete --force` does not take away, and without a container nothing at all.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/attack.sh"
scratch_open
state=$scratch/state
id=bt-$BAILEY_TEST_RUN-steps-$$
log=$scratch/hooks
bundle=$(bundle_new b busybox) || die "no bundle"
bundle_args "$bundle" /bin/sleep 1000
mkdir "$scratch/log"
# Hooks of each kind, so that their steps are among those; limits, so that there are cgroups.
bundle_set "$bundle" --arg log "$log" '
    .linux.resources.memory = {"limit": 100000000} | .linux.resources.pids = {"limit": 100}
    | def hook(kind): {"path": "/bin/sh", "args": ["sh", "-c", "echo \(kind) >>\($log)"]};
    .hooks = {"prestart": [hook("prestart")], "createRuntime": [hook("createRuntime")],
              "createContainer": [hook("createContainer")], "poststart": [hook("poststart")],
              "poststop": [hook("poststop")],
              "startContainer": [{"path": "/bin/true"}]}'
result=0
bad() {
    echo "$what, killed before step $step: $*"
    result=1
}

bailey() {
    timeout -k 5 $hang "$RUNTIME" --root "$state" "$@" </dev/null >"$scratch/out" 2>&1
}

# Porters and keeps have the arguments of the command that made them; guests die with their porter.
no_process() {
    ! pgrep -f -- "--root $state" >/dev/null
}

no_cgroup() {
    local found
    found=$(compgen -G "/sys/fs/cgroup/*/bailey/$id-*" || compgen -G "/sys/fs/cgroup/bailey/$id-*")
    [ -z "$found" ] || echo "$found"
    [ -z "$found" ]
}

mounts_before=$(wc -l </proc/self/mountinfo)

nothing_left() {
    until_true $patience no_process || bad "processes: $(pgrep -af -- "--root $state")"
    no_cgroup || bad "a cgroup"
    [ -z "$(ls -A "$state" 2>/dev/null)" ] || bad "files: $(ls -A "$state"/*)"
    [ "$(wc -l </proc/self/mountinfo)" = "$mounts_before" ] || bad "a mount"
    # Whatever a hook did is undone by poststop; more than once does not hurt.
    [ ! -s "$log" ] || grep -q poststop "$log" || bad "poststop did not run after $(xargs <"$log")"
}

# Without a container that was made to the end, all of it ends by itself.
gone_without_help() {
    [ -e "$state/$id/state.json" ] || until_true $patience no_process ||
        bad "processes without a container: $(pgrep -af -- "--root $state")"
}

forced() {
    bailey delete --force "$id" || bad "delete --force fails: $(cat "$scratch/out")"
    nothing_left
}

# Kills `bailey ARGS` before its first step, then its second and so on, until it comes to its end, with what is to be done
# before and after each time.
each_step() { # before after args...
    local before=$1 after=$2
    shift 2
    what=$1
    for ((step = 1; step < 1000; step++)); do
        : >"$log"
        "$before"
        timeout -k 5 $hang "$B/tests/tools/killat" ${victim[@]+"${victim[@]}"} "$step" "$RUNTIME" --root "$state" "$@" </dev/null >"$scratch/out" 2>&1
        status=$?
        "$after"
        [ $status = 99 ] || [ $status = 98 ] || break
    done
    echo "$what: $step steps, then status $status"
    [ "$step" -gt 3 ] || bad "these can not be all"
}
