#!/bin/sh
# Check what the two libraries show and need. nm and readelf are those of binutils: llvm-nm shows no
# symbol versions.
#
# Usage: check_symbols.sh LIBKNIT_SO LIBKNIT_A INCLUDE_DIR     (CC may be set)
set -eu

so=$1 archive=$2
include=$(cd "$3" && pwd)
: "${CC:=cc}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# fail MESSAGE [FILE]: the lines of FILE are what is wrong.
fail()
{
    echo "FAILED: $1"
    [ $# -lt 2 ] || sed 's/^/    /' "$2"
    failed=1
}

# What the headers declare: the first knit name before a parenthesis after the attribute.
for header in "$include"/knit.h "$include"/knit/*.h; do
    printf '#include "%s"\n' "$header"
done >"$work/all.c"
$CC -std=c11 -I"$include" -E -P "$work/all.c" | tr '\n' ' ' | tr ';}' '\n\n' |
    grep 'visibility("default")' |
    sed 's/.*visibility("default")))//' |
    grep -o 'knit_[a-z0-9_]*[[:space:]]*(' | tr -d ' (' | sort -u >"$work/declared"

# What the library exports, and under which version.
nm -D --defined-only --with-symbol-versions "$so" |
    awk '$2 != "A" {print $3}' | sort >"$work/versioned"
grep -v '@@KNIT_0\.[0-9]*$' "$work/versioned" >"$work/unversioned" || true
sed 's/@.*//' "$work/versioned" | sort -u >"$work/exported"

comm -23 "$work/declared" "$work/exported" >"$work/missing"
comm -13 "$work/declared" "$work/exported" >"$work/extra"
[ -s "$work/declared" ] || fail "no declaration found in $include"
[ ! -s "$work/missing" ] || fail "declared in a public header, not exported" "$work/missing"
[ ! -s "$work/extra" ] || fail "exported, not declared in a public header" "$work/extra"
[ ! -s "$work/unversioned" ] || fail "exported without a KNIT_0.x version" "$work/unversioned"

# The static library puts nothing into a program's name space but knit_ names.
nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 {print $3}' |
    grep -v '^knit_' >"$work/foreign" || true
[ ! -s "$work/foreign" ] || fail "global in libknit.a without the prefix" "$work/foreign"

# The loader's view.
readelf -d -W "$so" >"$work/dynamic"
readelf -l -W "$so" >"$work/segments"
sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" |
    grep -v -e '^libc\.so\.' -e '^libpthread\.so\.' -e '^ld-linux' >"$work/needed" || true
[ ! -s "$work/needed" ] || fail "needs more than libc and pthreads" "$work/needed"
grep -q 'SONAME.*\[libknit\.so\.[0-9]*\]' "$work/dynamic" || fail "no SONAME libknit.so.N"
! grep -q TEXTREL "$work/dynamic" || fail "has text relocations"
grep 'GNU_STACK' "$work/segments" | grep -q 'RW ' || fail "wants an executable stack"
nm -D --undefined-only "$so" | grep __tls_get_addr >"$work/tls" || true
[ ! -s "$work/tls" ] || fail "a thread-local is reached by a call, not initial-exec" "$work/tls"

echo "$(wc -l <"$work/declared") functions declared, $(wc -l <"$work/exported") exported"
exit $failed
