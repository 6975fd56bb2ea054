# Ubuntu: an archive of ddebs as ddebs.ubuntu.com, and one of sources.  Of 24.04 the ddebs, and the
# modules in them, are packed with zstd.
# shellcheck shell=sh disable=SC2034,SC2154

# ABI 999 is no real kernel's.
BANNER_USER=buildd
BANNER_TIME="$(date -u -d "$DATE 12:00" '+%a %b %e %T UTC %Y')"
TOOLS="$DEB_TOOLS debugedit zstd bzip2"
case $NAME in
    ubuntu2204)
        CODENAME=jammy BASE=5.15.0 UPLOAD=1009 STABLE=5.15.200 FOLDER=/build/linux-kErNsY
        BANNER_HOST=lcy02-amd64-045
        BANNER_COMPILER="gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0, GNU ld (GNU Binutils for Ubuntu) 2.38"
        ;;
    ubuntu2404)
        CODENAME=noble BASE=6.8.0 UPLOAD=1009 STABLE=6.8.12 FOLDER=/build/linux-sYmWrL
        BANNER_HOST=lcy02-amd64-110
        BANNER_PREEMPT=PREEMPT_DYNAMIC
        BANNER_COMPILER="x86_64-linux-gnu-gcc-13 (Ubuntu 13.2.0-23ubuntu4) 13.2.0, GNU ld (GNU Binutils for Ubuntu) 2.42"
        ;;
esac
RELEASE=$BASE-999-generic
VERSION=$BASE-999.$UPLOAD
BANNER_NUMBER=$UPLOAD-Ubuntu
BANNER_TRAILER=" (Ubuntu $VERSION-generic $STABLE)"
TREE=$FOLDER/linux-$BASE

pack_symbols() {
    package=linux-image-unsigned-$RELEASE-dbgsym
    root=$WORLD/root/$package
    vmlinux=$root/usr/lib/debug/boot/vmlinux-$RELEASE
    debug_vmlinux "$vmlinux" "$TREE" "$TREE/debian/build/build-generic"
    for module in $(modules); do
        copy=$root/usr/lib/debug/${module#"$WORLD/modules/"}
        debug_module "$module" "$copy" "$TREE" "$TREE/debian/build/build-generic"
        [ "$NAME" = ubuntu2204 ] || zstd -q -19 --rm "$copy"
    done
    control "$package" amd64 "$root" "Debug symbols of a small kernel for kernsym's tests"
    REPO=$WORLD/repo/ddebs
    if [ "$NAME" = ubuntu2204 ]; then set --; else set -- -Zzstd -z19; fi
    pack_deb "$root" "${package}_${VERSION}_amd64.ddeb" "$@"
    apt_repository "$CODENAME-updates" "$CODENAME-updates" "$CODENAME" ddeb
}

# The tarball lies in a folder of its own, beside a link to it.
pack_source() {
    package=linux-source-$BASE
    root=$WORLD/root/$package
    folder=$root/usr/src/$package
    few_sources "$PLACE" | copy_sources "$WORLD/root/$package-tree"
    mkdir -p "$folder"
    tar -C "$WORLD/root/$package-tree" --sort=name --owner=0 --group=0 --transform "s,^\.,$package," \
        -cjf "$folder/$package.tar.bz2" .
    ln -s "$package/$package.tar.bz2" "$root/usr/src/$package.tar.bz2"
    control "$package" all "$root" "Sources of a small kernel for kernsym's tests"
    REPO=$WORLD/repo/ubuntu
    pack_deb "$root" "${package}_${VERSION}_all.deb"
    apt_repository "$CODENAME-updates" "$CODENAME-updates" "$CODENAME"
}

build() { foreign_kernel absolute; }

pack() {
    pack_symbols
    pack_source
}
