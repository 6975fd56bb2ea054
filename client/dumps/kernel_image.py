"""Looks where VMCOREINFO says that the kernel lies: its banner and utsname, without a scan."""

from __future__ import annotations

from collections.abc import Iterator

from kernsym.client.dumps.banners import LONGEST, MARK, Sighting, sighting
from kernsym.client.dumps.reader import DumpReader
from kernsym.client.dumps.vmcoreinfo import VmcoreInfo
from kernsym.distros import Unusable

_MIB = 1 << 20
_LARGEST = 96 * _MIB  # text and read-only data of a kernel; the banner is in the latter
_NEAR = 1 << 16  # windows: around a symbol,
_GLANCE = 1 << 15  # at the beginning of a section,
_STEP = 1 << 18  # and one after the other
_LARGE_PAGE = 2 * _MIB

_UTSNAME_FIELD = 65  # __NEW_UTS_LEN + 1


def find_banner_at(
    reader: DumpReader, info: VmcoreInfo, arch: str | None, phys_base: int | None
) -> Sighting | None:
    """The kernel's own `linux_banner`, looked for in its image only.

    The work is bounded by the size of a kernel, not of the dump.  None when the place is unknown,
    left out of the dump, or holds a banner of another release: then the VMCOREINFO is a stranger's
    (a guest's, an earlier boot's).
    """
    start = physical(info, info.symbol("_stext"), arch, phys_base)
    if start is None:
        return None
    mark = MARK + info.release.encode("ascii") + b" "
    for address, size in _places(info, start):
        # One window may begin inside a banner that the one before it holds: overlap them.
        try:
            data = reader.read(address, size + LONGEST)
        except Unusable:
            continue
        at = data.find(mark)
        while at >= 0:
            found = sighting(address + at, data[at : at + LONGEST])
            if found.whole:
                return found
            at = data.find(mark, at + 1)
    return None


def _places(info: VmcoreInfo, start: int) -> Iterator[tuple[int, int]]:
    """Windows (physical address, size) to look at, the likely ones first."""
    stext = info.symbol("_stext") or 0
    # Linked right before the symbol table since 6.1 (init/version-timestamp.c) ...
    table = info.symbol("kallsyms_offsets")
    if table is not None and 0 < table - stext < _LARGEST:
        yield max(start + table - stext - _NEAR, 0), 2 * _NEAR
    # ... else among the first of the read-only data, which begins at a large page.
    for offset in range(_LARGE_PAGE, 32 * _MIB, _LARGE_PAGE):
        yield start + offset, _GLANCE
    data = info.symbol("init_uts_ns")
    end = data - stext if data is not None and 0 < data - stext < _LARGEST else _LARGEST
    for offset in range(0, end, _STEP):
        yield start + offset, _STEP


def read_utsname(
    reader: DumpReader, info: VmcoreInfo, arch: str | None, phys_base: int | None
) -> tuple[str, str, str] | None:
    """Release, version and machine from `init_uts_ns`; None unless the release is VMCOREINFO's."""
    address = physical(info, info.symbol("init_uts_ns"), arch, phys_base)
    offset = info.offset("uts_namespace.name")
    if address is None or offset is None or not 0 <= offset < 4096:
        return None
    try:
        data = reader.read(address + offset, 6 * _UTSNAME_FIELD)
    except Unusable:
        return None
    fields = [data[n * _UTSNAME_FIELD : (n + 1) * _UTSNAME_FIELD].split(b"\0")[0] for n in range(6)]
    if fields[2] != info.release.encode("ascii"):
        return None
    release, version, machine = (field.decode("ascii", "replace") for field in fields[2:5])
    return release, version, machine


def physical(
    info: VmcoreInfo, address: int | None, arch: str | None, phys_base: int | None
) -> int | None:
    """Where a virtual address of the kernel's image lies in memory; None when unknown.

    `phys_base` is what the headers say, for x86-64 kernels whose VMCOREINFO does not (before 4.10).
    """
    if address is None:
        return None
    arch = arch or info.arch
    if arch == "x86_64":
        base = info.phys_base if info.phys_base is not None else phys_base
        found = address - 0xFFFFFFFF80000000 + (base or 0)  # __START_KERNEL_map
    elif arch == "aarch64":
        offset = info.number("kimage_voffset")
        # Printed without a sign: the difference wraps.
        found = (address - offset) % (1 << 64) if offset is not None else -1
    elif arch == "riscv64":
        offset = info.number("va_kernel_pa_offset")
        found = (address - offset) % (1 << 64) if offset is not None else -1
    elif arch in ("ppc64", "ppc64le"):
        found = address - 0xC000000000000000
    elif arch == "s390x":
        found = address
    else:
        return None
    return found if 0 <= found < 1 << 52 else None
