"""`POST /api/v1/kernels`: kernels of somebody's own."""

from __future__ import annotations

from typing import IO, cast

from aiohttp import web

from kernsym.cache import Bundle
from kernsym.cache.tokens import TokenRole
from kernsym.distros import Unusable
from kernsym.server.bring.added import add
from kernsym.server.keys import CONFIG, STORE
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.bodies import IncomingBody
from kernsym.server.routes.route import Media, Route, Upload
from kernsym.server.threads import in_thread

_LONGEST_LABEL = 200


async def _add(request: web.Request) -> web.Response:
    """Take in a kernel that no distribution publishes; answers what is held of it then.

    The body is a tar: `vmlinux` first, then `modules/.../NAME.ko` and `source/...` as far as there
    are any, and last `SHA256SUMS`, as sha256sum(1) writes it, of all of them.  The parameter
    `label` is what people call it.  Where a distribution claims its banner, only its build ID leads
    to it.  An upload that is cut leaves nothing.
    """
    label = request.query.get("label", "")
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        raise Unusable("query-invalid", f"a label is a line of at most {_LONGEST_LABEL} characters")
    body = IncomingBody(request)
    most_bytes = request.app[CONFIG].options.upload_mb << 20
    bundle = await in_thread(
        lambda: add(request.app[STORE], cast(IO[bytes], body), label=label, most_bytes=most_bytes),
        stop=body.close,
    )
    return json_answer(bundle)


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/kernels",
        handler=Upload(Media(type="application/x-tar"), _add),
        role=TokenRole.ADMIN,
        answers={200: Bundle},
        problems=(
            "upload-cut",
            "upload-damaged",
            "upload-odd",
            "upload-too-large",
            "query-invalid",
            "distribution-held",
            "refused",
            "disk-full",
        ),
    ),
)
