"""One scan of a folder: what is new or changed is read, what is gone is forgotten, the rest costs a
`stat`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from kernsym.cache.locks import hold
from kernsym.cache.scanned import Scanned
from kernsym.cache.scanned_rows import FileFacts, State
from kernsym.distros import KernsymError, Unusable
from kernsym.server.scan.heads import NOTHING, read_facts

_AT_ONCE = 256  # files that are read before what they said is written
_MOST_THREADS = 4  # they wait for the disk; the reading itself is short
_MOST_UNREADABLE = 20  # named in a report
# Files of source trees, of which there are 80,000: no package and no kernel is called so.
_PACKAGES = (".deb", ".ddeb", ".rpm")
_NEVER = frozenset(
    (".c", ".h", ".S", ".s", ".rs", ".o", ".a", ".cmd", ".d", ".dts", ".dtsi", ".rst", ".txt")
)


@dataclass(slots=True, kw_only=True)
class Report:
    """What a scan met.  `files`: all that were looked at; `read`: new ones and those that had
    changed; `gone`: forgotten; `unreadable`: the first of those that could not be read, and why."""

    files: int = 0
    read: int = 0
    gone: int = 0
    refused: int = 0
    unreadable: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.read or self.gone)

    def __str__(self) -> str:
        words = f"{self.files} files, {self.read} read"
        words += f", {self.gone} gone" if self.gone else ""
        return words + (f", {self.refused} unreadable" if self.refused else "")


class Stopped(Exception):
    """The caller asked to stop; what was read until then is kept."""


def scan(
    root: Path,
    scanned: Scanned,
    *,
    chosen: bool = False,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Bring what is known of a folder, and of those in it, up to date; links are not followed.

    What was read is written every now and then, so that a scan that was killed is gone on with.
    Alone on the folder among all processes on the store.  `chosen`: as `Scanned.chosen`.
    Raises `Unusable` (`folder-unreadable`, `store-unwritable`), and `Stopped`.
    """
    if not root.is_dir():
        raise Unusable(
            "folder-unreadable",
            f"{root} is not a folder that can be read, so nothing of it is forgotten",
            hint="is its disk mounted?",
        )
    report = Report()
    with hold(scanned.lock_of(root), stop=stop), ThreadPoolExecutor(_MOST_THREADS, "scan") as pool:
        number = scanned.begin(root, chosen=chosen)
        folders = _Folders()
        changes = _changes(root, scanned, number, folders, report)
        while batch := list(islice(changes, _AT_ONCE)):
            if stop():
                raise Stopped
            _keep(root, scanned, number, batch, pool, report)
            on_progress(report)
        report.gone += scanned.end(number, folders.there, folders.closed)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """`now`: the state of the file, None: it is gone.  `before`: as it was seen, None: never."""

    folder: str
    name: str
    now: State | None
    before: State | None

    def is_touch(self, facts: FileFacts) -> bool:
        """Whether only its time has changed, by what it says of itself now."""
        if self.now is None or self.before is None or not facts.digest:
            return False
        return (self.before.size, self.before.digest) == (self.now.size, facts.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folders:
    """Paths below the root of the folders that are there, and of those that cannot be read, of
    which nothing is known to be gone."""

    there: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)


def _changes(
    root: Path, scanned: Scanned, number: int, folders: _Folders, report: Report
) -> Iterator[_Change]:
    """What is not as it was; fills `folders`."""
    left = [""]
    while left:
        folder = left.pop()
        known = scanned.states(number, folder)
        try:
            with os.scandir(root / folder) as entries:
                found = list(entries)
        except OSError as error:
            _refuse(report, root / folder, error.strerror or str(error))
            folders.closed.add(folder)
            continue
        folders.there.add(folder)
        for entry in found:
            if not _is_text(entry.name):
                _refuse(report, root / folder, f"it holds {entry.name!r}, whose name is no text")
            elif entry.is_dir(follow_symlinks=False):
                if entry.name != ".git":
                    left.append(f"{folder}/{entry.name}" if folder else entry.name)
            elif entry.is_file(follow_symlinks=_is_package(entry)) and not _is_never(entry.name):
                report.files += 1
                before = known.pop(entry.name, None)
                now = _state(entry)
                if now and (before is None or replace(before, digest=b"") != now):
                    yield _Change(folder=folder, name=entry.name, now=now, before=before)
        for name, before in known.items():
            yield _Change(folder=folder, name=name, now=None, before=before)


def _is_text(name: str) -> bool:
    """Whether a name can be written down: it may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_package(entry: os.DirEntry[str]) -> bool:
    """Whether its name is a package's.  There may be links to packages that lie elsewhere; those to
    other files, as by build ID, lead to what is found anyway."""
    return entry.name.endswith(_PACKAGES)


def _is_never(name: str) -> bool:
    return os.path.splitext(name)[1] in _NEVER  # noqa: PTH122 (of every file of a source tree)


def _state(entry: os.DirEntry[str]) -> State | None:
    try:
        state = entry.stat(follow_symlinks=_is_package(entry))
    except OSError:
        return None
    return State(size=state.st_size, modified=state.st_mtime_ns)


def _keep(
    root: Path,
    scanned: Scanned,
    number: int,
    batch: list[_Change],
    pool: Executor,
    report: Report,
) -> None:
    """Read what is there of a batch, and write what it says."""
    there = [(change, change.now) for change in batch if change.now is not None]
    paths = [root / change.folder / change.name for change, _ in there]
    found: dict[tuple[str, str], tuple[State, FileFacts | None]] = {}
    for (change, now), path, facts in zip(there, paths, pool.map(_read, paths), strict=True):
        if isinstance(facts, str):
            _refuse(report, path, facts)
            facts = NOTHING
        found[change.folder, change.name] = now, None if change.is_touch(facts) else facts
    gone = [(change.folder, change.name) for change in batch if change.now is None]
    if not scanned.put(number, found, gone):
        raise Unusable(
            "store-unwritable",
            "what was learned of the folder cannot be kept",
            hint="check the store's disk, or choose another: --store DIR",
        )
    report.read += len(found)
    report.gone += len(gone)


def _read(path: Path) -> FileFacts | str:
    """What a file says, or why it cannot be read."""
    try:
        return read_facts(path)
    except KernsymError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)


def _refuse(report: Report, path: Path, why: str) -> None:
    report.refused += 1
    if len(report.unreadable) < _MOST_UNREADABLE:
        report.unreadable.append(f"{path}: {why}")
