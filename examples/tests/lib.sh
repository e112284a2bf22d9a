#!/usr/bin/env bash
# Sourced by the tests of digest: $digest is the program, $tmp a directory of this test.
set -u
export LC_ALL=C

digest=$(readlink -f "$1")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/knit-example.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

fail()
{
    echo "FAILED: $*" >&2
    for f in "$tmp"/err "$tmp"/*.err; do
        if [ -f "$f" ]; then
            echo "--- $f" >&2
            head -c 4000 "$f" >&2
        fi
    done
    exit 1
}

# run STATUS ARGUMENT...: digest must exit with STATUS; output in the files out and err.
run()
{
    local want=$1 got
    shift
    "$digest" "$@" >"$tmp/out" 2>"$tmp/err"
    got=$?
    [ "$got" = "$want" ] || fail "digest $*: exit status $got, not $want"
}

# What digest should print for the files below its arguments: the order of names in each directory
# is the order of paths in which the slash comes before everything else.
reference()
{
    local program=$1 root
    shift
    for root in "$@"; do
        find "$root" -type f -print0 | tr / '\001' | sort -z | tr '\001' / | xargs -0r "$program"
    done
}

same()
{
    cmp "$1" "$2" >&2 || fail "$1 and $2 differ"
}

# many DIRECTORY N: a tree of N small files.
many()
{
    local i
    mkdir -p "$1"
    for ((i = 0; i < $2; i++)); do
        ((i % 100 == 0)) && mkdir -p "$1/d$((i / 100))"
        echo "$i" >"$1/d$((i / 100))/file-$i"
    done
}

# until_true COMMAND...: wait for a condition; a minute is for ever.
until_true()
{
    local i
    for ((i = 0; i < 6000; i++)); do
        "$@" && return 0
        sleep 0.01
    done
    fail "waited in vain for: $*"
}
