"""From an open dump to its facts: headers, then VMCOREINFO, then a scan, no more than needed."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass

from kernsym.client.dumps import vmcoreinfo
from kernsym.client.dumps.banners import Choice, choose
from kernsym.client.dumps.kernel_image import find_banner_at, read_utsname
from kernsym.client.dumps.mapped import truncated
from kernsym.client.dumps.reader import DumpFacts, DumpReader
from kernsym.client.dumps.scan import Progress, scan
from kernsym.client.dumps.vmcoreinfo import VmcoreInfo
from kernsym.distros import Fingerprint, NotIdentified, Unusable, find_banner

_NOTHING_SEEN = Choice(None)
_SAMPLE = 4096  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """What was found out, and where."""

    info: VmcoreInfo | None = None
    info_from: str | None = None
    utsname: tuple[str, str, str] | None = None
    choice: Choice = _NOTHING_SEEN


def facts_of(reader: DumpReader, on_progress: Progress | None = None) -> DumpFacts:
    """The facts of an open dump; `on_progress(done, total)` in bytes when memory is scanned.

    Raises `Unusable` (`dump-no-kernel`, `dump-truncated`) when it shows no kernel at all, and
    `NotIdentified` (`dump-several-kernels`) when it shows several and nothing tells its own.
    """
    headers = reader.headers
    identity = _from_headers(reader)
    version = headers.version or (identity.utsname[1] if identity.utsname else None)
    if identity.choice.chosen is None and not version:
        identity = _from_scan(reader, identity, on_progress)
    fingerprint = _fingerprint(reader, identity)
    if fingerprint.release is None and fingerprint.build_id is None:
        raise _no_kernel(reader, identity.choice)
    info, banner = identity.info, identity.choice.chosen
    segments = reader.segments()
    phys_base = info.phys_base if info else None
    return DumpFacts(
        path=str(reader.path),
        format=reader.format,
        compression=headers.compression,
        size=reader.path.stat().st_size,
        memory=sum(segment.size for segment in segments),
        fingerprint=fingerprint,
        vmcoreinfo_from=identity.info_from,
        banner_from="memory" if banner else None,
        banner_address=banner.address if banner else None,
        kaslr_offset=info.kaslr_offset if info else None,
        phys_base=phys_base if phys_base is not None else headers.phys_base,
        rejected=identity.choice.rejected,
        needs_address=reader.format == "raw",
        missing=headers.missing,
        split=headers.split,
    )


def _from_headers(reader: DumpReader) -> _Identity:
    """VMCOREINFO of the headers, and the banner and utsname at the place that it names."""
    headers = reader.headers
    info = vmcoreinfo.parse(headers.vmcoreinfo or b"")
    if info is None:
        return _Identity()
    return _Identity(
        info=info,
        info_from=headers.vmcoreinfo_from,
        utsname=read_utsname(reader, info, headers.arch, headers.phys_base),
        choice=Choice(find_banner_at(reader, info, headers.arch, headers.phys_base)),
    )


def _from_scan(reader: DumpReader, known: _Identity, on_progress: Progress | None) -> _Identity:
    arch, phys_base = reader.headers.arch, reader.headers.phys_base
    findings = scan(reader, lambda info: find_banner_at(reader, info, arch, phys_base), on_progress)
    if findings.confirmed is not None and known.info is None:
        info, banner = findings.confirmed
        others = choose(findings.sightings, info.release).rejected
        return _Identity(
            info=info,
            info_from="memory",
            utsname=read_utsname(reader, info, arch, phys_base),
            choice=Choice(banner, (), tuple(pair for pair in others if pair[0] != banner.text)),
        )
    likely = known.info or _likely(findings.infos)
    choice = choose(
        findings.sightings, reader.headers.release or (likely.release if likely else None)
    )
    if known.info is None and choice.chosen is not None:
        banner_found = find_banner(choice.chosen.text)
        likely = _likely(findings.infos, banner_found.release if banner_found else None)
    return _Identity(
        info=likely,
        info_from=known.info_from or ("memory" if likely else None),
        utsname=known.utsname,
        choice=choice,
    )


def _likely(infos: list[VmcoreInfo], release: str | None = None) -> VmcoreInfo | None:
    """The most frequent of the VMCOREINFOs (of that release); None when they are even."""
    votes = Counter(info.text for info in infos if release in (None, info.release))
    ranking = votes.most_common(2)
    if not ranking or (len(ranking) == 2 and ranking[0][1] == ranking[1][1]):
        return None
    return next(info for info in infos if info.text == ranking[0][0])


def _fingerprint(reader: DumpReader, identity: _Identity) -> Fingerprint:
    headers, info, utsname = reader.headers, identity.info, identity.utsname
    chosen = identity.choice.chosen
    banner = find_banner(chosen.text) if chosen else None
    machine = headers.machine or (utsname[2] if utsname else None)
    return Fingerprint(
        banner=chosen.text if chosen else None,
        release=headers.release
        or (info.release if info else None)
        or (banner.release if banner else None),
        version=headers.version
        or (utsname[1] if utsname else None)
        or (banner.version if banner else None),
        machine=machine,
        arch=headers.arch or (info.arch if info else None) or machine,
        build_id=info.build_id if info else None,
        vmcoreinfo=info.text if info else None,
    )


def _no_kernel(reader: DumpReader, choice: Choice) -> Unusable | NotIdentified:
    if choice.rivals:
        return NotIdentified(
            "dump-several-kernels",
            f"{reader.path} holds several kernels, and nothing tells which is its own",
            context=choice.rivals[:8],
            hint="a host's memory holds its guests' too; kernsym fetch BANNER brings one's symbols",
        )
    if reader.headers.missing:
        return truncated(reader.path, reader.path.stat().st_size, reader.headers.missing)
    seen = tuple(f"{reason}: {text[:100]}" for text, reason in choice.rejected[:8])
    if _is_noise(reader):
        return Unusable(
            "dump-no-kernel",
            f"no Linux kernel was found in {reader.path}: it looks encrypted or compressed",
            context=seen,
            hint="decrypt or decompress it first",
        )
    return Unusable(
        "dump-no-kernel",
        f"no Linux kernel was found in {reader.path}, read as {_FORMATS[reader.format]}",
        context=seen,
        hint="expected a vmcore, a .vmss or .vmsn, or raw memory of a Linux machine",
    )


_FORMATS = {
    "elf": "an ELF vmcore",
    "elf-flattened": "a flattened ELF vmcore",
    "kdump": "a kdump",
    "kdump-flattened": "a flattened kdump",
    "vmss": "a VMware suspend file",
    "vmsn": "a VMware snapshot",
    "raw": "raw memory",
}


def _is_noise(reader: DumpReader) -> bool:
    """Whether samples from all over do not compress: memory always does somewhere."""
    samples = [
        reader.read(segment.address + segment.size * part // 16, min(_SAMPLE, segment.size))
        for segment in reader.segments()[:1]
        for part in range(15)
    ]
    packed = [zlib.compress(sample, 1) for sample in samples if sample]
    return bool(packed) and all(len(data) > _SAMPLE * 0.95 for data in packed)
