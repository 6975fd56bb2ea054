"""Unpacks `vmlinux`, modules by their names or `all` of a package, as a server does.

    python tests/bench/cold/unpacker.py PACKAGE INTO NAME,... [--url URL [--in-part]] [--index FILE]

With a URL the package is downloaded to PACKAGE meanwhile, or only what is read of it; the name
`none` only downloads.  With FILE the pass leaves an index there.  Prints the seconds that it took
and the peak memory in KiB.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from kernsym.distros import Layout, MemberKind, Package, PackageRef, Role
from kernsym.server.mirrors.growing import ByteSource, GrowingFile
from kernsym.server.unpack import ExtractedFile, Member, extract

# Of a Debian package, and of the RPMs that are packed of its files.
LAYOUT = Layout(
    vmlinux=re.compile(r"usr/lib/debug/(boot/vmlinux-.*|lib/modules/[^/]*/vmlinux)"),
    modules=re.compile(r"usr/lib/debug/lib/modules/.*/(?P<name>[^/]+?)[.]ko(?:[.]debug)?"),
    system_map=re.compile("usr/lib/debug/boot/System[.]map-.*"),
)


class Unpacker:
    """Unpacks what is named; `build_ids` by name of what came, `left`: what has not come yet."""

    def __init__(self, into: Path, names: set[str], index: Path | None = None) -> None:
        self._into = into
        self._index = index
        self._everything = names == {"all"}
        self.left = set() if self._everything else set(names)
        self.build_ids: dict[str, str] = {}

    def run(self, package: ByteSource) -> None:
        extract(
            package,
            LAYOUT,
            self._wanted,
            self._into,
            self._came,
            stop=lambda: not self._everything and not self.left,
            index=self._index,
            for_later=self._for_later,
        )

    def _came(self, file: ExtractedFile) -> None:
        self.left.discard(file.name)
        if file.build_id is not None:
            self.build_ids[file.name] = file.build_id

    def _for_later(self, member: Member) -> bool:
        return self._everything and member.kind is MemberKind.MODULE

    def _wanted(self, kind: MemberKind, name: str, path: str) -> bool:
        return self._everything or name in self.left


async def from_mirror(package: Path, url: str, into: Path, unpacker: Unpacker | None) -> None:
    """With None nothing is unpacked."""
    import asyncio

    from kernsym.server.mirrors.download import download
    from kernsym.server.mirrors.upstream import Upstream

    growing = GrowingFile()
    named = Package(role=Role.DEBUGINFO, id=package.name, name="", version="", arch="")
    ref = PackageRef(package=named, url=url, origin="", why="")
    async with Upstream(into / "pages") as upstream:
        loading = asyncio.create_task(download(upstream, ref, package, growing))
        if unpacker is not None:
            await asyncio.to_thread(unpacker.run, growing)
        await loading
    growing.close()


async def in_part(package: Path, url: str, into: Path, unpacker: Unpacker) -> None:
    import asyncio

    from kernsym.server.mirrors.ranged import RangedPackage
    from kernsym.server.mirrors.ranged_file import RangedFile
    from kernsym.server.mirrors.upstream import Upstream

    named = Package(role=Role.DEBUGINFO, id=package.name, name="", version="", arch="")
    ref = PackageRef(package=named, url=url, origin="", why="")
    async with Upstream(into / "pages") as upstream:
        source = RangedPackage(upstream, url, RangedFile(ref, package))
        await source.begin()
        await asyncio.to_thread(unpacker.run, source)
        await source.end()


def from_disk(package: Path, unpacker: Unpacker) -> None:
    growing = GrowingFile()
    growing.begin(package)
    growing.grown(package.stat().st_size, whole=True)
    unpacker.run(growing)
    growing.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("into", type=Path)
    parser.add_argument("names", type=lambda text: set(text.split(",")))
    parser.add_argument("--url")
    parser.add_argument("--in-part", action="store_true")
    parser.add_argument("--index", type=Path)
    options = parser.parse_args()
    unpacker = None
    if options.names != {"none"}:
        unpacker = Unpacker(options.into, options.names, options.index)
    begun = time.perf_counter()
    if options.url:
        import asyncio

        if options.in_part and unpacker is not None:
            asyncio.run(in_part(options.package, options.url, options.into, unpacker))
        else:
            asyncio.run(from_mirror(options.package, options.url, options.into, unpacker))
    elif unpacker is not None:
        from_disk(options.package, unpacker)
    seconds = time.perf_counter() - begun
    if unpacker is not None and unpacker.left:
        sys.exit(f"not found: {unpacker.left}")
    status = Path("/proc/self/status").read_text()
    print(seconds, status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
