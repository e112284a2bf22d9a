#!/usr/bin/env bash
# demo.sh BUILD_DIR [DIRECTORY]: digest a directory tree (/usr/include), check the result, and see
# how fast the first error ends a group. What `make demo` runs.
set -u
export LC_ALL=C
TIMEFORMAT='  %R s; processor time %U s in the program, %S s in the kernel'

build=${1:?usage: demo.sh BUILD_DIR [DIRECTORY]}
tree=${2:-/usr/include}
bin=$build/examples
status=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\033[1m' green=$'\033[32m' red=$'\033[31m' plain=$'\033[0m'
else
    bold='' green='' red='' plain=''
fi

heading()
{
    printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

# verdict WHAT COMMAND...: run it, say how it ended
verdict()
{
    local what=$1
    shift
    if "$@"; then
        printf '  %sok%s      %s\n' "$green" "$plain" "$what"
    else
        printf '  %sFAILED%s  %s\n' "$red" "$plain" "$what"
        status=1
    fi
}

digest_tree()
{
    "$bin/digest" "$tree" >"$tmp/sums"
}

sums_are_right()
{
    sha256sum -c --quiet "$tmp/sums"
}

sums_are_complete()
{
    find "$tree" -type f -print0 | sort -z | xargs -0r sha256sum | sort >"$tmp/reference"
    sort "$tmp/sums" | cmp - "$tmp/reference" &&
        echo "  $(wc -l <"$tmp/sums") files, $(wc -l <"$tmp/reference") expected"
}

# The cause must be told, and nothing but status 1 is right.
stops_at_unreadable_file()
{
    "$bin/digest" "$tree" "$tree/no-such-file" >/dev/null 2>"$tmp/errors"
    [ $? = 1 ] && sed 's/^/  /' "$tmp/errors" &&
        grep -q "No such file or directory: open $tree/no-such-file" "$tmp/errors"
}

run_and_indent()
{
    "$@" 2>&1 | sed 's/^/  /'
    [ "${PIPESTATUS[0]}" = 0 ]
}

heading "01_hello: three tasks in a group, one fails"
verdict "01_hello" run_and_indent "$bin/01_hello"

heading "05_nested_errors: groups in groups, the error as a tree"
verdict "05_nested_errors" run_and_indent "$bin/05_nested_errors"

if [ -x "$bin/digest" ]; then
    heading "digest: SHA-256 of every file below $tree"
    time verdict "digest" digest_tree
    echo
    verdict "sha256sum -c accepts every sum" sums_are_right
    verdict "find and sha256sum give the same list" sums_are_complete

    heading "digest: a file that cannot be read"
    verdict "the first error stops the run and is named" stops_at_unreadable_file
else
    heading "digest was not built (OpenSSL 3 is missing): skipped"
fi

heading "first_error: a thousand tasks asleep, one fails"
verdict "first_error" run_and_indent "$bin/first_error"

echo
if [ $status = 0 ]; then
    echo "${green}The demo has passed.${plain}"
else
    echo "${red}The demo has FAILED.${plain}"
fi
exit $status
