"""Finds the distributions (every module beside `core/` that ends with DISTRO) and asks them all.

There are no priorities between them.  A certain claim by two is a fault of ours and is answered
as ambiguous; tests prove over every table that it does not happen.
"""

from __future__ import annotations

import enum
import functools
import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import kernsym.distros
from kernsym.distros.core import neighbours
from kernsym.distros.core.banner import find_banner
from kernsym.distros.core.distro import Claim, Distro, Evidence
from kernsym.distros.core.kernel import Fingerprint, Kernel
from kernsym.distros.core.own import is_own
from kernsym.distros.formats.own_builds import OWN

_MACHINE = re.compile(r"[A-Za-z0-9_]{1,32}")
# A value that begins with % is the format string in the kernel's image, not a note.
_OS_RELEASE = re.compile(r"^OSRELEASE=(?P<release>[^%\s]\S*)", re.MULTILINE)


class Outcome(str, enum.Enum):
    IDENTIFIED = "identified"
    AMBIGUOUS = "ambiguous"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which kernel a fingerprint is of, and why.  `kernel` is there exactly when identified.

    `candidates` names every distribution that could be meant, best first; `possible` are their
    kernels, as far as the evidence names them.  `rejected`: those that looked like it, and why not.
    """

    outcome: Outcome
    reason: str
    evidence: tuple[str, ...] = ()
    kernel: Kernel | None = None
    candidates: tuple[str, ...] = ()
    possible: tuple[Kernel, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


@functools.lru_cache(maxsize=1)
def catalog() -> Mapping[str, Distro]:
    """Every distribution by each of its names; a module that does not import is an error."""
    distros: dict[str, Distro] = {}
    for found in pkgutil.iter_modules(kernsym.distros.__path__, "kernsym.distros."):
        if not found.ispkg:
            distro: Distro = importlib.import_module(found.name).DISTRO
            distros.update(dict.fromkeys((distro.name, *distro.also), distro))
    return MappingProxyType(distros)


def distro_of(kernel: Kernel) -> Distro:
    """The distribution of a kernel, or what stands for one of an own build."""
    return OWN if is_own(kernel) else catalog()[kernel.distro]


def identify(fingerprint: Fingerprint) -> Verdict:
    """The verdict on a fingerprint; never raises for what a dump may hold."""
    named = identify_package(fingerprint.package) if fingerprint.package else None
    if named is not None:
        return said_to_be(named, fingerprint.distro)
    evidence = gather(fingerprint)
    if evidence is None:
        return Verdict(
            outcome=Outcome.UNKNOWN, reason="no kernel banner, release or build ID was found"
        )
    neighbour = neighbours.recognise(evidence)
    distros = list(dict.fromkeys(catalog().values()))
    if neighbour is not None:  # one that is supported meanwhile is asked, but nobody else
        distros = [distro for distro in distros if distro.title == neighbour.unsupported]
    claims = {
        distro.name: claim
        for distro in distros
        if (claim := distro.recognise(evidence)) is not None
    }
    if not claims and neighbour is not None:
        claims = {"neighbour": neighbour}
    elif not claims:
        homemade = neighbours.homemade(evidence)
        claims = {"homemade": homemade} if homemade else {}
    return said_to_be(judge(claims, evidence), fingerprint.distro)


def said_to_be(verdict: Verdict, distro: str | None) -> Verdict:
    """The verdict, decided by what somebody says of the machine where the evidence leaves it open
    and that is one of the possible distributions."""
    wanted = catalog().get(distro or "")
    if verdict.outcome is not Outcome.AMBIGUOUS or wanted is None:
        return verdict
    for kernel in verdict.possible:
        if catalog()[kernel.distro] is wanted:
            return replace(
                verdict,
                outcome=Outcome.IDENTIFIED,
                reason=f"it is said to be of {wanted.title}; {verdict.reason}",
                kernel=kernel,
                candidates=(kernel.distro,),
            )
    return verdict


def identify_package(file: str) -> Verdict | None:
    """The verdict on the file name of a package; None when no distribution names one so."""
    found = [
        (distro, kernel)
        for distro in dict.fromkeys(catalog().values())
        if distro.named is not None and (kernel := distro.named(file)) is not None
    ]
    if not found:
        return None
    if len(found) > 1:
        return _of_several(file, [kernel for _, kernel in found])
    ((distro, kernel),) = found
    return Verdict(
        outcome=Outcome.IDENTIFIED,
        reason=f"it is named as {distro.title} names its packages",
        evidence=(file,),
        kernel=kernel,
        candidates=(kernel.distro,),
    )


def _of_several(file: str, kernels: Sequence[Kernel]) -> Verdict:
    """The verdict on a name that several give, in the order in which its release is theirs."""
    order = identify(Fingerprint(release=kernels[0].uname, arch=kernels[0].arch)).candidates

    def place(kernel: Kernel) -> int:
        return order.index(kernel.distro) if kernel.distro in order else len(order)

    possible = tuple(sorted(kernels, key=place))
    titles = ", ".join(catalog()[kernel.distro].title for kernel in possible)
    return Verdict(
        outcome=Outcome.AMBIGUOUS,
        reason=f"of several distributions packages are named so: {titles}",
        evidence=(file,),
        candidates=tuple(kernel.distro for kernel in possible),
        possible=possible,
    )


def gather(fingerprint: Fingerprint) -> Evidence | None:
    """The fingerprint with its banner taken apart; None when it shows no release at all.

    utsname and VMCOREINFO are of the kernel that ran; memory can hold other kernels' banners (of
    the boot before, of the capture kernel), so a banner of another release is left out.
    """
    release = fingerprint.release or _os_release(fingerprint.vmcoreinfo or "")
    banner = find_banner(fingerprint.banner) if fingerprint.banner else None
    if banner and release and banner.release != release:
        banner = None
    if banner:
        release = banner.release
    if not release:
        return None
    arch = fingerprint.arch or fingerprint.machine or ""
    return Evidence(
        fingerprint=fingerprint,
        banner=banner,
        release=release,
        version=(banner.version if banner else "") or fingerprint.version or "",
        arch=arch if _MACHINE.fullmatch(arch) else None,
    )


def _os_release(vmcoreinfo: str) -> str:
    found = _OS_RELEASE.search(vmcoreinfo)
    return found["release"] if found else ""


def judge(claims: Mapping[str, Claim], evidence: Evidence) -> Verdict:
    """One verdict from what the distributions said."""
    rejected = tuple((name, claim.reason) for name, claim in claims.items() if claim.rejected)
    certain = {name: claim for name, claim in claims.items() if claim.kernel is not None}
    if len(certain) == 1:
        ((_, claim),) = certain.items()
        assert claim.kernel is not None
        return Verdict(
            outcome=Outcome.IDENTIFIED,
            reason=claim.reason,
            evidence=claim.evidence,
            kernel=claim.kernel,
            candidates=(claim.kernel.distro,),
            rejected=rejected,
        )
    if certain:
        return Verdict(
            outcome=Outcome.AMBIGUOUS,
            reason=f"{' and '.join(sorted(certain))} both claim {evidence.release}",
            candidates=tuple(sorted(certain)),
        )
    undecided = [(name, c) for name, c in claims.items() if not c.unsupported and not c.rejected]
    if undecided:
        return _ambiguous(sorted(undecided, key=lambda pair: pair[1].rank), rejected)
    unsupported = next((claim for claim in claims.values() if claim.unsupported), None)
    if unsupported is not None:
        return Verdict(
            outcome=Outcome.UNSUPPORTED,
            reason=unsupported.reason,
            evidence=unsupported.evidence,
            rejected=rejected,
        )
    return Verdict(
        outcome=Outcome.UNKNOWN,
        reason=f"no supported distribution recognises the release {evidence.release}",
        evidence=(evidence.release,),
        rejected=rejected,
    )


def _ambiguous(
    claims: Sequence[tuple[str, Claim]], rejected: tuple[tuple[str, str], ...]
) -> Verdict:
    possible = tuple(claim.candidate for _, claim in claims if claim.candidate)
    return Verdict(
        outcome=Outcome.AMBIGUOUS,
        reason="; ".join(dict.fromkeys(claim.reason for _, claim in claims)),
        evidence=tuple(dict.fromkeys(word for _, claim in claims for word in claim.evidence)),
        candidates=tuple(
            dict.fromkeys(c.candidate.distro if c.candidate else name for name, c in claims)
        ),
        possible=possible,
        rejected=rejected,
    )
