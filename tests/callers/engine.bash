# engine.bash: sourced after helpers.bash by docker.bats, podman.bats and podman_rootless.bats: what is asked of each. They set ENGINE, the function that
# runs the command; COMMAND, the same as words; and OPTIONS, those of each run.
# shellcheck shell=bash
# shellcheck source=tests/lib/cgroups.sh
. "$BATS_TEST_DIRNAME/../lib/cgroups.sh"

engine() {
    "$ENGINE" "$@"
}

e_run() { # option... image program...
    engine run --rm "${OPTIONS[@]}" "$@" </dev/null
}

start_x() { # option... image program...
    engine run --detach --name x1 "${OPTIONS[@]}" "$@" </dev/null >/dev/null
}

state() { # field
    engine inspect --format "{{.State.$1}}" x1
}

is() { # status
    [ "$(state Status)" = "$1" ]
}

says() { # line
    engine logs x1 | grep -qx "$1"
}

answers() { # command...
    [ "$("$@")" = through ]
}

streams_and_status() {
    run --separate-stderr e_run $IMAGE sh -c 'echo out; echo err >&2; exit 7'
    [ "$status" -eq 7 ]
    [ "$output" = out ]
    [ "$stderr" = err ]
    run engine run --rm -i "${OPTIONS[@]}" $IMAGE sh -c 'cat; uname -r' <<<through
    [ "${lines[0]}" = through ]
    [[ "${lines[1]}" == *[Bb]ailey* ]]
}

programs_that_cannot_be() {
    run -127 e_run $IMAGE /no/such
    run -127 e_run $IMAGE nosuch
    run -126 e_run $IMAGE /etc/passwd
    wait_for no_states
}

terminals() {
    needs script
    on_terminal "${COMMAND[*]} run --rm -it --name x1 ${OPTIONS[*]} $IMAGE sh -c '$SHOWS_SIZE'" engine exec x1 touch /seen
    start_x $IMAGE sleep 1000
    on_terminal "${COMMAND[*]} exec -it x1 sh -c '$SHOWS_SIZE'" engine exec x1 touch /seen
}

all_comes_out() {
    head -c 3000000 /dev/urandom >"$S/bytes"
    engine run --rm -i "${OPTIONS[@]}" $IMAGE cat <"$S/bytes" | cmp - "$S/bytes"
    for i in 1 2 3 4; do
        e_run $IMAGE sh -c "sleep 0.5; exit $i" &
        pids[i]=$!
    done
    for i in 1 2 3 4; do
        status=0
        wait "${pids[i]}" || status=$?
        [ "$status" -eq "$i" ]
    done
    wait_for no_states
}

execs() {
    start_x $IMAGE sleep 1000
    run engine exec --user 1000:7 --env A=b --workdir /tmp x1 sh -c 'echo "$(id -u) $(id -g) $A $(pwd)"; exit 9'
    [ "$status" -eq 9 ]
    [ "$output" = "1000 7 b /tmp" ]
    run engine exec -i x1 cat <<<through
    [ "$output" = through ]
    engine exec --detach x1 sleep 2000
    wait_for engine exec x1 sh -c 'ps -o args | grep -x "sleep 2000"'
    run engine exec --privileged x1 grep CapEff /proc/self/status
    [[ "$output" == *ffff* ]]
}

stops_by_term() {
    start_x $IMAGE sh -c 'trap "echo bye; exit 42" TERM; echo ready; while :; do sleep 0.1; done'
    wait_for says ready
    engine stop --time $LIMIT x1
    [ "$(state Status) $(state ExitCode)" = "exited 42" ]
    [ "$(engine logs x1)" = $'ready\nbye' ]
    engine rm x1
}

stops_by_kill() { # option...
    start_x "$@" $IMAGE sleep 1000
    engine stop --time 1 x1
    [ "$(state ExitCode)" = 137 ]
    engine start x1
    engine restart --time 0 x1
    is running
    engine kill --signal KILL x1
    [ "$(engine wait x1)" = 137 ]
}

