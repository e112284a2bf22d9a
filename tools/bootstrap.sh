#!/bin/sh
# Make sure that what a goal needs is installed: does nothing, quickly, when it is.
#
# Usage: bootstrap.sh demo|test|bench
#
# On Debian (and what is made from it) missing packages are installed by apt-get, as root or by a
# sudo that asks for no password. Elsewhere, or without those rights, the list is printed.
# KNIT_NO_SETUP=1 skips all of it: then what is missing shows up as errors of the build.
set -eu

[ "${KNIT_NO_SETUP:-0}" != 1 ] || exit 0
goal=${1:?"usage: bootstrap.sh demo|test|bench"}

# clang's sanitizer runtimes are packaged by its version.
clang_runtime()
{
    version=14
    if [ -x /usr/bin/clang ]; then
        version=$(/usr/bin/clang -dumpversion | cut -d. -f1)
    else
        . /etc/os-release
        [ "${VERSION_ID:-12}" != 13 ] || version=19
    fi
    echo "libclang-rt-$version-dev"
}

base="gcc libc6-dev make cmake"
optional=
case $goal in
demo)
    wanted="$base libssl-dev"
    ;;
test)
    wanted="$base g++ pkg-config python3 binutils libssl-dev clang llvm valgrind
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
    # the libraries of examples, and the server that one of their tests starts
    wanted="$wanted libcurl4-openssl-dev libsqlite3-dev libpq-dev postgresql"
    wanted="$wanted libuv1-dev libglib2.0-dev libmicrohttpd-dev"
    [ ! -r /etc/os-release ] || wanted="$wanted $(clang_runtime)"
    ;;
bench)
    wanted="$base g++ pkg-config python3 libssl-dev"
    optional="golang-go golang-golang-x-sync-dev libtbb-dev libboost-fiber-dev libomp-dev clang
        cargo librust-tokio-dev librust-crossbeam-channel-dev liburcu-dev libuv1-dev wrk"
    ;;
*)
    echo "bootstrap.sh: no such goal: $goal" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is no Debian system: make sure that you have what these packages hold:" >&2
    echo "    "$wanted >&2
    exit 0
fi

# The words of $@ that are not installed. One call; a package that is unknown is not installed.
# (libfoo0 may be there as libfoo0:amd64, or be provided by another package: pkg-config by pkgconf.)
missing()
{
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
        sed -n 's/^installed //p' | sed 's/([^)]*)//g' | tr ', ' '\n\n' | sort -u)
    printf '%s\n' "$@" | sort -u | grep -vxF -e "$installed" || true
}

need=$(missing $wanted)
extra=$([ -z "$optional" ] || missing $optional)
[ -n "$need$extra" ] || exit 0

# The words of $@ that apt could install. Empty package lists offer nothing.
offered()
{
    for package in "$@"; do
        if LC_ALL=C apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]'; then
            echo "$package"
        fi
    done
}

if [ "$(id -u)" = 0 ]; then
    as_root="env"
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    if [ -n "$need" ]; then
        all=$(echo $need $(offered $extra))
        echo "Packages are missing, and I may not install them. Run:" >&2
        echo "    sudo sh -c 'apt-get update &&" \
            "apt-get install -y --no-install-recommends $all'" >&2
        exit 1
    fi
    echo "Not installed, gone without: "$extra >&2
    exit 0
fi

apt="$as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300"
updated=no

update()
{
    [ $updated = no ] || return 1
    updated=yes
    $apt update
}

# The package lists may be absent, or older than the archive: then fetch them, once.
install()
{
    [ "$(offered "$@" | wc -l)" = $# ] || update || true
    $apt install -y --no-install-recommends "$@" && return
    update && $apt install -y --no-install-recommends "$@"
}

# The server's package would make a database and run a server for it. The test brings its own.
no_main_cluster()
{
    conf=/etc/postgresql-common/createcluster.conf
    [ -e $conf ] || $as_root sh -c "mkdir -p ${conf%/*} && echo 'create_main_cluster = false' >$conf"
}

if [ -n "$need" ]; then
    case " "$need" " in
    *[[:space:]]postgresql[[:space:]]*) no_main_cluster ;;
    esac
    echo "Installing "$need
    if ! install $need </dev/null; then
        echo "Could not install the packages. Install them yourself and run this again:" >&2
        echo "    apt-get install --no-install-recommends "$need >&2
        exit 1
    fi
fi

if [ -n "$extra" ]; then
    [ -n "$(offered $extra)" ] || update || true
    extra=$(offered $extra)
    if [ -n "$extra" ]; then
        echo "Installing "$extra
        install $extra </dev/null || echo "Gone without: "$extra >&2
    fi
fi
