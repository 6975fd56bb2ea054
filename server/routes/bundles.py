"""`/api/v1/bundles`: kernels that are carried here in a file."""

from __future__ import annotations

import asyncio
from concurrent.futures import TimeoutError as TookTooLong
from typing import IO, cast

from aiohttp import StreamReader, web
from aiohttp.client_exceptions import ClientError

from kernsym.cache.messages import KernelList
from kernsym.cache.tokens import TokenRole
from kernsym.distros import CouldNotFindOut
from kernsym.server.bring.carried import take_in
from kernsym.server.keys import CONFIG, STORE
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.route import Media, Route, Upload
from kernsym.server.threads import in_thread

_MOST_BYTES_AT_ONCE = 1 << 20


async def _import(request: web.Request) -> web.Response:
    """Take in the kernels of a .kbundle, which is the body; answers what is held of them then.

    The body is unpacked and checked while it comes.  A file that is damaged, or not of the kernel
    that it claims to be of, is refused; kernels that stand before it in the bundle stay.
    """
    body = _Body(request.content, asyncio.get_running_loop())
    keys = request.app[CONFIG].options.import_keys
    kernels = await in_thread(
        lambda: take_in(request.app[STORE], cast(IO[bytes], body), keys), stop=body.close
    )
    return json_answer(KernelList(kernels=kernels))


class _Body:
    """The body of a request, as a thread reads it while it comes."""

    def __init__(self, content: StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        self._content = content
        self._loop = loop
        self._closed = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end.  Raises `CouldNotFindOut` (`upload-cut`)."""
        if self._closed:
            raise CouldNotFindOut("upload-cut", "whoever sent the bundle has gone")
        size = min(size, _MOST_BYTES_AT_ONCE) if size > 0 else _MOST_BYTES_AT_ONCE
        coming = asyncio.run_coroutine_threadsafe(self._content.read(size), self._loop)
        try:
            return coming.result()
        except (ClientError, OSError, TookTooLong, web.HTTPException) as error:
            raise CouldNotFindOut("upload-cut", "the bundle did not arrive whole") from error

    def close(self) -> None:
        self._closed = True


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/bundles",
        handler=Upload(Media(type="application/zstd"), _import),
        role=TokenRole.ADMIN,
        answers={200: KernelList},
        problems=("refused", "unusable", "disk-full"),
    ),
)
