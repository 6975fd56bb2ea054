"""Checks OpenPGP signatures of repository indexes against keyrings of this machine.

A signature is good when its key was good at the time it was made: the indexes of archived suites
were signed by keys that have expired since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pysequoia import Cert, Sig, verify
from pysequoia.packet import PacketPile

from kernsym.distros import CouldNotFindOut, Refused, Source, catalog

_CLEAR_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_ARMOUR = "-----BEGIN PGP"
_KEYBOX_MAGIC = b"KBXf"  # at byte 8 of GnuPG's own format


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """`body`: exactly what the signature covers.  `fingerprint`: of the certificate, upper case."""

    body: bytes
    fingerprint: str


def keyrings_of(source: Source) -> tuple[str, ...]:
    """What a source is checked against: its own `signed_by`, else its distribution's keyrings."""
    if source.signed_by:
        return source.signed_by
    distro = catalog().get(source.distro)
    return distro.keyrings if distro else ()


def verify_clear_signed(data: bytes, keyrings: Sequence[str]) -> Signed:
    """The part of a clear-signed file that is covered by a good signature of a trusted key.

    `keyrings`: paths of keyrings (binary or armoured), or armoured keys themselves.  Only the
    returned body may be believed: text around the signed part is not covered.  Raises `Refused`
    (`signature-missing`, `signature-bad`) and `CouldNotFindOut` (`keyring-missing`).
    """
    certificates = certificates_of(keyrings)
    if _CLEAR_SIGNED not in data:
        raise Refused("signature-missing", "the index is not signed")
    try:
        checked = verify(bytes=data, store=lambda key_ids: certificates)
    except RuntimeError as error:
        raise _bad(error, keyrings) from error
    if checked.bytes is None or not checked.valid_sigs:
        raise Refused("signature-bad", "the index carries no good signature")
    return Signed(body=checked.bytes, fingerprint=_fingerprint(checked.valid_sigs))


def verify_detached(data: bytes, signature: bytes, keyrings: Sequence[str]) -> str:
    """The fingerprint of the trusted key that made a detached signature over `data`.

    A signature file may hold several signatures; one good one is enough.  `keyrings` and errors
    as in `verify_clear_signed`.
    """
    certificates = certificates_of(keyrings)
    failure: Exception = ValueError("it holds no signature")
    for one in _split(signature):
        try:
            checked = verify(bytes=data, store=lambda key_ids: certificates, signature=one)
        except RuntimeError as error:
            failure = error
        else:
            if checked.valid_sigs:
                return _fingerprint(checked.valid_sigs)
    raise _bad(failure, keyrings) from failure


def _split(signature: bytes) -> list[Sig]:
    try:
        packets = list(PacketPile.from_bytes(signature))
        return [Sig.from_bytes(bytes(packet)) for packet in packets]
    except (RuntimeError, ValueError) as error:
        raise Refused("signature-bad", f"the signature cannot be read: {_first_line(error)}") from (
            error
        )


def certificates_of(keyrings: Sequence[str]) -> list[Cert]:
    """Every certificate of the keyrings; one that is not there is passed over if others are."""
    certificates: list[Cert] = []
    problems = []
    for keyring in keyrings:
        try:
            certificates += Cert.split_bytes(_read(keyring))
        except (OSError, RuntimeError, ValueError) as error:
            problems.append(f"{_name(keyring)}: {_first_line(error)}")
    if not certificates:
        raise CouldNotFindOut(
            "keyring-missing",
            "there is no key to check the index's signature with",
            context=tuple(problems),
            hint=_keyring_hint(keyrings),
        )
    return certificates


def _read(keyring: str) -> bytes:
    if keyring.lstrip().startswith(_ARMOUR):
        return keyring.encode()
    data = Path(keyring).read_bytes()
    if data[8:12] == _KEYBOX_MAGIC:
        raise ValueError("it is a GnuPG keybox: export its keys with gpg --export")
    return data


def _keyring_hint(keyrings: Sequence[str]) -> str:
    for distro in catalog().values():
        if distro.keyring_package and set(distro.keyrings) & set(keyrings):
            return f"apt install {distro.keyring_package}, or name a keyring as signed_by"
    return "name a keyring as signed_by in the [[source]]"


def _bad(error: Exception, keyrings: Sequence[str]) -> Refused:
    return Refused(
        "signature-bad",
        f"no trusted key signed this index as it came: {_first_line(error)}",
        context=tuple(f"checked with {_name(keyring)}" for keyring in keyrings),
        hint="the mirror is tampered with or in the middle of an update, or its key is new here",
    )


def _fingerprint(valid: Sequence[object]) -> str:
    return str(getattr(valid[0], "certificate", "")).upper()


def _name(keyring: str) -> str:
    return "an embedded key" if keyring.lstrip().startswith(_ARMOUR) else keyring


def _first_line(error: Exception) -> str:
    # The library appends a backtrace to its messages.
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).split("\n", 1)[0].rstrip(".")
