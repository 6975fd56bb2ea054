"""Takes somebody's own kernel into the store: a tar of its files, which is all that is known of it.

vmlinux          first
modules/*.ko     of the same build, in any folders
source/...       the tree that it was built from
SHA256SUMS       last, as sha256sum(1) writes it: of every file
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, cast

from kernsym.cache import Bundle, BundleFile, FileRole, Store, Verification
from kernsym.cache.kbundle.contents import decode_sums
from kernsym.distros import Kernel, KernsymError, Refused, Unusable, distro_of, normalise_module
from kernsym.distros.core.own import is_own, own_kernel
from kernsym.server.binaries import elf
from kernsym.server.binaries.dwarf import source_prefix
from kernsym.server.binaries.verify import VmlinuxIdentity, read_identity
from kernsym.server.bring.work import ROOT, publish
from kernsym.server.disk import require_room, writing

SUMS = "SHA256SUMS"
_VMLINUX = "vmlinux"
_MODULE = re.compile(r"modules/(?:.+/)?(?P<name>[^/]+)\.ko(?:\.debug)?")
_SOURCE = "source/"
_INCOMING = "incoming"
_MOST_BYTES_OF_SUMS = 64 << 20  # a source tree has 80,000 files
_PIECE = 1 << 20
_STALE_SECONDS = 86_400.0
_VERMAGIC = re.compile(rb"(?:^|\0)vermagic=(\S+)")


def add(store: Store, stream: IO[bytes], *, label: str, most_bytes: int) -> Bundle:
    """The kernel of a tar, as it is held now; adding it again adds what is new.

    It never takes the place of a distribution's: its key is its own, and where a distribution
    claims its banner, only its build ID leads to it.  What did not come whole leaves nothing.

    Raises `Refused` (`upload-damaged`, `elf-unreadable`, `vmlinux-without-banner`,
    `module-mismatch`, `distribution-held`), `Unusable` (`upload-odd`, `upload-too-large`,
    `release-unfit`, `disk-full`), and what reading the stream raises.
    """
    (store.root / _INCOMING).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.root / _INCOMING) as folder:
        upload = _Upload(Path(folder), most_bytes)
        kernel: Kernel | None = None
        for path in upload.files(stream):
            if path == _VMLINUX:
                identity = read_identity(upload.folder / path)
                kernel = _kernel_of(store, upload.folder / path, identity)
            elif kernel is None:
                raise _odd(f"it begins with {path}, not with vmlinux")
        if kernel is None:
            raise _odd("it holds no vmlinux")
        bundle = _bundle(kernel, identity, upload, label)
        return _take_in(store, bundle, upload.folder)


def sweep(store: Store) -> None:
    """Remove what came to servers that were killed meanwhile."""
    for folder in (store.root / _INCOMING).glob("*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder)


@dataclass(slots=True)
class _Upload:
    """The files that came into `folder`: their digests and sizes by path."""

    folder: Path
    most_bytes: int
    digests: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def files(self, stream: IO[bytes]) -> Iterator[str]:
        """Writes the files, each path when it is there; at the end all are as they should be."""
        sums: dict[str, str] | None = None
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    archive.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                    path = member.name.removeprefix("./")
                    if member.isdir() or member.issym():
                        continue
                    if sums is not None or not member.isreg():
                        raise _odd(f"{path} is no plain file, or stands behind {SUMS}")
                    content = cast(IO[bytes], archive.extractfile(member))
                    if path == SUMS:
                        sums = decode_sums(content.read(_MOST_BYTES_OF_SUMS))
                        continue
                    if _is_wanted(path):
                        self._write(path, content, member)
                        yield path
        except (tarfile.TarError, EOFError) as error:
            raise _damaged(str(error) or "it ends too early") from error
        if sums is None:
            raise _damaged(f"it ends before {SUMS}")
        for path, digest in self.digests.items():
            if sums.get(path, sums.get(f"./{path}")) != digest:
                raise _damaged(f"{path} is not what {SUMS} says")

    def _write(self, path: str, content: IO[bytes], member: tarfile.TarInfo) -> None:
        if path in self.sizes:
            raise _odd(f"it holds {path} twice")
        if sum(self.sizes.values()) + member.size > self.most_bytes:
            raise Unusable(
                "upload-too-large",
                f"the files have more than {self.most_bytes >> 20} MB together",
                hint="upload_mb in kernsym.toml allows more",
            )
        target = self.folder / path
        require_room(self.folder, member.size)
        digest = hashlib.sha256()
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                while piece := content.read(_PIECE):
                    digest.update(piece)
                    file.write(piece)
            os.utime(target, (member.mtime, member.mtime))  # gdb warns of younger sources
        self.digests[path], self.sizes[path] = digest.hexdigest(), member.size


def _kernel_of(store: Store, vmlinux: Path, identity: VmlinuxIdentity) -> Kernel:
    """Raises `Refused` (`distribution-held`) for a build that is held as a distribution's."""
    held = store.find_build_id(identity.build_id) if identity.build_id else None
    if held is not None and not is_own(held.bundle.kernel):
        raise Refused(
            "distribution-held",
            f"this very build is held as {held.key}, of which its distribution vouches",
            hint=f"kernsym show {held.key}",
        )
    return own_kernel(identity.banner, identity.build_id, elf.machine(vmlinux))


