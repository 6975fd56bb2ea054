#!/bin/sh
# Make tests/worlds/debian12: a small kernel from Debian's linux-source, a dump of a guest that
# panicked with it, and an apt repository that publishes its debug symbols as Debian's does.
#
#   tests/worlds/build_debian.sh WORKDIR [OUTPUT]
#
# Needs Debian 12, about 3 GB in WORKDIR and some ten minutes. SOURCE=DIR takes an unpacked
# linux-source-6.1 instead of apt's; then SOURCE_VERSION tells its package version. Steps whose
# result lies in WORKDIR already are skipped.
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: build_debian.sh WORKDIR [OUTPUT]}"
WORK=$(cd "$1" && pwd)
OUT=${2:-$HERE/debian12}
NEEDED="gcc-12 libc6-dev make flex bison bc libelf-dev libssl-dev xz-utils kmod cpio dwz
    busybox-static qemu-system-x86 seabios makedumpfile dpkg-dev apt-utils gnupg python3-pyelftools"

# ABI and revision 999 are no real kernel's. The date lies before any reader's clock, so that the
# archive's signature is never from the future.
RELEASE=6.1.0-999-amd64
PYTHON=/usr/bin/python3 # the one that Debian's python3-pyelftools is for
DATE=2026-05-01
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(date -u -d "$DATE" +%s)

say() { echo "== $*" >&2; }

install_tools() {
    missing=
    for package in $NEEDED; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && return
    say "installing$missing"
    [ "$(id -u)" -eq 0 ] || { echo "as root: apt-get install$missing" >&2; exit 1; }
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of names
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
}

get_source() {
    if [ -n "${SOURCE:-}" ]; then
        UPSTREAM=${SOURCE_VERSION:?the package version of SOURCE}
    else
        UPSTREAM=$(apt-cache show --no-all-versions linux-source-6.1 | sed -n 's/^Version: //p')
        SOURCE=$WORK/source/linux-source-6.1
        [ -e "$SOURCE/Makefile" ] || (
            say "getting linux-source-6.1 $UPSTREAM"
            mkdir -p "$WORK/source" && cd "$WORK/source"
            apt-get -qq download "linux-source-6.1=$UPSTREAM"
            dpkg-deb -x linux-source-6.1_*.deb .
            tar xf usr/src/linux-source-6.1.tar.xz
        )
    fi
    VERSION=${UPSTREAM%-*}-999
}

# Debian's build leaves names in the DWARF that are relative to the top of the sources.
kernel_make() {
    maps="-ffile-prefix-map=$BUILD=debian/build/build_amd64_none_amd64 -ffile-prefix-map=$SOURCE/="
    make -s -j"$(nproc)" -C "$SOURCE" O="$BUILD" CC=gcc-12 HOSTCC=gcc-12 \
        KCFLAGS="-gno-variable-location-views $maps" KAFLAGS="$maps" \
        KERNELVERSION=6.1.0 LOCALVERSION="${RELEASE#6.1.0}" \
        KBUILD_BUILD_USER=debian-kernel KBUILD_BUILD_HOST=lists.debian.org \
        KBUILD_BUILD_VERSION=1 KBUILD_BUILD_VERSION_TIMESTAMP="Debian $VERSION ($DATE)" "$@"
}

build_kernel() {
    BUILD=$WORK/build
    [ -e "$WORK/modules/lib" ] && return
    say "building $RELEASE"
    mkdir -p "$BUILD"
    kernel_make tinyconfig >/dev/null
    cat "$HERE/small.config" >>"$BUILD/.config" # the last value of an option wins
    kernel_make olddefconfig 2>"$WORK/olddefconfig.log"
    kernel_make vmlinux bzImage modules
    kernel_make INSTALL_MOD_PATH="$WORK/modules" modules_install
}

