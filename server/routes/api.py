"""`/api/v1`: identify, symbols, jobs, kernels."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from aiohttp import web

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.messages import Event, KernelList, SymbolsRequest
from kernsym.distros import Fingerprint, KernsymError, NotIdentified, identify
from kernsym.server.access import require_token
from kernsym.server.jobs import Job
from kernsym.server.keys import JOBS, STORE, SYMBOLS
from kernsym.server.request_log import KERNEL_OF
from kernsym.server.routes.answers import json_answer, read_body
from kernsym.server.tree_stream import stream_tree

_KERNEL = "/api/v1/kernels/{distro}/{arch}/{uname}/{version}"
_HEARTBEAT_SECONDS = 15.0


def add_api_routes(app: web.Application) -> None:
    app.router.add_post("/api/v1/identify", _identify)
    app.router.add_post("/api/v1/symbols", _symbols)
    app.router.add_get("/api/v1/jobs/{id}", _job)
    app.router.add_get("/api/v1/jobs/{id}/events", _events)
    app.router.add_get("/api/v1/kernels", _kernels)
    app.router.add_get(_KERNEL, _kernel)
    app.router.add_delete(_KERNEL, _remove)
    app.router.add_get(_KERNEL + "/files/{path:.+}", _file)
    app.router.add_get(_KERNEL + "/sources", _sources)


async def _identify(request: web.Request) -> web.Response:
    fingerprint = await read_body(request, Fingerprint)
    return json_answer(await asyncio.to_thread(identify, fingerprint))


async def _symbols(request: web.Request) -> web.Response:
    """200 with the bundle when all that is asked for is held, else 202 with the job."""
    wanted = await read_body(request, SymbolsRequest)
    symbols = request.app[SYMBOLS]
    held = await asyncio.to_thread(symbols.held, wanted)
    if held is not None:
        return json_answer(held)
    require_token(request)
    job = await symbols.start(wanted)
    return json_answer(job.status(), status=202, headers={"Location": f"/api/v1/jobs/{job.id}"})


async def _job(request: web.Request) -> web.Response:
    return json_answer(_find_job(request).status(), headers={"Cache-Control": "no-store"})


async def _events(request: web.Request) -> web.StreamResponse:
    """The job's events as server-sent events, from Last-Event-ID on, to the last."""
    job = _find_job(request)
    after = request.headers.get("Last-Event-ID", "0")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    events = job.follow(int(after) if after.isdigit() else 0)
    pending = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=_HEARTBEAT_SECONDS)
            if not done:
                await response.write(b": still at it\n\n")
                continue
            event = pending.result()
            if event is None:
                return response
            await response.write(_as_sse(event))
            pending = asyncio.ensure_future(anext(events, None))
    except ConnectionError:
        return response  # the reader has gone; the job goes on
    finally:
        pending.cancel()


def _as_sse(event: Event) -> bytes:
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.kind.value.encode(), data)


async def _kernels(request: web.Request) -> web.Response:
    store = request.app[STORE]
    return json_answer(await asyncio.to_thread(lambda: KernelList(kernels=tuple(store.bundles()))))


async def _kernel(request: web.Request) -> web.Response:
    return json_answer(await asyncio.to_thread(_find_bundle, request))


async def _remove(request: web.Request) -> web.Response:
    require_token(request)
    bundle = await asyncio.to_thread(_find_bundle, request)
    await asyncio.to_thread(request.app[STORE].remove, bundle)
    return web.Response(status=204)


async def _file(request: web.Request) -> web.StreamResponse:
    """One file of a bundle; only what the manifest names is served."""
    bundle = await asyncio.to_thread(_find_bundle, request)
    name = request.match_info["path"]
    file = next((file for file in bundle.files if file.path == name), None)
    path: Path = request.app[STORE].folder(bundle.kernel) / name
    if file is None or not await asyncio.to_thread(path.is_file):
        raise KernsymError("not-held", f"the kernel {bundle.kernel.key} holds no file {name}")
    return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


async def _sources(request: web.Request) -> web.StreamResponse:
    """The source tree as a tar stream of plain files, made while it is sent."""
    bundle = await asyncio.to_thread(_find_bundle, request)
    tree = bundle.first(FileRole.SOURCE_TREE)
    if tree is None:
        raise KernsymError("not-held", f"the sources of {bundle.kernel.key} are not held")
    response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
    await response.prepare(request)
    async for piece in stream_tree(request.app[STORE].folder(bundle.kernel) / tree.path):
        await response.write(piece)
    return response


def _find_bundle(request: web.Request) -> Bundle:
    store: Store = request.app[STORE]
    info = request.match_info
    key = f"{info['distro']}/{info['arch']}/{info['uname']}/{info['version']}"
    request[KERNEL_OF] = key
    bundle = store.bundle_by_key(key)
    if bundle is None:
        raise NotIdentified("not-held", f"no kernel {key} is held")
    return bundle


def _find_job(request: web.Request) -> Job:
    job = request.app[JOBS].get(request.match_info["id"])
    if job is None:
        raise KernsymError("no-such-job", "there is no such job, or it ended long ago")
    return job
