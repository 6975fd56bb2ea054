"""The Range header (RFC 9110, section 14): which bytes are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Nobody needs more; a header of thousands would make an answer of thousands of small parts.
_MOST_SPANS = 64
# No file has more digits, and Python refuses to read thousands of them.
_SPEC = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `first` on, `size` of them."""

    first: int
    size: int

    @property
    def end(self) -> int:
        return self.first + self.size


def parse_ranges(header: str, size: int) -> tuple[Span, ...] | None:
    """The spans that are asked for of `size` bytes, in the order of the header.

    None: the header means nothing and the whole is to be sent; (): no span has any byte (416).
    Spans that overlap are sent as one, so that no answer is longer than the whole.

    >>> parse_ranges("bytes=0-1,-2", 10)
    (Span(first=0, size=2), Span(first=8, size=2))
    """
    unit, _, specs = header.partition("=")
    found = [spec.strip(" \t") for spec in specs.split(",", _MOST_SPANS)]
    if unit.strip().lower() != "bytes" or len(found) > _MOST_SPANS:
        return None
    spans = []
    for spec in filter(None, found):
        match = _SPEC.fullmatch(spec)
        if match is None or not (match[1] or match[2]):
            return None
        if match[1] and match[2] and int(match[1]) > int(match[2]):
            return None
        span = _span(match[1], match[2], size)
        if span.size > 0:
            spans.append(span)
    return _without_overlap(spans) if any(found) else None


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        length = min(int(last), size)
        return Span(size - length, length)
    end = min(int(last) + 1, size) if last else size
    return Span(int(first), max(end - int(first), 0))


def _without_overlap(spans: list[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.first):
        if joined and span.first < joined[-1].end:
            before = joined.pop()
            span = Span(before.first, max(before.end, span.end) - before.first)
        joined.append(span)
    return tuple(joined if len(joined) < len(spans) else spans)
