"""Lists of 100 MB are read in little memory, whatever they are packed with."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.distros.rpm_md_writer import Row, primary
from tests.upstream import UpstreamServer

MOST_KIB = 150_000_000 // 1024
SIZE = 100_000_000
# As quick as they can be: the tests are waiting.
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, 1),
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".bz2": lambda data: bz2.compress(data, 1),
    ".zst": zstandard.ZstdCompressor(level=1).compress,
}


@pytest.fixture(scope="module")
def listing() -> bytes:
    """The wanted package behind some hundred thousand others."""
    text = "A description that goes on for some lines, as they do. " * 10
    other = primary([Row(name="other-debuginfo", description=text)])
    entry = other[other.index(b"<package") : other.index(b"</metadata>")]
    last = primary([Row(name="kernel-debuginfo")])
    return last.replace(b"<package", entry * (SIZE // len(entry)) + b"<package", 1)


@pytest.mark.parametrize("suffix", PACKERS)
def test_the_peak_of_memory(listing: bytes, tmp_path: Path, suffix: str) -> None:
    assert len(listing) > SIZE * 0.99
    packed = PACKERS[suffix](listing)
    folder = tmp_path / "mirror/repo/repodata"
    folder.mkdir(parents=True)
    (folder / f"primary.xml{suffix}").write_bytes(packed)
    (folder / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        f'<checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>'
        f'<location href="repodata/primary.xml{suffix}"/></data></repomd>'
    )
    with UpstreamServer(tmp_path / "mirror") as server:
        command = [sys.executable, "-m", "tests.resolve_once", f"{server.url}/repo"]
        for _ in range(1 if suffix else 2):
            answer = subprocess.run(
                [*command, str(tmp_path / "pages")],
                check=True,
                capture_output=True,
                text=True,
                cwd=Path(__file__).parents[2],
            )
            assert int(answer.stdout.split()[2]) < MOST_KIB
        assert server.hits.total() == 2, "the second time nothing is asked"
