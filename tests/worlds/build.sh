#!/bin/sh
# Make a bundled world again: a small kernel, a dump of a guest that panicked with it, and the
# packages and the signed repository that a distribution would publish for it.
#
#   tests/worlds/build.sh NAME WORKDIR [OUTPUT]
#
# NAME is debian12, rhel8, sles15, ubuntu2204 or ubuntu2404.  Needs Debian 12, about 3 GB in WORKDIR
# and some ten minutes; the next world in the same WORKDIR needs less.  SOURCE=DIR takes an unpacked
# linux-source-6.1 instead of apt's; then SOURCE_VERSION tells its package version.  Steps whose
# result lies in WORKDIR already are skipped.
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
usage="usage: build.sh debian12|rhel8|sles15|ubuntu2204|ubuntu2404 WORKDIR [OUTPUT]"
NAME=${1:?$usage}
mkdir -p "${2:?$usage}"
WORK=$(cd "$2" && pwd)
WORLD=$WORK/$NAME
OUT=${3:-$HERE/$NAME}

. "$HERE/kernel.sh"
. "$HERE/foreign.sh"
. "$HERE/rpm.sh"
. "$HERE/deb.sh"
case $NAME in
    debian12 | rhel8 | sles15) . "$HERE/$NAME.sh" ;;
    ubuntu2204 | ubuntu2404) . "$HERE/ubuntu.sh" ;;
    *) echo "$usage" >&2 && exit 2 ;;
esac

# Each of these has set TOOLS, and RELEASE and the rest that kernel.sh asks for.
# shellcheck disable=SC2086 # a list of names
install_tools $TOOLS
get_source
build
take_dump
say "packing"
rm -rf "$WORLD/repo" "$WORLD/root"
new_key "$WORLD/archive-key.asc"
pack
forget_key
rm -rf "$OUT/repo" && mkdir -p "$OUT"
cp -r "$WORLD/repo" "$OUT/repo"
install -m 644 "$WORLD/archive-key.asc" "$WORLD/vmcore" "$OUT/"
du -sk "$OUT" >&2
