"""The documents that travel between client and server beside the bundle.

They live here because the two sides may not import each other and both know the store.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kernsym.cache.bundle import Bundle
from kernsym.distros import Fingerprint, Kernel
from kernsym.distros.core.errors import KINDS, KernsymError


class Part(str, enum.Enum):
    """What of a kernel is asked for; each is a job of its own."""

    SYMBOLS = "symbols"  # vmlinux and modules
    SOURCES = "sources"  # the source tree
    CHECK = "check"  # what lacks of packages that came in part, and the proof that they are right


class Priority(str, enum.Enum):
    """Whose turn comes first when there are more jobs than a server works on at once."""

    PERSON = "person"  # somebody waits for it
    BACKGROUND = "background"


class Partial(str, enum.Enum):
    """Whether files may be taken out of packages of which only parts come, by ranges."""

    NO = "no"
    LATER = "later"  # the rest follows in the background, and all is checked then
    ONLY = "only"  # nothing more comes


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolsRequest:
    """Body of `POST /api/v1/symbols`.

    `modules`: the names wanted beside vmlinux, any spelling.  None: they follow in a second
    request as soon as the requester has seen vmlinux; the pass over the package waits for them
    for a while, so that it is made once.  `all_modules` overrides it.  `partial`: whether the
    files may be of packages that have not come whole, as the bundle then says.  `digests`
    (`sha256:HEX`): where there are any, only packages of these are taken.
    """

    fingerprint: Fingerprint
    part: Part = Part.SYMBOLS
    modules: tuple[str, ...] | None = ()
    all_modules: bool = False
    priority: Priority = Priority.PERSON
    partial: Partial = Partial.NO
    digests: tuple[str, ...] = ()


class EventKind(str, enum.Enum):
    STAGE = "stage"  # something was done or begun; `text` says what
    PROGRESS = "progress"  # `done` of `total` bytes; total None: unknown
    VMLINUX = "vmlinux"  # checked, lies at `path` in the folder of `kernel`, not yet published
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"  # `problem` says by whom


LAST_EVENTS = frozenset({EventKind.DONE, EventKind.FAILED, EventKind.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step of a job.  `id` counts up within the job, also over a restart of the server; the
    last event is one of `LAST_EVENTS`."""

    id: int
    kind: EventKind
    stage: str = ""
    text: str = ""
    done: int | None = None
    total: int | None = None
    path: str = ""
    kernel: Kernel | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as RFC 9457 has it, with our code, kind, context and hint.

    `retry_after`: seconds after which the same request may go better.
    """

    title: str
    status: int
    code: str
    kind: str
    type: str = "about:blank"
    context: tuple[str, ...] = ()
    hint: str | None = None
    retry_after: int | None = None

    def as_error(self) -> KernsymError:
        """The error that the other side met."""
        return KINDS.get(self.kind, KernsymError)(
            self.code, self.title, context=self.context, hint=self.hint
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """A folder that is being scanned, or was, when it is `done`; `problem`: why it was not.

    `files` looked at; `read`: new ones and those that had changed; `gone`: forgotten; `refused`:
    could not be read, of which `unreadable` names the first, and why.  At the end, of the whole
    folder: `packages` of kernels, `build_ids` of their files and of others.
    """

    folder: str
    done: bool = False
    files: int = 0
    read: int = 0
    gone: int = 0
    refused: int = 0
    unreadable: tuple[str, ...] = ()
    packages: int = 0
    build_ids: int = 0
    problem: Problem | None = None


class JobState(str, enum.Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


LAST_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as `GET /api/v1/jobs/ID` and the 202 answer show it.

    `ahead`: how many jobs have their turn before it, while it is queued.  `seconds` of work so
    far, or until it ended.  `downloaded`: bytes that came over the network for it.
    """

    id: str
    kernel: Kernel
    part: Part
    state: JobState
    created: datetime
    last_event: Event | None = None
    priority: Priority = Priority.PERSON
    ahead: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    seconds: float | None = None
    downloaded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelList:
    """Answer of `GET /api/v1/kernels`: one page of them; the header Link names the next."""

    kernels: tuple[Bundle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRequest:
    """Body of `PUT /api/v1/kernels/KEY/pin`."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpinned:
    """Answer of `DELETE /api/v1/kernels/KEY/pin`."""

    was_pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobList:
    """Answer of `GET /api/v1/jobs`: one page, the newest first; the header Link names the next."""

    jobs: tuple[JobStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Answer of `GET /healthz`."""

    status: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFile:
    """A file that debuginfod's clients may ask for: `file` is its path in the package `archive`."""

    type: Literal["debuginfo", "executable"]
    buildid: str
    file: str
    archive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Answer of `GET /metadata`; `complete` False when there may be more."""

    results: tuple[MetadataFile, ...]
    complete: bool
