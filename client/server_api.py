"""A server, as the client sees it: HTTP with `requests`, problems as errors."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeVar, cast
from urllib.parse import quote

import msgspec
import requests

from kernsym.cache import Bundle, BundleFile
from kernsym.cache.messages import (
    LAST_EVENTS,
    Event,
    JobList,
    JobState,
    JobStatus,
    KernelList,
    PinRequest,
    Problem,
    SymbolsRequest,
    Unpinned,
)
from kernsym.cache.planning import (
    CatalogRecords,
    CatalogRequest,
    CatalogUpdate,
    CatalogUpdates,
    PreseedAnswer,
    PreseedList,
    PreseedRequest,
    PublishedList,
    PublishedRequest,
    Resolution,
    ResolveRequest,
)
from kernsym.cache.publications import SourceRecord
from kernsym.cache.upkeep import Collected, CollectRequest, StoreUsage
from kernsym.distros import CouldNotFindOut, Kernel, KernsymError, Refused

T = TypeVar("T")

_CONNECT_SECONDS = 10.0
# Events carry a heartbeat every 15 s, so silence for this long is a dead server.
_READ_SECONDS = 60.0
_CATALOG_SECONDS = 1800.0  # lists of 50 MB from each of several mirrors
_PLAN_SECONDS = 900.0  # many sources may have to be asked, of which some do not answer
_PAUSE_SECONDS = 0.5
_PIECE = 1 << 20
_JSON = {"Content-Type": "application/json"}


class ServerApi:
    """The server at `url`; `token` is what it wants to see for writes.

    `authority`: a PEM file with the certificates that vouch for it, None: those that requests
    takes (REQUESTS_CA_BUNDLE).  `patience`: seconds for which it may be away while a job is
    followed.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        authority: Path | None = None,
        patience: float = 1.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._patience = patience
        # Given with each request, because REQUESTS_CA_BUNDLE beats the session's.
        self._options: dict[str, Any] = {"verify": str(authority)} if authority else {}
        self._session = requests.Session()
        self._session.trust_env = not url.startswith("http://127.0.0.1:")
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def symbols(self, request: SymbolsRequest) -> Bundle | JobStatus:
        """The bundle when all that is wanted is held, else the job that brings it."""
        answer = self._send("/api/v1/symbols", request)
        if answer.status_code == 200:
            return _decode(answer, Bundle)
        return _decode(answer, JobStatus)

    def resolve(self, request: ResolveRequest) -> Resolution:
        """The packages that would be fetched; raises which of the three outcomes it is instead."""
        return _decode(self._send("/api/v1/resolve", request, seconds=_PLAN_SECONDS), Resolution)

    def published(self, request: PublishedRequest) -> PublishedList:
        """The kernels of a series that the server's sources publish, newest first."""
        answer = self._send("/api/v1/published", request, seconds=_PLAN_SECONDS)
        return _decode(answer, PublishedList)

    def preseed(self, request: PreseedRequest) -> tuple[PreseedAnswer, ...]:
        """Have kernels brought in the background; what became of each."""
        return _decode(self._send("/api/v1/preseed", request), PreseedList).answers

    def events(self, job_id: str) -> Iterator[Event]:
        """The events of a job to its last; takes up the thread again when the line breaks, also
        when the server is started anew meanwhile."""
        seen, away = 0, 0.0
        while True:
            try:
                for event in self._event_stream(job_id, seen):
                    seen, away = event.id, 0.0
                    yield event
                    if event.kind in LAST_EVENTS:
                        return
                error = CouldNotFindOut("server-silent", "the server stopped answering")
            except requests.RequestException as broken:
                error = self._unreachable(broken)
            except CouldNotFindOut as refused:
                error = refused
            if away >= self._patience:
                raise error
            away += _PAUSE_SECONDS
            time.sleep(_PAUSE_SECONDS)

    def job(self, job_id: str) -> JobStatus:
        return _decode(self._ask("GET", f"/api/v1/jobs/{quote(job_id, safe='')}"), JobStatus)

    def jobs(self, state: JobState | None = None) -> Iterator[JobStatus]:
        """The jobs that the server remembers, the newest first."""
        state_is = f"?state={state.value}" if state else ""
        for answer in self._pages(f"/api/v1/jobs{state_is}"):
            yield from _decode(answer, JobList).jobs

    def cancel(self, job_id: str) -> JobStatus:
        """End a job; what it is then."""
        return _decode(self._ask("DELETE", f"/api/v1/jobs/{quote(job_id, safe='')}"), JobStatus)

    def kernels(self) -> tuple[Bundle, ...]:
        pages = self._pages("/api/v1/kernels")
        return tuple(bundle for page in pages for bundle in _decode(page, KernelList).kernels)

    def remove(self, kernel: Kernel) -> None:
        self._ask("DELETE", f"/api/v1/kernels/{kernel.key}")

    def pin(self, key: str, reason: str) -> None:
        """Keep a kernel, by its key, whatever the server's limits say."""
        body = msgspec.json.encode(PinRequest(reason=reason))
        self._ask("PUT", f"/api/v1/kernels/{key}/pin", data=body, headers=_JSON)

    def unpin(self, key: str) -> bool:
        """Whether it was pinned."""
        answer = self._ask("DELETE", f"/api/v1/kernels/{key}/pin")
        return _decode(answer, Unpinned).was_pinned

    def collect(self, request: CollectRequest) -> Collected:
        """Bring the server's store within its limits."""
        return _decode(self._send("/api/v1/gc", request), Collected)

    def usage(self) -> StoreUsage:
        """What the server's store takes."""
        return _decode(self._ask("GET", "/api/v1/usage"), StoreUsage)

    def download(self, kernel: Kernel, file: BundleFile, target: Path) -> Iterator[int]:
        """Bring one file of a bundle to `target`; yields how many bytes are there.

        What came of an earlier attempt is continued.  Raises `Refused` (`digest-mismatch`).
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        digest = hashlib.sha256()
        with part.open("a+b") as out:
            out.seek(0)
            while piece := out.read(_PIECE):
                digest.update(piece)
            there = out.tell()
            if there > file.size:
                there = out.truncate(0)
                digest = hashlib.sha256()
            if there < file.size or not file.size:
                answer = self._ask(
                    "GET",
                    f"/api/v1/kernels/{kernel.key}/files/{file.path}",
                    headers={"Range": f"bytes={there}-"} if there else {},
                    stream=True,
                )
                for piece in answer.iter_content(_PIECE):
                    out.write(piece)
                    digest.update(piece)
                    there += len(piece)
                    yield there
        if digest.hexdigest() != file.sha256:
            part.unlink()
            raise Refused("digest-mismatch", f"{file.path} did not arrive as the server holds it")
        part.replace(target)

    def update_catalog(self, request: CatalogRequest) -> tuple[CatalogUpdate, ...]:
        """Have the sources asked for all they publish; what each has said."""
        answer = self._ask(
            "POST",
            "/api/v1/catalog",
            silence=_CATALOG_SECONDS,
            data=msgspec.json.encode(request),
            headers={"Content-Type": "application/json"},
        )
        return _decode(answer, CatalogUpdates).sources

    def catalog(self) -> tuple[SourceRecord, ...]:
        """What the sources have published since they are watched."""
        return _decode(self._ask("GET", "/api/v1/catalog"), CatalogRecords).sources

    def add_kernel(self, pieces: Iterator[bytes], label: str) -> Bundle:
        """Send a tar with somebody's own kernel; what the server holds of it then."""
        answer = self._ask(
            "POST",
            "/api/v1/kernels",
            params={"label": label} if label else {},
            data=pieces,
            headers={"Content-Type": "application/x-tar"},
        )
        return _decode(answer, Bundle)

    def import_bundle(self, pieces: Iterator[bytes]) -> tuple[Bundle, ...]:
        """Send a .kbundle; what the server holds of its kernels then."""
        headers = {"Content-Type": "application/zstd"}
        answer = self._ask("POST", "/api/v1/bundles", data=pieces, headers=headers)
        return _decode(answer, KernelList).kernels

    @contextlib.contextmanager
    def source_tree(self, kernel: Kernel) -> Iterator[IO[bytes]]:
        """The source tree of a kernel as an uncompressed tar stream of plain files."""
        with self._ask("GET", f"/api/v1/kernels/{kernel.key}/sources", stream=True) as answer:
            answer.raw.decode_content = True
            yield cast(IO[bytes], answer.raw)

    def _event_stream(self, job_id: str, seen: int) -> Iterator[Event]:
        headers = {"Last-Event-ID": str(seen), "Accept": "text/event-stream"}
        path = f"/api/v1/jobs/{job_id}/events"
        with self._ask("GET", path, headers=headers, stream=True) as answer:
            for line in answer.iter_lines():
                if line.startswith(b"data: "):
                    yield msgspec.json.decode(line[len(b"data: ") :], type=Event)

    def _pages(self, path: str) -> Iterator[requests.Response]:
        """The pages of a list, each asked for when it is wanted."""
        while path:
            answer = self._ask("GET", path)
            yield answer
            path = answer.links.get("next", {}).get("url", "")

    def _send(
        self, path: str, request: object, *, seconds: float = _READ_SECONDS
    ) -> requests.Response:
        """The answer to a request with a body; `seconds` until it must have begun."""
        headers = {"Content-Type": "application/json"}
        body = msgspec.json.encode(request)
        return self._ask("POST", path, data=body, headers=headers, silence=seconds)

    def _ask(
        self, method: str, path: str, *, silence: float = _READ_SECONDS, **options: Any
    ) -> requests.Response:
        try:
            answer = self._session.request(
                method,
                self._url + path,
                timeout=(_CONNECT_SECONDS, silence),
                **self._options,
                **options,
            )
        except requests.RequestException as error:
            raise self._unreachable(error) from error
        if answer.status_code >= 400:
            raise _error_of(answer)
        return answer

    def _unreachable(self, error: requests.RequestException) -> CouldNotFindOut:
        return CouldNotFindOut(
            "server-unreachable",
            f"the server {self._url} cannot be reached",
            context=(type(error).__name__,),
            hint="check --server and KERNSYM_URL, or leave them out to work without a server",
        )


def _decode(answer: requests.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise KernsymError(
            "answer-unreadable",
            f"the server's answer is not understood: {error}",
            hint="client and server may be of different versions: see kernsym --version",
        ) from error


def _error_of(answer: requests.Response) -> KernsymError:
    try:
        return msgspec.json.decode(answer.content, type=Problem).as_error()
    except (msgspec.DecodeError, ValueError):
        return CouldNotFindOut("server-error", f"the server answered {answer.status_code}")
