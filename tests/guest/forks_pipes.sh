# Nobody may call this: what a runtime does about its own descriptors is not the program's doing.
bundle_set "$bundle" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [
    {action: "SCMP_ACT_KILL_PROCESS", names: ["close_range"]}]}'
