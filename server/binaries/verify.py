"""Is this vmlinux the kernel of that dump?  Asked before anything is published."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kernsym.cache.bundle import Verification
from kernsym.distros import Fingerprint, Kernel, Refused, distro_of, identify
from kernsym.server.binaries import elf
from kernsym.server.binaries.kernel_symbols import compare, places_in
from kernsym.server.binaries.linux_banner import banners_in

_BLOCK = 1 << 20

_UTSNAME = re.compile(r"Linux version (?P<release>\S+) .*?\) (?P<version>#[0-9].*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class VmlinuxIdentity:
    """What a vmlinux says it is: `linux_banner` without its newline, build ID in hex or None, the
    file with its DWARF, where that was taken out of it, and where `symbols` lie."""

    banner: str
    build_id: str | None
    debug_link: elf.DebugLink | None = None
    symbols: Mapping[str, int] = field(default_factory=dict)


def read_identity(vmlinux: Path) -> VmlinuxIdentity:
    """The identity of a vmlinux.

    Raises `Refused`: `elf-unreadable`, `vmlinux-without-banner` (none, or several that differ).
    """
    found = banners_in(elf.section(vmlinux, ".rodata") or b"")
    if len(found) != 1:
        raise Refused(
            "vmlinux-without-banner",
            f"{vmlinux.name} holds {len(found) or 'no'} kernel banner{'s' * (len(found) > 1)}, "
            "so it cannot be compared with the dump",
            context=found,
        )
    return VmlinuxIdentity(
        banner=found[0],
        build_id=elf.build_id(vmlinux),
        debug_link=elf.debug_link(vmlinux),
        symbols=places_in(vmlinux),
    )


def require_pair(stripped: VmlinuxIdentity, debug: Path) -> None:
    """Raises `Refused` (`vmlinux-mismatch`) unless a debug file is the other half of a kernel.

    Build IDs prove it; where there are none, as before SLES 11, the checksum that the kernel
    holds of its debug file does.  The debug half has its banner only where `.rodata` was left in
    it.
    """
    ids = stripped.build_id, elf.build_id(debug)
    link = stripped.debug_link
    shown: dict[str, tuple[str | None, str | None]] = {"build-id": ids}
    if ids == (None, None) and link is not None:
        shown = {"crc-32": (f"{link.crc:08x}", f"{_crc(debug):08x}")}
    if banners := banners_in(elf.section(debug, ".rodata") or b""):
        shown["banner"] = (stripped.banner, " or ".join(banners))
    if any(kernel is None or kernel != other for kernel, other in shown.values()):
        raise Refused(
            "vmlinux-mismatch",
            f"{debug.name} is not of the kernel that it came with",
            context=tuple(
                line
                for name, (kernel, other) in shown.items()
                for line in (f"kernel  {name} {kernel}", f"debug   {name} {other}")
            ),
        )


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def check(
    fingerprint: Fingerprint,
    identity: VmlinuxIdentity,
    *,
    by_name: bool = True,
    kernel: Kernel | None = None,
) -> Verification:
    """How the vmlinux was proven to be the dump's.

    Banner and build ID each prove it; where the dump shows both, both must be equal: an equal
    banner over another build ID is a rebuild, whose addresses may differ.  Without a build ID its
    symbols must lie where the dump's do, as far as VMCOREINFO tells.  Blanks count.  The
    utsname fields prove it only where the dump shows neither, and with `by_name`: among several
    candidates they prove nothing.  Where a package was named and no dump, its vmlinux has to be
    of the kernel that the name means, as its own banner tells.  `kernel`: a few vendors publish
    some vmlinux with another build ID than the kernel's; for those the banner alone counts.

    Raises `Refused`: `vmlinux-mismatch`, or `evidence-missing` when the dump shows none of these.
    """
    compared = _compare(fingerprint, identity)
    if not by_name:
        compared.pop("utsname", None)
    if not compared and fingerprint.package and kernel:
        compared["package"] = _compare_package(kernel, identity)
    symbols = compare(fingerprint.vmcoreinfo or "", identity.symbols)
    if symbols and compared and "build-id" not in compared:
        compared["symbols"] = symbols
    if kernel and "banner" in compared and distro_of(kernel).build_id_differs(kernel):
        compared.pop("build-id", None)
    if not compared:
        raise Refused(
            "evidence-missing",
            "the dump shows nothing that a vmlinux could be checked against",
            context=("looked for  banner, build ID, utsname release and version",),
            hint="give the kernel's banner (`Linux version ...`, from its log or `uname -a`)",
        )
    _require_equal(compared)
    return Verification(
        by=tuple(compared),
        banner=identity.banner,
        build_id=identity.build_id,
        symbols=dict(identity.symbols),
    )


def _require_equal(compared: Mapping[str, tuple[str, str]]) -> None:
    different = [name for name, (dump, vmlinux) in compared.items() if dump != vmlinux]
    if not different:
        return
    verb = "differs" if len(different) == 1 and different != ["symbols"] else "differ"
    raise Refused(
        "vmlinux-mismatch",
        f"this vmlinux is not the dump's: {' and '.join(different)} {verb}",
        context=tuple(
            line
            for name, (dump, vmlinux) in compared.items()
            for line in (f"dump     {name} {dump}", f"vmlinux  {name} {vmlinux}")
        ),
    )


def _compare(fingerprint: Fingerprint, identity: VmlinuxIdentity) -> dict[str, tuple[str, str]]:
    """What both sides show, as (dump's, vmlinux's), by the name that `Verification.by` gives it."""
    compared = {}
    if fingerprint.banner:
        compared["banner"] = (fingerprint.banner, identity.banner)
    if fingerprint.build_id and identity.build_id:
        compared["build-id"] = (fingerprint.build_id, identity.build_id)
    if not compared and fingerprint.release and fingerprint.version:
        compared["utsname"] = (
            f"{fingerprint.release} {fingerprint.version}",
            _utsname(identity.banner),
        )
    return compared


def _compare_package(kernel: Kernel, identity: VmlinuxIdentity) -> tuple[str, str]:
    """The kernel that was meant and that of the vmlinux, each in words."""
    found = identify(Fingerprint(banner=identity.banner)).kernel
    meant, there = (
        f"{one.distro} {one.uname} {one.version}" if one else identity.banner
        for one in (kernel, found)
    )
    return meant, there


def _utsname(banner: str) -> str:
    """Release and version as the banner holds them, blanks untouched."""
    found = _UTSNAME.match(banner)
    return f"{found['release']} {found['version']}" if found else ""
