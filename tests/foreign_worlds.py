"""The bundled worlds of RPM distributions and Ubuntu: where things are, who is let in, and how."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Kernsym
from tests.server.locked import PASSWORD, USER, authority, password_guard, tls_mirror
from tests.upstream import UpstreamServer

WORLDS = Path(__file__).parent / "worlds"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`title`: what its kernel is said to be of.  `places`: its repositories, below the mirror's
    root; `suite` of apt's."""

    name: str
    title: str
    distro: str
    kind: str
    places: tuple[str, ...]
    suite: str = ""

    @property
    def vmcore(self) -> Path:
        return WORLDS / self.name / "vmcore"

    @property
    def root(self) -> Path:
        """What its mirror serves."""
        return WORLDS / self.name / "repo"

    @property
    def key(self) -> Path:
        return WORLDS / self.name / "archive-key.asc"

    def packages(self) -> set[str]:
        """The paths of its packages on the mirror."""
        return {
            f"/{path.relative_to(self.root)}"
            for place in self.places
            for path in (self.root / place).rglob("*")
            if path.suffix in (".rpm", ".deb", ".ddeb")
        }


RHEL8 = World(
    name="rhel8",
    title="Red Hat Enterprise Linux 8",
    distro="rhel",
    kind="rpm-md",
    places=("content/dist/rhel8/8/x86_64/baseos/debug",),
)
# Rocky's package of the same name and version.
ROCKY8 = "pub/rocky/8/BaseOS/x86_64/debug/tree"
_SLE = "SUSE/Updates/SLE-Module-Basesystem/15-SP5/x86_64"
SLES15 = World(
    name="sles15",
    title="SUSE 15-SP5",
    distro="sles",
    kind="rpm-md",
    places=(f"{_SLE}/update", f"{_SLE}/update_debug"),
)
UBUNTU2204 = World(
    name="ubuntu2204",
    title="Ubuntu 22.04",
    distro="ubuntu",
    kind="apt",
    places=("ddebs", "ubuntu"),
    suite="jammy-updates",
)
UBUNTU2404 = World(
    name="ubuntu2404",
    title="Ubuntu 24.04",
    distro="ubuntu",
    kind="apt",
    places=("ddebs", "ubuntu"),
    suite="noble-updates",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A world's mirror while it runs.  `trust`: the line of a [[source]] with who vouches for it;
    `access`: the lines that open its lock, `trust` among them."""

    world: World
    server: UpstreamServer
    trust: str = ""
    access: str = ""

    def command(self, folder: Path, *places: str, access: str | None = None) -> Kernsym:
        """The command on an empty store in `folder`; its only sources are the world's
        repositories, or those at `places`."""
        return command(folder, self.sources(*places, access=access))

    def sources(self, *places: str, access: str | None = None) -> str:
        """The world's repositories, or those at `places`, as a configuration names them."""
        lines = self.access if access is None else access
        return "".join(
            f'[[source]]\ndistro = "{self.world.distro}"\nkind = "{self.world.kind}"\n'
            f'url = "{self.server.url}/{place}"\nsuite = "{self.world.suite}"\n'
            f'signed_by = ["{self.world.key}"]\n{lines}'
            for place in places or self.world.places
        )


@contextlib.contextmanager
def published(world: World, folder: Path) -> Iterator[Published]:
    """The world on a mirror that is locked as its vendor's is; `folder` takes the credentials."""
    folder.mkdir()
    if world is RHEL8:
        trust = _toml(ca=authority(folder))
        lines = trust + _toml(client_cert=folder / "1.pem", client_key=folder / "1-key.pem")
        with tls_mirror(folder, let_in="1", root=world.root) as (server, _):
            yield Published(world=world, server=server, trust=trust, access=lines)
    elif world is SLES15:
        (folder / "password").write_text(f"{PASSWORD}\n")
        lines = _toml(username=USER, password_file=folder / "password")
        with UpstreamServer(world.root, guard=password_guard) as server:
            yield Published(world=world, server=server, access=lines)
    else:
        with UpstreamServer(world.root) as server:
            yield Published(world=world, server=server)


def _toml(**words: str | Path) -> str:
    return "".join(f'{word} = "{value}"\n' for word, value in words.items())


def command(folder: Path, sources: str) -> Kernsym:
    """The command on an empty store in `folder`; `sources`: the only ones, as TOML."""
    folder.mkdir()
    (folder / "kernsym.toml").write_text(f"[builtin]\nsources = false\n{sources}")
    paths = {"HOME": "", "KERNSYM_STORE": "store", "KERNSYM_CONFIG": "kernsym.toml"}
    return Kernsym(
        home=folder, environment={word: str(folder / name) for word, name in paths.items()}
    )
