# SLES 15 SP5: packages as SUSE's update server has them, zstd, vmlinux in two halves; and a later
# rebuild of the same sources, which the kernel's name does not tell from it.
# shellcheck shell=sh disable=SC2030,SC2031,SC2034,SC2154 # WORLD is another in subshells

# No real kernel of SP5 has 999.  The number behind it counts rebuilds.
UPDATE=5.14.21-150500.55.999
RELEASE=$UPDATE-default
GIT_REVISION=c0ffee1decade5ca1ab1e0ddba11ca55e77e5a1d
BANNER_USER=geeko
BANNER_HOST=buildhost
BANNER_COMPILER="gcc (SUSE Linux) 7.5.0, GNU ld (GNU Binutils; SUSE Linux Enterprise 15) 2.41.0.20230908-150100.7.46"
BANNER_NUMBER=1
TOOLS="$RPM_TOOLS zstd"
BANNER_PREEMPT=PREEMPT_DYNAMIC
BANNER_TIME="$(date -u -d "$DATE 12:00" '+%a %b %e %T UTC %Y') ($(echo $GIT_REVISION | cut -c1-7))"
SERVER=$WORLD/repo/SUSE/Updates/SLE-Module-Basesystem/15-SP5/x86_64
PROVIDES="Provides: kernel-default-srchash-$GIT_REVISION"

build() {
    foreign_kernel absolute
    build_again
}

# The banner of a rebuild is the same, as its time is that of the sources; the code is another.
build_again() (
    WORLD=$WORLD/again
    foreign_kernel absolute "CFLAGS_panic.o=-g2 -fno-var-tracking -falign-functions=64"
)

# The kernel's own package: the stripped half of vmlinux, and modules without debug information.
pack_kernel() {
    root=$WORLD/root/kernel-$VERSION
    mkdir -p "$root/boot"
    objcopy --strip-debug --remove-section='.rela*' "$1" "$WORLD/stripped"
    gzip -9n <"$WORLD/stripped" >"$root/boot/vmlinux-$RELEASE.gz"
    shift
    for module in "$@"; do
        path=$root/${module#"$WORLD/modules/"}
        mkdir -p "${path%/*}"
        objcopy --strip-debug "$module" "$path"
        zstd -q -19 --rm "$path"
    done
    pack_rpm kernel-default w19.zstdio "$root" "$SERVER/update/x86_64" "$PROVIDES"
}

pack_debuginfo() {
    root=$WORLD/root/debuginfo
    path=usr/lib/debug/boot/vmlinux-$RELEASE.debug
    tree=/usr/src/debug/kernel-default-$VERSION.x86_64/linux-5.14
    debug_vmlinux "$WORLD/whole" "$tree" "$tree/linux-obj"
    mkdir -p "$root/${path%/*}"
    objcopy --only-keep-debug "$WORLD/whole" "$root/$path"
    link_build_id "$WORLD/vmlinux" "$root" "$path"
    debug_modules "$root" "$tree" "$tree/linux-obj"
    pack_rpm kernel-default-debuginfo w19.zstdio "$root" "$SERVER/update_debug/x86_64"
}

pack_sources() {
    root=$WORLD/root/sources
    few_sources "$PLACE" | copy_sources "$root/usr/src/debug/kernel-default-$VERSION.x86_64/linux-5.14"
    pack_rpm kernel-default-debugsource w19.zstdio "$root" "$SERVER/update_debug/x86_64"
}

# Without DWARF, for size: nobody reads further than its build ID.
pack_debuginfo_again() {
    root=$WORLD/root/again
    path=usr/lib/debug/boot/vmlinux-$RELEASE.debug
    mkdir -p "$root/${path%/*}"
    objcopy --strip-debug --remove-section='.rela*' "$WORLD/again/vmlinux" "$WORLD/stripped"
    objcopy --only-keep-debug "$WORLD/stripped" "$root/$path"
    pack_rpm kernel-default-debuginfo w19.zstdio "$root" "$SERVER/update_debug/x86_64"
}

pack() {
    VERSION=$UPDATE.2
    # shellcheck disable=SC2046 # a list of paths without spaces
    pack_kernel "$WORLD/vmlinux" $(modules)
    pack_debuginfo
    pack_sources
    VERSION=$UPDATE.3
    pack_kernel "$WORLD/again/vmlinux"
    pack_debuginfo_again
    rpm_repository "$SERVER/update"
    rpm_repository "$SERVER/update_debug"
}
