"""What mirrors let us in with: from kernsym.toml, and what vendors' tools left on this machine.

Red Hat's entitlements are TLS client certificates, SUSE's subscriptions a user and a password.
"""

from __future__ import annotations

import base64
import configparser
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.mirror_errors import host_of, public

CONFIGURED = "kernsym.toml"
_HINT = (
    "give the [[source]] a client_cert, or a username and password_file, in kernsym.toml; or name "
    "a mirror that is open to you"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One way to be let in, for URLs that begin with `prefix`.

    `certificate`, `key` and `authority` are PEM files; a key may be part of the certificate's
    file, and `authority` is trusted beside the system's.  With an authority alone it lets nobody
    in, it says whom to trust.  `origin` is for people.
    """

    prefix: str
    origin: str
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def shows_something(self) -> bool:
        """Whether a mirror is shown who asks."""
        return self.certificate is not None or bool(self.username)

    def fits(self, url: str) -> bool:
        """Whether the URL is one of the same server, and lies below the prefix."""
        folder = urlsplit(self.prefix).path.rstrip("/") + "/"
        if _server(url) != _server(self.prefix):
            return False
        path = urlsplit(url).path
        return path.startswith(folder) and "/../" not in path

    def headers(self) -> dict[str, str]:
        """What goes with the request."""
        if not self.username:
            return {}
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def context(self) -> ssl.SSLContext | None:
        """What the connection is made with.

        Raises `CouldNotFindOut` (`credentials-unreadable`).
        """
        if self.certificate is None and self.authority is None:
            return None
        used: tuple[Path | None, ...] = (self.authority,)
        try:
            context = ssl.create_default_context()
            if self.authority is not None:
                context.load_verify_locations(self.authority)
            if self.certificate is not None:
                used = (self.certificate, self.key)
                # Without a password OpenSSL would ask for one at the terminal.
                context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            files = [str(path) for path in used if path]
            raise CouldNotFindOut(
                "credentials-unreadable",
                f"{self.origin}: {' with '.join(files)} cannot be used: "
                f"{reason or 'it is not what it should be'}",
                hint="a certificate and its key are PEM files that this user may read",
            ) from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Whose credentials a machine may hold: `wants` and `hint` are for people."""

    hosts: tuple[str, ...]
    wants: str
    places: tuple[str, ...]
    hint: str


RED_HAT = Vendor(
    hosts=("cdn.redhat.com",),
    wants="an entitlement certificate",
    places=("etc/pki/entitlement", "run/secrets/etc-pki-entitlement"),
    hint="copy the folder from a registered RHEL host, or point a [[source]] at a Satellite or a "
    "local mirror",
)
SUSE = Vendor(
    hosts=("updates.suse.com", "nu.novell.com"),
    wants="the credentials of a SUSE subscription",
    places=(
        "etc/zypp/credentials.d/SCCcredentials",
        "run/secrets/credentials.d/SCCcredentials",
        "etc/zypp/credentials.d/NCCcredentials",
    ),
    hint="copy the file from a registered host, or point a [[source]] at an RMT server or a local "
    "mirror",
)
_REPOSITORIES = "etc/yum.repos.d/redhat.repo"
_SUSE_CONNECT = "etc/SUSEConnect"
_AUTHORITIES = ("etc/rhsm/ca/redhat-uep.pem", "run/secrets/rhsm/ca/redhat-uep.pem")


class Credentials:
    """Every way to be let in that is known: the configured ones, then the machine's.

    The machine's files are read anew each time: certificates are renewed while a server runs.
    """

    def __init__(self, configured: Iterable[Access] = (), root: Path = Path("/")) -> None:
        self._configured = tuple(configured)
        self._root = root

    def ways(self, url: str) -> tuple[Access, ...]:
        """The ways to try for a URL, in order; reads files."""
        configured = [access for access in self._configured if access.fits(url)]
        shown = [access for access in configured if access.shows_something]
        trusted = [access for access in configured if not access.shows_something]
        authority = trusted[0].authority if trusted else None
        if shown:
            return tuple(replace(way, authority=way.authority or authority) for way in shown)
        # What the configuration trusts goes before what was found beside the machine's.
        machine = self._of_machine(url) if _server(url)[0] == "https" else ()
        ways = tuple(replace(way, authority=authority or way.authority) for way in machine)
        return ways or tuple(trusted[:1])

    def _of_machine(self, url: str) -> Iterable[Access]:
        found: dict[object, Access] = {}
        for find in (_repositories, _entitlements, _subscriptions):
            for access in find(self._root):
                if access.fits(url):
                    found.setdefault((access.certificate, access.username), access)
        return found.values()

    def missing(self, url: str, refusal: str, tried: Sequence[str]) -> CouldNotFindOut:
        """The error for a URL that no way leads to: which credential is missing, and where it was
        looked for.  `refusal`: what the mirror answered; `tried`: what became of each way."""
        vendor = _vendor(url)
        looked = [f"/{place} ({self._state(place)})" for place in vendor.places] if vendor else []
        if not any(line.startswith(CONFIGURED) for line in tried):
            looked.append(f"{CONFIGURED} (no client_cert or username for it)")
        context = [f"asked      {public(url)}: {refusal}"]
        context += [f"tried      {line}" for line in tried]
        context.append(f"looked in  {', '.join(looked)}")
        return CouldNotFindOut(
            "credentials-missing",
            f"{host_of(url)} wants {vendor.wants if vendor else 'credentials'}: it answered "
            + (f"{refusal} to those it was shown" if tried else f"{refusal} without"),
            context=tuple(context),
            hint=vendor.hint if vendor else _HINT,
        )

    def _state(self, place: str) -> str:
        """What is found there, in a word or two."""
        path = self._root / place
        try:
            if path.is_dir():
                return f"{len([*path.glob('*-key.pem')])} certificates with keys"
            path.read_bytes()
        except FileNotFoundError:
            return "not there"
        except OSError as error:
            return error.strerror or "unreadable"
        return "there"


def _server(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; nothing of a URL that makes no sense."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None


def _vendor(url: str) -> Vendor | None:
    host = _server(url)[1]
    return next((vendor for vendor in (RED_HAT, SUSE) if host in vendor.hosts), None)


def _repositories(root: Path) -> Iterator[Access]:
    """What subscription-manager wrote down for each repository; a Satellite is known from there."""
    repositories = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        repositories.read(root / _REPOSITORIES, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return
    for section in repositories.values():
        scheme, host, port = _server(section.get("baseurl", ""))
        certificate, key, authority = (
            root / name.lstrip("/") if (name := section.get(word)) else None
            for word in ("sslclientcert", "sslclientkey", "sslcacert")
        )
        if scheme == "https" and certificate is not None and certificate.is_file():
            yield Access(
                prefix=f"https://{host}:{port}/" if port else f"https://{host}/",
                origin=str(certificate),
                certificate=certificate,
                key=key,
                authority=authority if authority and authority.is_file() else None,
            )


def _entitlements(root: Path) -> Iterator[Access]:
    """Pairs `N.pem` and `N-key.pem`; each is good for some of the repositories."""
    authority = next((root / name for name in _AUTHORITIES if (root / name).is_file()), None)
    for place in RED_HAT.places:
        for key in sorted((root / place).glob("*-key.pem")):
            certificate = key.with_name(key.name.replace("-key.pem", ".pem"))
            if certificate.is_file():
                yield Access(
                    prefix=f"https://{RED_HAT.hosts[0]}/",
                    origin=str(certificate),
                    certificate=certificate,
                    key=key,
                    authority=authority,
                )


def _subscriptions(root: Path) -> Iterator[Access]:
    """Files with the lines `username=` and `password=`, for SUSE's hosts and a registered one's."""
    registered = _values(root / _SUSE_CONNECT, ":").get("url", "")
    scheme, host, port = _server(registered)
    servers = [f"https://{name}/" for name in SUSE.hosts]
    if scheme == "https" and host not in ("scc.suse.com", None):
        servers.append(f"https://{host}:{port}/" if port else f"https://{host}/")
    for place in SUSE.places:
        values = _values(root / place, "=")
        if values.get("username") and values.get("password"):
            for server in servers:
                yield Access(
                    prefix=server,
                    origin=f"/{place}",
                    username=values["username"],
                    password=values["password"],
                )


def _values(path: Path, separator: str) -> dict[str, str]:
    """The lines `NAME<separator>VALUE` of a file; {} when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(separator) for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
