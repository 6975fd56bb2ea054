"""A fleet's kernels, small and real enough: packages with a vmlinux of their own banner and build
ID, in an apt suite of Debian's shape and an rpm-md repository of Rocky's."""

from __future__ import annotations

import hashlib
import lzma
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.deb_writer import deb
from tests.distros.recorded import release
from tests.distros.rpm_md_writer import Row, repository
from tests.elf_writer import module, vmlinux
from tests.rpm_writer import rpm

DEBIAN = (
    "Linux version {uname} (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, "
    "GNU ld (GNU Binutils for Debian) 2.40) {number}"
)
ROCKY = (
    "Linux version {uname} (mockbuild@iad1-prod-build001.bld.equ.rockylinux.org) (gcc version "
    "8.5.0 20210514 (Red Hat 8.5.0-22) (GCC)) {number}"
)
LIST = "main/binary-amd64/Packages.xz"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetKernel:
    """`number`: utsname.version.  `path`: of its package, below the mirror's root."""

    distro: str
    uname: str
    version: str
    banner: str
    number: str
    package: str
    path: str

    @property
    def build_id(self) -> str:
        return hashlib.sha1(self.banner.encode()).hexdigest()

    @property
    def key(self) -> str:
        return f"{self.distro}/x86_64/{self.uname}/{self.version}"


def debian(number: int, *, line: str = "6.1") -> FleetKernel:
    """The kernel of Debian's upload `number`."""
    uname, version = f"{line}.0-{number}-amd64", f"{line}.{number}-1"
    built = f"#1 SMP PREEMPT_DYNAMIC Debian {version} (2024-02-{number % 28 + 1:02})"
    package = f"linux-image-{uname}-dbg_{version}_amd64.deb"
    return FleetKernel(
        distro="debian",
        uname=uname,
        version=version,
        banner=DEBIAN.format(uname=uname, number=built),
        number=built,
        package=package,
        path=f"pool/{package}",
    )


def rocky(number: int) -> FleetKernel:
    """A kernel of Rocky 8.10."""
    version = f"4.18.0-553.{number}.1.el8_10"
    uname, built = f"{version}.x86_64", f"#1 SMP Tue May {number % 28 + 1} 15:46:07 UTC 2024"
    package = f"kernel-debuginfo-{version}.x86_64"
    return FleetKernel(
        distro="rocky",
        uname=uname,
        version=version,
        banner=ROCKY.format(uname=uname, number=built),
        number=built,
        package=package,
        path=f"rocky/Packages/{package}.rpm",
    )


def publish(root: Path, kernels: Sequence[FleetKernel], *, padding: int = 20_000) -> None:
    """Make `root` a mirror that has the kernels; `padding`: random bytes in each package."""
    _publish_debs(root, [one for one in kernels if one.distro == "debian"], padding)
    _publish_rpms(root, [one for one in kernels if one.distro == "rocky"], padding)


def source(url: str, *, path: str = "", kind: str = "apt", distro: str = "debian") -> str:
    """The mirror as a [[source]], without signatures."""
    return (
        f'[[source]]\ndistro = "{distro}"\nkind = "{kind}"\nurl = "{url}{path}"\n'
        'suite = "bookworm"\nsignature = "skip"\n'
    )


def sources(url: str) -> str:
    return source(url) + source(url, path="/rocky", kind="rpm-md", distro="rocky")


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def members(kernel: FleetKernel, padding: int) -> list[tuple[str, bytes]]:
    """What the debug package of a kernel holds: vmlinux, two modules."""
    chance = random.Random(kernel.banner)
    modules = f"usr/lib/debug/lib/modules/{kernel.uname}"
    at = f"usr/lib/debug/boot/vmlinux-{kernel.uname}"
    if kernel.distro == "rocky":
        at = f"{modules}/vmlinux"
    files = [(at, vmlinux(kernel.banner, kernel.build_id))]
    for name in ("ext4", "overlay"):
        build_id = hashlib.sha1(f"{kernel.banner}{name}".encode()).hexdigest()
        content = module(build_id, chance.randbytes(padding // 2))
        files.append((f"{modules}/kernel/fs/{name}.ko", content))
    return files


def _publish_debs(root: Path, kernels: Sequence[FleetKernel], padding: int) -> None:
    stanzas = ""
    for kernel in kernels:
        body = deb(members(kernel, padding), ".gz")
        write(root, {kernel.path: body})
        stanzas += (
            f"Package: {kernel.package.partition('_')[0]}\nVersion: {kernel.version}\n"
            f"Architecture: amd64\nFilename: {kernel.path}\nSize: {len(body)}\n"
            f"SHA256: {hashlib.sha256(body).hexdigest()}\n\n"
        )
    packed = lzma.compress(stanzas.encode())
    suite = {LIST: packed, "InRelease": release({LIST: packed}, by_hash=False)}
    write(root / "dists/bookworm", suite)


def _publish_rpms(root: Path, kernels: Sequence[FleetKernel], padding: int) -> None:
    rows = []
    for kernel in kernels:
        body = rpm(members(kernel, padding))
        write(root, {kernel.path: body})
        version, _, number = kernel.version.partition("-")
        digest = hashlib.sha256(body).hexdigest()
        rows.append(
            Row(
                name="kernel-debuginfo",
                version=version,
                release=number,
                checksum=("sha256", digest),
                size=len(body),
            )
        )
    pages = repository("rocky", rows)
    write(root, {name: body for name, body in pages.items() if not name.endswith(".asc")})
