#!/usr/bin/env bats
# bailey completion bash.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    source <("$BAILEY" completion bash)
}

# What is offered for a line whose last word is to be completed. As bash splits it: "=" is a word.
offers() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _bailey
    echo "${COMPREPLY[*]}"
}

@test "it is for bash, and sound" {
    "$BAILEY" completion bash | bash -n
    complete -p bailey | grep -q -- "-F _bailey"
    run "$BAILEY" completion fish
    [ "$output" = "bailey: completion takes the name of a shell, and that is bash" ]
}

@test "commands, and the options that each one's help shows" {
    [ "$(offers bailey sta)" = "start state" ]
    [ "$(offers bailey help up)" = update ]
    for command in '' $("$BAILEY" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
        # shellcheck disable=SC2086
        diff <(offers bailey $command -- | tr ' ' '\n' | sort) \
            <({ "$BAILEY" $command --help | grep -o -- '^  ...\s*--[a-z0-9-]*' | grep -o -- '--.*' || true; echo --help; } | sort -u)
    done
}

@test "values: words, files, directories" {
    cd "$BATS_TEST_TMPDIR"
    mkdir dir
    touch file
    [ "$(offers bailey --log-format "")" = "text json" ]
    [ "$(offers bailey --log-format = j)" = json ]
    [ "$(offers bailey --log-level debug list --format "")" = "table json" ]
    [ "$(offers bailey run --bundle "")" = dir ]
    [ "$(offers bailey run -b d)" = dir ]
    [ "$(offers bailey run --pid-file f)" = file ]
    [ "$(offers bailey run --preserve-fds "")" = "" ]
}

@test "ids of containers, and signals" {
    make_bundle
    "$BAILEY" --root "$STATE" create -b "$BUNDLE" one </dev/null >/dev/null 2>&1 3>&-
    ln -s "$BAILEY" "$BATS_TEST_TMPDIR/bailey"
    PATH=$BATS_TEST_TMPDIR:$PATH
    [ "$(offers bailey --root "$STATE" kill --all "")" = one ]
    [ "$(offers bailey --root = "$STATE" state o)" = one ]
    [ "$(offers bailey --root "$STATE" run "")" = "" ]
    [ "$(offers bailey --root "$STATE" kill one USR)" = "USR1 USR2" ]
    bailey delete -f one
}
