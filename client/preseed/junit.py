"""A run as JUnit XML, as GitLab, Jenkins and GitHub's actions read it: a testcase a kernel.

What nobody publishes, was refused or is no known kernel is a `failure`; what could not be found out
an `error`; what the budget left is `skipped`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from kernsym.client.preseed.entries import BadLine
from kernsym.client.preseed.items import Item, State
from kernsym.client.preseed.view import WORDS, about

_KINDS = {
    State.UNPUBLISHED: "failure",
    State.REFUSED: "failure",
    State.UNIDENTIFIED: "failure",
    State.UNKNOWN: "error",
    State.FAULT: "error",
    State.LEFT: "skipped",
    State.PLANNED: "skipped",
}
# What XML 1.0 cannot say; a list may hold anything.
_UNSPEAKABLE = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(items: Sequence[Item], bad: Sequence[BadLine]) -> bytes:
    """The document."""
    kinds = [_KINDS.get(item.state, "") for item in items] + ["failure"] * len(bad)
    counts = {
        "tests": len(kinds),
        "failures": kinds.count("failure"),
        "errors": kinds.count("error"),
        "skipped": kinds.count("skipped"),
    }
    seconds = f"{sum(item.seconds for item in items):.3f}"
    attributes = {"name": "kernsym preseed", **{k: str(v) for k, v in counts.items()}}
    suites = ElementTree.Element("testsuites", {**attributes, "time": seconds})
    suite = ElementTree.SubElement(suites, "testsuite", {**attributes, "time": seconds})
    for item in items:
        _add(suite, item)
    for line in bad:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": "list", "name": _said(line.where), "time": "0.000"}
        )
        words = {"message": _said(line.reason), "type": "bad-line"}
        ElementTree.SubElement(case, "failure", words).text = _said(line.text)
    ElementTree.indent(suites)
    document: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add(suite: ElementTree.Element, item: Item) -> None:
    distro = item.kernel.distro if item.kernel else "unknown"
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {
            "classname": f"preseed.{distro}.{item.part.value}",
            "name": _said(item.name),
            "time": f"{item.seconds:.3f}",
        },
    )
    kind = _KINDS.get(item.state)
    lines = [f"{WORDS[item.state]}: {about(item)}"]
    lines.append(f"asked for by {', '.join(item.where)}, on {item.count} machines")
    if kind is None:
        ElementTree.SubElement(case, "system-out").text = _said("\n".join(lines))
        return
    problem = item.problem
    message = problem.message if problem else WORDS[item.state]
    if problem:
        lines += [*problem.context, *([f"hint: {problem.hint}"] if problem.hint else [])]
    words = {"message": _said(message), "type": problem.code if problem else item.state.value}
    ElementTree.SubElement(case, kind, words).text = _said("\n".join(lines))


def _said(text: str) -> str:
    return _UNSPEAKABLE.sub("?", text)
