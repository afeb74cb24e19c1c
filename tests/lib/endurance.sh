# endurance.sh: sourced by tests/endurance/*.sh. What there is on the host, before and after many containers.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/attack.sh"
scratch_open
state=$scratch/state
id=bt-$BAILEY_TEST_RUN-endure-$$
result=0

# Kernel objects of the whole host: other tests make and end some meanwhile, but a leak would be one for each container.
kernel_objects() {
    local cache
    # Else what was freed and a CPU keeps aside to be used again is counted.
    for cache in net_namespace pid_namespace uts_namespace user_namespace mnt_cache; do
        echo 1 >"/sys/kernel/slab/$cache/shrink"
    done 2>/dev/null
    awk '/^(net_namespace|pid_namespace|uts_namespace|user_namespace|mnt_cache) / { print $1, $2 }' /proc/slabinfo 2>/dev/null
    awk '/^(memory|pids|freezer)\t/ { print "cgroups-" $1, $3 }' /proc/cgroups
}

# Grown by more than a hundred? By more than six hundred where they are mounts: a mount namespace has tens of them.
objects_grew() {
    kernel_objects >"$scratch/objects.now"
    join <(sort "$scratch/objects") <(sort "$scratch/objects.now") |
        awk '$3 > $2 + ($1 == "mnt_cache" ? 600 : 100) { print; n++ } END { exit n == 0 }'
}
objects_settled() {
    ! objects_grew >/dev/null || { sleep 1 && false; }
}

no_process() { ! pgrep -f -- "--root $state" >/dev/null; }

remember() {
    kernel_objects >"$scratch/objects"
    mounts=$(wc -l </proc/self/mountinfo)
    files=$(ls -A /tmp /var/tmp /run | sort | sha256sum)
}

compare() {
    until_true $patience no_process || bad "processes: $(pgrep -af -- "--root $state" | head)"
    [ -z "$(ls -A "$state" 2>/dev/null)" ] || bad "files: $(ls "$state" | head)"
    [ "$(wc -l </proc/self/mountinfo)" = "$mounts" ] || bad "mounts: $(tail -3 /proc/self/mountinfo)"
    [ -z "$(find /sys/fs/cgroup -type d -name "$id*" -print -quit)" ] || bad "cgroups: $(find /sys/fs/cgroup -name "$id*" | head)"
    until_true 300 objects_settled || bad "the kernel's objects grew: $(objects_grew | xargs)"
}
