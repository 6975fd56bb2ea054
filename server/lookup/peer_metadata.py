"""What other debuginfod servers list on `/metadata`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import aiohttp
import msgspec

from kernsym.cache.messages import Metadata

_SECONDS = 10.0
_MOST_BYTES = 4 << 20


async def peer_metadata(
    session: aiohttp.ClientSession,
    urls: Sequence[str],
    query: Mapping[str, str],
    headers: Mapping[str, str],
) -> Metadata:
    """What all of them list together.  It is not complete when one does not answer, or has no
    such address: elfutils before 0.192."""
    found = await asyncio.gather(*(_ask(session, url, query, headers) for url in urls))
    return Metadata(
        results=tuple(result for each in found if each for result in each.results),
        complete=all(each is not None and each.complete for each in found),
    )


async def _ask(
    session: aiohttp.ClientSession, url: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Metadata | None:
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with session.get(
            f"{url}/metadata", params=query, headers=headers, timeout=timeout, max_redirects=5
        ) as answer:
            if answer.status != HTTPStatus.OK:
                return None
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > _MOST_BYTES:
                    return None
        return msgspec.json.decode(body, type=Metadata)
    except (aiohttp.ClientError, asyncio.TimeoutError, msgspec.DecodeError, ValueError):
        return None
