"""The seam: what a distribution has to know, as a value.

A distribution is one module beside `core/` that ends with `DISTRO = Distro(...)`.  Its functions
are pure.  `locate` reaches the world only through the `Fetch` it is given, and is an ordinary
function: the server runs it in a thread, so parsing 50 MB of package lists stalls nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from kernsym.distros.core.banner import Banner
from kernsym.distros.core.kernel import Fingerprint, Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.package import Package, PackageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A fingerprint with its banner taken apart; what a distribution judges by.

    `release` and `version` are the utsname fields, from the banner when the dump has no other.
    """

    fingerprint: Fingerprint
    banner: Banner | None
    release: str
    version: str
    arch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A distribution's answer to evidence that concerns it.

    With `kernel` it is certain.  Without, it is one of three: `unsupported` names what the kernel
    is (a rebuild, a derivative); `rejected` says that it is not the distribution's, though it
    looks so; else the claim is only possible.  A possible claim may bring the `candidate` that
    its packages are tried for, to be accepted by banner or build ID alone; `rank` orders
    candidates, the likeliest lowest.  `evidence` quotes the words that decided.
    """

    reason: str
    kernel: Kernel | None = None
    unsupported: str | None = None
    rejected: bool = False
    candidate: Kernel | None = None
    rank: int = 0
    evidence: tuple[str, ...] = ()


# The `origin` of a source that neither the user nor the machine named; [builtin] drops it.
BUILT_IN = "built in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that publishes packages, asked in the order given.

    `kind`: `apt`, `directory`, `snapshot`, `launchpad`, `rpm-md`, or `rmt`: SUSE's mirror server,
    of which `sources` makes rpm-md ones.  `url`: base, http(s):// or file://.
    `signature`: require, if-present or skip.  `signed_by`: paths of keyrings, or armoured keys;
    () means the distribution's own.  `origin` says where this source was learned from.  `floor`:
    how many kernels its list has at least.
    `partial`: files are taken out of its packages by ranges, for whoever asks.
    """

    distro: str
    kind: str
    url: str
    suite: str = ""
    component: str = "main"
    signed_by: tuple[str, ...] = ()
    signature: str = "require"
    origin: str = BUILT_IN
    floor: int = 0
    partial: bool = False

    @property
    def place(self) -> str:
        """The source in a few words for people, without credentials.

        >>> Source(distro="debian", kind="apt", url="http://me:pw@mirror.example/debian/").place
        'mirror.example/debian'
        """
        # A query may be a token.
        address = self.url.split("?", 1)[0].split("://", 1)[-1].rsplit("@", 1)[-1].rstrip("/")
        return f"{address} {self.suite}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Kernels of a distribution that are asked for by no name of their own.

    `name`: its release, as a number or code name; `flavour`: "" is the plain one; `arch` as
    `uname -m` spells it; `line`: the upstream version that they begin with (`6.8`), "" any.
    """

    name: str
    flavour: str = ""
    arch: str = "x86_64"
    line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A small file that came: an index, a listing.  `signed_by` as in `PackageRef`."""

    url: str
    body: bytes
    signed_by: str | None = None


class Fetch(Protocol):
    """URL in, page out; the only door out of this package.

    Returns None when the server says that there is no such file (404, 410).  Raises
    `CouldNotFindOut` when it could not be asked, `Refused` when a digest or signature is wrong.
    """

    def page(
        self,
        url: str,
        *,
        sha256: str | None = None,
        digest: str | None = None,
        fresh: bool = False,
    ) -> Page | None:
        """`digest`: as `sha512:HEX`, for algorithms that hashlib knows; `sha256` is a short form.

        `fresh`: ask again even if a copy of a few minutes ago is held.

        The page of a folder (`file://.../`, with the slash) is its names, a line each.
        """
        ...

    def signed(self, url: str, source: Source, *, detached: str | None = None) -> Page | None:
        """A page whose OpenPGP signature was checked as `source` demands.

        Without `detached` the page is clear-signed and `body` is what the signature covers; with
        it, the signature lies at that URL.
        """
        ...

    def open(self, url: str, *, digest: str) -> IO[bytes] | None:
        """As `page` for a file of any length, which its reader closes."""
        ...

    def zstd(self, packed: IO[bytes]) -> Iterator[bytes]:
        """What zstd packed, unpacked in pieces of bounded size; the standard library cannot until
        Python 3.14.  Raises `ValueError` for damage."""
        ...


Recognise = Callable[[Evidence], Claim | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distro:
    """A distribution: `recognise` claims evidence, `packages` names, `sources` and `locate` find.

    `also`: further values of `Kernel.distro` that it answers for, where distributions share their
    kernels.
    `sources(kernel, machine)`: the places to ask for this kernel, in order; `machine` are the
    sources that the machine's own configuration names, for a distribution to use or extend.
    `packages(kernel)`: several of one role are alternatives, the likeliest first.
    `locate(package, kernel, source, fetch)`: the package at one source; None when that source does
    not publish it.  `locate_all`, where given, is asked instead: every package at a source that
    fits, best first, () for none; for evidence that does not tell the exact version.

    `build_id_differs(kernel)`: its published vmlinux has another build ID than the kernel that
    runs, so that only the banner proves it.
    `weakly_signed(kernel)`: it is of a time when SHA-1 and DSA were what its distribution signed
    with; signatures with them are refused everywhere else.
    `crash_again(kernel)`: options to start crash with once more when it ends before its prompt,
    for kernels whose dumps do not tell all that it needs.
    `named(file)`: the kernel whose package a file is named after; None: not this distribution's.
    `typical(series)`: what a kernel of a series looks like, for `sources` to tell where they are
    published, and of which release and flavour they are; None: there is no such series.

    `keyrings`: paths of the keyrings that a `Source` with an empty `signed_by` is checked against,
    as the distribution's own package `keyring_package` installs them.  `fingerprints`: of its keys,
    upper case; one of these is believed wherever it comes from.
    """

    name: str
    title: str
    recognise: Recognise
    packages: Callable[[Kernel], tuple[Package, ...]]
    sources: Callable[[Kernel, Sequence[Source]], tuple[Source, ...]]
    locate: Callable[[Package, Kernel, Source, Fetch], PackageRef | None]
    layout: Callable[[Kernel], Layout]
    locate_all: Callable[[Package, Kernel, Source, Fetch], tuple[PackageRef, ...]] | None = None
    build_id_differs: Callable[[Kernel], bool] = lambda kernel: False
    weakly_signed: Callable[[Kernel], bool] = lambda kernel: False
    crash_again: Callable[[Kernel], tuple[str, ...]] = lambda kernel: ()
    named: Callable[[str], Kernel | None] | None = None
    typical: Callable[[Series], Kernel | None] = lambda series: None
    also: tuple[str, ...] = ()
    keyrings: tuple[str, ...] = ()
    keyring_package: str = ""
    fingerprints: tuple[str, ...] = ()
