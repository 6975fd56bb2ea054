# Debian 12: vmlinux, modules and sources as in its -dbg and source packages.
# shellcheck shell=sh disable=SC2034,SC2154

# ABI and revision 999 are no real kernel's.
RELEASE=6.1.0-999-amd64
BANNER_USER=debian-kernel
BANNER_HOST=lists.debian.org
BANNER_NUMBER=1
KERNEL_FLAGS=
MEGABYTES=48
TOOLS="$DEB_TOOLS dwz"
REPO=$WORLD/repo

# Debian's build leaves names in the DWARF that are relative to the top of the sources.
build() {
    VERSION=${UPSTREAM%-*}-999
    BANNER_TIME="Debian $VERSION ($DATE)"
    BUILD=$WORK/build
    PATH_MAPS="-ffile-prefix-map=$BUILD=debian/build/build_amd64_none_amd64 -ffile-prefix-map=$SOURCE/="
    build_kernel
}

# Unlike Debian's, made small: without the relocations that --emit-relocs leaves, which are half of
# vmlinux and no debugger reads, and with each type described once.
pack_symbols() {
    package=linux-image-$RELEASE-dbg
    root=$WORLD/root/$package
    debug=$root/usr/lib/debug
    mkdir -p "$debug/boot" "$debug/lib/modules/$RELEASE"
    objcopy --remove-section='.rela*' "$WORLD/vmlinux" "$debug/boot/vmlinux-$RELEASE"
    dwz "$debug/boot/vmlinux-$RELEASE"
    cp "$WORLD/System.map" "$debug/boot/System.map-$RELEASE"
    ln -s "boot/vmlinux-$RELEASE" "$debug/vmlinux-$RELEASE"
    ln -s "../../../boot/vmlinux-$RELEASE" "$debug/lib/modules/$RELEASE/vmlinux"
    cp -r "$WORLD/modules/lib/modules/$RELEASE/kernel" "$debug/lib/modules/$RELEASE/"
    control "$package" amd64 "$root" "Debug symbols of a small kernel for kernsym's tests"
    pack_deb "$root" "${package}_${VERSION}_amd64.deb"
}

# All of Linux would be 140 MB: only the files that hold the lines of this kernel's code, and of
# drivers and machine code only what a backtrace passes.
pack_source() {
    package=linux-source-6.1
    root=$WORLD/root/$package
    mkdir -p "$root/usr/src"
    source_files | grep -vE '^(drivers|arch/x86/(kernel|lib|mm))/' >"$WORLD/source_files"
    echo drivers/tty/sysrq.c >>"$WORLD/source_files"
    tar -C "$SOURCE" -cf "$WORLD/source.tar" -T "$WORLD/source_files" --sort=name \
        --transform "s,^,$package/," --owner=0 --group=0 --mtime="@$SOURCE_DATE_EPOCH"
    xz -9e <"$WORLD/source.tar" >"$root/usr/src/$package.tar.xz"
    control "$package" all "$root" "Sources of a small kernel for kernsym's tests"
    pack_deb "$root" "${package}_${VERSION}_all.deb"
}

pack() {
    pack_symbols
    pack_source
    apt_repository bookworm oldstable bookworm
}
