"""Whose build of an Enterprise Linux kernel it is: one judgement that the whole family shares.

The distributions rebuild with the same name and version, so the name decides next to nothing: the
build host does, then what the compiler says of itself, then marks that only some have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernsym.distros.core.distro import Claim, Evidence
from kernsym.distros.formats.el_builders import Builder, builder_of
from kernsym.distros.formats.el_names import ElName, kernel_of, looks_like_el, parse

TITLES = {
    "rhel": "Red Hat Enterprise Linux", "centos": "CentOS Linux", "rocky": "Rocky Linux",
    "alma": "AlmaLinux", "oracle": "Oracle Linux", "centos-stream": "CentOS Stream",
}  # fmt: skip
_LOCAL = "a local build"
# Oracle's compiler has its own numbers behind Red Hat's: 4.8.5-16.0.3, 11.4.1-2.1.0.1.
_ORACLE_COMPILER = re.compile(r"\(Red Hat [0-9.]+-[0-9]+(?:\.[0-9]+)*\.0\.[0-9]+\)")
_ALMA_COMPILER = re.compile(r"\.alma\.[0-9]+")
_PACIFIC = re.compile(r"\bP[DS]T\b")
_EASTERN = re.compile(r"\bE[DS]T\b")
# Of those that began later than RHEL.
_FIRST_MAJOR = {"centos-stream": 8, "rocky": 8, "alma": 8}
# Up to 7 there were kernels of other versions for other machines; CentOS's SIGs have them still.
_FIRST_OF_ONE_LINE = 8
# The last minor of CentOS Linux 8.
_LAST_CENTOS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`distros`: who it may be of, best first; certain when it is one and `certain`.

    None at all: nobody's.  `words`: of the evidence, that decided.
    """

    distros: tuple[str, ...]
    reason: str
    words: tuple[str, ...]
    certain: bool = False


def claim(evidence: Evidence, distro: str) -> Claim | None:
    """What a distribution of the family says to evidence; None when it is no Enterprise Linux."""
    release = evidence.release
    name = parse(release)
    if name is None and not looks_like_el(release):
        return None
    if name is None:
        reason = f"{_LOCAL}: {release} is not a name that Enterprise Linux gives"
        return Claim(unsupported=_LOCAL, reason=reason, evidence=(release,))
    judged = judge(name, evidence)
    if not judged.distros:
        return Claim(unsupported=_LOCAL, reason=judged.reason, evidence=judged.words)
    if distro not in judged.distros:
        nobody = f"{release} is no name of {TITLES[distro]}'s"
        reason = judged.reason if judged.certain else nobody
        return Claim(rejected=True, reason=reason, evidence=judged.words)
    kernel = kernel_of(name, distro, release, evidence.arch)
    if judged.certain:
        return Claim(kernel=kernel, reason=judged.reason, evidence=judged.words)
    return Claim(
        reason=judged.reason,
        evidence=judged.words,
        candidate=kernel,
        rank=judged.distros.index(distro),
    )


def judge(name: ElName, evidence: Evidence) -> Judgement:
    """The judgement on a kernel whose name Enterprise Linux could have given."""
    builder = builder_of(evidence.banner)
    compiler = evidence.banner.compiler if evidence.banner else ""
    if builder is None:
        return _by_name(name, evidence, "without its builder nothing tells them apart")
    if not builder.trusted:
        return _nobody(f"it was built by {builder.text}", builder.text)
    if evidence.banner and evidence.banner.complete and "Red Hat" not in compiler:
        return _nobody("it was not built with a compiler of Red Hat's", compiler)
    if builder.distro in TITLES:
        return _by_host(name, builder, evidence.release)
    if builder.anonymous:
        return _by_compiler(name, builder, compiler, evidence)
    if builder.cut:
        return _by_name(name, evidence, f"the build host is cut off: {builder.text}")
    return _nobody(f"{builder.text} is no build host that is known", builder.text)


