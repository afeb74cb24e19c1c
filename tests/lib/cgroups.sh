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
