"""What a crash program can open, judged by its version and build; rules as data, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Unusable

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashProgram:
    """A crash that was found.

    `version` as numbers, () unknown.  `target`: the machine it was built for, in crash's
    spelling (`X86_64`), "" unknown.  `lacks`: page compressions that it was built without.
    """

    path: Path
    version: Version = ()
    target: str = ""
    lacks: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """
        >>> CrashProgram(path=Path("/usr/bin/crash"), version=(8, 0, 6)).title
        'crash 8.0.6'
        """
        return f"crash {dotted(self.version) or 'of unknown version'}"


# Linux b69f0aeb0689 (6.5, stable 6.1.107) made struct pid smaller; crash 88580068b7dd knows.
_STRUCT_PID = "`ps`, `foreach` and `bt PID` see two or three tasks only: struct pid changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Kernels from `kernel` on (before `until`) need crash from `crash` on, because of `why`."""

    kernel: Version
    crash: Version
    why: str
    until: Version | None = None


# What the older crash gets wrong, and since which kernel; from crash's own history.
NEEDS = (
    Need(kernel=(4, 20), crash=(7, 2, 5), why="it does not start: tasks moved into an XArray"),
    Need(kernel=(5, 10), crash=(7, 3, 0), why="`log` does not know the lockless ring buffer"),
    Need(kernel=(5, 14), crash=(8, 0, 0), why="`ps` and `bt`: the state of a task was renamed"),
    Need(kernel=(6, 1), crash=(8, 0, 3), why="`vm` does not know the maple tree"),
    Need(kernel=(6, 1, 107), until=(6, 2), crash=(8, 0, 4), why=_STRUCT_PID),
    Need(kernel=(6, 5), crash=(8, 0, 4), why=_STRUCT_PID),
    Need(kernel=(6, 4), crash=(8, 0, 4), why="`mod`: modules have another memory layout"),
    Need(kernel=(6, 10), crash=(8, 0, 6), why="`kmem -i` and `swap` fail"),
    Need(kernel=(6, 14), crash=(9, 0, 0), why="`files`, `log -c` and `runq -g` fail"),
    Need(kernel=(6, 16), crash=(9, 0, 1), why="`kmem -p` fails"),
    Need(kernel=(6, 18), crash=(9, 0, 2), why="`timer -r` fails"),
)

NEWER_CRASH_HINT = (
    "Debian 13 has crash 8.0.6; newer ones: https://github.com/crash-utility/crash"
    " (make lzo snappy zstd), then name it with --crash PATH or KERNSYM_CRASH"
)

# crash's word for a machine that `uname -m` spells so.
TARGETS = {
    "x86_64": "X86_64",
    "i686": "X86",
    "aarch64": "ARM64",
    "armv7l": "ARM",
    "ppc64": "PPC64",
    "ppc64le": "PPC64",
    "riscv64": "RISCV64",
    "s390x": "S390X",
    "loongarch64": "LOONGARCH64",
}


def unmet_needs(crash: CrashProgram, kernel_version: str) -> tuple[Need, ...]:
    """The needs of a kernel that crash is known not to meet; none when a version is unknown.

    `kernel_version` begins with the upstream version: Debian's package version (`6.1.192-2`)
    rather than its release (`6.1.0-56-amd64`).
    """
    kernel = numbers(kernel_version)
    if not kernel or not crash.version:
        return ()
    return tuple(
        need
        for need in NEEDS
        if need.kernel <= kernel and (need.until is None or kernel < need.until)
        if crash.version < need.crash
    )


def warning_about(crash: CrashProgram, kernel_version: str) -> tuple[str, ...]:
    """What will be wrong, and what to install instead; () when nothing is known to be wrong."""
    unmet = unmet_needs(crash, kernel_version)
    if not unmet:
        return ()
    wanted = dotted(max(need.crash for need in unmet))
    faults = "; ".join(need.why for need in unmet)
    first = f"{crash.title} is older than this kernel, {wanted} or newer is needed: {faults}"
    return (first, NEWER_CRASH_HINT)


def refuse_if_unfit(crash: CrashProgram, arch: str | None, compression: str) -> None:
    """Raises `Unusable` (`crash-machine`, `crash-compression`) when crash cannot open the dump."""
    target = TARGETS.get(arch or "")
    if target and crash.target and crash.target != target:
        raise Unusable(
            "crash-machine",
            f"{crash.path} is built for {crash.target} and cannot read a dump of {arch}",
            hint=f"build crash with `make target={target}` and name it with --crash PATH",
        )
    if compression in crash.lacks:
        raise Unusable(
            "crash-compression",
            f"{crash.path} is built without {compression}, which compresses this dump's pages",
            hint=f"build crash with `make {compression}` and name it with --crash PATH",
        )


# How each library shows in a program: linked dynamically, or statically even when stripped.
_LIBRARY_MARKS = {
    "lzo": (b"lzo1x_decompress", b"LZO real-time data compression"),
    "snappy": (b"snappy_uncompress", b"N6snappy"),
    "zstd": (b"ZSTD_decompress", b"Restored data doesn't match checksum"),
}


def missing_compressions(program: bytes) -> frozenset[str]:
    """The compressions that a crash binary was built without; none for what is not ELF."""
    if not program.startswith(b"\x7fELF"):
        return frozenset()
    return frozenset(
        name for name, marks in _LIBRARY_MARKS.items() if not any(mark in program for mark in marks)
    )


def numbers(text: str) -> Version:
    """The leading numbers of a version.

    >>> numbers("6.1.192-2"), numbers("8.0.6++")
    ((6, 1, 192), (8, 0, 6))
    """
    found = re.match(r"[0-9]{1,6}(\.[0-9]{1,6})*", text)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def dotted(version: Version) -> str:
    return ".".join(map(str, version))
