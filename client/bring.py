"""Asks a server for a kernel's symbols and tells of its progress until they are there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from kernsym.cache import Bundle
from kernsym.cache.messages import Event, EventKind, JobStatus, SymbolsRequest
from kernsym.client.output import Reporter
from kernsym.distros import Kernel, KernsymError

if TYPE_CHECKING:
    from kernsym.client.server_api import ServerApi

# A job that another request began may end without what this one wants; the next job adds it.
_MOST_JOBS = 5
_PAUSE_SECONDS = 0.5

ListModules = Callable[[Kernel, str], tuple[str, ...]]


def bring(
    api: ServerApi,
    request: SymbolsRequest,
    reporter: Reporter,
    list_modules: ListModules | None = None,
) -> Bundle:
    """The bundle that answers `request`, once the server has it.

    `list_modules` redeems a request whose `modules` is None: it is called while the job still
    runs, with the path of the checked vmlinux in its kernel's folder, and says which modules are
    wanted.
    Raises what the server met.
    """
    for _ in range(_MOST_JOBS):
        answer = _symbols(api, request, reporter)
        if isinstance(answer, Bundle):
            return answer
        request = _follow(api, answer, request, reporter, list_modules)
    raise KernsymError("no-progress", "the server's jobs end without what was asked for")


def _symbols(api: ServerApi, request: SymbolsRequest, reporter: Reporter) -> Bundle | JobStatus:
    """The server's answer, once it knows which kernel has a build ID."""
    told = False
    while True:
        try:
            return api.symbols(request)
        except KernsymError as error:
            if error.code != "being-fetched":
                raise
        if not told:
            reporter.line("search", f"for the kernel of build ID {request.fingerprint.build_id}")
            told = True
        time.sleep(_PAUSE_SECONDS)


def _follow(
    api: ServerApi,
    job: JobStatus,
    request: SymbolsRequest,
    reporter: Reporter,
    list_modules: ListModules | None,
) -> SymbolsRequest:
    """Follow a job to its end; the request that now says what is wanted."""
    for event in api.events(job.id):
        if event.kind is EventKind.VMLINUX and request.modules is None and list_modules:
            names = list_modules(event.kernel or job.kernel, event.path)
            request = replace(request, modules=names)
            _symbols(api, request, reporter)
        else:
            tell(event, reporter)
    reporter.end_progress()
    return request


def tell(event: Event, reporter: Reporter) -> None:
    """Show an event of a job.  Raises what it failed with."""
    if event.kind is EventKind.STAGE:
        reporter.line(event.stage, event.text)
    elif event.kind is EventKind.PROGRESS and event.done is not None:
        reporter.progress(event.stage, event.done, event.total)
    elif event.problem is not None:
        raise event.problem.as_error()
