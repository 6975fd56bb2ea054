"""A plan or a finished run for people, as lines and a table, and for programs, as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from kernsym.cache.messages import Part
from kernsym.client.output import size
from kernsym.client.preseed.entries import BadLine
from kernsym.client.preseed.items import Item, State

WORDS = {
    State.HELD: "held",
    State.PLANNED: "to fetch",
    State.FETCHED: "fetched",
    State.LEFT: "left",
    State.UNPUBLISHED: "not published",
    State.UNKNOWN: "not found out",
    State.UNIDENTIFIED: "not identified",
    State.REFUSED: "refused",
    State.FAULT: "failed",
}
_LONGEST_NAME = 72


def table(items: Sequence[Item]) -> Iterator[str]:
    """A line for each kernel: what becomes of it, on how many machines, its bytes, its package or
    why there is none."""
    widest = max((len(_short(item.name)) for item in items), default=0)
    head = f"{'':<14} {'machines':>8}  {'kernel':<{widest}}  {'fetch':>7}  {'keep':>7}"
    yield head.rstrip()
    for item in items:
        fetch, keep = (
            size(count) if count else "-" for count in (item.fetch_bytes, item.keep_bytes)
        )
        yield (
            f"{WORDS[item.state]:<14} {item.count:>8}  {_short(item.name):<{widest}}"
            f"  {fetch:>7}  {keep:>7}  {about(item)}"
        ).rstrip()


def about(item: Item) -> str:
    """The packages of an item, or why it has none."""
    if item.problem is not None:
        return item.problem.message
    return ", ".join(f"{ref.package.id} ({ref.origin})" for ref in item.packages)


def totals(items: Sequence[Item], bad: Sequence[BadLine]) -> str:
    """All of it in one sentence."""
    kernels = [item for item in items if item.part is Part.SYMBOLS]
    counts = Counter(item.state for item in items)
    words = [f"{counts[state]} {word}" for state, word in WORDS.items() if counts[state]]
    machines = sum(item.count for item in kernels)
    text = f"{_number(len(kernels), 'kernel')} on {_number(machines, 'machine')}"
    text += f": {', '.join(words)}" if words else ""
    fetch, keep = (sum(getattr(item, name) for item in items) for name in _AMOUNTS)
    if fetch:
        text += f"; {size(fetch)} to fetch, about {size(keep)} to keep"
    came = sum(item.downloaded for item in items)
    if came:
        text += f"; {size(came)} came"
    return text + (f"; {_number(len(bad), 'line')} not understood" if bad else "")


_AMOUNTS = ("fetch_bytes", "keep_bytes")


def as_json(
    items: Sequence[Item], bad: Sequence[BadLine], *, status: int, unanswered: Sequence[str] = ()
) -> str:
    """The object that other programs read: its keys are fixed."""
    counts = Counter(item.state.value for item in items)
    answer = {
        "status": status,
        "kernels": [_item(item) for item in items],
        "bad_lines": [
            {"where": line.where, "text": line.text, "reason": line.reason} for line in bad
        ],
        "unanswered": list(unanswered),
        "totals": {
            "kernels": sum(item.part is Part.SYMBOLS for item in items),
            "machines": sum(item.count for item in items if item.part is Part.SYMBOLS),
            "states": {state.value: counts[state.value] for state in State},
            "fetch_bytes": sum(item.fetch_bytes for item in items),
            "keep_bytes": sum(item.keep_bytes for item in items),
            "downloaded": sum(item.downloaded for item in items),
        },
    }
    return json.dumps(answer)


def _item(item: Item) -> dict[str, Any]:
    """`keep_bytes` is an estimate; `url` may hold no secret, as everywhere."""
    problem = item.problem
    return {
        "kernel": item.kernel.key if item.kernel else None,
        "part": item.part.value,
        "state": item.state.value,
        "asked": item.asked,
        "where": list(item.where),
        "machines": item.count,
        "packages": [
            {
                "id": ref.package.id,
                "role": ref.package.role.value,
                "origin": ref.origin,
                "size": ref.size,
                "digest": ref.digest,
                "signed_by": ref.signed_by,
            }
            for ref in item.packages
        ],
        "fetch_bytes": item.fetch_bytes,
        "keep_bytes": item.keep_bytes,
        "seconds": round(item.seconds, 3),
        "downloaded": item.downloaded,
        "problem": problem
        and {
            "code": problem.code,
            "kind": problem.kind,
            "message": problem.message,
            "context": list(problem.context),
            "hint": problem.hint,
        },
    }


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _number(count: int, word: str) -> str:
    """
    >>> _number(1, "line"), _number(2, "line")
    ('1 line', '2 lines')
    """
    return f"{count} {word}" + ("s" if count != 1 else "")
