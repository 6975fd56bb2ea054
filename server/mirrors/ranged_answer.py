"""What a mirror's answer to a range must be like, so that its bytes may lie beside those of others.

RFC 9110, 13.1.5 (If-Range), 14 (ranges), 15.3.7 (206).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.mirror_errors import host_of, public

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class RangesUnusable(CouldNotFindOut):
    """Ranges of this package cannot be had or trusted; the whole of it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Of which file the ranges are: its `size` in bytes, and the mirror's names for its content, ""
    where it said none."""

    size: int
    etag: str
    modified: str

    @property
    def validator(self) -> str:
        """What If-Range may be asked with.  A weak entity tag does not vouch for bytes."""
        return self.etag if self.etag.startswith('"') else self.modified

    def differs(self, other: Entity) -> bool:
        """Whether an answer was about another file, as far as it said; one to If-Range need not
        repeat what was asked with."""
        said = ((self.etag, other.etag), (self.modified, other.modified))
        return self.size != other.size or any(one and two and one != two for one, two in said)


def request_headers(first: int, last: int, known: Entity | None) -> dict[str, str]:
    """Asks for the bytes from `first` to `last`, of the file that is `known`."""
    headers = {"Range": f"bytes={first}-{last}"}
    return headers | ({"If-Range": known.validator} if known else {})


def require_range(
    url: str,
    status: int,
    headers: Mapping[str, str],
    first: int,
    last: int,
    known: Entity | None,
) -> Entity:
    """The file that an answer is a range of: exactly the bytes from `first` to `last`, or to its
    end where that comes before.

    `known`: the file that earlier ranges were of.  Raises `RangesUnusable`.
    """
    span = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if known is not None and status == HTTPStatus.OK:
        raise unusable(url, "the package changed on the mirror, or it has several copies of it")
    if status != HTTPStatus.PARTIAL_CONTENT:
        raise unusable(url, f"it answered {int(status)} instead of 206")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise unusable(url, "what it sends is compressed once more")
    if span is None:
        raise unusable(url, "it does not say which range it sends")
    begin, end, size = (int(number) for number in span.groups())
    if (begin, end) != (first, min(last, size - 1)) or end < begin:
        raise unusable(url, "it sends another range than was asked for")
    length = headers.get("Content-Length")
    if length is not None and length != str(end - begin + 1):
        raise unusable(url, f"it sends {length} bytes as a range of {end - begin + 1}")
    entity = Entity(
        size=size, etag=headers.get("ETag", ""), modified=headers.get("Last-Modified", "")
    )
    if known is None and not entity.validator:
        raise unusable(url, "it says nothing by which a change of the package would show")
    if known is not None and known.differs(entity):
        raise unusable(url, "the package changed on the mirror, or it has several copies of it")
    return entity


def unusable(url: str, why: str) -> RangesUnusable:
    """The error for a mirror whose ranges are no good."""
    return RangesUnusable(
        "ranges-unusable",
        f"{host_of(url)} gives no ranges of the package that can be used: {why}",
        context=(f"asked  {public(url)}",),
    )
