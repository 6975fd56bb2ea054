"""The debuginfod protocol for what is held: `/buildid/ID/{debuginfo,executable,source,section}`.

Paths and headers as in elfutils' debuginfod(8), and what that lacks: HEAD, build IDs in any case,
ranges, conditions, encodings, and misses with a reason.
"""

from __future__ import annotations

import re

from aiohttp import web

from kernsym.distros import Unusable
from kernsym.server.keys import ANSWERS, ARTEFACTS
from kernsym.server.request_log import KERNEL_OF
from kernsym.server.served import Body

# elfutils takes shorter ones too; a build ID that was cut off must not find anything.
_BUILD_ID = re.compile(r"(?:[0-9a-fA-F]{2}){4,32}")


def add_debuginfod_routes(app: web.Application) -> None:
    app.router.add_get("/buildid/{id}/debuginfo", _debuginfo)
    app.router.add_get("/buildid/{id}/executable", _executable)
    app.router.add_get("/buildid/{id}/section/{name:.+}", _section)
    app.router.add_get("/buildid/{id}/source/{name:.+}", _source)


async def _debuginfo(request: web.Request) -> web.StreamResponse:
    """The file with the DWARF; of most kernels that is the whole vmlinux."""
    return await _answer(request, await request.app[ARTEFACTS].debuginfo(_build_id(request)))


async def _executable(request: web.Request) -> web.StreamResponse:
    """The file with the code: the same, unless the kernel comes in two halves."""
    return await _answer(request, await request.app[ARTEFACTS].executable(_build_id(request)))


async def _section(request: web.Request) -> web.StreamResponse:
    """The bytes of one section, as they are in the file."""
    name = request.match_info["name"]
    return await _answer(request, await request.app[ARTEFACTS].section(_build_id(request), name))


async def _source(request: web.Request) -> web.StreamResponse:
    """A source file by its name in the DWARF, absolute or relative, in any of its spellings."""
    name = request.match_info["name"]
    return await _answer(request, await request.app[ARTEFACTS].source(_build_id(request), name))


async def _answer(request: web.Request, body: Body) -> web.StreamResponse:
    request[KERNEL_OF] = body.kernel
    return await request.app[ANSWERS].answer(request, body)


def _build_id(request: web.Request) -> str:
    """The build ID of the path.  Raises `Unusable` (`build-id-invalid`)."""
    text = request.match_info["id"]
    if not _BUILD_ID.fullmatch(text):
        raise Unusable(
            "build-id-invalid",
            f"not a build ID: {text[:80]!r}",
            context=(f"it has {len(text)} characters",),
            hint="a build ID is 8 to 64 hexadecimal digits, an even number of them; "
            "`eu-readelf -n FILE` shows it",
        )
    return text.lower()
