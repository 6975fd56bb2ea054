# RHEL 8: debuginfo packages as Red Hat's CDN has them, xz in one block; and another vendor's
# package of the same name and version, whose kernel it is not.
# shellcheck shell=sh disable=SC2030,SC2031,SC2034,SC2154 # WORLD is another in subshells

# No real kernel of RHEL 8.10 has 999.
VERSION=4.18.0-553.999.1.el8_10
RELEASE=$VERSION.x86_64
BANNER_USER=mockbuild
BANNER_HOST=x86-vm-07.build.eng.bos.redhat.com
BANNER_COMPILER="gcc version 8.5.0 20210514 (Red Hat 8.5.0-20) (GCC)"
BANNER_NUMBER=1
TOOLS=$RPM_TOOLS
BANNER_TIME="$(date -u -d "$DATE 12:00" '+%a %b %e %T UTC %Y')"
TREE=/usr/src/debug/kernel-$VERSION/linux-$RELEASE
REPO=$WORLD/repo/content/dist/rhel8/8/x86_64/baseos/debug
TWIN=$WORLD/repo/pub/rocky/8/BaseOS/x86_64/debug/tree

build() {
    foreign_kernel relative
    build_twin
}

# The same kernel as Rocky Linux would build it: another host, so another banner and build ID.
build_twin() (
    WORLD=$WORLD/twin
    BANNER_HOST=iad1-prod-build001.bld.equ.rockylinux.org
    foreign_kernel relative
)

pack_debuginfo() {
    root=$WORLD/root/debuginfo
    path=usr/lib/debug/lib/modules/$RELEASE/vmlinux
    debug_vmlinux "$root/$path" "$TREE"
    link_build_id "$WORLD/vmlinux" "$root" "$path"
    debug_modules "$root" "$TREE"
    pack_rpm kernel-debuginfo w9.xzdio "$root" "$REPO/Packages/k"
}

pack_common() {
    root=$WORLD/root/common
    few_sources | copy_sources "$root$TREE"
    pack_rpm kernel-debuginfo-common-x86_64 w9.xzdio "$root" "$REPO/Packages/k"
}

# Without DWARF, for size: its banner is all that anybody reads of it.
pack_twin() {
    root=$WORLD/root/twin
    path=usr/lib/debug/lib/modules/$RELEASE/vmlinux
    mkdir -p "$root/${path%/*}"
    objcopy --strip-debug --remove-section='.rela*' "$WORLD/twin/vmlinux" "$root/$path"
    pack_rpm kernel-debuginfo w9.xzdio "$root" "$TWIN/Packages/k"
}

pack() {
    pack_debuginfo
    pack_common
    pack_twin
    rpm_repository "$REPO"
    rpm_repository "$TWIN"
}
