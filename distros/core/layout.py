"""Where vmlinux, modules and sources lie inside a distribution's packages."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from kernsym.distros.core.kernel import normalise_module


class MemberKind(str, enum.Enum):
    """What a package's member is to us."""

    VMLINUX = "vmlinux"
    STRIPPED = "stripped"  # the kernel without DWARF that crash needs beside a split debug file
    MODULE = "module"
    SYSTEM_MAP = "system-map"
    SOURCE_ARCHIVE = "source-archive"  # a tarball of the sources inside the package
    SOURCE_FILE = "source-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Patterns over member paths (no leading `/` or `./`), and what they mean.

    `vmlinux` is the file with the DWARF.  Where that is only the debug half of a split pair (SUSE),
    `stripped` is the other half, `vmlinux-*.gz` or `.xz` perhaps, of the package with role KERNEL.

    `modules` has a group `name`.  `source_archive` and `source_files` are for the source package;
    `source_root` is the folder that DWARF's relative file names start in, once unpacked; of plain
    files it may be None, then it is their folder `linux-...`.
    """

    vmlinux: re.Pattern[str]
    modules: re.Pattern[str]
    stripped: re.Pattern[str] | None = None
    system_map: re.Pattern[str] | None = None
    source_archive: re.Pattern[str] | None = None
    source_files: re.Pattern[str] | None = None
    source_root: str | None = None

    def classify(self, path: str) -> tuple[MemberKind, str] | None:
        """The kind of a member and its name (a module's normalised), or None: not wanted."""
        if self.vmlinux.fullmatch(path):
            return MemberKind.VMLINUX, "vmlinux"
        module = self.modules.fullmatch(path)
        if module:
            return MemberKind.MODULE, normalise_module(module["name"])
        for kind, pattern in (
            (MemberKind.STRIPPED, self.stripped),
            (MemberKind.SYSTEM_MAP, self.system_map),
            (MemberKind.SOURCE_ARCHIVE, self.source_archive),
            (MemberKind.SOURCE_FILE, self.source_files),
        ):
            if pattern is not None and pattern.fullmatch(path):
                return kind, path.rsplit("/", 1)[-1]
        return None
