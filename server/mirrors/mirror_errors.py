"""What a mirror's failure means, in words that hold no secrets.

Nearly all of it is `CouldNotFindOut`; `TryAgain` where another attempt makes sense.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from kernsym.distros import CouldNotFindOut, KernsymError, Refused, Unusable

MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
CLOSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class TryAgain(CouldNotFindOut):
    """It may work in a moment; in `after` seconds if the mirror said so."""

    after: float | None = None


def public(url: str) -> str:
    """The URL without user, password and query (a token), fit for messages and logs.

    >>> public("https://me:secret@mirror.example/debian/?token")
    'https://mirror.example/debian/'
    """
    scheme, separator, rest = url.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def host_of(url: str) -> str:
    """The host for a message, or all of a URL that names none."""
    with contextlib.suppress(ValueError):
        return urlsplit(url).hostname or public(url)
    return "the mirror"


def digest_mismatch(url: str, announced: str, came: str) -> Refused:
    """The error for a page that has another digest (`sha256:HEX`) than is announced."""
    return Refused(
        "digest-mismatch",
        f"what {host_of(url)} sent is not what its signed index announces",
        context=(f"asked     {public(url)}", f"announced {announced}", f"came      {came}"),
        hint="a mirror in the middle of an update looks like this: try again in an hour",
    )


def require_answer(url: str, answer: aiohttp.ClientResponse) -> None:
    """Raises `CouldNotFindOut` for a status that tells neither yes nor no."""
    status = answer.status
    fine = (HTTPStatus.NOT_MODIFIED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, *MISSING)
    if status < 300 or status in fine:
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500:
        error = TryAgain(
            "mirror-failing",
            f"{host_of(url)} answered {status}",
            context=(f"asked  {public(url)}",),
            hint="try again later, or name another mirror as a [[source]] in kernsym.toml",
        )
        error.after = _retry_after(answer.headers.get("Retry-After", ""))
        raise error
    raise odd_status(url, status)


def odd_status(url: str, status: int) -> CouldNotFindOut:
    """The error for a status that makes no sense here."""
    return CouldNotFindOut(
        "mirror-refuses", f"{host_of(url)} answered {status}", context=(f"asked  {public(url)}",)
    )


def _retry_after(value: str) -> float | None:
    """Seconds to wait, from either form of the header (RFC 9110, 10.2.3)."""
    if value.isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def explain(url: str, error: Exception) -> KernsymError:
    """The error for what aiohttp raised while `url` was asked."""
    context = (f"asked  {public(url)}",)
    host = host_of(url)
    if isinstance(error, aiohttp.ClientSSLError):
        return CouldNotFindOut(
            "mirror-untrusted", f"the certificate of {host} does not hold: {error}", context=context
        )
    if isinstance(error, aiohttp.TooManyRedirects):
        return CouldNotFindOut("mirror-refuses", f"{host} redirects endlessly", context=context)
    if isinstance(error, aiohttp.InvalidURL):
        return Unusable("url-invalid", f"not a URL that can be asked: {public(url)}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):  # again would be as slow
        return CouldNotFindOut("mirror-unreachable", f"{host} does not answer", context=context)
    if isinstance(error, asyncio.TimeoutError):
        return TryAgain("mirror-timeout", f"{host} stopped sending", context=context)
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or "no answer"
        return TryAgain(
            "mirror-unreachable",
            f"{host} cannot be reached: {reason}",
            context=context,
            hint="check the network and the proxy (http_proxy, https_proxy)",
        )
    return TryAgain(
        "mirror-unreachable",
        f"the connection to {host} broke: {type(error).__name__}",
        context=context,
        hint="try again later; a server that demands a client_cert may hang up like this"
        if url.startswith("https:")
        else None,
    )


def too_large(url: str, limit: int) -> Refused:
    """The error for a page that is longer than any index."""
    return Refused("page-too-large", f"{public(url)} has more than {limit >> 20} MiB")
