# Kernels under the names of distributions that they are not of, made small: the banner, the paths
# and the names are a distribution's, the code is that of kernel.sh, which is sourced before.
#
# Two sets of objects serve them all: DWARF with names relative to the folder that the compiler
# ran in (RHEL), or absolute ones (SLES, Ubuntu).  debugedit gives the folders their names.
# shellcheck shell=sh disable=SC2154,SC2034

# Longer than what any distribution calls its folder: debugedit does not make room.
PLACE=/place/of/the/sources/whose/name/is/longer/than/that/of/any/package/there/is/or/will/be/in/these/worlds
MEGABYTES=40
BANNER_COMPILER= BANNER_PREEMPT= BANNER_TRAILER=

# Objects whose types crash and drgn need.  The others have lines and functions only (-g1), and
# nothing says where local variables are: that makes half of the size.
WHOLE="core dcache exit file_table fork hrtimer idt init_task inode irqdesc main memory namespace
    page_alloc panic params percpu pid printk setup signal slab_common slub super sysfs timer traps
    vmalloc workqueue"
KERNEL_FLAGS="-g1 -gno-statement-frontiers -gno-column-info"

# Lets the banner's compiler and what stands behind it come from BANNER_COMPILER and
# BANNER_TRAILER; the rest of it has knobs of its own.
patch_banner() {
    grep -q BANNER_COMPILER "$SOURCE/scripts/mkcompile_h" && return
    # shellcheck disable=SC2016 # expanded by that script
    sed -i -e 's/"${CC_VERSION}, ${LD_VERSION}"/"${BANNER_COMPILER:-${CC_VERSION}, ${LD_VERSION}}"/' \
        -e '/LINUX_COMPILER/a #define BANNER_TRAILER "${BANNER_TRAILER:-}"' \
        "$SOURCE/scripts/mkcompile_h"
    sed -i 's/UTS_VERSION "\\n"/UTS_VERSION BANNER_TRAILER "\\n"/' "$SOURCE/init/version-timestamp.c"
}

# foreign_kernel relative|absolute [ASSIGNMENT...]
foreign_kernel() {
    patch_banner
    BUILD=$WORK/build-$1
    case $1 in
        relative) PATH_MAPS="-ffile-prefix-map=$BUILD=$PLACE -ffile-prefix-map=$SOURCE/=" ;;
        absolute) PATH_MAPS="-ffile-prefix-map=$BUILD=$PLACE/object -ffile-prefix-map=$SOURCE=$PLACE" ;;
    esac
    shift
    export BANNER_COMPILER BANNER_TRAILER
    for object in $WHOLE; do
        set -- "CFLAGS_$object.o=-g2 -fno-var-tracking" "$@"
    done
    build_kernel "preempt-flag-y=$BANNER_PREEMPT" "$@"
}

# name_folders FILE TREE [OBJECTS]: what the DWARF of an ELF file calls the folder of the sources,
# and that of the objects.
name_folders() {
    debugedit -b "$PLACE/object" -d "${3:-$2}" "$1"
    debugedit -b "$PLACE" -d "$2" "$1"
}

# debug_vmlinux COPY TREE [OBJECTS]: vmlinux without what no debugger reads
debug_vmlinux() {
    mkdir -p "${1%/*}"
    objcopy --remove-section='.rela*' --remove-section=.debug_aranges \
        --remove-section=.debug_frame "$WORLD/vmlinux" "$1"
    name_folders "$@"
}

# debug_module MODULE COPY TREE [OBJECTS]
debug_module() {
    install -D "$1" "$2"
    shift
    name_folders "$@"
}

# few_sources [FOLDER]: of the source files those that a test lists, and what stands beside them.
few_sources() {
    source_files "$@" | grep -E '^(kernel/[^/]*\.c|fs/overlayfs/.*|drivers/tty/sysrq\.c|init/main\.c)$'
}

# copy_sources TREE: of the files that standard input names
copy_sources() {
    mkdir -p "$1"
    (cd "$SOURCE" && cpio -pdm --quiet "$1")
    find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}
