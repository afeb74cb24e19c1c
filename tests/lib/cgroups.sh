# cgroups.sh: sourced by tests. Which control groups this host, or this test's own mount namespace, has.
# shellcheck shell=bash

# Whether all that there is at /sys/fs/cgroup is the tree of version 2.
is_v2_alone() {
    [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]
}

# Whether the controllers are those of version 1, alone or beside a tree of version 2.
is_v1() {
    [ -d /sys/fs/cgroup/memory ] && ! is_v2_alone
}

# The quota in a period of 100000 us that is worth one processor: less, where the tree's root, a group of the host's as
# this run sees it, has less. Version 1 refuses a group more than the one above it has.
one_processor() {
    local at=/sys/fs/cgroup/cpu quota=-1 period=100000
    if [ -r "$at/cpu.cfs_quota_us" ]; then
        quota=$(cat "$at/cpu.cfs_quota_us")
        period=$(cat "$at/cpu.cfs_period_us")
    fi
    if [ "$quota" -gt 0 ] && [ "$quota" -lt "$period" ]; then
        echo $((quota * 100000 / period))
    else
        echo 100000
    fi
}
