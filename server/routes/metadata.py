"""`/metadata`: which files there are by path, pattern or build ID; in elfutils' form of 0.192."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from aiohttp import web

from kernsym.cache import FileMatch, FileRole, FileSearch, Store
from kernsym.cache.messages import Metadata, MetadataFile
from kernsym.cache.tokens import TokenRole
from kernsym.distros import Unusable
from kernsym.server.keys import LOOKUP, STORE
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.asks import asker_of
from kernsym.server.routes.route import Query, Route

_BUILD_ID = re.compile(r"(?:[0-9a-fA-F]{2}){4,32}")
_MOST_FILES = 5000
_MOST_SECONDS = 5.0
_MOST_VALUE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataQuery:
    """`value`: an absolute path for `file`, a pattern of such for `glob`."""

    key: Literal["glob", "file", "buildid"]
    value: str


async def _metadata(request: web.Request, query: MetadataQuery) -> web.StreamResponse:
    """List files of the held kernels, and what other debuginfod servers list.

    In a pattern no wildcard stands for a slash.  There is a limit of time and of number.
    """
    found = await asyncio.to_thread(_search, request.app[STORE], query)
    if (lookup := request.app.get(LOOKUP)) is not None:
        others = await lookup.metadata(asdict(query), asker_of(request))
        found = Metadata(
            results=(*found.results, *others.results), complete=found.complete and others.complete
        )
    return json_answer(found, headers={"Cache-Control": "max-age=60"})


def _search(store: Store, query: MetadataQuery) -> Metadata:
    if len(query.value) > _MOST_VALUE or "\0" in query.value:
        raise Unusable("query-invalid", "no file has such a name")
    if query.key == "buildid" and not _BUILD_ID.fullmatch(query.value):
        raise Unusable("query-invalid", "a build ID is 8 to 64 hexadecimal digits")
    matches = store.files.search(
        FileSearch(
            path=query.value if query.key == "file" else "",
            pattern=query.value if query.key == "glob" else "",
            build_id=query.value if query.key == "buildid" else "",
            limit=_MOST_FILES,
            seconds=_MOST_SECONDS,
        )
    )
    results = tuple(result for match in matches.files for result in _results(match))
    return Metadata(results=results, complete=matches.complete and store.files.complete)


def _results(match: FileMatch) -> Iterator[MetadataFile]:
    """What a file answers for: one that is not half of a pair, for both."""
    debug_only = match.path.endswith(".debug")
    if match.role is not FileRole.STRIPPED:
        yield _file("debuginfo", match)
    if not debug_only:
        yield _file("executable", match)


def _file(kind: Literal["debuginfo", "executable"], match: FileMatch) -> MetadataFile:
    return MetadataFile(type=kind, buildid=match.build_id, file=match.path, archive=match.archive)


ROUTES = (
    Route(
        method="GET",
        path="/metadata",
        handler=Query(MetadataQuery, _metadata),
        role=TokenRole.READ,
        answers={200: Metadata},
    ),
)
