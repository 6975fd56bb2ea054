# What the makers of worlds share: tools, Debian's sources of Linux, a small kernel with the banner
# of any distribution, a guest that panics with it, the guest's dump, the source files that matter.
#
# Asks for HERE (this folder), WORK, WORLD (its folder there), RELEASE, and of the banner BANNER_USER,
# BANNER_HOST, BANNER_NUMBER (behind the #) and BANNER_TIME.
# shellcheck shell=sh disable=SC2154 # set by whom it is sourced

NEEDED="gcc-12 libc6-dev make flex bison bc libelf-dev libssl-dev xz-utils kmod cpio
    busybox-static qemu-system-x86 seabios makedumpfile gnupg python3-pyelftools"
PYTHON=/usr/bin/python3 # the one that Debian's python3-pyelftools is for

# The date lies before any reader's clock, so that no signature is ever from the future.
DATE=2026-05-01
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(date -u -d "$DATE" +%s)

say() { echo "== $*" >&2; }

# install_tools NAME...: packages beside those that every world needs
install_tools() {
    missing=
    for package in $NEEDED "$@"; do
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

# Sets SOURCE, and UPSTREAM: its package's version.
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
}

# KERNEL_FLAGS: of the compiler; PATH_MAPS: what the folders are called in the DWARF; BUILD: where
# the objects lie.
kernel_make() {
    make -s -j"$(nproc)" -C "$SOURCE" O="$BUILD" CC=gcc-12 HOSTCC=gcc-12 \
        KCFLAGS="-gno-variable-location-views $KERNEL_FLAGS $PATH_MAPS" KAFLAGS="$PATH_MAPS" \
        KERNELVERSION="${RELEASE%%-*}" LOCALVERSION="-${RELEASE#*-}" \
        KBUILD_BUILD_USER="$BANNER_USER" KBUILD_BUILD_HOST="$BANNER_HOST" \
        KBUILD_BUILD_VERSION="$BANNER_NUMBER" KBUILD_BUILD_VERSION_TIMESTAMP="$BANNER_TIME" "$@"
}

# build_kernel [ASSIGNMENT...]: vmlinux, bzImage, System.map and modules/ in WORLD.  Where BUILD
# has objects of another release, little more than the banner is compiled.
build_kernel() {
    [ -e "$WORLD/modules/lib" ] && return
    say "building $RELEASE"
    mkdir -p "$BUILD" "$WORLD"
    if [ ! -e "$BUILD/.config" ]; then
        kernel_make tinyconfig >/dev/null
        cat "$HERE/small.config" >>"$BUILD/.config" # the last value of an option wins
        kernel_make olddefconfig 2>"$WORK/olddefconfig.log"
    fi
    kernel_make "$@" vmlinux bzImage modules
    kernel_make "$@" INSTALL_MOD_PATH="$WORLD/modules" modules_install
    cp "$BUILD/vmlinux" "$BUILD/System.map" "$BUILD/arch/x86/boot/bzImage" "$WORLD/"
}

modules() { find "$WORLD/modules" -name '*.ko'; }

# WORLD/vmcore, of a guest with MEGABYTES of memory.
take_dump() {
    [ -e "$WORLD/vmcore" ] && return
    say "booting $RELEASE until it panics"
    root=$WORLD/initrd
    rm -rf "$root" && mkdir -p "$root/bin" "$root/lib"
    cp /bin/busybox "$root/bin/" && install -m 755 "$HERE/guest_init" "$root/init"
    # The guest gets what a package of the kernel has: modules without debug information.
    for module in $(modules); do
        objcopy --strip-debug "$module" "$root/lib/${module##*/}"
    done
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -9) >"$WORLD/initrd.gz"
    $PYTHON "$HERE/dump_guest.py" --megabytes "${MEGABYTES:-48}" \
        "$WORLD/bzImage" "$WORLD/initrd.gz" "$WORLD/memory.elf"
    makedumpfile -d 31 -c "$WORLD/memory.elf" "$WORLD/vmcore" >/dev/null
    rm "$WORLD/memory.elf"
}

# source_files [FOLDER]: the files that the lines of vmlinux and modules are of, relative to the
# tree, which the DWARF calls FOLDER where its names are absolute.
source_files() {
    # shellcheck disable=SC2046 # a list of paths without spaces
    $PYTHON "$HERE/line_files.py" ${1:+--below "$1"} "$WORLD/vmlinux" $(modules) |
        while read -r name; do
            # What the build itself generated is in no package of sources either.
            [ ! -e "$SOURCE/$name" ] || echo "$name"
        done
}

# Makes a key, which `sign` signs with and `forget_key` throws away; the public one is in FILE.
# new_key FILE
new_key() {
    export GNUPGHOME="$WORLD/gnupg"
    rm -rf "$GNUPGHOME" && mkdir -m 700 "$GNUPGHOME"
    sign --passphrase '' --quick-gen-key 'kernsym test world <world@kernsym.invalid>' rsa3072 sign never
    sign --armor --export >"$1"
}

sign() { gpg -q --batch --faked-system-time "$SOURCE_DATE_EPOCH" "$@"; }

forget_key() {
    gpgconf --kill all
    rm -rf "$GNUPGHOME"
}
