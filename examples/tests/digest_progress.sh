#!/usr/bin/env bash
# The live line: on a terminal only, without colours under NO_COLOR, gone at the end.
# shellcheck source=examples/tests/lib.sh
. "$(dirname "$0")/lib.sh" "$1"

command -v script >/dev/null || {
    echo "script(1) is missing: not tested"
    exit 0
}

truncate -s 300M large
export TERM=xterm

run 0 large
grep -q $'\r' err && fail "a live line in a file"

# on_terminal ENVIRONMENT...: run with stderr on a terminal; what it shows goes to the file shown
on_terminal()
{
    env "$@" script -qec "'$digest' -j 1 large large large large >out" /dev/null >shown </dev/null ||
        fail "script"
}

# live PATTERN ENVIRONMENT...: shown at one of five times; the first is due after a tenth of a second
live()
{
    local i
    for i in 1 2 3 4 5; do
        on_terminal "${@:2}"
        grep -q "$1" shown && return
    done
    fail "no live line: $1"
}

live $'\r\033\\[36m[0-9]* files  [0-9.]* [kMGT]*B  [0-9.]* [kMGT]*B/s\033\\[0m\033\\[K' -u NO_COLOR
tail -n 1 shown | grep -q $'\r\033\\[Kdigest: 4 files, 1.3 GB, ' || fail "the live line stays"

live $'\r[0-9]* files  ' NO_COLOR=1
grep -q $'\033\\[[0-9]*m' shown && fail "colours under NO_COLOR"

on_terminal TERM=dumb
grep -q $'\033' shown && fail "escape sequences on a dumb terminal"
exit 0
