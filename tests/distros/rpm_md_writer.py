"""Makes rpm-md repositories in memory, as createrepo lays them out."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from zstandard import ZstdCompressor

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: ZstdCompressor().compress(data),
}
# As repomd.xml calls them, and as hashlib does.
ALGORITHMS = {"sha": "sha1", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A package to list."""

    name: str
    version: str = "4.18.0"
    release: str = "553.el8_10"
    arch: str = "x86_64"
    epoch: int = 0
    built: int = 1715688000
    base: str = ""
    files: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    description: str = "A kernel."
    checksum: tuple[str, str] = ("sha256", "ab" * 32)
    size: int = 1234

    @property
    def file(self) -> str:
        return f"Packages/{self.name}-{self.version}-{self.release}.{self.arch}.rpm"


def primary(rows: Iterable[Row]) -> bytes:
    return b"".join(
        (
            b'<?xml version="1.0" encoding="UTF-8"?>\n'
            b'<metadata xmlns="http://linux.duke.edu/metadata/common" '
            b'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">\n',
            *(_primary_entry(row).encode() for row in rows),
            b"</metadata>\n",
        )
    )


def _primary_entry(row: Row) -> str:
    base = f' xml:base="{row.base}"' if row.base else ""
    provides = "".join(f'<rpm:entry name="{escape(name)}"/>' for name in row.provides)
    kind, checksum = row.checksum
    return f"""<package type="rpm">
  <name>{row.name}</name>
  <arch>{row.arch}</arch>
  <version epoch="{row.epoch}" ver="{row.version}" rel="{row.release}"/>
  <checksum type="{kind}" pkgid="YES">{checksum}</checksum>
  <description>{escape(row.description)}</description>
  <time file="1715688001" build="{row.built}"/>
  <size package="{row.size}" installed="99" archive="99"/>
  <location{base} href="{row.file}"/>
  <format><rpm:provides>{provides}</rpm:provides></format>
</package>
"""


def build_id_file(build_id: str, ending: str = ".debug", folder: str = "/usr/lib/debug") -> str:
    """The name of a file, or of a link to it, by its build ID."""
    return f"{folder}/.build-id/{build_id[:2]}/{build_id[2:]}{ending}"


def filelists(rows: Iterable[Row]) -> bytes:
    entries = (
        f'<package pkgid="0" name="{row.name}" arch="{row.arch}">'
        f'<version epoch="{row.epoch}" ver="{row.version}" rel="{row.release}"/>'
        + "".join(f"<file>{escape(file)}</file>" for file in row.files)
        + "</package>\n"
        for row in rows
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="1">\n'
        + "".join(entries)
        + "</filelists>\n"
    ).encode()


def repository(
    url: str, rows: Iterable[Row], *, suffix: str = ".gz", checksum: str = "sha256"
) -> dict[str, bytes]:
    """The pages of a repository by their addresses."""
    rows = tuple(rows)
    lists = {"primary": primary(rows), "filelists": filelists(rows)}
    packed = {kind: PACKERS[suffix](body) for kind, body in lists.items()}
    data = "".join(
        f'<data type="{kind}">'
        f'<checksum type="{checksum}">'
        f"{hashlib.new(ALGORITHMS[checksum], body).hexdigest()}</checksum>"
        f'<location href="repodata/{kind}.xml{suffix}"/></data>'
        for kind, body in packed.items()
    )
    repomd = f'<repomd xmlns="http://linux.duke.edu/metadata/repo">{data}</repomd>'
    pages = {f"{url}/repodata/{kind}.xml{suffix}": body for kind, body in packed.items()}
    return {
        f"{url}/repodata/repomd.xml": repomd.encode(),
        f"{url}/repodata/repomd.xml.asc": b"a signature",
        **pages,
    }
