"""A package that has come in part: it survives interruption, and its bytes never change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from kernsym.distros import CouldNotFindOut, PackageRef, Refused
from kernsym.server.disk import writing
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.mirrors.mirror_errors import public

_BLOCK = 1 << 20
_MOST_BYTES = 16 << 30  # for a package whose index tells no size


class Part:
    """`TARGET.part`, and beside it `TARGET.part.json`: of which package and which answer it is.

    Readers of `growing` see the bytes as they come.  Used by one download, from threads.
    """

    def __init__(self, ref: PackageRef, target: Path, growing: GrowingFile) -> None:
        self._ref = ref
        self._target = target
        self._path = target.with_name(f"{target.name}.part")
        self._sidecar = target.with_name(f"{target.name}.part.json")
        self._growing = growing
        self._digest = new_digest(ref)
        self._lock = threading.Lock()
        self._position = 0
        self.size = 0

    def open(self) -> None:
        """Take over what an earlier download of the same package left.  Raises `Unusable`."""
        if self._origin().get("package") != _package_key(self._ref):
            self.discard()
        with writing(self._target):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b", buffering=0)
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            self._digest.update(block)
            self.size += len(block)
        self._growing.begin(self._path)
        self._growing.grown(self.size)

    def request_headers(self, end: int | None = None) -> dict[str, str]:
        """Ask for the rest, to before `end`, of the same entity, if only the same mirror can tell
        that it is.

        Without a validator and a digest nothing would tell: all is asked for, and compared.
        """
        origin = self._origin()
        same = origin.get("validator", "") if origin.get("url") == public(self._ref.url) else ""
        if not self.size or not (same or self._ref.digest):
            return {}
        last = "" if end is None else end - 1
        return {"Range": f"bytes={self.size}-{last}"} | ({"If-Range": same} if same else {})

    def begin_answer(self, start: int, headers: Mapping[str, str]) -> None:
        """The next bytes are those from `start` on.  Raises `CouldNotFindOut` when that is past
        the end of what is held."""
        if start > self.size:
            raise CouldNotFindOut("mirror-refuses", "the mirror sent another range than was asked")
        self._position = start
        etag = headers.get("ETag", "")
        origin = {
            "package": _package_key(self._ref),
            "url": public(self._ref.url),
            # A weak validator does not vouch for bytes (RFC 9110, 13.1.5).
            "validator": etag if etag.startswith('"') else headers.get("Last-Modified", ""),
        }
        if origin != self._origin():
            with writing(self._sidecar):
                self._sidecar.write_text(json.dumps(origin))

    def append(self, data: bytes) -> None:
        """As `write`, behind what is held."""
        self._position = self.size
        self.write(data)

    def write(self, data: bytes) -> None:
        """The next bytes of an answer; those that are held already are only compared.

        Raises `CouldNotFindOut` (`package-changed`), `Refused` (`digest-mismatch`) when they are
        more than announced, `Unusable` (`disk-full`).
        """
        with self._lock:
            if self._file.closed:  # the download was cancelled while this thread was on its way
                return
            held = data[: max(self.size - self._position, 0)]
            if held and self._read(self._position, len(held)) != held:
                raise self.changed()
            self._position += len(data)
            new = memoryview(data)[len(held) :]
            if self._position > (self._ref.size or _MOST_BYTES):
                self.discard()
                raise mismatch(self._ref, f"at least {self._position} bytes")
            self._digest.update(new)
            while new:
                with writing(self._path):
                    written = self._file.write(new)
                new = new[written:]
                self.size += written
            self._growing.grown(self.size)

    def finish(self) -> None:
        """Check size and digest and move the file to its place.

        Raises `Refused` (`digest-mismatch`); the part is gone then.
        """
        try:
            require_announced(self._ref, self.size, self._digest.hexdigest())
        except Refused:
            self.discard()
            raise
        with writing(self._target):
            self._path.replace(self._target)
            self._sidecar.unlink(missing_ok=True)
        self._growing.finish()

    def changed(self) -> CouldNotFindOut:
        """Begin from nothing the next time: the error to raise."""
        self.discard()
        return CouldNotFindOut(
            "package-changed",
            f"{self._target.name} changed on the mirror while it was downloaded",
            hint="run again: it will be downloaded from the beginning",
        )

    def discard(self) -> None:
        """Remove what has come."""
        for path in (self._path, self._sidecar):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; what has come stays for the next time."""
        with self._lock:
            self._file.close()
            if not self.size:
                self.discard()

    def _read(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, offset)

    def _origin(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            origin = json.loads(self._sidecar.read_text())
            if isinstance(origin, dict):
                return {str(key): str(value) for key, value in origin.items()}
        return {}


def new_digest(ref: PackageRef) -> hashlib._Hash:
    """The hash that the source of a package announces."""
    return hashlib.new(ref.digest.partition(":")[0] if ref.digest else "sha256")


def require_announced(ref: PackageRef, size: int, digest: str) -> None:
    """Raises `Refused` (`digest-mismatch`) unless size and digest are as the source announced,
    as far as it did."""
    announced = ref.digest.partition(":")[2] if ref.digest else None
    if ref.size not in (None, size) or announced not in (None, digest):
        raise mismatch(ref, f"{size} bytes, {digest}")


def mismatch(ref: PackageRef, came: str) -> Refused:
    """The error for a package that is not the announced one."""
    return Refused(
        "digest-mismatch",
        f"{ref.package.id} is not what its index announces",
        context=(
            f"from       {public(ref.url)}",
            f"announced  {ref.size} bytes, {ref.digest}",
            f"came       {came}",
        ),
        hint="run again to download it afresh; if it stays so, the mirror's copy is broken",
    )


def _package_key(ref: PackageRef) -> str:
    return ref.digest or public(ref.url)
