"""Conditional requests (RFC 9110, section 13): has the client this very content already?"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

_ETAG = re.compile(r'\s*(W/)?"([^"]*)"\s*(?:,|$)')


class Verdict(enum.Enum):
    SEND = 200
    NOT_MODIFIED = 304
    FAILED = 412


def evaluate(headers: Mapping[str, str], etag: str, modified: int) -> Verdict:
    """What the conditions of a GET or HEAD say of content with this strong `etag`, which was
    `modified` at that second of the epoch.  Dates count only where no tags are given."""
    if (tags := headers.get("If-Match")) is not None:
        if not _names(tags, etag, weak=False):
            return Verdict.FAILED
    elif (then := _seconds(headers.get("If-Unmodified-Since"))) is not None and modified > then:
        return Verdict.FAILED
    if (tags := headers.get("If-None-Match")) is not None:
        return Verdict.NOT_MODIFIED if _names(tags, etag, weak=True) else Verdict.SEND
    if (then := _seconds(headers.get("If-Modified-Since"))) is not None and modified <= then:
        return Verdict.NOT_MODIFIED
    return Verdict.SEND


def allows_range(if_range: str | None, etag: str, modified: int) -> bool:
    """Whether a part may be sent: the client's other parts are of the same content."""
    if if_range is None:
        return True
    if '"' in if_range:
        return if_range.strip() == f'"{etag}"'
    return _seconds(if_range) == modified


def _names(tags: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags names this one; a weak tag does so only where that counts."""
    if tags.strip() == "*":
        return True
    at = 0
    while match := _ETAG.match(tags, at):
        if match[2] == etag and (weak or not match[1]):
            return True
        at = match.end()
    return False


def _seconds(date: str | None) -> int | None:
    """A date of HTTP in seconds since the epoch; None for none, and for what is no date."""
    if date is None:
        return None
    try:
        read = parsedate_to_datetime(date)
        # `-0000` and dates of asctime come without a zone: they are in UTC.
        return int((read if read.tzinfo else read.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