pauses() {
    engine pause x1
    is paused
    engine unpause x1
    is running
}

tells_its_use() { # processes that there are at least
    run engine stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' x1
    [[ "$output" != 0B* ]]
    [ "${output##* }" -ge "$1" ]
}

runs_out_of_memory() {
    start_x --memory 32m $IMAGE tail /dev/zero
    wait_for is exited
    [ "$(state ExitCode)" = 137 ]
}

sees_its_limits() {
    start_x --memory 64m --cpus "$(awk -v us="$(one_processor)" 'BEGIN { print us / 100000 }')" --pids-limit 50 $IMAGE sleep 1000
    [[ "$(engine exec x1 grep MemTotal /proc/meminfo)" == *" 65536 kB" ]]
    [ "$(engine exec x1 nproc)" = 1 ]
    engine update --memory 128m --memory-swap 256m "$@" x1
    [[ "$(engine exec x1 grep MemTotal /proc/meminfo)" == *" 131072 kB" ]]
}

volumes_and_the_like() { # descriptors capabilities [option...]
    engine volume create vol >/dev/null
    e_run --volume vol:/data $IMAGE sh -c 'echo kept >/data/file'
    mkdir "$S/volume"
    echo content >"$S/volume/file"
    run e_run --volume vol:/data --volume "$S/volume:/v:ro" --tmpfs /t:size=1m --read-only --user 1000:7 --cap-add SYS_TIME \
        --cap-drop CHOWN --env A=b --workdir /tmp --hostname named --shm-size 10m "${@:3}" $IMAGE sh -c 'exec 2>&1
        echo "$(id -u) $(id -g) $A $(pwd) $(hostname) $(ulimit -n) $(cat /data/file) $(cat /v/file)"
        touch /t/x && echo tmpfs; touch /x; touch /v/x; grep CapBnd /proc/self/status; df /dev/shm | tail -1'
    echo "$output" >&2
    [ "${lines[0]}" = "1000 7 b /tmp named $1 kept content" ]
    [ "${lines[1]}" = tmpfs ]
    [[ "$output" == *"/x: Read-only file system"*"/v/x: Read-only file system"* ]]
    [[ "$output" == *CapBnd:*"$2"* ]]
    [[ "$output" == *" 10240 "* ]]
    engine volume rm vol >/dev/null
}

without_its_profile() {
    run e_run --security-opt seccomp=unconfined --security-opt no-new-privileges $IMAGE \
        grep -E 'Seccomp:|NoNewPrivs' /proc/self/status
    [[ "$output" == *NoNewPrivs:*1*Seccomp:*0* ]]
    run e_run --privileged $IMAGE sh -c 'grep -E "Seccomp:|CapEff" /proc/self/status; mkdir /m && mount -t tmpfs x /m && echo mounted'
    echo "$output" >&2
    [[ "$output" == *ffff*0* ]]
    [[ "$output" == *mounted* ]]
}

copies_and_commits() {
    start_x $IMAGE sleep 1000
    echo content >"$S/file"
    engine cp "$S/file" x1:/copied
    [ "$(engine exec x1 cat /copied)" = content ]
    engine exec x1 sh -c 'echo more >>/copied'
    engine cp x1:/copied "$S/back"
    [ "$(cat "$S/back")" = $'content\nmore' ]
    engine diff x1 | grep -qx 'A /copied'
    engine commit x1 committed >/dev/null
    [ "$(e_run committed tail -1 /copied)" = more ]
    engine rmi committed >/dev/null
}

ends_with_what_stands_for_it() {
    start_x $IMAGE sleep 1000
    "$BAILEY" --root "$STATES" list -q | grep -qx "$(engine inspect --format '{{.Id}}' x1)"
    kill -KILL "$(state Pid)"
    wait_for is exited
    [ "$(state ExitCode)" = 137 ]
    engine start x1
    kill -KILL "$(jq .keep "$STATES/$(engine inspect --format '{{.Id}}' x1)/state.json")"
    wait_for is exited
    [ "$(state ExitCode)" = 137 ]
    engine rm x1
    wait_for no_states
}
