#!/usr/bin/env bash
# expected.sh PROGRAM FILE [ARGUMENT...]: the program's output must match FILE line by line, each a glob pattern
# with "N" for a number. The first line says the exit status. Lines are sorted first if the file
# begins with "sorted": tasks may print in any order.
set -u
export LC_ALL=C

program=$1
{
    read -r order want
    pattern=$(cat)
} <"$2"

output=$("$program" "${@:3}" 2>&1)
status=$?
[ "$order" = sorted ] && output=$(sort <<<"$output")
output=$(sed -E 's/[0-9]+\.[0-9]+/N/g' <<<"$output")

# shellcheck disable=SC2053
if [ "$status" != "$want" ] || [[ $output != $pattern ]]; then
    printf 'exit status %s, expected %s\n--- output\n%s\n--- expected\n%s\n' \
        "$status" "$want" "$output" "$pattern"
    exit 1
fi
