#!/usr/bin/env bash
# A tree with every kind of name and of directory entry: digest lists what `find -type f` lists, and
# sha256sum -c accepts its output.
# shellcheck source=examples/tests/lib.sh
. "$(dirname "$0")/lib.sh" "$1"

mkdir -p tree/sub/deeper tree/empty-dir 'tree/with space' $'tree/new\nline dir' 'tree/back\slash dir'
head -c 3000000 /dev/urandom >tree/large
head -c 262144 /dev/urandom >tree/exactly-one-buffer
: >tree/empty
names=('a' 'a.txt' 'a-b' ' leading' 'trailing ' 'two  spaces' '-dash' '--help' '*' '$HOME' '"q"'
    "'s'" $'tab\tname' $'new\nline' $'ends in newline\n' $'\n' 'back\slash' '\\' 'ends in backslash\'
    $'cr\rname' $'\001\002' $'utf8-\xc3\xa4' $'not-utf8-\xff\xfe' '#' ':' '.hidden' '..two' '...')
for name in "${names[@]}"; do
    echo "$name" >"tree/$name"
    echo "$name" >"tree/with space/$name"
    echo "$name" >$'tree/new\nline dir/'"$name"
    echo "$name" >"tree/back\\slash dir/$name"
done
long=$(printf 'n%.0s' {1..255})
echo long >"tree/$long"
deep=tree
for i in {1..300}; do deep=$deep/deep; done
mkdir -p "$deep"
echo deep >"$deep/file"

# entries that are no regular files
ln -s large tree/link-to-file
ln -s sub tree/link-to-dir
ln -s nowhere tree/dangling
ln -s loop tree/loop
ln -s .. tree/sub/up
mkfifo tree/fifo

run 0 tree
mv out sums
sha256sum -c --quiet sums >check.err 2>&1 || fail "sha256sum -c refuses the sums"
find tree -type f -print0 | xargs -0 sha256sum | sort >reference
sort sums >sums.sorted
same sums.sorted reference

# The order: with \001 in a name `reference` would not work.
find tree -name $'*\001*' -delete
reference sha256sum tree >reference
run 0 tree
same out reference

# Other ways to name the same
for arguments in tree/ ./tree ../"$(basename "$tmp")"/tree; do
    reference sha256sum "$arguments" >reference
    run 0 "$arguments"
    same out reference
done
(cd tree && reference sha256sum . >../reference && "$digest" >../out 2>../err) || fail "no argument"
same out reference
run 0 tree/large tree/sub tree/empty-dir tree/empty -- tree/large
sha256sum tree/large tree/empty tree/large >reference
same out reference
run 0 tree/link-to-file tree/link-to-dir # named on the command line: followed
sha256sum tree/link-to-file >reference
same out reference

# Other algorithms
reference md5sum tree >reference
run 0 --md5 tree
same out reference
reference sha512sum tree >reference
run 0 --algorithm sha512 tree
same out reference
run 1 --algorithm no-such-digest tree

# Nothing at all
run 0 tree/empty-dir
[ -s out ] && fail "output for an empty directory"
grep -Eq '^digest: 0 files, 0 B, [0-9.]+ s, 0 B/s$' err || fail "summary of an empty directory"

# Usage
run 0 --help
grep -q '^Usage: digest' out || fail "--help"
run 2 --no-such-option
run 2 -j 0 tree
run 2 -j many tree
exit 0
