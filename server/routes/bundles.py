"""`/api/v1/bundles`: kernels that are carried here in a file."""

from __future__ import annotations

from typing import IO, cast

from aiohttp import web

from kernsym.cache.messages import KernelList
from kernsym.cache.tokens import TokenRole
from kernsym.server.bring.carried import take_in
from kernsym.server.keys import CONFIG, STORE
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.bodies import IncomingBody
from kernsym.server.routes.route import Media, Route, Upload
from kernsym.server.threads import in_thread


async def _import(request: web.Request) -> web.Response:
    """Take in the kernels of a .kbundle, which is the body; answers what is held of them then.

    The body is unpacked and checked while it comes.  A file that is damaged, or not of the kernel
    that it claims to be of, is refused; kernels that stand before it in the bundle stay.
    """
    body = IncomingBody(request)
    keys = request.app[CONFIG].options.import_keys
    kernels = await in_thread(
        lambda: take_in(request.app[STORE], cast(IO[bytes], body), keys), stop=body.close
    )
    return json_answer(KernelList(kernels=kernels))


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/bundles",
        handler=Upload(Media(type="application/zstd"), _import),
        role=TokenRole.ADMIN,
        answers={200: KernelList},
        problems=("upload-cut", "kbundle-damaged", "refused", "unusable", "disk-full"),
    ),
)
