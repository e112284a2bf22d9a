#!/usr/bin/env bash
# Run the waiting suite over many seeds in the simulated world, each seed twice, and compare the
# two traces (tests/lib/seeds.c).
#
# Usage: sim_seeds.sh [COUNT [FIRST]]       COUNT seeds (default 100) from FIRST (default 1)
#   PRESET=name   whose build to use; default: sim (must be built)
#   JOBS=n        processes at work; default: the processors there are
#   TESTS="..."   programs; default: the waiting suite
#
# Prints a line per failure, and now and then how far it got; the last line says how many seeds
# passed. What the failed runs said is kept in build/sim-failed/. Stopping the process group
# (kill -STOP) pauses between two seeds.
set -u
cd "$(dirname "$0")/.." || exit 2
count=${1:-100} first=${2:-1} chunk=20
bin=$PWD/build/${PRESET:-sim}/tests
kept=$PWD/build/sim-failed
: "${JOBS:=$(nproc)}"
: "${TESTS:=test_chan test_chan_programs test_select test_select_programs test_ctx test_ctx_ambient
    test_errgroup test_errgroup_cancel test_errgroup_limit test_errgroup_misuse
    test_errgroup_record test_misbehaviours test_mutex test_rwlock test_cond test_once
    test_waitgroup test_semaphore test_io test_singleflight test_syncmap test_syncmap_shared test_retry
    test_waterfall test_schedgroup test_schedgroup_races test_task test_life test_handle
    test_panic test_panic_stop test_pin test_threads test_defects test_pitfalls test_sim_sleep
    test_sim_outside test_sim_blocking}"
[ -x "$bin/test_chan" ] || {
    echo "no tests in $bin" >&2
    exit 2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$kept"

# one_chunk FIRST: all programs with its seeds.
one_chunk()
{
    local from=$1 n=$chunk test log
    [ $((from + n)) -le $((first + count)) ] || n=$((first + count - from))
    for test in $TESTS; do
        log=$work/$test-$from
        if ! KNIT_SIM=1 "$bin/$test" --seeds "$from" "$n" >"$log" 2>&1 </dev/null; then
            grep -E '^(FAILED|NOT REPLAYED)' "$log" | sed "s/: --seeds/: $test --seeds/" |
                tee -a "$work/failures"
            tail -n 1 "$log" | grep -q 'seeds passed' ||
                echo "FAILED: $test --seeds $from $n ended early" | tee -a "$work/failures"
            cp "$log" "$kept/"
        fi
        rm -f "$log"
    done
    echo "$from" >>"$work/chunks"
    [ $((from % 500)) -gt $chunk ] || echo "$(date +%T) around seed $from"
}

: >"$work/failures"
export -f one_chunk
export work bin kept TESTS chunk first count
seq "$first" "$chunk" $((first + count - 1)) | xargs -P "$JOBS" -I{} bash -c 'one_chunk {}'

failed=$(grep -oE -- '--seeds [0-9]+' "$work/failures" | sort -u | wc -l)
done_chunks=$(wc -l <"$work/chunks")
passed=$((count - failed))
if [ "$done_chunks" -ne $(((count + chunk - 1) / chunk)) ]; then
    echo "not all chunks came to their end"
    passed=0
fi
echo "$passed of $count seeds passed, each twice with equal traces"
[ "$passed" = "$count" ]
