"""Where SUSE and openSUSE publish kernels with their debug information, by product.

openSUSE's mirrors are open; from Leap 15.3 on they have the kernels of SLES too.  updates.suse.com
and nu.novell.com ask for credentials, and an RMT server has the same folders below `/repo/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kernsym.distros.core.distro import Source
from kernsym.distros.core.kernel import Kernel

KEYRINGS = tuple(
    f"/usr/lib/rpm/gnupg/keys/gpg-pubkey-{key}.asc"
    for key in (
        "29b700a4-62b07e22",  # openSUSE, since 2022
        "3dbdc284-53674dd4",  # openSUSE before
        "3fa1d6ce-63c9481c",  # SLES 15 since 2023
        "39db7c82-5f68629b",  # SLES 12 and 15
        "09d9ea69-645b99ce",  # SL Micro 6, SLES 16
        "307e3d54-5aaa90a5",  # SLES 11
    )
)
# A repository has its own key beside its index: it is believed when it is one of these.
FINGERPRINTS = (
    "AD485664E901B867051AB15F35A2F86E29B700A4",  # openSUSE, since 2022
    "22C07BA534178CD02EFE22AAB88B2FD43DBDC284",  # openSUSE before
    "7F009157B127B994D5CFBE76F74F09BC3FA1D6CE",  # SLES 15 since 2023
    "FEAB502539D846DB2C0961CA70AF9E8139DB7C82",  # SLES 12 and 15
    "1C59D66FCD52563A16933DBCFEC28EAF09D9EA69",  # SL Micro 6, SLES 16
    "4E98E67519D98DC7362A5990E3A5C360307E3D54",  # SLES 11
    "79C179B2E1C820C1890F9994A84EDAE89C800ACA",  # SLES 10
)
_OPENSUSE = "https://download.opensuse.org"
_SUSE = "https://updates.suse.com/SUSE"
_NOVELL = "https://nu.novell.com/repo/$RCE"
_SHARED_FROM, _SHARED_TO = 3, 6  # Leap 15.3 to 15.6 are made of SLES 15-SP3 to 15-SP6
_MODULES = {"azure": "SLE-Module-Public-Cloud", "rt": "SLE-Module-RT"}


def built_in(kernel: Kernel, arch: str) -> Iterator[Source]:
    """The places of a kernel, open ones first; `arch` is RPM's word for its processor."""
    ours = kernel.distro == "opensuse"
    for url in _opensuse(kernel.release, arch) if ours else _sles(kernel, arch):
        # Not every one of them is known to be signed; the packages are.
        yield Source(distro=kernel.distro, kind="rpm-md", url=f"{url}/", signature="if-present")


def of_mirror(source: Source, kernel: Kernel, arch: str) -> Iterator[Source]:
    """The places of a kernel of SLES on an RMT or SMT server; `source.url` is its `/repo`."""
    base = source.url.rstrip("/")
    for url in _sles(kernel, arch):
        for theirs in (_SUSE.removesuffix("/SUSE"), _NOVELL.removesuffix("/$RCE")):
            if url.startswith(f"{theirs}/"):
                yield replace(source, kind="rpm-md", url=f"{base}{url.removeprefix(theirs)}/")


def _opensuse(release: str, arch: str) -> Iterator[str]:
    old = release in ("15.0", "15.1", "15.2") or release.startswith("42.")
    ports = "" if arch in ("x86_64", "i586", "i686") else f"/ports/{arch}"
    if release == "Tumbleweed":
        # The mirrors keep the newest snapshot alone, the history some before it.
        yield from _with_debug(f"{_OPENSUSE}{ports}", "tumbleweed/repo/oss")
    elif old:
        yield from _leap(release, "oss", ports)
    elif release:
        for path in (f"distribution/{release}/repo/oss", f"update/{release}"):
            yield from _with_debug(_OPENSUSE, path)


def _leap(release: str, update: str, ports: str = "") -> Iterator[str]:
    for path in (
        f"update/leap/{release}/{update}",
        f"distribution/leap/{release}/repo/oss",
    ):
        yield from _with_debug(f"{_OPENSUSE}{ports}", path)


def _with_debug(base: str, path: str) -> Iterator[str]:
    """The folder of the debug packages, and the one of the kernels themselves."""
    yield f"{base}/debug/{path}"
    yield f"{base}/{path}"


def _sles(kernel: Kernel, arch: str) -> Iterator[str]:
    major, _, service_pack = kernel.release.partition("-SP")
    if major == "15":
        minor = int(service_pack or 0)
        if _SHARED_FROM <= minor <= _SHARED_TO:
            yield from _leap(f"15.{minor}", "sle")
        yield from _sles_15(kernel, arch)
    elif major.startswith("16."):
        yield from _leap(major, "oss")
        yield from _products("SLE-Product-SLES", major, arch)
    elif major.startswith("SL Micro"):
        for version in ("6.0", "6.1"):
            yield from _products("SL-Micro", version, arch)
    elif major == "12":
        for release in (kernel.release, f"{kernel.release}-LTSS"):
            yield from _products("SLE-SERVER", release, arch)
            yield from _updates("SLE-SERVER", release, arch)
    elif major in ("10", "11"):
        yield from _before_12(major, service_pack, arch)


def _sles_15(kernel: Kernel, arch: str) -> Iterator[str]:
    module = _MODULES.get(kernel.flavour.split("_")[0], "SLE-Module-Basesystem")
    yield from _updates(module, kernel.release, arch)
    yield from _products(module, kernel.release, arch)
    yield from _updates("SLE-Product-SLES", f"{kernel.release}-LTSS", arch)


def _products(product: str, release: str, arch: str) -> Iterator[str]:
    for folder in ("product_debug", "product"):
        yield f"{_SUSE}/Products/{product}/{release}/{arch}/{folder}"


def _updates(product: str, release: str, arch: str) -> Iterator[str]:
    for folder in ("update_debug", "update"):
        yield f"{_SUSE}/Updates/{product}/{release}/{arch}/{folder}"


def _before_12(major: str, service_pack: str, arch: str) -> Iterator[str]:
    """The names of these differ by service pack; a mirror's own go into the configuration."""
    name = f"SLES{major}-SP{service_pack}" if service_pack else f"SLES{major}"
    folder = f"{'sle' if major == '11' else 'sles'}-{major}-{arch}"
    for kind in ("Debuginfo-Updates", "Debuginfo-Pool", "Updates", "Pool", "LTSS-Updates"):
        yield f"{_NOVELL}/{name}-{kind}/{folder}"