take_dump() {
    [ -e "$WORK/vmcore" ] && return
    say "booting it until it panics"
    root=$WORK/initrd
    rm -rf "$root" && mkdir -p "$root/bin" "$root/lib"
    cp /bin/busybox "$root/bin/" && install -m 755 "$HERE/guest_init" "$root/init"
    # The guest gets what a -image package has: modules without debug information.
    find "$WORK/modules" -name '*.ko' -exec cp {} "$root/lib/" \;
    for module in "$root"/lib/*.ko; do objcopy --strip-debug "$module"; done
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -9) >"$WORK/initrd.gz"
    $PYTHON "$HERE/dump_guest.py" "$BUILD/arch/x86/boot/bzImage" "$WORK/initrd.gz" "$WORK/memory.elf"
    makedumpfile -d 31 -c "$WORK/memory.elf" "$WORK/vmcore" >/dev/null
    rm "$WORK/memory.elf"
}

# control PACKAGE ARCHITECTURE DIRECTORY DESCRIPTION
control() {
    mkdir -p "$3/DEBIAN"
    cat >"$3/DEBIAN/control" <<END
Package: $1
Source: linux
Version: $VERSION
Architecture: $2
Maintainer: kernsym test world <world@kernsym.invalid>
Section: debug
Priority: optional
Homepage: https://www.kernel.org/
Description: $4
END
    install -D -m 644 "$HERE/copyright" "$3/usr/share/doc/$1/copyright"
}

# Unlike Debian's, made small: without the relocations that --emit-relocs leaves, which are half of
# vmlinux and no debugger reads, and with each type described once.
pack_symbols() {
    package=linux-image-$RELEASE-dbg
    root=$WORK/$package
    debug=$root/usr/lib/debug
    rm -rf "$root" && mkdir -p "$debug/boot" "$debug/lib/modules/$RELEASE"
    objcopy --remove-section='.rela*' "$BUILD/vmlinux" "$debug/boot/vmlinux-$RELEASE"
    dwz "$debug/boot/vmlinux-$RELEASE"
    cp "$BUILD/System.map" "$debug/boot/System.map-$RELEASE"
    ln -s "boot/vmlinux-$RELEASE" "$debug/vmlinux-$RELEASE"
    ln -s "../../../boot/vmlinux-$RELEASE" "$debug/lib/modules/$RELEASE/vmlinux"
    cp -r "$WORK/modules/lib/modules/$RELEASE/kernel" "$debug/lib/modules/$RELEASE/"
    control "$package" amd64 "$root" "Debug symbols of a small kernel for kernsym's tests"
    pack "$root" "${package}_${VERSION}_amd64.deb"
}

# All of Linux would be 140 MB: only the files that hold the lines of this kernel's code, and of
# drivers and machine code only what a backtrace passes.
pack_source() {
    package=linux-source-6.1
    root=$WORK/$package
    rm -rf "$root" && mkdir -p "$root/usr/src"
    # shellcheck disable=SC2046 # a list of paths without spaces
    $PYTHON "$HERE/line_files.py" "$BUILD/vmlinux" $(find "$WORK/modules" -name '*.ko') \
        >"$WORK/line_files"
    # What the build itself generated is not in Debian's source package either.
    while read -r name; do
        case $name in
            drivers/tty/sysrq.c) ;;
            drivers/* | arch/x86/kernel/* | arch/x86/lib/* | arch/x86/mm/*) continue ;;
        esac
        [ ! -e "$SOURCE/$name" ] || echo "$name"
    done <"$WORK/line_files" >"$WORK/source_files"
    tar -C "$SOURCE" -cf "$WORK/source.tar" -T "$WORK/source_files" --sort=name \
        --transform "s,^,$package/," --owner=0 --group=0 --mtime="@$SOURCE_DATE_EPOCH"
    xz -9e <"$WORK/source.tar" >"$root/usr/src/$package.tar.xz"
    control "$package" all "$root" "Sources of a small kernel for kernsym's tests"
    pack "$root" "${package}_${VERSION}_all.deb"
}

pack() {
    mkdir -p "$WORK/repo/pool/main/l/linux"
    dpkg-deb --root-owner-group -Zxz -z9 -Sextreme -b "$1" "$WORK/repo/pool/main/l/linux/$2" >&2
}

sign_repository() {
    cd "$WORK/repo"
    index=dists/bookworm/main/binary-amd64
    mkdir -p "$index"
    apt-ftparchive packages pool | xz -9 >"$index/Packages.xz"
    apt-ftparchive -o APT::FTPArchive::Release::Origin=kernsym \
        -o APT::FTPArchive::Release::Suite=oldstable \
        -o APT::FTPArchive::Release::Codename=bookworm \
        -o APT::FTPArchive::Release::Date="$(date -u -R -d "$DATE")" \
        -o APT::FTPArchive::Release::Components=main \
        -o APT::FTPArchive::Release::Architectures=amd64 release dists/bookworm >"$WORK/Release"
    export GNUPGHOME="$WORK/gnupg"
    rm -rf "$GNUPGHOME" && mkdir -m 700 "$GNUPGHOME"
    sign() { gpg -q --batch --faked-system-time "$SOURCE_DATE_EPOCH" "$@"; }
    sign --passphrase '' --quick-gen-key 'kernsym test world <world@kernsym.invalid>' rsa3072 sign never
    sign --clearsign -o dists/bookworm/InRelease "$WORK/Release"
    sign --armor --export >"$WORK/archive-key.asc"
    gpgconf --kill all
    rm -rf "$GNUPGHOME"
}

install_tools
get_source
build_kernel
take_dump
rm -rf "$WORK/repo"
say "packing"
pack_symbols
pack_source
sign_repository
rm -rf "$OUT/repo" && mkdir -p "$OUT"
cp -r "$WORK/repo" "$OUT/repo"
install -m 644 "$WORK/archive-key.asc" "$WORK/vmcore" "$OUT/"
du -sk "$OUT" >&2
