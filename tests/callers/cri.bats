#!/usr/bin/env bats
# Kubernetes' way: containerd's CRI plugin with a runtime handler `bailey`. docs/containerd.md
bats_require_minimum_version 1.5.0
load helpers
load containerd

setup_file() {
    containerd_begin "$(cri_configuration)"
    export CONTAINERD_NAMESPACE=k8s.io STATES=/run/containerd/bailey/k8s.io
    protoc -I "$BATS_TEST_DIRNAME" --descriptor_set_out="$S/cri.descriptor" cri.proto
    daemon cri /usr/bin/python3 "$BATS_TEST_DIRNAME/cri.py" "$CONTAINERD_ADDRESS" "$S/cri.descriptor" "$S/cri.port"
    wait_for test -e "$S/cri.port"
    cni_configuration
    image
    ctr image import "$S/image.tar" >/dev/null
    image "$S/pause.tar" localhost/pause:1 '{"Entrypoint": ["/bin/sh", "-c", "trap exit TERM; sleep 100000 & wait"]}'
    ctr image import "$S/pause.tar" >/dev/null
    wait_for ready
}

teardown_file() {
    daemon_stop cri
    containerd_end
}

# Root may not lower oom_score_adj everywhere: restrict_oom_score_adj leaves it as it is then.
cri_configuration() {
    cat <<TOML
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/run/containerd/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "bailey"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bailey]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bailey.options]
      BinaryName = "$BAILEY"
      Root = "/run/containerd/bailey"
TOML
}

# A pair of virtual network cards for each pod, and no way out: nothing of the host's needs to be set up.
cni_configuration() {
    mkdir -p /run/containerd/cni
    cat >/run/containerd/cni/10-pods.conflist <<JSON
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": "$S/cni", "ranges": [[{"subnet": "10.88.77.0/24"}]]}}]}
JSON
}

ready() {
    [ "$(cri Status '{}' | jq '[.status.conditions[] | select(.type | test("Ready$")) | .status] | all and length == 2')" = true ]
}

cri() { # method [json]
    local fd verdict
    exec {fd}<>"/dev/tcp/127.0.0.1/$(cat "$S/cri.port")"
    printf '%s %s\n' "$1" "${2:-{\}}" >&$fd
    read -r verdict <&$fd
    [ "$verdict" = ok ] && cat <&$fd || echo "$verdict" >&2
    exec {fd}>&-
    [ "$verdict" = ok ]
}

