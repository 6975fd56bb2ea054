"""Files that a job is unpacking: their first bytes are handed out before the last ones come."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from kernsym.distros import CouldNotFindOut, KernsymError, MemberKind, Refused
from kernsym.server.threads import Bell
from kernsym.server.unpack import ExtractedFile
from kernsym.server.unpack.early_build_id import early_build_id
from kernsym.server.unpack.member_file import Member

_KINDS = (MemberKind.VMLINUX, MemberKind.MODULE)
_LEAST_BYTES = 1 << 20  # a smaller file is whole before anybody could be told of it
_STEP = 1 << 20  # bytes of which readers hear together
# What an ELF file ends with: without the table of its sections it is of no use to anybody.
_HELD_BACK = 64 << 10


class ComingFile:
    """A file that is being written to `path` and will have `size` bytes; `name`: its path in the
    package with the id `package`.  Its last bytes are there when all of it was checked.

    One thread writes, any number of coroutines read.
    """

    def __init__(self, path: Path, size: int, name: str, package: str, bell: Bell) -> None:
        self.size = size
        self.name = name
        self.package = package
        self.build_id: str | None = None
        self._bell = bell
        self._there = self._told = 0
        self._error: KernsymError | None = None
        # Open as long as anybody knows of the file: it may be renamed, or removed.
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def open(self) -> BinaryIO:
        """The file, with a position of its own."""
        return Path(f"/proc/self/fd/{self._descriptor}").open("rb", buffering=0)

    async def reach(self, position: int) -> int:
        """How many bytes there are, as soon as they are more than `position`.  Raises what keeps
        the others from coming."""
        await self._bell.wait_for(lambda: self._there > position or self._error is not None)
        if self._there <= position and self._error is not None:
            raise self._error
        return self._there

    def grown(self, there: int) -> None:
        """So many bytes are written."""
        self._there = max(0, min(there, self.size - _HELD_BACK))
        if self.build_id is None:
            self.build_id = early_build_id(self._read_at, there)
            if self.build_id is not None:
                self._tell()
        if self._there >= self._told + _STEP:
            self._tell()

    def finish(self, build_id: str | None) -> None:
        """All of it is written, and was found to be right; `build_id`: as the whole file says."""
        if build_id is None or self.build_id not in (None, build_id):
            self.fail(
                Refused("build-id-mismatch", f"{self.name} has not the build ID it began with")
            )
            return
        self._there = self.size
        self._tell()

    def fail(self, error: KernsymError) -> None:
        """The rest will not come."""
        self._error = error
        self._tell()

    def _tell(self) -> None:
        self._told = self._there
        self._bell.ring()

    def _read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)


class Coming:
    """What a job is unpacking at this moment.  Threads begin and end files, those who want one wait
    in the event loop."""

    def __init__(self) -> None:
        self._bell = Bell()
        self._lock = threading.Lock()
        self._files: dict[str, ComingFile] = {}
        self._package = ""
        self._right = False

    @contextlib.contextmanager
    def from_package(self, package: str) -> Iterator[None]:
        """During a pass over a package.  What is not whole at its end will not be."""
        self._package, self._right = package, False
        error: KernsymError = CouldNotFindOut("interrupted", "it was not unpacked to its end")
        try:
            yield
        except KernsymError as raised:
            error = raised
            raise
        finally:
            with self._lock:
                left, self._files = self._files, {}
            for file in left.values():
                file.fail(error)

    def package_is_right(self) -> None:
        """The package is what it was announced to be: its files may be handed out."""
        self._right = True
        self._bell.ring()

    def begin(self, member: Member, path: Path, size: int) -> Callable[[int], None] | None:
        """A file begins; as `OnBegin`."""
        if member.kind not in _KINDS or size < _LEAST_BYTES:
            return None
        file = ComingFile(path, size, f"/{member.path}", self._package, self._bell)
        with self._lock:
            self._files[member.path] = file
        return file.grown

    def accept(self, file: ExtractedFile) -> None:
        """A file is whole, and was checked."""
        with self._lock:
            coming = self._files.pop(file.path, None)
        if coming is not None:
            coming.finish(file.build_id)

    def has(self, build_id: str) -> bool:
        """Whether a file with this build ID is among them."""
        return self._find(build_id) is not None

    async def find(self, build_id: str) -> ComingFile:
        """The file with this build ID, as soon as it may be handed out."""
        found: list[ComingFile] = []

        def is_there() -> bool:
            file = self._find(build_id) if self._right else None
            found[:] = [file] if file else []
            return bool(found)

        await self._bell.wait_for(is_there)
        return found[0]

    def _find(self, build_id: str) -> ComingFile | None:
        with self._lock:
            return next((file for file in self._files.values() if file.build_id == build_id), None)
