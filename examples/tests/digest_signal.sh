#!/usr/bin/env bash
# Ctrl-C: exit status 128 + signal soon after it, all complete lines printed, no partial one.
# shellcheck source=examples/tests/lib.sh
. "$(dirname "$0")/lib.sh" "$1"

many tree 300
truncate -s 8T huge 2>/dev/null || truncate -s 200G huge # sparse: hours, or minutes

# under_way PID [rchar: or wchar: [BYTES]]: digest has read (or written) so many bytes. Without an
# amount: more than is in the tree, so it is busy with the huge file.
under_way()
{
    local field value
    case $(cat "/proc/$1/comm" 2>/dev/null) in
    '' | bash | env) return 1 ;; # not there yet
    esac
    while read -r field value; do
        [ "$field" = "${2:-rchar:}" ] && ((value >= ${3:-4000000})) && return 0
    done 2>/dev/null <"/proc/$1/io"
    return 1
}

# interrupt_once SIGNAL STATUS ARGUMENT...: true if all files before the huge one were finished
interrupt_once()
{
    local signal=$1 want=$2 pid got start end
    shift 2
    # a shell's background job ignores SIGINT; a terminal's foreground job does not
    env --default-signal=INT "$digest" "$@" >out 2>err &
    pid=$!
    until_true under_way "$pid"
    start=$(date +%s%N)
    kill -"$signal" "$pid"
    wait "$pid"
    got=$?
    end=$(date +%s%N)
    [ "$got" = "$want" ] || fail "SIG$signal: exit status $got, not $want"
    (((end - start) / 1000000 < 30000)) || fail "SIG$signal: $(((end - start) / 1000000)) ms"
    grep -q '^digest: interrupted: ' err || fail "SIG$signal: not reported"
    reference sha256sum tree >reference
    [ -z "$(grep -vxFf reference out)" ] || fail "SIG$signal: wrong lines, or a part of one"
    # a task may have stopped in a small file while others were at the huge one
    cmp -s out reference && tail -n 1 err | grep -q '^digest: 300 files, '
}

# All lines, which it should be at most times.
interrupt()
{
    local i
    for i in 1 2 3 4 5; do
        interrupt_once "$@" && return
    done
    fail "SIG$1: lines are missing each time"
}

interrupt INT 130 tree huge huge
interrupt TERM 143 tree huge
interrupt HUP 129 -j 8 tree huge
interrupt INT 130 --keep-going tree huge
interrupt INT 130 --keep-going tree no-such-file huge
grep -q ': No such file or directory: open no-such-file$' err || fail "errors before the interrupt"

# ignored from the start: stays ignored
(trap '' INT; exec "$digest" huge >out 2>err) &
pid=$!
until_true under_way "$pid"
kill -INT "$pid"
kill -TERM "$pid"
wait "$pid"
[ $? = 143 ] || fail "SIGINT was not ignored"

# a pipe that nobody reads: the output is stuck, the cancel is not
many big 6000
mkfifo fifo
exec 5<>fifo
env --default-signal=INT "$digest" big huge >&5 2>err 5>&- &
pid=$!
until_true under_way "$pid" wchar: 60000
kill -INT "$pid"
wait "$pid"
[ $? = 130 ] || fail "stuck output: exit status"
exit 0
