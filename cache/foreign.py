"""Files that another server gave us under a build ID, kept apart from the kernels.

    STORE/foreign/xx/yyyy/debuginfo           checked: the ELF file's own build ID is the folder's
                          executable
                          source-DIGEST       unchecked: nothing ties a source file to a build ID
                          NAME.json           what was said of each

The path is the look-up, so no index knows of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from kernsym.cache.atomic import open_beside, write_atomic
from kernsym.cache.locks import hold

_STALE_SECONDS = 86_400.0  # what lies in `incoming` for so long was left by a killed process
_USE_SECONDS = 3600.0  # a file's time is that of its last use, to the hour


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseFile:
    """A file that stands in no manifest: of another server, or not yet published.

    `name`: its path in the package `archive`, "" where nobody said.  `sha256` in hex, "" not
    known.  `origin`: who gave it.  `checked`: its content has the build ID.
    """

    build_id: str
    path: Path
    name: str
    archive: str
    origin: str
    sha256: str = ""
    checked: bool = True


class _Said(msgspec.Struct, kw_only=True):
    name: str
    archive: str
    origin: str
    sha256: str


class Foreign:
    """The files below `root`, at most `most_bytes` of them; those not used for longest go first.

    Several processes may share it.
    """

    def __init__(self, root: Path, most_bytes: int, lock: Path) -> None:
        self.root = root
        self._most = most_bytes
        self._lock = lock

    def find(self, build_id: str, artefact: str) -> LooseFile | None:
        """The file for `debuginfo`, `executable` or `source PATH`, if it is kept."""
        path = self._path(build_id, artefact)
        try:
            if time.time() - path.stat().st_mtime > _USE_SECONDS:
                _note_use(path)
            said = msgspec.json.decode(_beside(path).read_bytes(), type=_Said)
        except (OSError, msgspec.DecodeError):
            return None
        return LooseFile(
            build_id=build_id,
            path=path,
            name=said.name,
            archive=said.archive,
            origin=said.origin,
            sha256=said.sha256,
            checked=_can_be_checked(artefact),
        )

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Path]:
        """An empty file to write into; it is gone afterwards unless it was kept."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, path = open_beside(folder / "file")
        os.close(descriptor)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, came: LooseFile, artefact: str) -> LooseFile:
        """Move a file, whole and checked as far as it can be, to its place.  Raises `OSError`."""
        path = self._path(came.build_id, artefact)
        said = _Said(name=came.name, archive=came.archive, origin=came.origin, sha256=came.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        came.path.replace(path)
        write_atomic(_beside(path), msgspec.json.encode(said))
        self._make_room()
        return replace(came, path=path, checked=_can_be_checked(artefact))

    def _make_room(self) -> None:
        """Remove what was not used for longest, until the rest is within the bound."""
        with hold(self._lock), contextlib.suppress(FileNotFoundError):
            now = time.time()
            for path in (self.root / "incoming").iterdir():
                if now - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()
            files = sorted(_files(self.root))
            left = sum(size for _, size, _ in files)
            for _, size, path in files:
                if left <= self._most:
                    return
                left -= size
                for gone in (_beside(path), path):
                    gone.unlink(missing_ok=True)

    def _path(self, build_id: str, artefact: str) -> Path:
        kind, _, name = artefact.partition(" ")
        file = f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:40]}" if name else kind
        return self.root / build_id[:2] / build_id[2:] / file


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _note_use(path: Path) -> None:
    with contextlib.suppress(OSError):  # a store on read-only media serves what it has
        os.utime(path)


def _can_be_checked(artefact: str) -> bool:
    return not artefact.startswith("source ")


def _files(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Time, bytes and path of each file that is kept."""
    for path in root.glob("??/*/*"):
        if path.suffix != ".json":
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                yield state.st_mtime, state.st_size, path
