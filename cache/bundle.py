"""The manifest of what is held for one kernel.

One schema: the file `manifest.json` in the store, the answer over HTTP, and the client's
instruction.  `SCHEMA` counts up when a reader of an older one would go wrong.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

import msgspec

from kernsym.distros import Kernel, KernsymError, PackageRef

SCHEMA = 1


class FileRole(str, enum.Enum):
    VMLINUX = "vmlinux"
    STRIPPED = "stripped"  # the other half of a vmlinux that holds only the DWARF
    MODULE = "module"
    SYSTEM_MAP = "system-map"
    SOURCE_TREE = "source-tree"  # a folder; size and sha256 are of the package it came from


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One file that is held.

    `path` is relative to the kernel's folder (`root/usr/lib/debug/...`).  `name` is a module's,
    in the kernel's spelling.  `size` in bytes, `sha256` in hex, `package` the id of its origin.
    """

    role: FileRole
    path: str
    size: int
    sha256: str
    package: str
    name: str = ""
    build_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How vmlinux was checked against the evidence, before anything was published.

    `by`: what was equal, of `banner`, `build-id`, `symbols`, `utsname`; or `package` alone: no dump
    was seen, its banner is of the kernel of a package that was named; or `file` alone: somebody
    added it, and it is what it says.  `banner` and `build_id` are the vmlinux's own, `symbols`
    where some of its own lie: that tells rebuilds of one banner apart.
    """

    by: tuple[str, ...]
    banner: str
    build_id: str | None
    symbols: dict[str, int] = field(default_factory=dict)

    def is_same_build(self, other: Verification) -> bool:
        """Whether two vmlinux are of one build, as far as both say."""
        symbols_differ = self.symbols and other.symbols and self.symbols != other.symbols
        same = (self.banner, self.build_id) == (other.banner, other.build_id)
        return same and not symbols_differ

    @property
    def words(self) -> str:
        """`by` for people."""
        if self.by == ("package",):
            return "its banner is of the kernel of the package that was named; no dump was compared"
        if self.by == ("file",):
            return "it was added by hand and is what it says; no dump was compared"
        return f"{' and '.join(self.by).replace('build-id', 'build ID')} equal the dump's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A copy of vmlinux that debuggers open sooner: with gdb's index, without what they do not
    need.  It never answers for the build ID.

    `path`, `size`, `sha256` as of a `BundleFile`.  `of`: the sha256 of the vmlinux that it was made
    from.  `by`: what made its index, and its version.
    """

    path: str
    size: int
    sha256: str
    of: str
    by: str

    @property
    def file(self) -> BundleFile:
        """It, as what is sent and copied."""
        return BundleFile(
            role=FileRole.VMLINUX, path=self.path, size=self.size, sha256=self.sha256, package=""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """Files of a package of which only parts came, by ranges: the digest that was published of the
    whole could not be compared.

    `package` is its id, `paths` those of the files; `came` of `size` bytes.  `later`: the rest is
    to come in the background, and all is compared then.  `for_all`: the files are also for those
    who did not ask for such, and are found by their build IDs.
    """

    package: str
    paths: tuple[str, ...]
    came: int
    size: int
    later: bool = True
    for_all: bool = False

    @property
    def words(self) -> str:
        """It for people."""
        share = f"{self.came / 1e6:.3g} MB of {self.size / 1e6:.3g} MB"
        return f"{share} by ranges; the signature of the whole was not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is held for one kernel.

    `absent`: modules that were looked for in every package and are in none, in the kernel's
    spelling.  `all_modules`: every module of the packages is held.  `source_prefix`: the folder
    that the sources lay in when vmlinux was made, as its DWARF names it; "" unknown.  `carried`: of
    which .kbundle it came and who signed that; "" for what was fetched here.  `prepared`: see
    `usable_copy`.  `label`: what those call a kernel who added it.  `unchecked`: what was taken out
    of packages that did not come whole, at most once for each.
    """

    kernel: Kernel
    verification: Verification
    packages: tuple[PackageRef, ...]
    files: tuple[BundleFile, ...]
    absent: tuple[str, ...] = ()
    all_modules: bool = False
    source_prefix: str = ""
    carried: str = ""
    prepared: Prepared | None = None
    label: str = ""
    unchecked: tuple[Unchecked, ...] = ()
    schema: int = SCHEMA

    def first(self, role: FileRole) -> BundleFile | None:
        """The file of a role that occurs once, or None while it is not held."""
        return next((file for file in self.files if file.role is role), None)

    def usable_copy(self) -> Prepared | None:
        """The prepared copy, unless it is of another vmlinux than the one that is held."""
        vmlinux = self.first(FileRole.VMLINUX)
        made_from = self.prepared.of if self.prepared else None
        return self.prepared if vmlinux is None or vmlinux.sha256 == made_from else None

    def modules(self) -> dict[str, tuple[BundleFile, ...]]:
        """The module files by name; one name may have several (`kernel/`, `updates/`)."""
        found: dict[str, tuple[BundleFile, ...]] = {}
        for file in self.files:
            if file.role is FileRole.MODULE:
                found[file.name] = (*found.get(file.name, ()), file)
        return found

    @property
    def withheld(self) -> tuple[Unchecked, ...]:
        """What is only for those who asked for files that are not checked."""
        return tuple(mark for mark in self.unchecked if not mark.for_all)

    def mark_of(self, file: BundleFile) -> Unchecked | None:
        """Why a file is not as sure as others, None: it is."""
        return next((mark for mark in self.unchecked if file.path in mark.paths), None)

    @property
    def found(self) -> tuple[BundleFile, ...]:
        """The files that anybody finds by their build IDs."""
        withheld = {path for mark in self.withheld for path in mark.paths}
        return tuple(file for file in self.files if file.path not in withheld)

    def with_files(self, files: tuple[BundleFile, ...], absent: tuple[str, ...] = ()) -> Bundle:
        """This bundle with more files (a path held already is replaced) and more known gaps."""
        paths = {file.path for file in files}
        kept = tuple(file for file in self.files if file.path not in paths)
        names = {file.name for file in (*kept, *files)}
        gaps = sorted({*self.absent, *absent} - names)
        return replace(self, files=kept + files, absent=tuple(gaps))


def encode(bundle: Bundle) -> bytes:
    """The manifest as JSON, indented for the people who `cat` it."""
    return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"


def decode(data: bytes) -> Bundle:
    """The manifest from JSON.  Raises `KernsymError` (`manifest-unreadable`, `manifest-newer`)."""
    try:
        schema = msgspec.json.decode(data, type=_SchemaOnly).schema
        if schema > SCHEMA:
            raise KernsymError(
                "manifest-newer",
                f"the manifest has schema {schema}, this kernsym reads up to {SCHEMA}",
                hint="update kernsym, or use another --store",
            )
        return msgspec.json.decode(data, type=Bundle)
    except (msgspec.DecodeError, ValueError) as error:
        raise KernsymError("manifest-unreadable", f"the manifest is broken: {error}") from error


class _SchemaOnly(msgspec.Struct):
    schema: int
