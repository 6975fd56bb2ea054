"""How much a package may unpack to: in all, a member of it, and for the bytes that it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernsym.distros import Refused
from kernsym.server.unpack.archive import Entry, EntryType

MOST_BYTES_OF_A_MEMBER = 8 << 30  # the largest known vmlinux has 1.1 GB
MOST_BYTES_OF_A_PACKAGE = 64 << 30  # the largest known package has 9 GB unpacked

# Kernel packages unpack to seven times their size, sources to ten times.
MOST_GROWTH = 100
MOST_BYTES_OF_ANY_PACKAGE = 256 << 20  # of how few bytes it may be

_HEADER_BYTES = 512  # what a member costs at least, so that empty ones count too


def require_proportion(packed: int, unpacked: int) -> None:
    """Raises `Refused` (`package-unsafe`) when few bytes become absurdly many."""
    if unpacked > MOST_BYTES_OF_ANY_PACKAGE + MOST_GROWTH * packed:
        raise unsafe(f"{packed} bytes of it unpack to {unpacked} and more")


class Allowance:
    """Counts what a package unpacks to, and refuses what no kernel package needs.

    `packed`: how many bytes of it were read for that; None: it was compared before.
    """

    def __init__(self) -> None:
        self.packed: int | None = None
        self._claimed = 0
        self._unpacked = 0

    def member(self, entry: Entry) -> None:
        """Raises `Refused` (`package-unsafe`) for a member that is absurdly large or odd."""
        if entry.type is EntryType.SPECIAL:
            raise unsafe(f"the member {entry.path!r} is neither file, folder nor link")
        if not 0 <= entry.size <= MOST_BYTES_OF_A_MEMBER:
            raise unsafe(f"the member {entry.path!r} claims {entry.size} bytes")
        self._unpack(self._claimed)  # what nobody wanted has gone by as well
        self._claim(_HEADER_BYTES + entry.size)

    def counted(
        self, blocks: Iterable[memoryview], path: str, *, claimed: bool = True
    ) -> Iterator[memoryview]:
        """The content of a member; not `claimed` when it is packed once more, so that its header
        tells no size."""
        size = 0
        for block in blocks:
            size += len(block)
            if size > MOST_BYTES_OF_A_MEMBER:
                raise unsafe(f"the member {path!r} unpacks to more than {size} bytes")
            if not claimed:
                self._claim(len(block))
            self._unpack(self._unpacked + len(block))
            yield block

    def _claim(self, count: int) -> None:
        self._claimed += count
        if self._claimed > MOST_BYTES_OF_A_PACKAGE:
            raise unsafe(f"it unpacks to more than {MOST_BYTES_OF_A_PACKAGE} bytes")

    def _unpack(self, size: int) -> None:
        self._unpacked = size
        if self.packed is not None:
            require_proportion(self.packed, size)


def unsafe(what: str) -> Refused:
    """The error for a package that would do harm."""
    return Refused("package-unsafe", f"the package is not unpacked: {what}")
