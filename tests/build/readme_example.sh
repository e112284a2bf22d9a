#!/bin/sh
# The first C block of README.md, as it stands: must compile, run and succeed.
#
# Usage: readme_example.sh ROOT LIB_DIR WORK_DIR     (CC may be set)
set -eu

root=$1 lib=$2 work=$3
: "${CC:=cc}"

rm -rf "$work"
mkdir -p "$work"
awk '/^```c[[:space:]]*$/ && !seen {inside = seen = 1; next} /^```/ {inside = 0} inside' \
    "$root/README.md" >"$work/example.c"
[ -s "$work/example.c" ] || { echo "no \`\`\`c block in README.md"; exit 1; }

$CC -std=c11 -Wall -Wextra -Werror -I"$root/include" -o "$work/example" "$work/example.c" \
    -L"$lib" -lknit -Wl,-rpath,"$lib"
cd "$work"
timeout 30 ./example
