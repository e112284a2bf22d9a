#!/usr/bin/env bash
# Files that cannot be read. Permissions do not keep root out, so: a name that does not exist, a
# file whose read fails (/proc/self/mem at 0: EIO), a directory that is too deep for any path
# (ENAMETOOLONG) inside of a tree, and what is no file.
# shellcheck source=examples/tests/lib.sh
. "$(dirname "$0")/lib.sh" "$1"

many tree 3000

# Stop at the first error; the cause is printed, an echo of the cancel is not.
run 1 tree no-such-file
grep -q '^digest: stopped at the first error:$' err || fail "no heading"
grep -q '^#[0-9]* hash_files (.*:[0-9]*): No such file or directory: open no-such-file$' err ||
    fail "no cause"
[ "$(grep -c '^ *#' err)" = 1 ] || fail "more than one cause"
sha256sum -c --quiet out >check.err 2>&1 || [ ! -s out ] || fail "sums printed before the error"
tail -n 1 err | grep -q '^digest: [0-9]* files\{0,1\}, ' || fail "no summary"

run 1 /proc/self/mem
grep -q ': Input/output error: read /proc/self/mem$' err || fail "no EIO"
run 1 /dev/null
grep -q ': Invalid argument: /dev/null is neither a regular file nor a directory$' err ||
    fail "a device"
mkfifo fifo
run 1 fifo # at once: nobody waits for a writer
run 1 ''

# Keep going: everything that can be read is printed, every error is listed.
mkdir deep
(
    name=$(printf 'n%.0s' {1..250})
    cd deep || exit 1
    for i in {1..18}; do
        mkdir "$name" && cd -P "$name" || exit 1
    done
    echo unreachable >file
) 2>/dev/null
many other 200
reference sha256sum tree other >reference
for jobs in 1 2 8; do
    run 1 -j "$jobs" --keep-going tree none-1 /proc/self/mem deep none-2 other none-3
    same out reference
    grep -q '^digest: errors:$' err || fail "no heading"
    for cause in 'No such file or directory: open none-1' 'No such file or directory: open none-2' \
        'No such file or directory: open none-3' 'Input/output error: read /proc/self/mem' \
        'File name too long: .* deep/n'; do
        [ "$(grep -c ": $cause" err)" = 1 ] || fail "-j $jobs --keep-going: not once: $cause"
    done
    [ "$(grep -c '^ *#' err)" = 5 ] || fail "-j $jobs --keep-going: not 5 errors"
    tail -n 1 err | grep -q '^digest: 3200 files, ' || fail "no summary"
done

# Very many errors, one after the other
mapfile -t missing < <(seq -f 'missing-%g' 2000)
run 1 -j 4 -k tree "${missing[@]}"
[ "$(grep -c ': No such file or directory: open missing-[0-9]*$' err)" = 2000 ] ||
    fail "2000 errors"
reference sha256sum tree >reference
same out reference

if [ "$(id -u)" != 0 ]; then
    mkdir private
    echo secret >tree/secret
    chmod 000 tree/secret private
    run 1 -k tree private
    chmod 700 private
    grep -q ': Permission denied: open tree/secret$' err || fail "permission of a file"
    grep -q ': Permission denied: read directory private$' err || fail "permission of a directory"
fi
exit 0
