"""Takes the kernels of a .kbundle into the store, each once all of it has come and was checked."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from kernsym.cache import Bundle, BundleFile, FileRole, Store, Verification, placed
from kernsym.cache.kbundle import CarriedFile, Carrier, kernel_path, open_carrier
from kernsym.distros import Refused
from kernsym.server.binaries import elf
from kernsym.server.binaries.verify import read_identity, require_pair
from kernsym.server.bring.work import publish
from kernsym.server.disk import require_room, writing
from kernsym.server.mirrors.signatures import verify_detached

_KERNEL_ROLES = (FileRole.VMLINUX, FileRole.STRIPPED)
_PIECE = 1 << 20


def take_in(store: Store, stream: IO[bytes], keys: tuple[str, ...]) -> tuple[Bundle, ...]:
    """The kernels of the file, as they are held now.  What is held already is not written again, so
    that an import which was interrupted goes on where it was.

    `keys`: paths of OpenPGP keys, one of which must have signed the file; (): a signature is not
    asked for.  A vmlinux must have the banner and the build ID that its manifest tells, and each
    module the build ID.  Kernels before one that is refused stay.

    Raises `Refused` (`kbundle-damaged`, `kbundle-unsafe`, `kbundle-mismatch`, `signature-missing`,
    `signature-bad`), `Unusable` (`kbundle-newer`, `disk-full`), and what reading the stream raises.
    """
    with open_carrier(stream) as carrier:
        signer = _signer(carrier, keys)
        made = carrier.contents.made
        origin = f"bundle of {made}, {f'signed by {signer}' if signer else 'signature not checked'}"
        arrivals = [_Arrival(store, carrier, bundle, origin) for bundle in carrier.contents.kernels]
        require_room(store.root, sum(arrival.lacking for arrival in arrivals))
        return tuple(_take_all(store, carrier, arrivals))


def _signer(carrier: Carrier, keys: tuple[str, ...]) -> str:
    """Whose good signature it carries; "" where nobody asks."""
    if not keys:
        return ""
    if carrier.signature is None:
        raise Refused(
            "signature-missing",
            "the bundle is not signed, and this store takes only signed ones",
            hint="make it with kernsym export --sign KEY",
        )
    return verify_detached(carrier.listing, carrier.signature, keys)


def _take_all(store: Store, carrier: Carrier, arrivals: list[_Arrival]) -> Iterator[Bundle]:
    """The files stand kernel by kernel."""
    left = {arrival.prefix: arrival for arrival in arrivals}
    there: dict[str, Path] = {}
    for prefix, files in itertools.groupby(carrier.files(), _prefix_of):
        arrival = left.pop(prefix, None)
        if arrival is None:
            raise Refused("kbundle-unsafe", f"the bundle names no kernel for its files in {prefix}")
        with store.lock(arrival.bundle.kernel, "symbols"):
            try:
                arrival.take(carrier, files, there)
                yield arrival.publish()
            except Refused:
                store.discard_unfinished(arrival.bundle.kernel)
                raise


def _prefix_of(file: CarriedFile) -> str:
    """The folder of its kernel: `kernels/<distro>/<arch>/<uname>/<version>/`."""
    return "/".join(file.path.split("/")[:5]) + "/"


class _Arrival:
    """One kernel of the file, on its way to its place in the store."""

    def __init__(self, store: Store, carrier: Carrier, carried: Bundle, origin: str) -> None:
        self.prefix = kernel_path(carried, "")
        self.bundle = replace(placed(store, carried), carried=origin, prepared=None)
        self._store = store
        self._folder = store.folder(self.bundle.kernel)
        self._files = {file.path: file for file in carried.files}
        self._trees = [file for file in carried.files if file.role is FileRole.SOURCE_TREE]
        for file in carried.files:
            digest = carrier.sums.get(self.prefix + file.path, file.sha256)
            if file.role is not FileRole.SOURCE_TREE and digest != file.sha256:
                raise Refused("kbundle-damaged", f"the bundle tells two digests of {file.path}")
        held = store.bundle(self.bundle.kernel)
        self._held = set(held.files) if held else set()
        self._come: set[str] = set()

    @property
    def lacking(self) -> int:
        """Bytes of what is not held."""
        return sum(file.size for file in self.bundle.files if file not in self._held)

    def take(self, carrier: Carrier, files: Iterator[CarriedFile], there: dict[str, Path]) -> None:
        """Write what is not held; `there`: where each file of the bundle lies now."""
        made: set[Path] = set()
        for file in files:
            path = file.path.removeprefix(self.prefix)
            entry = self._files.get(path) or self._tree_of(path)
            if entry is None or {"", ".", ".."} & set(path.split("/")):
                raise Refused("kbundle-unsafe", f"the bundle holds {path!r}, which nobody named")
            self._come.add(entry.path)
            there[file.path] = target = self._folder / path
            if entry in self._held or _is_there(target, file):
                continue
            with writing(target):
                if target.parent not in made:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.add(target.parent)
                content = _content(there[file.same_as]) if file.same_as else carrier.content()
                _write(target, content, file.modified)

    def publish(self) -> Bundle:
        """Check the kernel as if it had just come from a package, and make it visible.

        Raises `Refused` (`kbundle-damaged`, `kbundle-mismatch`).
        """
        if missing := self._files.keys() - self._come:
            raise Refused("kbundle-damaged", f"the bundle lacks {min(missing)}")
        for file in self.bundle.files:
            if file.role is FileRole.MODULE and elf.build_id(self._path(file)) != file.build_id:
                raise _mismatch(file)
        self._check_vmlinux()
        publish(self._store, self.bundle)
        held = self._store.bundle(self.bundle.kernel)
        assert held is not None
        return held

    def _check_vmlinux(self) -> None:
        vmlinux, stripped = (self.bundle.first(role) for role in _KERNEL_ROLES)
        assert vmlinux is not None
        identity = read_identity(self._path(stripped or vmlinux))
        if stripped is not None:
            require_pair(identity, self._path(vmlinux))
        found = Verification(
            by=(),
            banner=identity.banner,
            build_id=identity.build_id,
            symbols=dict(identity.symbols),
        )
        if not found.is_same_build(self.bundle.verification):
            raise _mismatch(vmlinux)

    def _tree_of(self, path: str) -> BundleFile | None:
        """The source tree that a file lies in."""
        return next((tree for tree in self._trees if path.startswith(f"{tree.path}/")), None)

    def _path(self, file: BundleFile) -> Path:
        return self._folder / file.path


def _is_there(target: Path, file: CarriedFile) -> bool:
    """Whether an import that was interrupted has written a file."""
    if not target.is_file() or target.is_symlink():
        return False
    digest = hashlib.sha256()
    for piece in _content(target):
        digest.update(piece)
    return digest.hexdigest() == file.sha256


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _write(target: Path, pieces: Iterable[bytes], modified: int) -> None:
    """Beside its place, and renamed when all has come and was right."""
    beside = target.with_name(f".{target.name}.part")
    try:
        with beside.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        os.utime(beside, (modified, modified))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _mismatch(file: BundleFile) -> Refused:
    return Refused(
        "kbundle-mismatch",
        f"{file.path} is not of the kernel that the bundle says it is of",
        hint="nothing of this kernel was kept; make the bundle anew with kernsym export",
    )
