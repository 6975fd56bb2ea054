"""What sources publish, kept over time: a kernel that has gone is remembered, and a list that
suddenly shrinks is not believed.

    STORE/catalog/<distro>-<8 hex digits>.json      one source each, for people as well
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from kernsym.cache.atomic import write_atomic
from kernsym.cache.locks import hold
from kernsym.distros import CouldNotFindOut, Kernel, PackageRef

_MOST_TOLD = 5
_LEAST_SHARE = 0.5  # of what was there; a suite that ends loses all at once, on purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A kernel's debug package at a source.

    Times in whole seconds since 1970: `first_seen`, `last_seen`, and since when it is `gone`, None
    while it is there.  `initial`: it was there when the source was first asked.  `size` in bytes.
    """

    kernel: Kernel
    package: str
    url: str
    first_seen: int
    last_seen: int
    size: int | None = None
    sha256: str | None = None
    gone: int | None = None
    initial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """One source over time.

    `place`: the source in a few words.  `series`: what was asked for, as `distro:release:arch`.
    `asked`: when it last answered.
    """

    source: str
    place: str
    series: str
    asked: int = 0
    publications: tuple[Publication, ...] = ()

    @property
    def present(self) -> tuple[Publication, ...]:
        return tuple(each for each in self.publications if each.gone is None)


def merged(
    record: SourceRecord,
    listed: Iterable[tuple[Kernel, PackageRef]],
    now: int,
    *,
    floor: int = 0,
    shrink: bool = False,
) -> SourceRecord:
    """The record after what a source lists now.

    `floor`: how many kernels it has to list at least; `shrink`: it may list much fewer than before.
    Raises `CouldNotFindOut` (`catalog-shrunk`).
    """
    old = {(each.kernel.key, each.package): each for each in record.publications}
    seen: dict[tuple[str, str], Publication] = {}
    for kernel, ref in listed:
        key = kernel.key, ref.package.id
        seen[key] = Publication(
            kernel=kernel,
            package=ref.package.id,
            url=ref.url,
            size=ref.size,
            sha256=ref.sha256,
            first_seen=old[key].first_seen if key in old else now,
            last_seen=now,
            initial=old[key].initial if key in old else not record.asked,
        )
    least = max(floor, 0 if shrink else int(len(record.present) * _LEAST_SHARE + 0.5))
    if len(seen) < least:
        raise CouldNotFindOut(
            "catalog-shrunk",
            f"{record.place} lists {len(seen)} kernels, {len(record.present)} were there before, "
            f"and less than {least} is not believed",
            hint="look at the mirror; if it is right so, repeat it with --accept-shrink",
        )
    gone = {
        key: each if each.gone is not None else replace(each, gone=now)
        for key, each in old.items()
        if key not in seen
    }
    both = {**gone, **seen}
    ordered = tuple(both[key] for key in sorted(both))
    return replace(record, asked=now, publications=ordered)


def words_of(record: SourceRecord, publication: Publication) -> str:
    """Where and until when it was published, for people.

    >>> kernel = Kernel(distro="debian", release="12", arch="x86_64", uname="6.1.0-18-amd64",
    ...     flavour="amd64", version="6.1.76-1")
    >>> words_of(SourceRecord(source="", place="mirror.example", series=""), Publication(
    ...     kernel=kernel, package="p", url="", first_seen=0, last_seen=864000, gone=950400))
    'published by mirror.example from 1970-01-01 to 1970-01-11, gone since'
    """
    first, last = (_day(each) for each in (publication.first_seen, publication.last_seen))
    if publication.gone is None:
        return f"published by {record.place}, seen from {first} to {last}"
    return f"published by {record.place} from {first} to {last}, gone since"


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


class Publications:
    """The records in `folder`."""

    def __init__(self, folder: Path, lock: Path) -> None:
        self._folder = folder
        self._lock = lock

    def records(self) -> Iterator[SourceRecord]:
        """All of them; one that cannot be read is passed over."""
        for path in sorted(self._folder.glob("*.json")):
            record = _read(path)
            if record is not None:
                yield record

    def update(
        self,
        empty: SourceRecord,
        listed: Iterable[tuple[Kernel, PackageRef]],
        now: int,
        *,
        floor: int = 0,
        shrink: bool = False,
    ) -> tuple[SourceRecord, SourceRecord]:
        """What was known of a source, and what is now; `empty` names it.  Raises as `merged`."""
        path = self._path(empty)
        with hold(self._lock):
            before = _read(path) or empty
            after = merged(before, listed, now, floor=floor, shrink=shrink)
            write_atomic(path, msgspec.json.format(msgspec.json.encode(after), indent=1) + b"\n")
        return before, after

    def history(self, kernel: Kernel) -> tuple[str, ...]:
        """Where a kernel was published, whether or not it still is, in lines for people."""
        return tuple(
            words_of(record, each)
            for record in self.records()
            for each in record.publications
            if each.kernel.key == kernel.key
        )[:_MOST_TOLD]

    def _path(self, record: SourceRecord) -> Path:
        mark = hashlib.sha256(f"{record.source} {record.series}".encode()).hexdigest()[:8]
        return self._folder / f"{record.series.partition(':')[0]}-{mark}.json"


def _read(path: Path) -> SourceRecord | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=SourceRecord)
    except (OSError, msgspec.DecodeError, ValueError):
        return None
