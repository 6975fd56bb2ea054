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
from kernsym.server.mirrors.gnupg import judge_clear_signed, judge_detached

_CLEAR_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"
_OLD_FORM = 3  # version of the packet (RFC 9580, 5.2.2)
_ARMOUR = "-----BEGIN PGP"
_KEYBOX_MAGIC = b"KBXf"  # at byte 8 of GnuPG's own format


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """`body`: exactly what the signature covers.  `signed_by`: the fingerprint of the certificate,
    upper case, and behind it in brackets what is weak about the signature."""

    body: bytes
    signed_by: str


def keyrings_of(source: Source) -> tuple[str, ...]:
    """What a source is checked against: its own `signed_by`, else its distribution's keyrings."""
    if source.signed_by:
        return source.signed_by
    distro = catalog().get(source.distro)
    return distro.keyrings if distro else ()


def verify_clear_signed(data: bytes, keyrings: Sequence[str], *, weak: bool = False) -> Signed:
    """The part of a clear-signed file that is covered by a good signature of a trusted key.

    `keyrings`: paths of keyrings (binary or armoured), or armoured keys themselves.  Only the
    returned body may be believed: text around the signed part is not covered.  `weak`: SHA-1 and
    DSA are good enough, as for products that have nothing better.  Raises `Refused`
    (`signature-missing`, `signature-bad`) and `CouldNotFindOut` (`keyring-missing`,
    `gpgv-missing` for what only gpgv judges).
    """
    if _CLEAR_SIGNED not in data:
        raise Refused("signature-missing", "the index is not signed")
    signature = data[data.rfind(_SIGNATURE) :]
    certificates = _certificates_for(signature, keyrings)
    try:
        checked = verify(bytes=data, store=lambda key_ids: certificates)
    except RuntimeError as error:
        judged = judge_clear_signed(_block(data), certificates) if weak else None
        if judged is None:
            raise _bad(error, signature, keyrings) from error
        return Signed(body=judged[1], signed_by=judged[0].signed_by)
    if checked.bytes is None or not checked.valid_sigs:
        raise Refused("signature-bad", "the index carries no good signature")
    return Signed(body=checked.bytes, signed_by=_fingerprint(checked.valid_sigs))


def verify_detached(
    data: bytes, signature: bytes, keyrings: Sequence[str], *, weak: bool = False
) -> str:
    """Who made a detached signature over `data`, as in `Signed.signed_by`.

    A signature file may hold several signatures; one good one is enough.  `keyrings`, `weak` and
    errors as in `verify_clear_signed`.
    """
    certificates = _certificates_for(signature, keyrings)
    failure: Exception = ValueError("it holds no signature")
    for one in _split(signature):
        try:
            checked = verify(bytes=data, store=lambda key_ids: certificates, signature=one)
        except RuntimeError as error:
            failure = error
        else:
            if checked.valid_sigs:
                return _fingerprint(checked.valid_sigs)
    # Red Hat and others sign their packages in this old form to this day; pysequoia refuses it.
    old_form = any(one.version == _OLD_FORM for one in _split(signature))
    judged = judge_detached([data], signature, certificates) if weak or old_form else None
    if judged is None or (judged.weakness and not weak):
        raise _bad(failure, signature, keyrings) from failure
    return judged.signed_by


def signers_of(signature: bytes) -> tuple[str, ...]:
    """The keys that signatures say they are of: fingerprints or key IDs, upper case."""
    try:
        found = _split(signature)
    except Refused:
        return ()
    named = (sig.issuer_fingerprint or sig.issuer_key_id or "" for sig in found)
    return tuple(dict.fromkeys(name.upper() for name in named if name))


def _block(data: bytes) -> bytes:
    """The first clear-signed text alone, without what stands around it."""
    start = data.find(_CLEAR_SIGNED)
    end = data.find(_END, start)
    return data[start : end + len(_END)] + b"\n" if end > 0 else data[start:]


