# containerd.bash: a containerd of our own in $S. Sourced after helpers.bash.
# shellcheck shell=bash
export CONTAINERD_ADDRESS CONTAINERD_NAMESPACE

containerd_begin() { # [more configuration]
    engine_begin /run/containerd
    CONTAINERD_ADDRESS=$S/containerd.sock
    CONTAINERD_NAMESPACE=$GROUP
    mkdir "$S/bin"
    ln -s "$BAILEY" "$S/bin/runc"
    cat >"$S/containerd.toml" <<TOML
version = 2
root = "$S/root"
state = "$S/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"${2:-}]
[grpc]
address = "$CONTAINERD_ADDRESS"
${1:-}
TOML
    containerd_start
}

containerd_start() {
    daemon containerd env PATH="$S/bin:$PATH" containerd -c "$S/containerd.toml"
    wait_for ctr version
}

containerd_end() {
    daemon_stop containerd
    engine_end
}