# Runs a pod; $POD is its id. Further jq filters change its configuration.
pod() { # [filter]
    mkdir -p "$S/logs/$BATS_TEST_NUMBER"
    POD_CONFIG=$(jq -nc --arg name "pod$BATS_TEST_NUMBER" --arg logs "$S/logs/$BATS_TEST_NUMBER" --arg group "/$GROUP" '
        {metadata: {name: $name, uid: $name, namespace: "tests"}, hostname: $name, log_directory: $logs,
         linux: {cgroup_parent: $group, security_context: {namespace_options: {pid: 1}}}}' | jq -c "${1:-.}")
    POD=$(cri RunPodSandbox "{\"runtime_handler\": \"bailey\", \"config\": $POD_CONFIG}" | jq -r .pod_sandbox_id)
    [ -n "$POD" ]
}

# A container of the pod that runs; $C is its id.
container() { # name filter program...
    local name=$1 filter=$2 config
    shift 2
    config=$(jq -nc --arg name "$name" --arg image "$IMAGE" '{metadata: {name: $name}, image: {image: $image},
        command: $ARGS.positional, log_path: ($name + ".log"), linux: {security_context: {namespace_options: {pid: 1}}}}' \
        --args -- "$@" | jq -c "$filter")
    C=$(cri CreateContainer "{\"pod_sandbox_id\": \"$POD\", \"config\": $config, \"sandbox_config\": $POD_CONFIG}" |
        jq -r .container_id)
    [ -n "$C" ]
    cri StartContainer "{\"container_id\": \"$C\"}" >/dev/null
}

inside() { # container program...
    local id=$1
    shift
    jq -nc --arg id "$id" '{container_id: $id, cmd: $ARGS.positional, timeout: 100}' --args -- "$@" >"$BATS_TEST_TMPDIR/request"
    cri ExecSync "$(cat "$BATS_TEST_TMPDIR/request")" >"$BATS_TEST_TMPDIR/answer" || return 1
    jq -r .stdout "$BATS_TEST_TMPDIR/answer" | base64 -d
    jq -r .stderr "$BATS_TEST_TMPDIR/answer" | base64 -d >&2
    return "$(jq -r .exit_code "$BATS_TEST_TMPDIR/answer")"
}

status() { # container field
    cri ContainerStatus "{\"container_id\": \"$1\"}" | jq -r ".status.$2"
}

exited() { # container
    [ "$(status "$1" state)" = 2 ]
}

milliseconds() {
    echo $((${EPOCHREALTIME/./} / 1000))
}

# Everything of the pod goes.
teardown() {
    [ -z "${POD:-}" ] || {
        cri StopPodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
        cri RemovePodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
    } >/dev/null
    wait_for no_states
}

@test "a pod with two containers: one host name and network, own processes, and no runc" {
    pod
    container a . sh -c 'echo "hello from a"; while :; do nc -l -p 8080 -e echo through; done'
    a=$C
    container b . sleep 2000
    b=$C
    [ "$(inside "$a" hostname)" = "pod$BATS_TEST_NUMBER" ]
    [ "$(inside "$b" hostname)" = "pod$BATS_TEST_NUMBER" ]
    wait_for inside "$b" sh -c 'grep -q :1F90 /proc/net/tcp /proc/net/tcp6'
    [ "$(inside "$b" nc 127.0.0.1 8080)" = through ]
    ip=$(cri PodSandboxStatus "{\"pod_sandbox_id\": \"$POD\"}" | jq -r .status.network.ip)
    [[ "$ip" == 10.88.77.* ]]
    [ "$(busybox nc -w 60 "$ip" 8080)" = through ] # from the host
    run inside "$b" ps -o args
    [[ "$output" == *"sleep 2000"* ]]
    [[ "$output" != *8080* ]]
    [[ "$(inside "$b" uname -r)" == *bailey* ]]
    # One kernel for the pod.
    [ "$(jq .keep "$STATES"/*/state.json | sort -u | wc -l)" = 1 ]
    [ "$(jq .pid "$STATES"/*/state.json | sort -u | wc -l)" = 3 ]
    wait_for grep -q ' stdout F hello from a$' "$S/logs/$BATS_TEST_NUMBER/a.log"
}

@test "ExecSync: streams, exit codes, a program that is not there, a timeout" {
    pod
    container a . sleep 1000
    run --separate-stderr inside "$C" sh -c 'echo out; echo err >&2; exit 42'
    [ "$status" -eq 42 ]
    [ "$output" = out ]
    [ "$stderr" = err ]
    run cri ExecSync "{\"container_id\": \"$C\", \"cmd\": [\"/no/such\"]}"
    [ "$status" -eq 1 ]
    echo "$output" >&2
    [[ "$output" == *"no such file or directory"* ]]
    begin=$(milliseconds)
    run cri ExecSync "{\"container_id\": \"$C\", \"cmd\": [\"sleep\", \"555\"], \"timeout\": 1}"
    [ "$status" -eq 1 ]
    [[ "$output" == *DEADLINE_EXCEEDED* || "$output" == *"timeout"* ]]
    [ $(($(milliseconds) - begin)) -lt 200000 ] # the time of the request, not of the program or the client
    run inside "$C" ps -o args
    [[ "$output" != *"sleep 555"* ]]
}

@test "StopContainer: TERM ends what handles it, KILL after the time what does not" {
    pod
    container a . sh -c 'trap "echo bye; exit 42" TERM; echo ready; while :; do sleep 0.1; done'
    a=$C
    container b . sh -c 'trap "" TERM; sleep 1000'
    b=$C
    wait_for grep -q ready "$S/logs/$BATS_TEST_NUMBER/a.log"
    cri StopContainer "{\"container_id\": \"$a\", \"timeout\": 100}"
    [ "$(status "$a" exit_code)" = 42 ]
    wait_for grep -q 'bye' "$S/logs/$BATS_TEST_NUMBER/a.log"
    begin=$(milliseconds)
    cri StopContainer "{\"container_id\": \"$b\", \"timeout\": 1}"
    [ $(($(milliseconds) - begin)) -ge 1000 ]
    [ "$(status "$b" exit_code)" = 137 ]
    cri RemoveContainer "{\"container_id\": \"$a\"}"
    cri RemoveContainer "{\"container_id\": \"$b\"}"
    run cri ContainerStatus "{\"container_id\": \"$b\"}"
    [ "$status" -eq 1 ]
}

@test "a container's end: its status and reason" {
    pod
    container a . sh -c 'exit 3'
    wait_for exited "$C"
    [ "$(status "$C" exit_code) $(status "$C" reason)" = "3 Error" ]
    container b . true
    wait_for exited "$C"
    [ "$(status "$C" exit_code) $(status "$C" reason)" = "0 Completed" ]
    run container c . /no/such
    echo "$output" >&2
    [[ "$output" == *"/no/such"*"no such file or directory"* ]]
}

@test "out of memory: the container is told to be, the other one lives" {
    pod
    container a . sleep 1000
    a=$C
    container b '.linux.resources.memory_limit_in_bytes = 33554432' tail /dev/zero
    wait_for exited "$C"
    [ "$(status "$C" exit_code) $(status "$C" reason)" = "137 OOMKilled" ]
    [ "$(inside "$a" echo alive)" = alive ]
}

@test "statistics are each container's own" {
    pod
    container busy . sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 1000'
    busy=$C
    container idle . sleep 1000
    wait_for inside "$busy" sh -c 'ps -o args | grep -q "^sleep"'
    stats=$(cri ContainerStats "{\"container_id\": \"$busy\"}")
    idle_stats=$(cri ContainerStats "{\"container_id\": \"$C\"}")
    echo "$stats $idle_stats" >&2
    cpu=$(jq -r .stats.cpu.usage_core_nano_seconds.value <<<"$stats")
    [ "$cpu" -gt 100000000 ]
    [ "$(jq -r .stats.cpu.usage_core_nano_seconds.value <<<"$idle_stats")" -lt $((cpu / 2)) ]
    [ "$(jq -r .stats.memory.working_set_bytes.value <<<"$stats")" -gt 200000 ]
    [ "$(jq -r .stats.memory.working_set_bytes.value <<<"$idle_stats")" -gt 200000 ]
}

@test "UpdateContainerResources: the limit holds" {
    pod
    container a '.linux.resources = {memory_limit_in_bytes: 67108864, cpu_quota: 50000, cpu_period: 100000}' sleep 1000
    [[ "$(inside "$C" grep MemTotal /proc/meminfo)" == *" 65536 kB" ]]
    cri UpdateContainerResources "{\"container_id\": \"$C\", \"linux\": {\"memory_limit_in_bytes\": 134217728, \"cpu_shares\": 512}}"
    pid=$("$BAILEY" --root "$STATES" state "$C" | jq .pid)
    group=$(awk -F: '$2 ~ /memory/ { print $3 }' "/proc/$pid/cgroup")
    [ "$(cat "/sys/fs/cgroup/memory$group/memory.limit_in_bytes")" = 134217728 ]
}

@test "UpdateContainerResources: the container sees the new limit" {
    pod
    container a '.linux.resources = {memory_limit_in_bytes: 67108864}' sleep 1000
    cri UpdateContainerResources "{\"container_id\": \"$C\", \"linux\": {\"memory_limit_in_bytes\": 134217728}}"
    [[ "$(inside "$C" grep MemTotal /proc/meminfo)" == *" 131072 kB" ]]
}

@test "what the kubelet may ask of a container: user, groups, environment, mounts, capabilities, a read-only root, profiles" {
    pod
    mkdir -p "$S/volume"
    echo content >"$S/volume/file"
    container a ".envs = [{key: \"A\", value: \"b c\"}] | .working_dir = \"/tmp\"
        | .mounts = [{container_path: \"/v\", host_path: \"$S/volume\", readonly: true}]
        | .linux.security_context += {run_as_user: {value: 1000}, supplemental_groups: [7, 8], readonly_rootfs: true,
            no_new_privs: true, seccomp: {profile_type: 0}, capabilities: {drop_capabilities: [\"ALL\"]}}" sleep 1000
    run inside "$C" sh -c 'exec 2>&1; echo "$A $(pwd) $(id -u) $(id -G) $(cat /v/file)"; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status;
        touch /x; touch /v/x'
    echo "$output" >&2
    [ "${lines[0]}" = "b c /tmp 1000 0 7 8 content" ]
    [[ "$output" == *"CapBnd:"*"0000000000000000"* ]]
    [[ "$output" == *"NoNewPrivs:"*1* ]]
    [[ "$output" == *"/x: Read-only file system"*"/v/x: Read-only file system"* ]]
}

@test "a seccomp profile holds" {
    pod
    container a '.linux.security_context.seccomp = {profile_type: 0}' sleep 1000
    [[ "$(inside "$C" grep Seccomp: /proc/self/status)" == *2 ]]
    run inside "$C" unshare true
    [[ "$output" == *"peration not permitted"* ]]
}

@test "sysctls of the pod are those of its network" {
    pod '.linux.sysctls = {"net.ipv4.ip_local_port_range": "20000 20001"}'
    container a . sleep 1000
    [[ "$(inside "$C" cat /proc/sys/net/ipv4/ip_local_port_range)" == 20000*20001 ]]
}

@test "a pod whose containers see each other's processes" {
    pod '.linux.security_context.namespace_options.pid = 0'
    container a '.linux.security_context.namespace_options.pid = 0' sleep 1000
    a=$C
    container b '.linux.security_context.namespace_options.pid = 0' sleep 2000
    run inside "$a" ps -o args
    echo "$output" >&2
    [[ "$output" == *"sleep 1000"* ]]
    [[ "$output" == *"sleep 2000"* ]]
    cri StopContainer "{\"container_id\": \"$a\", \"timeout\": 0}"
    [ "$(inside "$C" echo alive)" = alive ]
}

@test "a pod in the host's network" {
    pod '.linux.security_context.namespace_options.network = 2'
    container a '.linux.security_context.namespace_options.network = 2' sleep 1000
    [ "$(inside "$C" cat /proc/net/dev | wc -l)" = "$(wc -l </proc/net/dev)" ]
}

@test "the pod is stopped with its containers running; an unknown pod is no error" {
    pod
    container a . sleep 1000
    cri StopPodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
    exited "$C"
    cri StopPodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
    cri RemovePodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
    cri RemovePodSandbox "{\"pod_sandbox_id\": \"$POD\"}"
}

@test "the pod's kernel is killed: sandbox and containers have ended with 137" {
    pod
    container a . sleep 1000
    a=$C
    container b . sleep 1000
    kill -KILL "$(jq .keep "$STATES/$POD/state.json")"
    wait_for exited "$a"
    wait_for exited "$C"
    [ "$(status "$a" exit_code) $(status "$C" exit_code)" = "137 137" ]
    wait_for not_ready
    cri RemoveContainer "{\"container_id\": \"$a\"}"
}

not_ready() {
    [ "$(cri PodSandboxStatus "{\"pod_sandbox_id\": \"$POD\"}" | jq .status.state)" = 1 ]
}
