#!/bin/bash
# lint.sh FILE.c...: clang-tidy (.clang-tidy), cppcheck and shellcheck, and what is too long to be read at once; says no more than what it
# finds.
set -uo pipefail
failed=0
read -ra flags <<<"${CPPFLAGS:-} -std=c17 -Wall -Wextra -fcf-protection"

printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I{} clang-tidy --quiet {} -- "${flags[@]}" 2>/dev/null || failed=1
cppcheck --quiet --std=c11 --inline-suppr --error-exitcode=1 --enable=warning,portability \
    --suppress=missingInclude --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
    --suppressions-list=tools/cppcheck.suppressions -D_GNU_SOURCE -D__x86_64__ -I. -j "${JOBS:-2}" "$@" || failed=1
# Those of tests/workloads run inside a container, after a preamble that shellcheck does not see.
git ls-files 'tools/*.sh' 'tests/lib/*.sh' tests/run.sh .ci/run | xargs shellcheck --severity=warning -e SC2154,SC2034 || failed=1
# A function fits a screen, a file is about one thing: the tests' and the gate's, too.
git ls-files '*.[chS]' | xargs awk 'FNR == 1 { begin = 0 }
    /^{/ { begin = FNR }
    /^}/ && begin { if (FNR - begin >= 60) { print FILENAME ":" begin ": a function of " FNR - begin + 1 " lines"; long = 1 } begin = 0 }
    FNR == 601 { print FILENAME ": more than 600 lines"; long = 1 }
    END { exit long }' || failed=1
[ $failed = 0 ] && echo "lint: nothing found"
exit $failed
