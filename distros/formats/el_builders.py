"""Who builds where: the `USER@HOST` of Red Hat's family, which names and numbers do not tell apart.

One table for all, because hosts of one are easily taken for another's: CentOS Stream is built at
redhat.com, early AlmaLinux at cloudlinux.com.  From banners in public logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernsym.distros.core.banner import Banner
from kernsym.distros.core.masked import AT, is_hidden, may_be_user

# Build systems use these accounts; root and people build for themselves.
_USERS = ("mockbuild", "brewbuilder", "bhcompile", "builder", "buildcentos", "kojibuilder")
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
# Whole names of hosts: Oracle's without a domain and in its own range of addresses, Fedora's
# without a domain, and CloudLinux's that built AlmaLinux (its own kernels say lve).
_CLOUDLINUX = re.compile(r"(?:koji\.corp|build)\.cloudlinux\.com")
_HOSTS = (
    ("oracle", re.compile(r"jenkins-10-[0-9a-f-]+|host(?:-[0-9]+){4}|139\.185\.[0-9]+\.[0-9]+")),
    ("oracle", re.compile(r"(?:x86|aarch64)-ol[0-9]+-builder-[0-9]+")),
    ("fedora", re.compile(r"bkernel[0-9]+")),
    ("alma", _CLOUDLINUX),
)
# Beginnings that are one distribution's alone, for lines that are cut in the middle of the host.
_CUT_HOSTS = (
    ("centos", re.compile(r"kbuil.*|.+\.bsys.*")),
    ("rhel", re.compile(r".+\.build\.(?:eng|bos).*")),
    ("rocky", re.compile(r"(?:dal|iad|ord)1-prod-.*")),
    ("alma", re.compile(r"(?:x64|arm64|ppc64le|s390x)-builder[0-9].*")),
    ("oracle", re.compile(r"ca-build[0-9].*")),
)
# Machines of people inside Red Hat, not of its build system; until 2005 that ran there too.
_NOT_BUILDING = re.compile(r"\.(?:lab|usersys|users|devel|hosts|ctm)\.")
_ANONYMOUS = re.compile(r"[0-9a-f]{32}|[0-9a-f]{12}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_ANONYMOUS_CUT = re.compile(r"[0-9a-f]{6,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """`text` as it stands there; `user` and `host`, "" when cut; `cut`: the line ends in it.

    `distro`: whose host it is, None when it is nobody's.  `anonymous`: the host is a hash or an
    address, as several distributions have them, or `hidden` by an archive of mails.  `trusted`:
    the account is of a build system.
    """

    text: str
    user: str
    host: str
    cut: bool
    distro: str | None
    anonymous: bool
    hidden: bool
    trusted: bool


def builder_of(banner: Banner | None) -> Builder | None:
    """The builder that a banner names; None when it names none."""
    text = (banner.builder or banner.compiler) if banner else ""
    at = AT.search(text)
    if banner is None or at is None or not text[: at.start()].removesuffix("...").isalnum():
        return None
    # A wrapped line has blanks in it that were not there.
    cut = f"{text})".replace(" ", "") not in banner.raw.replace(" ", "")
    user, host = text[: at.start()], text[at.end() :].replace(" ", "").rstrip(".>…" if cut else "")
    distro = "centos" if user == "buildcentos" else _owner(user, host, cut)
    numbered = _ANONYMOUS.fullmatch(host) or (cut and _ANONYMOUS_CUT.fullmatch(host))
    early_alma = user == "root" and _CLOUDLINUX.fullmatch(host)
    return Builder(
        text=text,
        user=user,
        host=host,
        cut=cut,
        distro=distro,
        anonymous=bool(numbered or is_hidden(host)) and distro is None,
        hidden=is_hidden(host),
        trusted=any(may_be_user(user, one) for one in _USERS) or bool(early_alma),
    )


def _owner(user: str, host: str, cut: bool) -> str | None:
    for distro, whole in _HOSTS:
        if whole.fullmatch(host):
            return distro
    if _NOT_BUILDING.search(host) and user != "bhcompile":
        return None
    for distro, domain, enough in _DOMAINS:
        if host.endswith(domain):
            return distro
        beginning = host.rfind(enough)
        if cut and beginning > 0 and domain.startswith(host[beginning:]):
            return distro
    return next((distro for distro, start in _CUT_HOSTS if cut and start.fullmatch(host)), None)
