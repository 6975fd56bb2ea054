"""One module per dump format; `open_dump` finds the reader, `read_facts` the identity."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kernsym.client.dumps.detect import open_dump
from kernsym.client.dumps.facts import facts_of
from kernsym.client.dumps.reader import DumpFacts, DumpReader, Headers, Segment

__all__ = ["DumpFacts", "DumpReader", "Headers", "Segment", "facts_of", "open_dump", "read_facts"]


def read_facts(path: Path, on_progress: Callable[[int, int], None] | None = None) -> DumpFacts:
    """Opens a dump and identifies its kernel; errors as of `open_dump` and `facts_of`.

    Memory is scanned only when headers and VMCOREINFO do not tell enough: then
    `on_progress(done, total)` is called, in bytes, for every piece.
    """
    with closing(open_dump(path)) as reader:
        return facts_of(reader, on_progress)
