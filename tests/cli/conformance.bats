#!/usr/bin/env bats
# docs/conformance.md: each row says how it stands, and each test that it names exists.
bats_require_minimum_version 1.5.0

setup() {
    TESTS=$(realpath "$BATS_TEST_DIRNAME/..")
    PAGE=$TESTS/../docs/conformance.md
    EXPECTED=$TESTS/conformance/expected.txt
}

# The file of a test, by "folder/name".
file_of() {
    local file
    for file in "$TESTS/$1".{bats,c,sh,py,js,pl} "$TESTS/guest/$1"; do
        [ ! -f "$file" ] || echo "$file"
    done
}

# "folder/name: beginning of the test's name", or without a name where the file is one test.
exists() {
    local where=${1%%: *} name=${1#*: } file
    if [ "$where" = runtime-tools ]; then
        grep -qE "^${name} +pass$" "$EXPECTED"
        return
    fi
    file=$(file_of "$where")
    [ -n "$file" ] || return 1
    [ "$where" != "$1" ] || return 0
    case $file in
    *.bats) sed -n 's/^@test "\(.*\)" {$/\1/p' "$file" | sed 's/\\"/"/g' | awk -v n="$name" 'index($0, n) == 1 { ok = 1 } END { exit !ok }' ;;
    */unit/*) grep -qE "cmocka_unit_test[a-z_]*\(${name}[,)]" "$file" ;;
    *) grep -qF -- "$name" "$file" ;;
    esac
}

rows() {
    grep -E '^\| [A-Z][0-9]+ \|' "$PAGE"
}

@test "conformance: every test that is named exists" {
    local reference n=0
    while read -r reference; do
        echo "$reference" >&2
        exists "$reference"
        n=$((n + 1))
    done < <(rows | awk -F' \\| ' '{ print $4 }' | grep -o '`[^`]*`' | tr -d '`')
    [ "$n" -gt 100 ]
}

@test "conformance: each row is there once, says how it stands, and has a test where it says yes" {
    local name what state tests n=0
    [ -z "$(rows | awk '{ print $2 }' | sort | uniq -d)" ]
    while IFS='|' read -r _ name what state tests _; do
        echo "$name|$state|$tests" >&2
        [[ "$state" =~ ^\ (yes|part:\ .+|no:\ .+|open)\ $ ]]
        [[ "$state" != *yes* && "$state" != *part:* ]] || [[ "$tests" == *\`* ]]
        n=$((n + 1))
    done < <(rows)
    [ "$n" -gt 90 ]
}

@test "conformance: each test of the suite that does not pass has a reason, there and on the page" {
    local name result reason n=0
    while read -r name result reason; do
        n=$((n + 1))
        [ "$result" != pass ] || continue
        [[ "$result" =~ ^(fail|time|any)$ ]]
        [ "${#reason}" -gt 10 ]
        grep -qE "^\| .*\`$name\`.* \| .+ \|$" "$PAGE"
    done < <(grep -vE '^(#|$)' "$EXPECTED")
    [ "$n" = 58 ]
}
