#!/usr/bin/env bash
# Standard output that takes no more: reported, exit status 1, no hang.
# shellcheck source=examples/tests/lib.sh
. "$(dirname "$0")/lib.sh" "$1"

many tree 5000 # more output than a pipe holds

for option in --jobs=2 --keep-going; do
    "$digest" $option tree >/dev/full 2>err
    [ $? = 1 ] || fail "$option >/dev/full: exit status"
    grep -q ': No space left on device: write standard output$' err || fail "$option >/dev/full"

    "$digest" $option tree 2>err | head -n 1 >line
    [ "${PIPESTATUS[0]}" = 1 ] || fail "$option | head: exit status"
    grep -q ': Broken pipe: write standard output$' err || fail "$option | head"
    sha256sum -c --quiet line || fail "$option | head: the line"

    "$digest" $option tree >&- 2>err
    [ $? = 1 ] || fail "$option >&-: exit status"
    grep -q ': Bad file descriptor: write standard output$' err || fail "$option >&-"
done

# a pipe whose reader takes its time gets everything
"$digest" tree 2>err | { sleep 0.3; cat; } >slow
[ "${PIPESTATUS[0]}" = 0 ] || fail "slow reader: exit status"
reference sha256sum tree >reference
same slow reference
exit 0
