"""`/api/v1/usage`, `/gc` and pins: what the store takes, what it gives up, what it shall keep."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kernsym.cache.marks import Pin
from kernsym.cache.messages import PinRequest, Unpinned
from kernsym.cache.tokens import TokenRole
from kernsym.cache.upkeep import Collected, CollectRequest, StoreUsage, collect, store_usage
from kernsym.distros import Unusable
from kernsym.server.disk import writing
from kernsym.server.keys import RELOAD, STORE
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.kernels import KERNEL_PATH, find_kernel
from kernsym.server.routes.route import Body, Route
from kernsym.server.watch.removals import log_collected


async def _usage(request: web.Request) -> web.Response:
    """Show what each kernel takes on the disk, and the store beside them."""
    limits = request.app[RELOAD].config.limits
    return json_answer(await asyncio.to_thread(store_usage, request.app[STORE], limits))


async def _collect(request: web.Request, body: CollectRequest) -> web.Response:
    """Remove what exceeds the limits, or say what would go."""
    store = request.app[STORE]
    limits = request.app[RELOAD].config.limits.overridden_by(body.limits)
    if not limits:
        raise Unusable(
            "no-limits",
            "nothing limits the server's store",
            hint="give limits, or set them under [store] in the server's kernsym.toml",
        )
    collected = await asyncio.to_thread(
        lambda: collect(store, limits, unpublished=body.unpublished, plan=body.plan)
    )
    if not body.plan:
        log_collected(collected)
    return json_answer(collected)


async def _pin(request: web.Request, body: PinRequest) -> web.Response:
    """Keep a kernel, whatever the limits say."""
    bundle = await asyncio.to_thread(find_kernel, request)
    store = request.app[STORE]
    with writing(store.folder(bundle.kernel)):
        pin = await asyncio.to_thread(store.marks.pin, bundle.kernel.key, body.reason)
    return json_answer(pin)


async def _unpin(request: web.Request) -> web.Response:
    """Let a kernel go when the limits demand it."""
    bundle = await asyncio.to_thread(find_kernel, request)
    store = request.app[STORE]
    with writing(store.folder(bundle.kernel)):
        was = await asyncio.to_thread(store.marks.unpin, bundle.kernel.key)
    return json_answer(Unpinned(was_pinned=was))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/usage",
        handler=_usage,
        role=TokenRole.READ,
        answers={200: StoreUsage},
    ),
    Route(
        method="POST",
        path="/api/v1/gc",
        handler=Body(CollectRequest, _collect),
        role=TokenRole.ADMIN,
        answers={200: Collected},
        problems=("no-limits",),
    ),
    Route(
        method="PUT",
        path=KERNEL_PATH + "/pin",
        handler=Body(PinRequest, _pin),
        role=TokenRole.ADMIN,
        answers={200: Pin},
        problems=("not-held", "store-unwritable"),
    ),
    Route(
        method="DELETE",
        path=KERNEL_PATH + "/pin",
        handler=_unpin,
        role=TokenRole.ADMIN,
        answers={200: Unpinned},
        problems=("not-held", "store-unwritable"),
    ),
)
