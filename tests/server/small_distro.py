"""Distributions for tests: tiny packages in folders, kernels that only a vmlinux tells apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from kernsym.distros import (
    Claim,
    Distro,
    Evidence,
    Fetch,
    Fingerprint,
    Kernel,
    Layout,
    Package,
    PackageRef,
    Role,
    Source,
)
from kernsym.distros.formats import listing
from tests.deb_writer import deb
from tests.elf_writer import vmlinux

UNAME = "5.14.0-9.small"
DEBUG_PATH = f"usr/lib/debug/lib/modules/{UNAME}/vmlinux"
STRIPPED_PATH = f"boot/vmlinux-{UNAME}"
SOURCES_PATH = "usr/src/debug/small-5.14.0/linux-5.14"


def banner(builder: str) -> str:
    return f"Linux version {UNAME} (mockbuild@{builder}) (gcc 11) #1 SMP Tue May 14 2024"


def build_id(number: int) -> str:
    return f"{number:040x}"


def fingerprint(builder: str, number: int | None = None) -> Fingerprint:
    """What a dump shows of the kernel that `builder` made."""
    return Fingerprint(
        banner=banner(builder), release=UNAME, build_id=build_id(number) if number else None
    )


def kernel(name: str) -> Kernel:
    return Kernel(
        distro=name, release="9", arch="x86_64", uname=UNAME, flavour="", version="5.14.0-9"
    )


def package(name: str, role: Role = Role.DEBUGINFO) -> Package:
    title = f"{name}-{role.value}"
    return Package(
        role=role, id=f"{title}_5.14.0-9_amd64.deb", name=title, version="5.14.0-9", arch="amd64"
    )


def publish(
    folder: Path, name: str, content: bytes, role: Role = Role.DEBUGINFO, path: str = DEBUG_PATH
) -> None:
    """Put a package with one member into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / package(name, role).id).write_bytes(deb([(path, content)]))


def publish_vmlinux(folder: Path, name: str, builder: str, number: int) -> None:
    publish(folder, name, vmlinux(banner(builder), build_id(number)))


def distro(name: str, rank: int, roles: tuple[Role, ...], *, certain: bool) -> Distro:
    """It claims every kernel of `UNAME`: for certain, or as a candidate of that rank."""

    def recognise(evidence: Evidence) -> Claim | None:
        if evidence.release != UNAME:
            return None
        if certain:
            return Claim(reason="it is", kernel=kernel(name))
        return Claim(reason="it may be", candidate=kernel(name), rank=rank)

    stripped = re.compile(STRIPPED_PATH + r"(?:\.gz|\.xz)?")

    def layout(kernel: Kernel) -> Layout:
        return Layout(
            vmlinux=re.compile(re.escape(DEBUG_PATH) + r"(?:\.debug)?"),
            modules=re.compile(r"usr/lib/debug/.*/(?P<name>[^/]+)\.ko\.debug"),
            stripped=stripped if Role.KERNEL in roles else None,
            source_files=re.compile(r"usr/src/debug/.+"),
        )

    def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
        return listing.locate(package, source, fetch)

    return Distro(
        name=name,
        title=name,
        recognise=recognise,
        packages=lambda kernel: tuple(package(name, role) for role in roles),
        sources=lambda kernel, given: tuple(given),
        locate=locate,
        layout=layout,
    )


def register(patch: pytest.MonkeyPatch, *distros: Distro) -> None:
    """Make these the only distributions that there are."""
    known: Mapping[str, Distro] = MappingProxyType({distro.name: distro for distro in distros})
    patch.setattr("kernsym.distros.core.catalog.catalog", lambda: known)
