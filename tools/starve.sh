#!/usr/bin/env bash
# Run tests while some of their threads, chosen at random, hardly get to run (tools/starve.c): a test
# that fails takes something for granted about time or order, or has found a defect.
#
# Usage: starve.sh [PRESET [CTEST-ARGUMENT...]]      the preset's tests, default ci-gcc; built before
#   SEED=n   default: a new one, printed
#   JOBS=n   tests at a time; default: three for each processor, so that idle threads do starve
#
# Needs root, or the right to raise a priority. QEMU and Valgrind are programs of their own, whose
# threads it does not see. Exit status: ctest's.
set -u
cd "$(dirname "$0")/.." || exit 2
preset=${1:-ci-gcc}
[ $# -eq 0 ] || shift
: "${SEED:=$RANDOM}" "${JOBS:=$((3 * $(nproc)))}"

folder=$(sed -n "/\"name\": \"$preset\"/,/}/s/.*\"configurePreset\": \"\(.*\)\".*/\1/p" \
    CMakePresets.json | head -n 1)
mkdir -p build
cc -std=c11 -O2 -Wall -Wextra -o build/starve tools/starve.c || exit 2
echo "SEED=$SEED"
build/starve "$PWD/build/${folder:-$preset}/" "$SEED" &
starve=$!
trap 'kill $starve' EXIT
sleep 0.1
kill -0 $starve 2>/dev/null || exit 2
ctest --preset "$preset" --parallel "$JOBS" "$@"
