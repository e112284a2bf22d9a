#!/usr/bin/env bash
# readme.sh README EXAMPLE: the first C block of the README is the example, which is built and run.
set -u
sed -n '/^```c$/,/^```$/{/^```/!p;/^```$/q}' "$1" | diff - "$2" || {
    echo "the first C block of README.md differs from $2"
    exit 1
}
