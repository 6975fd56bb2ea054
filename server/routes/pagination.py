"""Lists in pages: a cursor says after which item the next page begins."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from aiohttp import web

from kernsym.distros import Unusable

T = TypeVar("T")


def page_of(items: Iterable[T], limit: int) -> tuple[tuple[T, ...], bool]:
    """The first `limit` items, and whether there are more."""
    taken = tuple(islice(items, limit + 1))
    return taken[:limit], len(taken) > limit


def link_to_next(request: web.Request, after: str) -> dict[str, str]:
    """The header that names the page after the item that `after` identifies (RFC 8288)."""
    cursor = base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")
    url = request.rel_url.update_query(cursor=cursor)
    return {"Link": f'<{url.raw_path_qs}>; rel="next"'}


def read_cursor(text: str | None, of: Callable[[str], T]) -> T | None:
    """What a cursor of ours holds, None for none.  Raises `Unusable` (`query-invalid`)."""
    if text is None:
        return None
    padded = text + "=" * (-len(text) % 4)
    try:
        return of(base64.b64decode(padded or "?", altchars=b"-_", validate=True).decode())
    except ValueError as error:
        raise Unusable(
            "query-invalid",
            "the cursor is not one of this server",
            hint="take it from the header Link of the page before",
        ) from error
