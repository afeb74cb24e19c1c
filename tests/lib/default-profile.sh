# default-profile.sh: sourced by the tests. The profile that engines give containers, as config.json has it.
# shellcheck shell=bash
#
# It comes with Debian's golang-github-containers-common (podman's), in the form that engines share: rules may depend
# on capabilities, kernel and architecture.
DEFAULT_PROFILE=/usr/share/containers/seccomp.json

default_profile() {
    jq --argjson caps "$(jq '.process.capabilities.bounding // []' "$1")" '
        def applies: (.includes.caps // [] | all(. as $c | $caps | index($c)))
            and ((.excludes.caps // []) | any(. as $c | $caps | index($c)) | not)
            and (.includes.arches == null or (.includes.arches | index("amd64") != null))
            and (.excludes.arches == null or (.excludes.arches | index("amd64") == null));
        {defaultAction, architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]}
        + (if .defaultErrnoRet then {defaultErrnoRet} else {} end)
        + {syscalls: [.syscalls[] | select(applies) | {names, action}
            + (if .errnoRet then {errnoRet} else {} end)
            + (if (.args // []) != [] then {args: [.args[] | {index, value, valueTwo, op}]} else {} end)]}' \
        "$DEFAULT_PROFILE"
}
