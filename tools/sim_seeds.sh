#!/usr/bin/env bash
# Run the waiting suite over many seeds in the simulated world, each seed twice, and compare the
# two traces.
#
# Usage: sim_seeds.sh [COUNT [FIRST]]       COUNT seeds (default 100) from FIRST (default 1)
#   PRESET=name   whose build to use; default: sim (must be built)
#   JOBS=n        processes at work; default: the processors there are
#   SCALE=n       KNIT_TEST_SCALE, default 20
#   TESTS="..."   programs; default: the waiting suite
#
# Prints a line per failure; the last line says how many seeds passed. What failed is kept in
# build/sim-failed/.
set -u
cd "$(dirname "$0")/.." || exit 2
count=${1:-100} first=${2:-1}
bin=$PWD/build/${PRESET:-sim}/tests
: "${JOBS:=$(nproc)}" "${SCALE:=20}"
: "${TESTS:=test_chan test_chan_programs test_ctx test_ctx_ambient test_errgroup
    test_errgroup_cancel test_errgroup_limit test_errgroup_misuse test_errgroup_record
    test_misbehaviours test_task test_threads}"
[ -x "$bin/test_chan" ] || {
    echo "no tests in $bin" >&2
    exit 2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p build/sim-failed

# once TEST SEED FILE: without the times, which are real.
once()
{
    KNIT_SIM=$2 KNIT_SIM_TRACE=- KNIT_TEST_SCALE=$SCALE timeout -k 5 300 "$bin/$1" >"$3" 2>&1 \
        </dev/null
    local status=$?
    sed -i -E '/^# [0-9]+ passed/d; s/ # [0-9.]+ s$//' "$3"
    return $status
}

# one_seed SEED
one_seed()
{
    local seed=$1 test ok=1
    for test in $TESTS; do
        local a=$work/$seed-$test-a b=$work/$seed-$test-b
        if ! once "$test" "$seed" "$a"; then
            echo "FAILED: KNIT_SIM=$seed $test"
        elif ! once "$test" "$seed" "$b"; then
            echo "FAILED the second time: KNIT_SIM=$seed $test"
        elif ! cmp -s "$a" "$b"; then
            echo "NOT REPLAYED: KNIT_SIM=$seed $test"
        else
            rm -f "$a" "$b"
            continue
        fi
        ok=0
        cp "$work/$seed-$test-"* build/sim-failed/
        rm -f "$a" "$b"
    done
    [ $ok = 1 ] && echo "passed $seed" >>"$work/passed"
}

: >"$work/passed"
export -f once one_seed
export work bin TESTS SCALE
seq "$first" $((first + count - 1)) | xargs -P "$JOBS" -I{} bash -c 'one_seed {}'
passed=$(wc -l <"$work/passed")
echo "$passed of $count seeds passed, each twice with equal traces"
[ "$passed" = "$count" ]
