#!/usr/bin/env bash
# Build and test the presets, one after the other, and add up the results.
#
# Usage: run_matrix.sh [STEP...]
#   gcc clang asan tsan valgrind arm64 migrate     (all of these when none is named; the gcc step
#                                                  has one seed of the simulated world)
#   sim                                            (more seeds, smaller steps; only when named)
#   stress                                         (long; only when named)
#
# The last line on stdout is "N passed, N failed": tests of all steps; a step that
# cannot be built counts as one failure. Exit status 0: everything passed, and something ran.
#   JOBS=n   compile and test with n processes; default: the processors there are
set -u
cd "$(dirname "$0")/.." || exit 2
unset MAKEFLAGS MAKELEVEL MFLAGS
: "${JOBS:=$(nproc)}"

passed=0 failed=0 skipped=0
bad_steps=()
under=()

heading()
{
    printf '\n==== %s\n' "$*"
}

# quietly LOG COMMAND...: the output goes to LOG, and is shown when the command fails.
quietly()
{
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null && return
    echo "FAILED: $*"
    if [ "$(wc -l <"$log")" -gt 200 ]; then
        grep -nE 'error|warning' "$log" | head -n 40
        echo "..."
    fi
    tail -n 120 "$log"
    echo "(all of it: $log)"
    return 1
}

# build PRESET
build()
{
    mkdir -p "build/$1"
    quietly "build/$1/configure.log" cmake --preset "$1" &&
        quietly "build/$1/build.log" cmake --build --preset "$1" --parallel "$JOBS"
}

# attribute FILE NAME: a number of the <testsuite> element.
attribute()
{
    tr '\n\t' '  ' <"$1" | sed -n "s/^[^>]*?>[^>]* $2=\"\([0-9]*\)\".*/\1/p"
}

# count FILE: add the results in a JUnit file; false when there is none.
count()
{
    local tests failures skips lost
    [ -s "$1" ] || return 1
    tests=$(attribute "$1" tests)
    # ctest calls a test skipped whose program does not exist.
    lost=$(grep -c '<skipped message="Unable to find' "$1")
    failures=$(($(attribute "$1" failures) + lost))
    skips=$(($(attribute "$1" skipped) + $(attribute "$1" disabled) - lost))
    passed=$((passed + tests - failures - skips))
    failed=$((failed + failures))
    skipped=$((skipped + skips))
}

# run_tests PRESET DIR: ctest says what failed; the JUnit file says how many.
run_tests()
{
    local junit=$PWD/build/$2/results-$1.xml status
    rm -f "$junit"
    "${under[@]}" timeout -k 10 "${STEP_SECONDS:-600}" \
        ctest --preset "$1" --parallel "$JOBS" --output-junit "$junit" </dev/null
    status=$?
    if ! count "$junit"; then
        echo "FAILED: ctest ended with status $status and without results"
        failed=$((failed + 1))
    fi
    return $status
}

# step NAME WHAT BUILD_PRESET TEST_PRESET
step()
{
    local start=$SECONDS before=$passed/$failed
    heading "$1: $2"
    if ! build "$3"; then
        failed=$((failed + 1))
        bad_steps+=("$1 (build)")
    elif ! run_tests "$4" "$3"; then
        bad_steps+=("$1")
    fi
    if [ "$before" = "$passed/$failed" ]; then
        echo "FAILED: no test ran"
        failed=$((failed + 1))
        bad_steps+=("$1 (nothing ran)")
    fi
    echo "---- $1: $((SECONDS - start)) s"
}

# TSan cannot live with the address space randomization of some kernels.
tsan_step()
{
    local probe=build/tsan-probe
    mkdir -p build
    if echo 'int main(void) { return 0; }' | clang -fsanitize=thread -x c -o $probe - &&
        ! $probe >/dev/null 2>&1 && setarch -R $probe >/dev/null 2>&1; then
        under=(setarch -R)
    fi
    step tsan "ThreadSanitizer (clang)" tsan tsan
    under=()
}

run_step()
{
    case $1 in
    gcc) step gcc "gcc, warnings are errors, all tests" ci-gcc ci-gcc ;;
    clang) step clang "clang, warnings are errors; each test once" ci-clang ci-clang ;;
    asan) step asan "AddressSanitizer and UndefinedBehaviorSanitizer (gcc)" asan asan ;;
    tsan) tsan_step ;;
    valgrind) step valgrind "Valgrind, smoke tests" valgrind valgrind ;;
    arm64) step arm64 "64-bit Arm under QEMU" arm64 arm64 ;;
    migrate) step migrate "gcc, every parked task resumes elsewhere" ci-gcc migrate ;;
    sim) step sim "simulated world" sim sim ;;
    stress) STEP_SECONDS=7200 step stress "long seeded tests" ci-gcc stress ;;
    *)
        echo "no such step: $1" >&2
        exit 2
        ;;
    esac
}

[ $# -gt 0 ] || set -- gcc clang asan tsan valgrind arm64 migrate
for name in "$@"; do
    run_step "$name"
done

heading "all steps: $SECONDS s"
[ $skipped = 0 ] || echo "$skipped skipped (see above)"
echo "$passed passed, $failed failed"
if [ ${#bad_steps[@]} -gt 0 ]; then
    printf 'Failed: %s\n' "${bad_steps[@]}" >&2
fi
[ $failed = 0 ] && [ ${#bad_steps[@]} = 0 ] && [ $passed -gt 0 ]