def _split(signature: bytes) -> list[Sig]:
    try:
        packets = list(PacketPile.from_bytes(signature))
        return [Sig.from_bytes(bytes(packet)) for packet in packets]
    except (RuntimeError, ValueError) as error:
        raise Refused("signature-bad", f"the signature cannot be read: {_first_line(error)}") from (
            error
        )


def certificates_of(keyrings: Sequence[str]) -> list[Cert]:
    """Every certificate of the keyrings; one that is not there is passed over if others are.

    Raises `CouldNotFindOut` (`keyring-missing`) with what is wrong with each.
    """
    certificates: list[Cert] = []
    problems = []
    for keyring in keyrings:
        try:
            certificates += Cert.split_bytes(_read(keyring))
        except (OSError, RuntimeError, ValueError) as error:
            problems.append(f"{name_of(keyring)}: {_first_line(error)}")
    if not certificates:
        raise CouldNotFindOut(
            "keyring-missing",
            "there is no key to check the signature with",
            context=tuple(problems),
            hint=keyring_hint(keyrings),
        )
    return certificates


def known_keys(keys: bytes, fingerprints: Sequence[str]) -> tuple[str, ...]:
    """Of the keys that somebody offers those with known fingerprints, as armoured keyrings."""
    try:
        offered = Cert.split_bytes(keys)
    except (RuntimeError, ValueError):
        return ()
    return tuple(str(key) for key in offered if key.fingerprint.upper() in fingerprints)


def _certificates_for(signature: bytes, keyrings: Sequence[str]) -> list[Cert]:
    try:
        return certificates_of(keyrings)
    except CouldNotFindOut as error:
        raise key_missing("the index", signature, keyrings, error.context) from error


def key_missing(
    what: str, signature: bytes, keyrings: Sequence[str], context: Sequence[str]
) -> CouldNotFindOut:
    """The error for a signature that no held key can be asked about; `context`: why not."""
    signers = " or ".join(signers_of(signature)) or "that it does not name"
    return CouldNotFindOut(
        "keyring-missing",
        f"{what} is signed by the key {signers}, and there is no keyring to look for it",
        context=tuple(context),
        hint=keyring_hint(keyrings),
    )


def _read(keyring: str) -> bytes:
    if keyring.lstrip().startswith(_ARMOUR):
        return keyring.encode()
    data = Path(keyring).read_bytes()
    if data[8:12] == _KEYBOX_MAGIC:
        raise ValueError("it is a GnuPG keybox: export its keys with gpg --export")
    return data


def keyring_hint(keyrings: Sequence[str]) -> str:
    """Where a key has to be put to be found."""
    for distro in catalog().values():
        if distro.keyring_package and set(distro.keyrings) & set(keyrings):
            return f"apt install {distro.keyring_package}, or name a keyring as signed_by"
    places = [keyring for keyring in keyrings if not keyring.lstrip().startswith(_ARMOUR)]
    place = f"put it into {places[0]}, or " if places else ""
    return f"{place}name the file of the key as signed_by in the [[source]]"


def _bad(error: Exception, signature: bytes, keyrings: Sequence[str]) -> Refused:
    return Refused(
        "signature-bad",
        f"no trusted key signed this index as it came: {_first_line(error)}",
        context=(
            *(f"signed by    {signer}" for signer in signers_of(signature)),
            *(f"checked with {name_of(keyring)}" for keyring in keyrings),
        ),
        hint="the mirror is tampered with or in the middle of an update, or its key is new here: "
        + keyring_hint(keyrings),
    )


def _fingerprint(valid: Sequence[object]) -> str:
    return str(getattr(valid[0], "certificate", "")).upper()


def name_of(keyring: str) -> str:
    return "an embedded key" if keyring.lstrip().startswith(_ARMOUR) else keyring


def _first_line(error: Exception) -> str:
    # The library appends a backtrace to its messages.
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).split("\n", 1)[0].rstrip(".")
