"""The sources of a kernel that has them as a Debian source package alone: from a signed archive
into the store, through the real server, and what is refused on the way."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign

from kernsym.cache import BundleFile, FileRole, Store
from tests.conftest import Kernsym
from tests.deb_writer import deb
from tests.distros.recorded import release
from tests.elf_writer import vmlinux
from tests.foreign_worlds import command
from tests.source_package_writer import file_diff, source_package, sources_list
from tests.upstream import UpstreamServer

UNAME, VERSION = "5.15.0-1051-aws", "5.15.0-1051.56"
BANNER = (
    f"Linux version {UNAME} (buildd@lcy02-amd64-045) (gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0, "
    "GNU ld (GNU Binutils for Ubuntu) 2.38) #56-Ubuntu SMP Tue Nov 28 15:43:31 UTC 2023 "
    f"(Ubuntu {VERSION}-aws 5.15.131)"
)
DDEB = f"linux-image-unsigned-{UNAME}-dbgsym_{VERSION}_amd64.ddeb"
ORIG, DIFF = "linux-aws_5.15.0.orig.tar.gz", f"linux-aws_{VERSION}.diff.gz"
POOL = "pool/main/l/linux-aws"
SUITE = "dists/jammy-updates"
PATCHED = "int panic(void);\n" * 20 + "int aws;\n"
BEFORE = {"Makefile": b"VERSION = 5\n", "kernel/panic.c": b"int panic(void);\n" * 20}
AFTER = {"kernel/panic.c": PATCHED.encode(), "ubuntu/aws.h": b"#define AWS\n"}
KEY = Tsk.generate(user_id="archive@example.org")


def publish(root: Path, files: Mapping[str, bytes]) -> None:
    """A signed archive in `root` with the symbols, and a source package of these files."""
    lists = {
        "main/source/Sources.xz": sources_list("linux-aws", VERSION, files, POOL),
        "main/binary-amd64/Packages.xz": _packages(_ddeb()),
    }
    packed = {path: lzma.compress(body) for path, body in lists.items()}
    signed = sign(KEY.signer(), release(packed, by_hash=False), mode=SignatureMode.CLEAR)
    for path, body in (
        (f"{SUITE}/InRelease", signed),
        *((f"{SUITE}/{path}", body) for path, body in packed.items()),
        *((f"{POOL}/{name}", body) for name, body in {**files, DDEB: _ddeb()}.items()),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)


def _ddeb() -> bytes:
    return deb([(f"./usr/lib/debug/boot/vmlinux-{UNAME}", vmlinux(BANNER))])


def _packages(body: bytes) -> bytes:
    return (
        f"Package: {DDEB.split('_', maxsplit=1)[0]}\nVersion: {VERSION}\nArchitecture: amd64\n"
        f"Filename: {POOL}/{DDEB}\nSize: {len(body)}\n"
        f"SHA256: {hashlib.sha256(body).hexdigest()}\n"
    ).encode()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[UpstreamServer]:
    publish(tmp_path / "archive", source_package("linux-aws", VERSION, BEFORE, AFTER))
    with UpstreamServer(tmp_path / "archive") as server:
        yield server


@pytest.fixture
def kernsym(archive: UpstreamServer, tmp_path: Path) -> Kernsym:
    (tmp_path / "key.asc").write_text(str(KEY.extract_certificate()))
    return command(tmp_path / "home", _source("apt", archive.url, tmp_path / "key.asc"))


def _source(kind: str, url: str, key: Path | str = "") -> str:
    return f'[[source]]\ndistro = "ubuntu"\nkind = "{kind}"\nurl = "{url}"\n' + (
        f'suite = "jammy-updates"\nsigned_by = ["{key}"]\n' if key else 'signature = "skip"\n'
    )


def tree_of(kernsym: Kernsym) -> BundleFile | None:
    (bundle,) = Store(kernsym.store).bundles()
    return bundle.first(FileRole.SOURCE_TREE)


def read_tree(kernsym: Kernsym) -> dict[str, bytes]:
    (folder,) = kernsym.store.glob("kernels/*/*/*/*")
    found = tree_of(kernsym)
    assert found is not None
    top = folder / found.path
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def test_the_tree_of_a_source_package_is_brought(kernsym: Kernsym, archive: UpstreamServer) -> None:
    done = kernsym("fetch", "--sources", BANNER)
    assert read_tree(kernsym) == {**BEFORE, **AFTER}
    assert f"{ORIG}  " in done.stderr and done.stderr.count("signed by") == 2
    assert (archive.hits[f"/{POOL}/{ORIG}"], archive.hits[f"/{POOL}/{DIFF}"]) == (1, 1)
    (bundle,) = Store(kernsym.store).bundles()
    tree, source = bundle.first(FileRole.SOURCE_TREE), bundle.packages[-1]
    assert tree is not None and tree.package == source.package.id == ORIG
    assert tree.size == sum(map(len, {**BEFORE, **AFTER}.values()))
    assert source.diff is not None and source.diff.package.id == DIFF
    assert source.signed_by is not None and source.diff.signed_by == source.signed_by
    assert not list(kernsym.store.rglob("*.gz")), "only the tree is kept"
    asked = archive.hits.total()
    kernsym("fetch", "--sources", BANNER)
    assert archive.hits.total() == asked


def test_a_source_package_in_a_folder(archive: UpstreamServer, tmp_path: Path) -> None:
    folder = _source("directory", f"file://{archive.root / POOL}")
    kernsym = command(tmp_path / "home", folder)
    kernsym("fetch", "--sources", BANNER)
    assert read_tree(kernsym) == {**BEFORE, **AFTER}
    assert (archive.root / POOL / ORIG).is_file(), "files of the user's are left where they are"


def _hostile(path: str, before: bytes = b"") -> bytes:
    return file_diff(f"x.orig/{path}", f"x/{path}", before, b"evil\n")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (_hostile("../../../../evil.c"), "package-unsafe"),
        (_hostile("Makefile", b"VERSION = 6\n"), "diff-mismatch"),
        (b"+" * (8 << 20), "package-unsafe"),
        (b"--- x.orig/a\n+++ x/a\n@@ -0,0 +1,999 @@\n" + b"+\n" * 9, "diff-mismatch"),
    ],
    ids=["outside", "other context", "endless line", "cut off"],
)
def test_a_diff_that_does_harm_is_refused(
    kernsym: Kernsym, archive: UpstreamServer, text: bytes, code: str
) -> None:
    files = source_package("linux-aws", VERSION, BEFORE, AFTER)
    publish(archive.root, {**files, DIFF: gzip.compress(text)})
    done = kernsym("fetch", "--sources", BANNER, status=None)
    assert code in done.stderr
    assert tree_of(kernsym) is None
    assert not list(kernsym.home.rglob("evil.c")) and not list(kernsym.store.rglob("panic.c"))
    assert not list(kernsym.store.rglob("*.gz"))


@pytest.mark.parametrize("name", [ORIG, DIFF])
def test_a_file_that_is_not_the_announced_one_is_refused(
    kernsym: Kernsym, archive: UpstreamServer, name: str
) -> None:
    path = archive.root / POOL / name
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    done = kernsym("fetch", "--sources", BANNER, status=None)
    assert "digest-mismatch" in done.stderr
    assert tree_of(kernsym) is None


def test_an_archive_that_is_not_signed_is_refused(
    kernsym: Kernsym, archive: UpstreamServer, tmp_path: Path
) -> None:
    kernsym("fetch", BANNER)
    stranger = Tsk.generate(user_id="somebody@example.org")
    (tmp_path / "key.asc").write_text(str(stranger.extract_certificate()))
    for page in (kernsym.store / "pages").iterdir():
        page.unlink()
    done = kernsym("fetch", "--sources", BANNER, status=None)
    assert "signed" in done.stderr and tree_of(kernsym) is None
