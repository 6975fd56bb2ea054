"""The debuginfod protocol for what is held: `/buildid/ID/{debuginfo,executable,source/PATH}`.

Paths and headers as in elfutils' debuginfod(8).
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from pathlib import Path

from aiohttp import web

from kernsym.cache import FileRole, Held
from kernsym.distros import KernsymError, Unusable
from kernsym.server.keys import STORE
from kernsym.server.request_log import KERNEL_OF

_BUILD_ID = re.compile(r"[0-9a-f]{8,64}")
_YEAR = 31_536_000


def add_debuginfod_routes(app: web.Application) -> None:
    app.router.add_get("/buildid/{id}/debuginfo", _debuginfo)
    app.router.add_get("/buildid/{id}/executable", _executable)
    app.router.add_get("/buildid/{id}/source/{path:.+}", _source)


async def _debuginfo(request: web.Request) -> web.StreamResponse:
    """The file with this build ID: the one with the DWARF."""
    held = await _find(request)
    return _answer(held.path, held.file.package)


async def _executable(request: web.Request) -> web.StreamResponse:
    """The same file, unless it is half of a split kernel: then the other half."""
    held = await _find(request)
    other = held.bundle.first(FileRole.STRIPPED)
    if other is None or held.file.role is not FileRole.VMLINUX:
        return _answer(held.path, held.file.package)
    folder = request.app[STORE].folder(held.bundle.kernel)
    return _answer(folder / other.path, other.package)


async def _source(request: web.Request) -> web.StreamResponse:
    """A source file, by its name in the DWARF: absolute, or relative to the source's top."""
    held = await _find(request)
    store = request.app[STORE]
    tree = held.bundle.first(FileRole.SOURCE_TREE)
    if tree is None:
        raise KernsymError("not-held", "the sources of this kernel are not held")
    name = posixpath.normpath("/" + request.match_info["path"]).lstrip("/")
    top = (store.folder(held.bundle.kernel) / tree.path).resolve()
    path = await asyncio.to_thread((top / name).resolve)
    if not path.is_relative_to(top):
        raise KernsymError("path-outside", f"{name} leads out of the source tree")
    if not path.is_file():
        raise KernsymError("not-held", f"the source tree has no file {name}")
    return _answer(path, tree.package)


async def _find(request: web.Request) -> Held:
    build_id = request.match_info["id"].lower()
    if not _BUILD_ID.fullmatch(build_id):
        raise Unusable("build-id-invalid", "a build ID is 8 to 64 hexadecimal digits")
    held = await asyncio.to_thread(request.app[STORE].find_build_id, build_id)
    if held is None:
        raise KernsymError(
            "not-held",
            f"no file with the build ID {build_id} is held",
            hint="bring its kernel here first: kernsym fetch DUMP or BANNER",
        )
    request[KERNEL_OF] = held.bundle.kernel.key
    return held


def _answer(path: Path, package: str) -> web.FileResponse:
    """A file that never changes under its build ID."""
    return web.FileResponse(
        path,
        headers={
            "Content-Type": "application/octet-stream",
            "Cache-Control": f"public, max-age={_YEAR}, immutable",
            "X-DEBUGINFOD-SIZE": str(path.stat().st_size),
            "X-DEBUGINFOD-FILE": path.name,
            "X-DEBUGINFOD-ARCHIVE": package,
        },
    )
