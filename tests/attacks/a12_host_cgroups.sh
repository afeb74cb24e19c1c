#!/bin/bash
# A12 (CVE-2023-25809): what a container sees of cgroups is its own; the host's cannot be written, with or without a cgroup
# namespace, writable mount or not.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cgroups() { find /sys/fs/cgroup -type d ! -path '*/bailey/*' ! -path '*bt-*' 2>/dev/null | grep -i evil; }
release_agents() { find /sys/fs/cgroup -maxdepth 2 -name release_agent -exec cat {} + 2>/dev/null | sha256sum; }
before=$(release_agents)
bundle_set "$bundle" '.process.capabilities |= with_entries(.value += ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])'
bundle_args "$bundle" /bin/sh -c 'cd /sys/fs/cgroup && ls -R . | head -50
    for d in . *; do
        mkdir $d/evil; echo /test/agent >$d/release_agent; echo 1 >$d/notify_on_release
        echo -1 >$d/memory.limit_in_bytes; echo max >$d/memory.max; echo 1 >$d/cgroup.procs; echo a >$d/devices.allow
        echo $$ >$d/cgroup.procs; echo $$ >$d/../cgroup.procs; mkdir $d/../evil
    done 2>/dev/null
    mkdir /test/mnt; for t in cgroup cgroup2; do mount -t $t none /test/mnt && ls /test/mnt && mkdir /test/mnt/evil
        mount -t $t -o memory none /test/mnt && mkdir /test/mnt/evil; done 2>/dev/null
    exit 0'
cp "$bundle/config.json" "$scratch/config.json"
for type in cgroup cgroup2; do
    for option in rw ro; do
        for ns in '[]' '[{"type": "cgroup"}]'; do
            cp "$scratch/config.json" "$bundle/config.json"
            bundle_set "$bundle" --arg t $type --arg o $option --argjson ns "$ns" '.linux.namespaces += $ns | .mounts += [
                {"destination": "/sys/fs/cgroup", "type": $t, "source": $t, "options": ["nosuid", "noexec", "nodev", $o]}]
                | .linux.resources.memory = {"limit": 50000000}'
            id=$(container_id cg)
            bailey run --bundle "$bundle" "$id" </dev/null >"$scratch/out" 2>&1
            status=$?
            echo "$type $option $ns: status $status, sees: $(head -c 60 "$scratch/out" | tr "\n" " ")"
            ! grep -q "$id" "$scratch/out" || bad "$type $option: the host's names are seen"
            [ -z "$(cgroups)" ] || bad "$type $option: made on the host: $(cgroups)"
        done
    done
done
[ "$(release_agents)" = "$before" ] || bad "a release agent of the host changed"
conclude
