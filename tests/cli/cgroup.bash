# cgroup.bash: sourced after helpers.bash by the .bats files about control groups. $ID is the container, with the run's number in
# it: whatever of that name is below /sys/fs/cgroup is the test's.
# shellcheck shell=bash
# shellcheck source=tests/lib/cgroups.sh
. "$BATS_TEST_DIRNAME/../lib/cgroups.sh"

id_for() { # file's part of the name
    ID=bt-${BAILEY_TEST_RUN:-$$}-$1-$BATS_TEST_NUMBER
}

needs_v1() {
    is_v1 && [ -w /sys/fs/cgroup ] || skip "reads the files of version 1"
}

needs_cgroups() {
    [ -w /sys/fs/cgroup ] || skip "no cgroups that can be written"
    is_v1 || is_v2_alone || skip "no cgroups mounted"
}

# Creates and starts the bundle, as $ID.
create_it() {
    create "$ID"
    bailey start "$ID"
}

# The same with a program that does nothing.
start_it() {
    args sleep 1000
    create_it
}

no_cgroup_left() {
    [ -z "$(find /sys/fs/cgroup -name "*$ID*")" ]
}

# As teardown.
delete_it() {
    bailey delete --force "$ID" || true
    no_cgroup_left
}
