"""`kernsym.lock`: the packages that a preseed came from, with their digests, to come from again.

TOML, a table a kernel, in the order of their keys, so that a change is a few lines of a diff.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgspec

from kernsym.cache.atomic import write_atomic
from kernsym.cache.messages import Part
from kernsym.client.preseed.entries import Entry
from kernsym.client.preseed.items import Item, State
from kernsym.distros import Fingerprint, Refused, Unusable, identify

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_VERSION = 1
_HEAD = """\
# What `kernsym preseed --lock` brought.  `--locked` brings exactly these packages, or fails.
version = 1
"""
_LOCKED = (State.HELD, State.FETCHED, State.PLANNED, State.LEFT)


class LockedPackage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`digest` as `sha256:HEX`; "" where the source states none."""

    id: str
    role: str
    digest: str = ""
    size: int | None = None


class LockedKernel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`ask`: what its symbols are asked for with, as far as it is not None."""

    key: str
    part: Part
    ask: dict[str, str]
    package: list[LockedPackage]


class _Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: int
    kernel: list[LockedKernel] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock file's content; `path` is for people."""

    path: Path
    kernels: tuple[LockedKernel, ...]

    def entries(self) -> list[Entry]:
        """What the lock names, where there is no list."""
        return [
            Entry(where=str(self.path), text=kernel.key, fingerprint=Fingerprint(**kernel.ask))
            for kernel in self.kernels
            if kernel.part is Part.SYMBOLS
        ]

    def judge(self, items: Sequence[Item]) -> list[Item]:
        """The items, those refused that are not as the lock has them."""
        return [self._judge(item) for item in items]

    def digests(self, item: Item) -> tuple[str, ...]:
        """Those of the packages that an item's may be of."""
        locked = self.find(item)
        return tuple(one.digest for one in locked.package if one.digest) if locked else ()

    def _judge(self, item: Item) -> Item:
        locked = self.find(item)
        if item.state is State.UNPUBLISHED and locked is not None:
            return _refused(
                item,
                "lock-gone",
                f"{_named(locked.package)} of {self.path} is no longer published",
                (item.problem.message, *item.problem.context) if item.problem else (),
            )
        if item.state not in _LOCKED:
            return item
        if locked is None:
            return _refused(item, "lock-lacks", f"{self.path} does not have {item.name}")
        there = {(ref.package.id, ref.digest or "") for ref in item.packages}
        if there == {(one.id, one.digest) for one in locked.package}:
            return item
        return _refused(
            item,
            "lock-differs",
            f"{item.name} is not as {self.path} has it",
            (
                *(f"locked     {one.id} {one.digest}" for one in locked.package),
                *(f"published  {name} {digest}" for name, digest in sorted(there)),
            ),
        )

    def find(self, item: Item) -> LockedKernel | None:
        """The locked kernel that an item is of; of one that is not published by its identity."""
        kernel = item.kernel or identify(item.fingerprint).kernel
        for locked in self.kernels:
            same = locked.ask == _ask(item.fingerprint)
            if locked.part is item.part and (same or (kernel and locked.key == kernel.key)):
                return locked
        return None


def read(path: Path) -> Lock:
    """A lock file.  Raises `Unusable` (`lock-not-found`, `lock-broken`)."""
    try:
        table = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise Unusable(
            "lock-not-found",
            f"there is no lock file {path}",
            hint="kernsym preseed LIST --lock FILE writes one",
        ) from None
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise Unusable("lock-broken", f"the lock file {path} cannot be read: {error}") from error
    try:
        lock = msgspec.convert(table, _Lock)
        for kernel in lock.kernel:
            Fingerprint(**kernel.ask)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise Unusable("lock-broken", f"the lock file {path} makes no sense: {error}") from error
    if lock.version > _VERSION:
        raise Unusable("lock-newer", f"the lock file {path} is of a newer kernsym")
    return Lock(path=path, kernels=tuple(lock.kernel))


def write(path: Path, items: Sequence[Item], previous: Lock | None = None) -> None:
    """Write what the items came, or would come, from.  What could not be found out, or was refused,
    stays as the `previous` lock has it.  Raises `Unusable` (`lock-unwritable`)."""
    kernels = {}
    for item in items:
        locked = _locked(item) or (previous.find(item) if previous and _is_open(item) else None)
        if locked is not None:
            kernels[locked.key, locked.part.value] = locked
    text = _HEAD + "".join(_text(kernels[key]) for key in sorted(kernels))
    try:
        write_atomic(path.absolute(), text.encode())
    except OSError as error:
        raise Unusable("lock-unwritable", f"{path} cannot be written: {error.strerror}") from error


def _is_open(item: Item) -> bool:
    return item.state is not State.UNPUBLISHED and item.state not in _LOCKED


def _locked(item: Item) -> LockedKernel | None:
    """What is to be written of an item; None where its packages are not known."""
    if item.state not in _LOCKED or item.kernel is None or not item.packages:
        return None
    return LockedKernel(
        key=item.kernel.key,
        part=item.part,
        ask=_ask(item.fingerprint),
        package=[
            LockedPackage(
                id=ref.package.id,
                role=ref.package.role.value,
                digest=ref.digest or "",
                size=ref.size,
            )
            for ref in sorted(item.packages, key=lambda ref: ref.package.id)
        ],
    )


def _text(kernel: LockedKernel) -> str:
    """A kernel as its part of the file."""
    text = f"\n[[kernel]]\nkey = {_string(kernel.key)}\npart = {_string(kernel.part.value)}\n"
    text += f"ask = {_inline(kernel.ask)}\n"
    for one in kernel.package:
        text += f"[[kernel.package]]\nid = {_string(one.id)}\nrole = {_string(one.role)}\n"
        text += f"digest = {_string(one.digest)}\n"
        text += f"size = {one.size}\n" if one.size is not None else ""
    return text


def _ask(fingerprint: Fingerprint) -> dict[str, str]:
    """The fields of a fingerprint that say something; VMCOREINFO is long and proves nothing."""
    names = (field.name for field in fields(fingerprint) if field.name != "vmcoreinfo")
    return {name: value for name in names if (value := getattr(fingerprint, name)) is not None}


def _inline(table: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{name} = {_string(text)}' for name, text in table.items())} }}"


def _string(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _named(packages: Sequence[LockedPackage]) -> str:
    return " and ".join(f"{one.id} ({one.digest or 'no digest'})" for one in packages)


def _refused(item: Item, code: str, message: str, context: tuple[str, ...] = ()) -> Item:
    hint = "write the lock anew with --lock, and look at what changed"
    error = Refused(code, message, context=context, hint=hint)
    return replace(item, state=State.REFUSED, problem=error)