def _bundle(kernel: Kernel, identity: VmlinuxIdentity, upload: _Upload, label: str) -> Bundle:
    files = [
        BundleFile(
            role=FileRole.VMLINUX if path == _VMLINUX else FileRole.MODULE,
            path=f"{ROOT}/{path}",
            size=upload.sizes[path],
            sha256=digest,
            package="",
            name="" if path == _VMLINUX else normalise_module(path.rpartition("/")[2]),
            build_id=_build_id_of(upload.folder / path, kernel),
        )
        for path, digest in upload.digests.items()
        if not path.startswith(_SOURCE)
    ]
    sources = sum(size for path, size in upload.sizes.items() if path.startswith(_SOURCE))
    if sources:
        tree = f"{ROOT}/{distro_of(kernel).layout(kernel).source_root}"
        files.append(
            BundleFile(role=FileRole.SOURCE_TREE, path=tree, size=sources, sha256="", package="")
        )
    return Bundle(
        kernel=kernel,
        verification=Verification(
            by=("file",),
            banner=identity.banner,
            build_id=identity.build_id,
            symbols=dict(identity.symbols),
        ),
        packages=(),
        files=tuple(files),
        all_modules=True,
        source_prefix=source_prefix(upload.folder / _VMLINUX),
        label=label,
    )


def _build_id_of(path: Path, kernel: Kernel) -> str | None:
    """Raises `Refused` (`module-mismatch`) for a module that says it is of another release."""
    found = _VERMAGIC.search(elf.section(path, ".modinfo") or b"")
    if found is not None and found[1].decode("utf-8", "replace") != kernel.uname:
        raise Refused(
            "module-mismatch",
            f"{path.name} is of {found[1].decode('utf-8', 'replace')}, not of {kernel.uname}",
            hint="name the folder with the modules of this very build",
        )
    return elf.build_id(path)


def _take_in(store: Store, bundle: Bundle, folder: Path) -> Bundle:
    """Move the files to their place and make them visible."""
    root = store.folder(bundle.kernel) / ROOT
    with store.lock(bundle.kernel, "symbols"), store.lock(bundle.kernel, "sources"):
        held = store.bundle(bundle.kernel)
        try:
            with writing(root):
                _move(folder, root)
            known = replace(held, label=bundle.label or held.label) if held else bundle
            publish(store, replace(known, files=bundle.files))
        except KernsymError:
            store.discard_unfinished(bundle.kernel)
            raise
    taken = store.bundle(bundle.kernel)
    assert taken is not None
    return taken


def _move(folder: Path, root: Path) -> None:
    """A source tree comes in one piece: files that were taken out of it are gone."""
    root.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_dir() or inside.parts[0] == _SOURCE.strip("/"):
            continue
        (root / inside).parent.mkdir(parents=True, exist_ok=True)
        path.replace(root / inside)
    tree = folder / _SOURCE
    if tree.is_dir():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(root / _SOURCE)
        tree.replace(root / _SOURCE)


def _is_wanted(path: str) -> bool:
    """Whether a file is kept: beside modules lie lists of them.  Raises `Unusable` (`upload-odd`)
    for a path that no kernel is sent under."""
    if {"", ".", ".."} & set(path.split("/")) or "\0" in path:
        raise _odd(f"it holds {path!r}")
    if path == _VMLINUX or path.startswith(_SOURCE):
        return True
    if not path.startswith("modules/"):
        raise _odd(f"it holds {path!r}, which is neither vmlinux nor below modules/ or source/")
    return _MODULE.fullmatch(path) is not None


def _odd(what: str) -> Unusable:
    return Unusable("upload-odd", f"this is no kernel that can be added: {what}")


def _damaged(what: str) -> Refused:
    return Refused("upload-damaged", f"the kernel did not arrive as it was sent: {what}")
