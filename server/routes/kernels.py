"""`/api/v1/kernels`: what is held, file by file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Annotated

import msgspec
from aiohttp import web

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.messages import KernelList
from kernsym.cache.tokens import TokenRole
from kernsym.distros import KernsymError, NotIdentified
from kernsym.server.gate.limits import LIMITS
from kernsym.server.keys import ANSWERS, STORE
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.pagination import link_to_next, page_of, read_cursor
from kernsym.server.routes.route import Media, Query, Route
from kernsym.server.served.body import make_body
from kernsym.server.served.tree_stream import stream_tree
from kernsym.server.watch.request_log import KERNEL_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelsQuery:
    """`build_id`: of vmlinux or of any module."""

    distro: str | None = None
    uname: str | None = None
    build_id: str | None = None
    # With all its modules the manifest of one kernel has a megabyte.
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    cursor: str | None = None


async def _kernels(request: web.Request, query: KernelsQuery) -> web.Response:
    """List the kernels that are held, in the order of their keys."""
    after = read_cursor(query.cursor, str) or ""
    found = _matching(request.app[STORE], query, after)
    page, more = await asyncio.to_thread(page_of, found, query.limit)
    headers = link_to_next(request, page[-1].kernel.key) if more else {}
    return json_answer(KernelList(kernels=page), headers=headers)


def _matching(store: Store, query: KernelsQuery, after: str) -> Iterator[Bundle]:
    """Reads the manifests of the kernels that are asked for, and no others."""
    keys = None
    if query.build_id is not None:
        held = store.find_build_id(query.build_id.lower())
        keys = {held.key} if held else set()

    def wanted(key: str) -> bool:
        distro, _, uname, _ = key.split("/")
        return (
            key > after
            and query.distro in (None, distro)
            and query.uname in (None, uname)
            and (keys is None or key in keys)
        )

    return store.bundles(wanted)


async def _kernel(request: web.Request) -> web.Response:
    """Show what is held of a kernel."""
    return json_answer(await asyncio.to_thread(find_kernel, request))


async def _remove(request: web.Request) -> web.Response:
    """Remove a kernel and all that is held of it."""
    bundle = await asyncio.to_thread(find_kernel, request)
    await asyncio.to_thread(request.app[STORE].remove, bundle)
    return web.Response(status=204)


async def _file(request: web.Request) -> web.StreamResponse:
    """Send one file of a kernel; only what its manifest names."""
    bundle = await asyncio.to_thread(find_kernel, request)
    name = request.match_info["path"]
    copy = bundle.usable_copy()
    files = (*bundle.files, copy.file) if copy else bundle.files
    file = next((file for file in files if file.path == name), None)
    path: Path = request.app[STORE].folder(bundle.kernel) / name
    modified = await asyncio.to_thread(_modified, path) if file else None
    if file is None or modified is None:
        raise KernsymError("not-held", f"the kernel {bundle.kernel.key} holds no file {name}")
    mark = bundle.mark_of(file)
    body = make_body(
        path,
        0,
        file.size,
        kernel=bundle.kernel.key,
        etag=file.sha256,
        modified=modified,
        cache_control="no-cache",  # another file may come to lie at the same path
        name=path.name,
        archive=file.package,
        unchecked=mark.words if mark else "",
    )
    return await request.app[ANSWERS].answer(request, body)


async def _sources(request: web.Request) -> web.StreamResponse:
    """Send the source tree of a kernel as a tar stream of plain files."""
    bundle = await asyncio.to_thread(find_kernel, request)
    tree = bundle.first(FileRole.SOURCE_TREE)
    if tree is None:
        raise KernsymError("not-held", f"the sources of {bundle.kernel.key} are not held")
    response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
    using = request.app[STORE].uses.using(bundle.kernel.key)
    async with request.app[LIMITS].large_answer(request):
        with using:
            await response.prepare(request)
            async for piece in stream_tree(request.app[STORE].folder(bundle.kernel) / tree.path):
                await response.write(piece)
    return response


def _modified(path: Path) -> float | None:
    """When a file was last changed; None when there is no such file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime if S_ISREG(state.st_mode) else None


def find_kernel(request: web.Request) -> Bundle:
    """The kernel that the path names.  Raises `NotIdentified` (`not-held`)."""
    store: Store = request.app[STORE]
    info = request.match_info
    key = f"{info['distro']}/{info['arch']}/{info['uname']}/{info['version']}"
    request[KERNEL_OF] = key
    bundle = store.bundle_by_key(key)
    if bundle is None:
        raise NotIdentified("not-held", f"no kernel {key} is held")
    return bundle


KERNEL_PATH = "/api/v1/kernels/{distro}/{arch}/{uname}/{version}"

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/kernels",
        handler=Query(KernelsQuery, _kernels),
        role=TokenRole.READ,
        answers={200: KernelList},
    ),
    Route(
        method="GET",
        path=KERNEL_PATH,
        handler=_kernel,
        role=TokenRole.READ,
        answers={200: Bundle},
        problems=("not-held",),
    ),
    Route(
        method="DELETE",
        path=KERNEL_PATH,
        handler=_remove,
        role=TokenRole.ADMIN,
        answers={204: None},
        problems=("not-held", "pinned"),
    ),
    Route(
        method="GET",
        path=KERNEL_PATH + "/files/{path:.+}",
        handler=_file,
        role=TokenRole.READ,
        answers={200: Media(type="application/octet-stream")},
        problems=("not-held",),
    ),
    Route(
        method="GET",
        path=KERNEL_PATH + "/sources",
        handler=_sources,
        role=TokenRole.READ,
        answers={200: Media(type="application/x-tar")},
        problems=("not-held",),
    ),
)
