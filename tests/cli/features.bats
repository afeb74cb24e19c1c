#!/usr/bin/env bats
# bailey features: that it says what the parser takes.
bats_require_minimum_version 1.5.0
load helpers

features() {
    "$BAILEY" features | jq -r "$@"
}

# The configuration is read to its end, and no further.
reads() {
    config '.root.path = "/nonexistent"'
    run --separate-stderr bailey create -b "$BUNDLE" x </dev/null
    echo "$stderr"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"bailey: config.json: root.path: /nonexistent: No such file or directory" ]]
}

@test "the document has every member of the specification, and no unknown one" {
    features '[paths(type != "object") | select(all(type == "string")) | join(".")] | unique | .[]' \
        >"$BATS_TEST_TMPDIR/has"
    sort >"$BATS_TEST_TMPDIR/wants" <<'EOT'
annotations.dev.bailey.checkpoint.enabled
annotations.dev.bailey.syscalls.partial
annotations.dev.bailey.syscalls.unimplemented
annotations.dev.bailey.version
hooks
linux.apparmor.enabled
linux.capabilities
linux.cgroup.rdma
linux.cgroup.systemd
linux.cgroup.systemdUser
linux.cgroup.v1
linux.cgroup.v2
linux.intelRdt.enabled
linux.intelRdt.monitoring
linux.intelRdt.schemata
linux.memoryPolicy.flags
linux.memoryPolicy.modes
linux.mountExtensions.idmap.enabled
linux.namespaces
linux.netDevices.enabled
linux.seccomp.actions
linux.seccomp.archs
linux.seccomp.enabled
linux.seccomp.knownFlags
linux.seccomp.operators
linux.seccomp.supportedFlags
linux.selinux.enabled
mountOptions
ociVersionMax
ociVersionMin
potentiallyUnsafeConfigAnnotations
EOT
    diff <(sort "$BATS_TEST_TMPDIR/has") "$BATS_TEST_TMPDIR/wants"
}

@test "annotations that change what is done are said to be unsafe" {
    local prefix
    for prefix in dev.bailey. io.kubernetes.cri. io.kubernetes.cri-o. org.opencontainers.image.stopSignal org.systemd.property.; do
        [ "$(features --arg p "$prefix" '.potentiallyUnsafeConfigAnnotations | index($p) != null')" = true ]
    done
}

@test "both versions are taken, and the next ones are not" {
    make_bundle
    for v in $(features '.ociVersionMin, .ociVersionMax') 1.3.9 1.2.0-rc.1 1.1.0+dev; do
        config --arg v "$v" '.ociVersion = $v'
        reads
    done
    for v in 0.9.0 1.4.0 2.0.0; do
        config --arg v "$v" '.ociVersion = $v'
        run bailey create -b "$BUNDLE" x
        [ "$output" = "bailey: config.json: ociVersion: version $v is not supported, only 1.0.0 to 1.3.x" ]
    done
}

@test "each mount option, namespace, capability, action, operator, architecture and flag is one that the parser knows" {
    make_bundle
    "$BAILEY" features >"$BATS_TEST_TMPDIR/f.json"
    # With SCMP_ACT_ERRNO by default, so that nothing depends on what is compiled in.
    config --slurpfile f "$BATS_TEST_TMPDIR/f.json" '$f[0] as $f
        | .linux.namespaces = [$f.linux.namespaces[] | {type: .}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}] | .linux.gidMappings = .linux.uidMappings
        | .process.capabilities.bounding = $f.linux.capabilities
        | .linux.seccomp = {
            defaultAction: "SCMP_ACT_ERRNO",
            architectures: $f.linux.seccomp.archs,
            flags: $f.linux.seccomp.supportedFlags,
            syscalls: ([$f.linux.seccomp.actions[] | {names: ["getpid"], action: .}]
                + [$f.linux.seccomp.operators[] | {names: ["getppid"], action: "SCMP_ACT_ALLOW", args: [{index: 0, value: 1, op: .}]}])
          }
        | .hooks = ([$f.hooks[] | {(.): [{path: "/bin/true"}]}] | add)'
    reads
    [[ "$stderr" != *CAP_* ]]
}

@test "what is not listed is refused" {
    make_bundle
    cp "$BUNDLE/config.json" "$BATS_TEST_TMPDIR/good"
    refuses() { # jq message
        cp "$BATS_TEST_TMPDIR/good" "$BUNDLE/config.json"
        config "$1"
        run bailey create -b "$BUNDLE" x
        echo "$output"
        [[ "$output" == *"bailey: config.json: $2" ]]
    }
    refuses '.linux.namespaces += [{type: "fs"}]' 'linux.namespaces[6].type: unknown namespace type "fs"'
    refuses '.linux.seccomp = {defaultAction: "SCMP_ACT_X"}' 'linux.seccomp.defaultAction: unknown value "SCMP_ACT_X"'
    refuses '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_Z80"]}' \
        'linux.seccomp.architectures: unknown architecture "SCMP_ARCH_Z80"'
    refuses '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", flags: ["F"]}' 'linux.seccomp.flags: unknown flag "F"'
}

@test "what runc lists is listed" {
    command -v runc || skip "no runc"
    runc features >"$BATS_TEST_TMPDIR/runc.json" 2>/dev/null || skip "runc without features"
    "$BAILEY" features >"$BATS_TEST_TMPDIR/bailey.json"
    for list in .hooks .mountOptions .linux.namespaces .linux.capabilities .linux.seccomp.actions .linux.seccomp.operators \
        .linux.seccomp.archs .linux.seccomp.knownFlags; do
        # What a later runc may know is not for us to have.
        missing=$(jq -n --slurpfile r "$BATS_TEST_TMPDIR/runc.json" --slurpfile b "$BATS_TEST_TMPDIR/bailey.json" \
            "((\$r[0] | $list) // []) - (\$b[0] | $list) | join(\" \")")
        echo "$list: $missing"
        [ "$missing" = '""' ]
    done
}

@test "the calls that the keep does not answer are those of docs/syscalls.md" {
    doc=$BATS_TEST_DIRNAME/../../docs/syscalls.md
    for name in $(features '.annotations["dev.bailey.syscalls.unimplemented"]' | tr , ' '); do
        grep -q "\`$name\`" "$doc" || { echo "$name is not in the docs"; false; }
    done
    [[ ",$(features '.annotations["dev.bailey.syscalls.unimplemented"]')," != *",read,"* ]]
}

@test "it says the same anywhere" {
    [ "$(env -i "$BAILEY" features)" = "$(cd / && "$BAILEY" --root /nonexistent features)" ]
    run "$BAILEY" features x
    [ "$output" = 'bailey: features takes no argument, but there is "x"' ]
}
