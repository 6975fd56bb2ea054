"""Writes small Debian source packages of format 1.0, and the Sources list that names them."""

from __future__ import annotations

import difflib
import gzip
import hashlib
from collections.abc import Mapping

from tests.deb_writer import tar

Tree = Mapping[str, bytes]


def source_package(name: str, version: str, before: Tree, after: Tree) -> dict[str, bytes]:
    """The files of a source package by name: the tarball of `before`, the diff that makes `after`
    of it, and the `.dsc`."""
    base = version.rsplit("-", 1)[0]
    top = f"{name}-{base}"
    tarball = gzip.compress(tar([(f"{top}.orig/{path}", body) for path, body in before.items()]))
    files = {
        f"{name}_{base}.orig.tar.gz": tarball,
        f"{name}_{version}.diff.gz": gzip.compress(diff(top, before, after)),
    }
    dsc = f"Format: 1.0\nSource: {name}\nVersion: {version}\n{_checksums(files)}"
    return {**files, f"{name}_{version}.dsc": dsc.encode()}


def sources_list(name: str, version: str, files: Mapping[str, bytes], folder: str) -> bytes:
    """The Sources list of an archive with one source package, whose files lie in `folder`."""
    head = f"Package: {name}\nFormat: 1.0\nVersion: {version}\nDirectory: {folder}\n"
    return (head + _checksums(files)).encode()


def diff(top: str, before: Tree, after: Tree) -> bytes:
    """As dpkg-source writes it: both names of a file, one below `TOP.orig`, one below `TOP`."""
    return b"".join(
        file_diff(f"{top}.orig/{path}", f"{top}/{path}", before.get(path, b""), body)
        for path, body in sorted(after.items())
        if body != before.get(path)
    )


def file_diff(old: str, new: str, before: bytes, after: bytes) -> bytes:
    """The unified diff of one file."""
    lines = difflib.diff_bytes(
        difflib.unified_diff, _lines(before), _lines(after), old.encode(), new.encode()
    )
    ended = (
        line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
        for line in lines
    )
    return b"".join(ended)


def _lines(content: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in content.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _checksums(files: Mapping[str, bytes]) -> str:
    rows = (f" {hashlib.sha256(b).hexdigest()} {len(b)} {name}\n" for name, b in files.items())
    return "Checksums-Sha256:\n" + "".join(rows)
