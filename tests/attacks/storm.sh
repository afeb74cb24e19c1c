#!/bin/bash
# Random calls, by honest gates and by hostile ones, do not hurt the keep: init is served rightly after each round, and the
# sandbox goes when it ends. The seeds are fixed. storm.sh SECONDS [SEED] goes on for so long, from that seed on, through all
# configurations (`make fuzz`); storm.sh 0 SEED CONFIGURATION is one seed again.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
scratch_open
result=0
seconds=${1:-}
bundle=$(bundle_new b busybox) || die "no bundle"
mkdir "$scratch/bin"
cp "$B/tests/attacks/storm" "$scratch/bin/storm"
bundle_set "$bundle" --arg bin "$scratch/bin" '.mounts += [
    {destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=64m"]},
    {destination: "/test", type: "bind", source: $bin, options: ["bind", "ro"]}]'
cp "$bundle/config.json" "$scratch/config.json"

# What a configuration changes: config.json, and the options.
configure() { # name
    cp "$scratch/config.json" "$bundle/config.json"
    options=()
    case $1 in
    plain) ;;
    lanes) options=(--lanes=off) ;;
    strace) options=(--strace) ;;
    memory) options=(--overlay=memory) ;;
    capable) bundle_set "$bundle" '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE",
        "CAP_IPC_OWNER", "CAP_SYS_RESOURCE", "CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_SYS_NICE"])' ;;
    limits) bundle_set "$bundle" '.linux.resources += {memory: {limit: 300000000}, pids: {limit: 60}}' ;;
    profile) bundle_set "$bundle" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64"], syscalls: [{names: ["read", "sendto", "fork"], action: "SCMP_ACT_ERRNO",
        args: [{index: 2, value: 77, op: "SCMP_CMP_EQ"}]}]}' ;;
    network) bundle_set "$bundle" '.linux.namespaces |= map(select(.type != "network"))' ;;
    *) die "no such configuration: $1" ;;
    esac
}

storm() { # configuration seed rounds
    local status id
    id=$(container_id storm)
    configure "$1"
    bundle_args "$bundle" /test/storm "$2" "$3" 4 1000
    bundle_run "$RUNTIME" "$bundle" "$id" "${options[@]}" </dev/null >"$scratch/out" 2>"$scratch/err"
    status=$?
    echo "$1, seed $2: status $status"
    if [ $status = 42 ] && ! grep -aqE 'Sanitizer|runtime error:' "$scratch/err"; then
        return
    fi
    result=1
    tail -n 3 "$scratch/out"
    grep -aE -A 60 'Sanitizer|runtime error:' "$scratch/err" || tail -n 5 "$scratch/err"
}

if [ -z "$seconds" ]; then
    storm plain 1 3
    storm capable 4 2
    storm lanes 6 1
    storm strace 7 1
    storm memory 8 1
    storm profile 9 1
elif [ -n "${3:-}" ]; then
    storm "$3" "$2" 1
else
    seed=${2:-$(date +%s)}
    SECONDS=0
    while [ $SECONDS -lt "$seconds" ]; do
        for configuration in plain capable lanes limits strace network memory profile; do
            storm $configuration "$seed" 5
            seed=$((seed + 5))
        done
    done
fi
exit $result
