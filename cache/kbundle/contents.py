"""What stands at the head of a .kbundle: which kernels, and the digest of every file; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from kernsym.cache.bundle import Bundle, FileRole
from kernsym.distros import Refused, Unusable

FORMAT = 1
CONTENTS = "kernsym-bundle.json"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.asc"

_SUM = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>[^\0\r\n\\]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """`kernels`: of each its manifest, with the files that were packed and no others.  `made`: when
    (ISO 8601); `program`: which kernsym made it."""

    kernels: tuple[Bundle, ...]
    made: str
    program: str
    format: int = FORMAT


def encode_contents(contents: Contents) -> bytes:
    return msgspec.json.format(msgspec.json.encode(contents), indent=1) + b"\n"


def decode_contents(data: bytes) -> Contents:
    """Raises `Refused` (`kbundle-damaged`, `kbundle-unsafe`) and `Unusable` (`kbundle-newer`)."""
    try:
        found = msgspec.json.decode(data, type=_FormatOnly).format
        if found > FORMAT:
            raise Unusable(
                "kbundle-newer",
                f"the file has format {found}, this kernsym reads up to {FORMAT}",
                hint="update kernsym, or unpack it by hand: tar --zstd -xf FILE",
            )
        contents = msgspec.json.decode(data, type=Contents)
    except (msgspec.DecodeError, ValueError) as error:
        raise damaged(f"{CONTENTS} cannot be read: {error}") from error
    for bundle in contents.kernels:
        _require_safe(bundle)
    return contents


def kernel_path(bundle: Bundle, path: str) -> str:
    """Where a file of a manifest lies in a store, and in a .kbundle."""
    return f"kernels/{bundle.kernel.key}/{path}"


def encode_sums(sums: Mapping[str, str]) -> bytes:
    """Lines as sha256sum(1) writes and checks them, in the order of `sums`: digest by path.

    Raises `Unusable` (`path-odd`) for a path that it would have to quote.
    """
    lines = [f"{sha256}  {path}" for path, sha256 in sums.items()]
    odd = next((line for line in lines if not _SUM.fullmatch(line)), None)
    if odd is not None:
        raise Unusable("path-odd", f"a file has a name that cannot be written down: {odd!r}")
    return "".join(f"{line}\n" for line in lines).encode()


def decode_sums(data: bytes) -> dict[str, str]:
    """SHA-256 in hex by path.  Raises `Refused` (`kbundle-damaged`)."""
    sums: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        found = _SUM.fullmatch(line)
        if found is None or found["path"] in sums:
            raise damaged(f"{SUMS} holds the line {line[:200]!r}")
        sums[found["path"]] = found["sha256"]
    return sums


def require_same(sums: Mapping[str, str], path: str, data: bytes) -> None:
    """Raises `Refused` (`kbundle-damaged`) unless `sums` has this digest for a file."""
    if sums.get(path) != hashlib.sha256(data).hexdigest():
        raise damaged(f"{path} is not what {SUMS} says")


def damaged(what: str) -> Refused:
    """The error for a file that is not what was packed."""
    return Refused(
        "kbundle-damaged",
        f"the bundle is damaged: {what}",
        hint="copy it again; `sha256sum` on both sides tells whether it arrived as it was",
    )


def unsafe(what: str) -> Refused:
    """The error for a file that nobody packed with kernsym."""
    return Refused("kbundle-unsafe", f"the bundle is not unpacked: {what}")


def _require_safe(bundle: Bundle) -> None:
    """The names in a manifest become paths; those of a kernel are checked by `Kernel` itself."""
    for file in bundle.files:
        words = file.path.split("/")
        if (
            words[0] != "root"
            or len(words) < 2
            or {"", ".", ".."} & set(words)
            or "\0" in file.path
        ):
            raise unsafe(f"it names the path {file.path!r}")
    if sum(file.role is FileRole.VMLINUX for file in bundle.files) != 1:
        raise unsafe(f"{bundle.kernel.key} comes without its vmlinux")


class _FormatOnly(msgspec.Struct):
    format: int
