#!/usr/bin/env bash
# More files than the reorder window holds, one large file first: the output is the same whatever
# the number of tasks.
# shellcheck source=examples/tests/lib.sh
. "$(dirname "$0")/lib.sh" "$1"

many tree 10000
truncate -s 50M tree/a-large-file # comes first, is finished last
reference sha256sum tree >reference

for jobs in 1 2 3 8 64; do
    run 0 -j "$jobs" tree
    same out reference
    grep -Eq '^digest: 10001 files, 52.5 MB, [0-9.]+ s, [0-9.]+ [kMG]?B/s$' err ||
        fail "summary with -j $jobs"
done
run 0 tree
same out reference
exit 0
