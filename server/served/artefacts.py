"""What debuginfod calls artefacts: which bytes of the store are the debuginfo, the executable, a
section or a source file of a build ID."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from kernsym.cache import BundleFile, FileRole, Held, Store
from kernsym.distros import KernsymError, Unusable
from kernsym.server.binaries.sections import Sections, read_sections
from kernsym.server.config import ServerConfig
from kernsym.server.served import Body
from kernsym.server.served.body import archive_of, make_body
from kernsym.server.served.source_names import place_in_tree

_YEAR_SECONDS = 31_536_000
_MOST_BODIES = 2048  # remembered, some 3 kB each
_MOST_TABLES = 256  # of sections, some kilobytes each
_MOST_NAME = 4096  # of a source file or a section, in characters


class UnknownBuildId(KernsymError):
    """Nothing is held of the build ID, or not its sources: somebody else may know it."""


def cache_control(config: ServerConfig) -> str:
    """What those who keep copies may do with a body, which never changes under its build ID; where
    reads need a token, no copy may be handed to somebody else."""
    who = "private" if config.token_for_reads else "public"
    return f"{who}, max-age={_YEAR_SECONDS}, immutable"


class Artefacts:
    """Finds bodies, and remembers them while the manifest that they stand in does not change.

    `cache_control`: what is said of bodies to those who keep copies.  `in_part`: some may be of
    packages that did not come whole, which is looked up in their manifests.
    """

    def __init__(self, store: Store, *, cache_control: str, in_part: bool = False) -> None:
        self._store = store
        self._cache_control = cache_control
        self._in_part = in_part
        self._bodies: OrderedDict[str, _Remembered] = OrderedDict()
        # The digest keeps apart what lies at one path one after the other.
        self._sections_of = lru_cache(_MOST_TABLES)(lambda path, sha256: read_sections(path))

    async def debuginfo(self, build_id: str) -> Body:
        """The file with the DWARF; the index alone tells all that has to be known of it."""
        key = f"{build_id}/debuginfo"
        known = self._known(key)
        if known is None:
            held = self._held(build_id)
            known = self._keep(key, self._remember(held, lambda held: self._file(held, held.file)))
        return known

    async def executable(self, build_id: str) -> Body:
        """The file with code and data: the same, unless that only outlines them."""
        return await self._find(build_id, "executable", self._executable)

    async def section(self, build_id: str, name: str) -> Body:
        """The bytes of a section of the debuginfo, else of the executable."""
        kind = f"section-{quote(_sound(name), safe='')}"
        return await self._find(build_id, kind, lambda held: self._section(held, name, kind))

    async def source(self, build_id: str, name: str) -> Body:
        """A source file by its name in the DWARF."""
        return await self._find(
            build_id, f"source-{_sound(name)}", lambda held: self._source(held, name)
        )

    async def _find(self, build_id: str, kind: str, make: Callable[[Held], Body]) -> Body:
        """The body, from memory without a thread if it was asked for before.

        Raises `KernsymError` (`not-held`, `section-missing`, `source-missing`, ...).
        """
        key = f"{build_id}/{kind}"
        known = self._known(key)
        if known is None:
            held = self._held(build_id)
            known = self._keep(key, await asyncio.to_thread(self._remember, held, make))
        return known

    def _known(self, key: str) -> Body | None:
        known = self._bodies.get(key)
        if known is None or _stamp(known.manifest) != known.stamp:
            return None
        self._bodies.move_to_end(key)
        return known.body

    def _keep(self, key: str, found: _Remembered) -> Body:
        self._bodies[key] = found
        if len(self._bodies) > _MOST_BODIES:
            self._bodies.popitem(last=False)
        return found.body

    def _held(self, build_id: str) -> Held:
        held = self._store.find_build_id(build_id)
        if held is None:
            raise UnknownBuildId("not-held", f"no file with the build ID {build_id} is held")
        return held

    def _remember(self, held: Held, make: Callable[[Held], Body]) -> _Remembered:
        manifest = sys.intern(f"{self._folder(held)}/manifest.json")
        stamp = _stamp(manifest)  # before the files are looked at: a change is met the next time
        try:
            return _Remembered(manifest=manifest, stamp=stamp, body=make(held))
        except OSError as error:
            raise KernsymError(
                "not-held", f"{held.path.name} cannot be read: {error.strerror}"
            ) from error

    def _executable(self, held: Held) -> Body:
        half = self._other_half(held)
        if half is not None:
            return self._file(held, half, kind="executable")
        if self._sections(held, held.file).outlined:
            raise KernsymError(
                "executable-missing",
                f"{held.path.name} holds the debug information only, its code is not held",
                hint="ask for debuginfo; sections with code are in the distribution's own package",
            )
        return self._file(held, held.file, kind="executable")

    def _section(self, held: Held, name: str, kind: str) -> Body:
        half = self._other_half(held)
        for file in filter(None, (held.file, half)):
            place = self._sections(held, file).places.get(name)
            if place is not None:
                return self._file(held, file, kind=kind, place=place)
        raise KernsymError("section-missing", f"{held.path.name} has no section {name}")

    def _source(self, held: Held, name: str) -> Body:
        tree = held.bundle.first(FileRole.SOURCE_TREE)
        if tree is None:
            raise UnknownBuildId("not-held", f"the sources of {held.key} are not held")
        place = place_in_tree(name, held.bundle.source_prefix, _in_package(tree.path))
        top = os.path.realpath(self._path(held, tree))
        path = Path(os.path.realpath(f"{top}/{place}"))
        if not path.is_relative_to(top):
            raise KernsymError("path-outside", f"{name} leads out of the source tree")
        if not os.path.isfile(path):  # noqa: PTH113 (false for a name that is too long)
            raise KernsymError("source-missing", f"the source tree has no file {place}")
        state = path.stat()
        return self._body(
            held,
            tree,
            path,
            (0, state.st_size),
            etag=f"{held.file.build_id}-source-{state.st_mtime_ns:x}-{state.st_size:x}",
            name=f"{_in_package(tree.path)}/{place}",
        )

    def _other_half(self, held: Held) -> BundleFile | None:
        """Of a kernel whose vmlinux comes in two files, the one with the code."""
        if held.file.role is not FileRole.VMLINUX:
            return None
        return held.bundle.first(FileRole.STRIPPED)

    def _sections(self, held: Held, file: BundleFile) -> Sections:
        return self._sections_of(self._path(held, file), file.sha256)

    def _file(
        self,
        held: Held,
        file: BundleFile,
        kind: str = "debuginfo",
        place: tuple[int, int] | None = None,
    ) -> Body:
        """The body of a file of the manifest, or of the part at `place`.

        A build ID does not name bytes, the same file is published with and without compressed
        sections: what the manifest says of the content is part of the entity tag.
        """
        path = self._path(held, file)
        return self._body(
            held,
            file,
            path,
            place or (0, path.stat().st_size),
            etag=f"{file.build_id}-{kind}-{file.sha256[:16]}",
            name=_in_package(file.path),
        )

    def _body(
        self,
        held: Held,
        file: BundleFile,
        path: Path,
        place: tuple[int, int],
        *,
        etag: str,
        name: str,
    ) -> Body:
        mark = held.bundle.mark_of(file) if self._in_part else None
        return make_body(
            path,
            *place,
            kernel=held.key,
            etag=etag,
            modified=path.stat().st_mtime,
            cache_control="no-cache" if mark else self._cache_control,  # it may be withdrawn
            name=name,
            archive=archive_of(file.package),
            unchecked=mark.words if mark else "",
        )

    def _path(self, held: Held, file: BundleFile) -> Path:
        return self._folder(held) / file.path

    def _folder(self, held: Held) -> Path:
        return self._store.root / "kernels" / held.key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    """A body, and the manifest that it stands in, as that was then."""

    manifest: str
    stamp: tuple[int, int]
    body: Body


def _stamp(manifest: str) -> tuple[int, int]:
    """Changes with every manifest that is published in this place; (0, 0): there is none."""
    try:
        state = os.stat(manifest)  # noqa: PTH116 (asked for each request)
        return state.st_ino, state.st_mtime_ns
    except OSError:
        return 0, 0


def _in_package(path: str) -> str:
    """The path of a file in the package that it came from: the store keeps them below `root`."""
    return f"/{path.partition('/')[2]}"


def _sound(name: str) -> str:
    """A name that came with a request.  Raises `Unusable` for what is none."""
    if "\0" in name or len(name) > _MOST_NAME:
        raise Unusable("name-invalid", "no file and no section has such a name")
    return name