def _nobody(why: str, word: str) -> Judgement:
    return Judgement(distros=(), reason=f"{_LOCAL} or a rebuild: {why}", words=(word,))


def _by_host(name: ElName, builder: Builder, release: str) -> Judgement:
    distro = builder.distro or ""
    ended = name.minor is not None and name.minor > _LAST_CENTOS
    if distro == "centos" and name.major == "8" and (name.between or ended):
        distro = "centos-stream"  # built at the same hosts
    reason = f"{builder.host} is a build host of {TITLES[distro]}"
    if int(name.major) < _FIRST_MAJOR.get(distro, 0):
        return _nobody(f"{reason}, which has no release {name.major}", release)
    if not name.usual and int(name.major) >= _FIRST_OF_ONE_LINE and distro != "centos":
        return _nobody(f"{reason}, which makes release {name.major} with another kernel", release)
    if name.tail and distro in ("rhel", "centos-stream"):
        return _nobody(f"{reason}, which has no releases with {name.tail}", release)
    return Judgement(distros=(distro,), reason=reason, words=(builder.text, release), certain=True)


def _by_compiler(name: ElName, builder: Builder, compiler: str, evidence: Evidence) -> Judgement:
    """The host is a hash or an address: the compiler, the time zone or the name may still tell."""
    alma, oracle = _ALMA_COMPILER.search(compiler), _ORACLE_COMPILER.search(compiler)
    pacific = _PACIFIC.search(evidence.version)
    found: tuple[str, str, str] | None = None
    if alma:
        found = "alma", alma[0], "its linker is AlmaLinux's"
    elif oracle:
        found = "oracle", oracle[0], "its compiler is Oracle's"
    elif pacific:
        found = "oracle", pacific[0], "only Oracle builds in Pacific time"
    elif name.between and name.major in ("9", "10"):
        found = (
            "centos-stream",
            evidence.release,
            "a release between the minors of RHEL is Stream's",
        )
    if found is None:
        return _by_name(name, evidence, f"{builder.text} is nobody's in particular")
    distro, word, reason = found
    return Judgement(distros=(distro,), reason=reason, words=(word, builder.text), certain=True)


def _by_name(name: ElName, evidence: Evidence, missing: str) -> Judgement:
    """Who could have given the name, best first."""
    if not name.usual:
        return _nobody(f"Enterprise Linux {name.major} is made with another kernel", name.version)
    if "plus" in name.flavour.split("-"):
        reason = "only CentOS has kernels with centos.plus in their names"
        return Judgement(
            distros=("centos",), reason=reason, words=(evidence.release,), certain=True
        )
    distros = list(_possible(name))
    if _PACIFIC.search(evidence.version) and "oracle" in distros:
        distros.sort(key=lambda distro: distro != "oracle")
    elif _EASTERN.search(evidence.version):
        distros.sort(key=lambda distro: distro not in ("rhel", "alma"))
    titles = ", ".join(TITLES[distro] for distro in distros)
    reason = f"{evidence.release} may be of {titles}: {missing}"
    return Judgement(distros=tuple(distros), reason=reason, words=(evidence.release,))


def _possible(name: ElName) -> tuple[str, ...]:
    if name.major in ("3", "4"):
        return ("rhel", "centos")
    if name.major in ("5", "6", "7"):
        if not name.tail:
            return ("rhel", "centos", "oracle")
        # CentOS has one such name too: 2.6.32-431.1.2.0.1.el6.
        return ("oracle", "centos") if name.major == "6" else ("oracle",)
    if name.tail:
        return ("rocky", "oracle")
    if name.between or (name.major in ("9", "10") and "_" not in name.version):
        return ("centos-stream", "rhel", "alma")
    centos = name.major == "8" and name.minor is not None and name.minor <= _LAST_CENTOS
    return ("rhel", "centos", "rocky", "alma", "oracle") if centos else (
        "rhel", "rocky", "alma", "oracle")  # fmt: skip
