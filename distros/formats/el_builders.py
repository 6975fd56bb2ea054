"""Who builds where: the `USER@HOST` of Red Hat's family, which names and numbers do not tell apart.

One table for all, because hosts of one are easily taken for another's: CentOS Stream is built at
redhat.com, early AlmaLinux at cloudlinux.com.  From banners in public logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernsym.distros.core.banner import Banner

# Build systems use these accounts; root and people build for themselves.
_USERS = ("mockbuild", "brewbuilder", "bhcompile", "builder")
# Distribution, the end of its hosts' names, the beginning of it that is enough in a line cut short.
_DOMAINS = (
    ("centos-stream", ".stream.rdu2.redhat.com", ".stream.rdu2."),
    ("rhel", ".redhat.com", ".red"),
    ("centos", ".centos.org", ".cen"),
    ("rocky", ".rockylinux.org", ".roc"),
    ("alma", ".almalinux.org", ".alm"),
    ("oracle", ".oracle.com", ".ora"),
    ("fedora", ".fedoraproject.org", ".fed"),
)
# Oracle's hosts without a domain, and its own address range.
_ORACLE = re.compile(
    r"jenkins-10-[0-9a-f-]+|host-[0-9]+-[0-9]+-[0-9]+-[0-9]+|(?:x86|aarch64)-ol[0-9]+-builder-[0-9]+"
    r"|139\.185\.[0-9]+\.[0-9]+"
)
# Machines of people inside Red Hat, not of its build system.
_NOT_BUILDING = re.compile(r"\.(?:lab|usersys|users|devel|hosts|ctm)\.")
_CLOUDLINUX = re.compile(r"(?:koji\.corp|build)\.cloudlinux\.com")
_ANONYMOUS = re.compile(r"[0-9a-f]{32}|[0-9a-f]{12}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_ANONYMOUS_CUT = re.compile(r"[0-9a-f]{6,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """`text` as it stands there; `user` and `host`, "" when cut; `cut`: the line ends in it.

    `distro`: whose host it is, None when it is nobody's.  `anonymous`: the host is a hash or an
    address, as several distributions have them.  `trusted`: the account is a build system's.
    """

    text: str
    user: str
    host: str
    cut: bool
    distro: str | None
    anonymous: bool
    trusted: bool


def builder_of(banner: Banner | None) -> Builder | None:
    """The builder that a banner names; None when it names none."""
    if banner is None or "@" not in banner.builder:
        return None
    text = banner.builder
    cut = f"{text})" not in banner.raw
    user, _, host = text.rstrip(".>…" if cut else "").partition("@")
    distro = _owner(host, cut)
    numbered = _ANONYMOUS.fullmatch(host) or (cut and _ANONYMOUS_CUT.fullmatch(host))
    early_alma = user == "root" and _CLOUDLINUX.fullmatch(host)
    return Builder(
        text=text,
        user=user,
        host=host,
        cut=cut,
        distro=distro,
        anonymous=bool(numbered) and distro is None,
        trusted=user in _USERS or bool(early_alma),
    )


def _owner(host: str, cut: bool) -> str | None:
    if _ORACLE.fullmatch(host):
        return "oracle"
    if _CLOUDLINUX.fullmatch(host):
        return "alma"  # CloudLinux's own kernels say lve
    if _NOT_BUILDING.search(host):
        return None
    for distro, domain, enough in _DOMAINS:
        if host.endswith(domain):
            return distro
        beginning = host.rfind(enough)
        if cut and beginning > 0 and domain.startswith(host[beginning:]):
            return distro
    return None
