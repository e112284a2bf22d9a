#!/bin/sh
# Install the built library to a prefix, then build and run a user's program against that alone:
# through pkg-config and through find_package, shared and static.
#
# Usage: install_consumer.sh BUILD_DIR WORK_DIR     (CC, CMAKE and PKG_CONFIG may be set)
set -eu

build=$1 work=$2
consumer=$(cd "$(dirname "$0")" && pwd)/consumer
: "${CC:=cc}" "${CMAKE:=cmake}" "${PKG_CONFIG:=pkg-config}"

rm -rf "$work"
mkdir -p "$work"
"$CMAKE" --install "$build" --prefix "$work/first" >"$work/install.log"
# What is installed may be moved: nothing in it knows where it was.
mv "$work/first" "$work/prefix"
prefix=$work/prefix

pc=$(find "$prefix" -name knit.pc)
libdir=$(dirname "$(dirname "$pc")")
for file in "$prefix/include/knit.h" "$prefix/include/knit/errgroup.h" "$libdir/libknit.so" \
    "$libdir/libknit.so.0" "$libdir/libknit.a" "$libdir/cmake/knit/knitConfig.cmake"; do
    [ -e "$file" ] || { echo "not installed: $file"; exit 1; }
done
if grep -rqF -e "$build" -e "$work" "$libdir/cmake" "$libdir/pkgconfig"; then
    echo "an installed file names a folder of the build:"
    grep -rF -e "$build" -e "$work" "$libdir/cmake" "$libdir/pkgconfig"
    exit 1
fi

echo "---- pkg-config"
export PKG_CONFIG_PATH="$libdir/pkgconfig"
"$PKG_CONFIG" --validate knit
version=$("$PKG_CONFIG" --modversion knit)
$CC -std=c11 -Wall -Wextra -Werror -o "$work/by_pkgconfig" "$consumer/consumer.c" \
    $("$PKG_CONFIG" --cflags --libs knit)
LD_LIBRARY_PATH=$libdir "$work/by_pkgconfig" | tee "$work/by_pkgconfig.out"
grep -q "^knit $version: .* sum 30$" "$work/by_pkgconfig.out"

echo "---- pkg-config, static"
$CC -std=c11 -static -o "$work/by_pkgconfig_static" "$consumer/consumer.c" \
    $("$PKG_CONFIG" --static --cflags --libs knit)
"$work/by_pkgconfig_static"

echo "---- find_package"
"$CMAKE" -S "$consumer" -B "$work/by_cmake" -DCMAKE_C_COMPILER="$CC" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$work/by_cmake.log"
"$CMAKE" --build "$work/by_cmake" >>"$work/by_cmake.log"
"$work/by_cmake/consumer_shared"
"$work/by_cmake/consumer_static"
